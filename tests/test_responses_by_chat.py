"""The Responses API in terms of chat, and back, whoever the chat is with."""

from typing import Any

from coatcheck.providers.responses_request import chat_request
from coatcheck.providers.responses_result import response

USAGE = {
    "prompt_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens": 2,
    "completion_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 5,
}


def completion(finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}}
    return {"created": 17, "model": "m", "choices": [{**choice, "finish_reason": finish_reason}], "usage": USAGE}


def test_items_become_messages() -> None:
    items = [
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c1", "name": "get", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "get", "arguments": '{"b": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "cold"}]},
    ]
    chat, places = chat_request({"input": items, "instructions": "Obey."}, "")
    messages = chat["messages"]
    assert [message["role"] for message in messages] == ["system", "developer", "user", "assistant", "tool", "tool"]
    assert [call["id"] for call in messages[3]["tool_calls"]] == ["c1", "c2"]
    said = [message["content"] for message in messages]
    assert said == [
        "Obey.",
        "Be brief.",
        [{"type": "text", "text": "a"}],
        None,
        "sunny",
        [{"type": "text", "text": "cold"}],
    ]
    assert places == ["instructions", "input[0]", "input[1]", "input[3]", "input[5]", "input[6]"]


def test_a_format_and_a_tool_choice_are_spelt_as_chat_spells_them() -> None:
    chat, _ = chat_request(
        {
            "input": "a",
            "max_output_tokens": 9,
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
            "tools": [{"type": "function", "name": "get", "parameters": {}, "strict": None}],
            "tool_choice": {"type": "function", "name": "get"},
        },
        "",
    )
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True}
    assert chat["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert chat["tools"] == [{"type": "function", "function": {"name": "get", "parameters": {}}}]
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "get"}}
    assert chat["max_completion_tokens"] == 9


def test_more_answers_than_a_response_holds_are_not_paid_for() -> None:
    assert chat_request({"input": "a", "n": 3, "seed": 1}, "")[0].keys() == {"messages", "seed"}


def test_a_response_has_every_key_that_is_always_there() -> None:
    body = response({"input": "a", "metadata": {"k": "v"}}, completion(content="Hello"))
    for key in (
        *("error", "incomplete_details", "instructions", "max_output_tokens", "max_tool_calls"),
        *("previous_response_id", "prompt_cache_key", "reasoning", "safety_identifier", "service_tier"),
    ):
        assert body[key] is None
    assert body["object"] == "response"
    assert body["created_at"] == 17
    assert body["status"] == "completed"
    assert body["completed_at"] >= 17
    assert body["tools"] == []
    assert body["metadata"] == {"k": "v"}
    assert body["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }
    assert "background" not in body


def test_thoughts_words_and_calls_are_items_of_their_own() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "get", "arguments": "{}"}}
    output = response({"input": "a"}, completion(content="Wait.", reasoning="Hm.", tool_calls=[call]))["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call"]
    assert output[0]["content"] == [{"type": "reasoning_text", "text": "Hm."}]
    assert output[1]["content"][0]["text"] == "Wait."
    assert (output[2]["call_id"], output[2]["name"], output[2]["arguments"]) == ("c1", "get", "{}")


def test_an_empty_answer_is_still_a_message() -> None:
    [item] = response({"input": "a"}, completion(content=""))["output"]
    assert (item["type"], item["content"][0]["text"]) == ("message", "")
