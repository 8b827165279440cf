"""Anthropic's messages as chat completions and responses, held against the types of both vendors' own clients."""

from typing import Any

import anthropic.types
import openai.types.chat
import openai.types.responses
import orjson
import pytest

from coatcheck.engine.calls import Usage
from coatcheck.providers.anthropic.messages import FORMAT, conversation
from coatcheck.providers.anthropic.reply import completion, usage
from coatcheck.providers.responses_request import chat_request
from coatcheck.providers.responses_result import response


def message(*content: Any, **more: Any) -> dict[str, Any]:
    """An answer that Anthropic's own client would understand."""
    made = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 5},
        **more,
    }
    anthropic.types.Message.model_validate(made, strict=True)
    return made


def chat(*content: Any, **more: Any) -> dict[str, Any]:
    made = completion(message(*content, **more))
    openai.types.chat.ChatCompletion.model_validate_json(orjson.dumps(made))
    return made


def responded(*content: Any, request: Any = None, **more: Any) -> dict[str, Any]:
    made = response(request or {"input": "hello"}, chat(*content, **more))
    openai.types.responses.Response.model_validate_json(orjson.dumps(made))
    return made


HELLO = {"type": "text", "text": "Hello!"}
THOUGHT = {"type": "thinking", "thinking": "A greeting.", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "ZW5j"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Köln"}}


def said(*content: Any) -> Any:
    return chat(*content)["choices"][0]["message"]


def test_texts_are_the_content() -> None:
    made = chat(HELLO, {"type": "text", "text": " There."})
    assert (made["id"], made["model"], made["object"]) == ("msg_1", "claude-opus-5", "chat.completion")
    assert made["choices"][0]["message"] == {"role": "assistant", "content": "Hello! There.", "refusal": None}


def test_calls_are_told_with_their_arguments_as_json() -> None:
    told = said(CALL)
    assert told["content"] is None
    assert told["tool_calls"] == [
        {"id": "toolu_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Köln"}'}}
    ]


def test_thoughts_come_back_to_anthropic_as_they_were() -> None:
    told = said(THOUGHT, HIDDEN, HELLO, CALL)
    assert told["reasoning"] == "A greeting."
    assert [detail["format"] for detail in told["reasoning_details"]] == [FORMAT, FORMAT]
    (_, again) = conversation([{"role": "user", "content": "hello"}, told])[1]
    assert again["content"] == [THOUGHT, HIDDEN, HELLO, CALL]


def test_a_thought_that_is_not_shown_is_kept_all_the_same() -> None:
    told = said({**THOUGHT, "thinking": ""}, HELLO)
    assert "reasoning" not in told
    assert told["reasoning_details"][0]["signature"] == "c2ln"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ],
)
def test_each_reason_to_stop_has_its_word(reason: str, finish: str) -> None:
    assert chat(HELLO, stop_reason=reason)["choices"][0]["finish_reason"] == finish


def test_a_turn_that_is_only_paused_is_not_taken_for_an_end() -> None:
    paused = completion(message(HELLO, stop_reason="pause_turn"))
    assert paused["choices"][0]["finish_reason"] == "pause_turn"
    told = response({"input": "hello"}, paused)
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "pause_turn"})


def test_the_words_that_stopped_it_are_told() -> None:
    assert chat(HELLO, stop_reason="stop_sequence", stop_sequence="END")["choices"][0]["stop"] == "END"


def test_a_refusal_is_told() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "That would harm."}
    made = responded(stop_reason="refusal", stop_details=details)
    assert made["status"] == "incomplete"
    assert made["incomplete_details"] == {"reason": "content_filter"}
    assert made["output"][0]["content"] == [{"type": "refusal", "refusal": "That would harm."}]


def test_citations_name_the_part_of_the_content_that_they_support() -> None:
    found = {
        "type": "web_search_result_location",
        "url": "https://example.com",
        "title": "Example",
        "cited_text": "It is blue.",
        "encrypted_index": "x",
    }
    read = {
        "type": "page_location",
        "cited_text": "Page one.",
        "document_index": 0,
        "document_title": "a.pdf",
        "start_page_number": 1,
        "end_page_number": 2,
    }
    blue = {"type": "text", "text": "it is blue", "citations": [found, read]}
    told = said({"type": "text", "text": "As said, "}, blue)
    (web,), (page,) = told["annotations"], told["citations"]
    assert told["content_blocks"][1] == blue
    assert told["content"][web["url_citation"]["start_index"] : web["url_citation"]["end_index"]] == "it is blue"
    assert web["url_citation"]["url"] == "https://example.com"
    assert web["url_citation"]["content"] == "It is blue."
    assert (page["type"], page["start_page_number"], page["end_index"]) == ("page_location", 1, 19)
    in_web, in_file = responded({"type": "text", "text": "As said, "}, blue)["output"][0]["content"][0]["annotations"]
    assert (in_web["type"], in_web["url"], in_web["start_index"]) == ("url_citation", "https://example.com", 9)
    assert (in_file["type"], in_file["filename"], in_file["start_page_number"]) == ("file_citation", "a.pdf", 1)


def test_blocks_that_chat_has_no_words_for_are_told_as_they_are() -> None:
    searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    told = said(searched, HELLO)
    assert told["content_blocks"] == [searched, HELLO]
    assert "tool_calls" not in told
    assert "content_blocks" not in said(HELLO, CALL, THOUGHT, HIDDEN)


def test_input_tokens_are_all_input_tokens() -> None:
    counted = message(
        HELLO,
        usage={
            "input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5},
            "output_tokens": 50,
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        },
    )
    assert usage(counted) == Usage(
        input_tokens=123,
        cached_input_tokens=3,
        cache_write_tokens=20,
        long_cache_write_tokens=5,
        output_tokens=50,
        searches=2,
    )
    shown = completion(counted)["usage"]
    assert (shown["prompt_tokens"], shown["total_tokens"]) == (123, 173)
    assert shown["prompt_tokens_details"] == {
        "cached_tokens": 23,
        "cached_read_tokens": 3,
        "cached_write_tokens": 20,
        "cached_write_token_details": {"cached_write_tokens_5m": 15, "cached_write_tokens_1h": 5},
    }
    assert shown["completion_tokens_details"] == {"num_search_queries": 2}


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ({"service_tier": "standard", "inference_geo": "global"}, "standard"),
        ({"service_tier": "standard", "inference_geo": "not_available"}, "standard"),
        ({"service_tier": "standard", "speed": "fast"}, "fast"),
        ({"service_tier": "standard", "inference_geo": "us"}, "inference_geo=us"),
        ({"speed": "fast", "inference_geo": "us"}, "inference_geo=us"),
    ],
)
def test_the_rate_is_another_where_the_answer_was_made_fast_or_in_one_country(told: Any, tier: str) -> None:
    assert usage(message(HELLO, usage={"input_tokens": 3, "output_tokens": 5, **told})).tier == tier


@pytest.mark.parametrize(
    "answer", [{}, {"content": None}, {"content": "x"}, {"content": ["x"]}, {"content": [], "usage": [1]}]
)
def test_what_is_no_message_is_not_taken_for_one(answer: Any) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError)):
        completion(answer)


def test_a_response_goes_on_where_it_ended() -> None:
    made = responded(THOUGHT, HIDDEN, HELLO, CALL, request={"input": "hello", "reasoning": {"summary": "auto"}})
    assert [item["type"] for item in made["output"]] == ["reasoning", "reasoning", "message", "function_call"]
    assert made["output"][0]["summary"] == [{"type": "summary_text", "text": "A greeting."}]
    result = {"type": "function_call_output", "call_id": "toolu_1", "output": "Sunny."}
    request = {"input": [{"role": "user", "content": "hello"}, *made["output"], result]}
    chat_again, places = chat_request(request, FORMAT)
    assert places == ["input[0]", "input[1]", "input[5]"]
    (_, again, answered) = conversation(chat_again["messages"])[1]
    assert again["content"] == [THOUGHT, HIDDEN, HELLO, CALL]
    assert answered["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [{"type": "text", "text": "Sunny."}],
    }


def test_anothers_thoughts_are_left_out() -> None:
    items = [
        {"role": "user", "content": "hello"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "reasoning", "summary": [], "encrypted_content": "x", "format": "google-gemini-v1"},
        {"role": "assistant", "content": "Hi."},
    ]
    chat_again, _ = chat_request({"input": items}, FORMAT)
    assert chat_again["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hi."},
    ]
