"""Chat models: real answers of a small model, in the shapes of three APIs."""

import json
from typing import Any

import pytest

from coatcheck.engine.calls import Progress
from coatcheck.engine.errors import CallFailed

from .local_models import CHAT, ENDLESS, Served

HELLO = [{"role": "user", "content": "Say hello to Ana."}]
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}}, "required": ["city"]},
}
ADD: dict[str, Any] = {
    "name": "add",
    "parameters": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/digit"}},
        "required": ["a"],
        "$defs": {"digit": {"type": "integer", "minimum": 0, "maximum": 9}},
    },
}
TOOLS = [{"type": "function", "function": WEATHER}, {"type": "function", "function": ADD}]


def test_a_chat_completion_has_openais_shape_and_counts_that_add_up(served: Served) -> None:
    result = served.ask("chat/completions", CHAT, messages=HELLO, max_completion_tokens=8, **ENDLESS)
    assert result["object"] == "chat.completion"
    assert result["model"] == CHAT
    assert result["id"].startswith("chatcmpl-")
    [choice] = result["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "length"
    assert "logprobs" not in choice
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"]
    usage = result["usage"]
    assert usage["completion_tokens"] == 8
    assert usage["prompt_tokens"] > 8
    assert usage["total_tokens"] == usage["prompt_tokens"] + 8


def test_several_answers_count_the_prompt_once(served: Served) -> None:
    one = served.ask("chat/completions", CHAT, messages=HELLO, max_completion_tokens=4, **ENDLESS)
    three = served.ask("chat/completions", CHAT, messages=HELLO, max_completion_tokens=4, n=3, seed=7, **ENDLESS)
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in three["choices"]}) > 1
    assert three["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"]
    assert three["usage"]["completion_tokens"] == 12


def test_the_same_seed_gives_the_same_answer(served: Served) -> None:
    asked: dict[str, Any] = {"messages": HELLO, "max_completion_tokens": 12, "seed": 2**40 + 5, "temperature": 1.5}
    answers = [served.ask("chat/completions", CHAT, **asked)["choices"][0]["message"]["content"] for _ in range(2)]
    assert answers[0] == answers[1]


def test_a_stop_word_ends_the_answer(served: Served) -> None:
    asked: dict[str, Any] = {"prompt": "1, 2, 3, 4, 5, 6,", "max_tokens": 30, "temperature": 0}
    whole = served.ask("completions", CHAT, **asked)["choices"][0]["text"]
    word = whole.split(",")[1]
    choice = served.ask("completions", CHAT, **asked, stop=[word])["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["text"] == whole.split(word)[0]


def test_an_answer_is_held_to_its_json_schema(served: Served) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Rome", "Oslo"]}, "degrees": {"type": "integer", "minimum": 0, "maximum": 40}},
        "required": ["city", "degrees"],
        "additionalProperties": False,
    }
    result = served.ask(
        "chat/completions",
        CHAT,
        messages=HELLO,
        max_completion_tokens=100,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}},
    )
    answer = json.loads(result["choices"][0]["message"]["content"])
    assert set(answer) == {"city", "degrees"}
    assert answer["city"] in ("Rome", "Oslo")
    assert 0 <= answer["degrees"] <= 40


def test_a_demanded_tool_is_called_with_arguments_of_its_schema(served: Served) -> None:
    result = served.ask(
        "chat/completions",
        CHAT,
        messages=HELLO,
        max_completion_tokens=100,
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "add"}},
    )
    [choice] = result["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    [call] = choice["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["id"].startswith("call_")
    assert call["function"]["name"] == "add"
    assert json.loads(call["function"]["arguments"])["a"] in range(10)


def test_log_probabilities_come_with_as_many_alternatives_as_asked(served: Served) -> None:
    asked: dict[str, Any] = {"messages": HELLO, "max_completion_tokens": 3, "logprobs": True, **ENDLESS}
    for alternatives in (0, 2):
        result = served.ask("chat/completions", CHAT, **asked, top_logprobs=alternatives)
        content = result["choices"][0]["logprobs"]["content"]
        assert len(content) == 3
        assert "".join(token["token"] for token in content) == result["choices"][0]["message"]["content"]
        assert {len(token["top_logprobs"]) for token in content} == {alternatives}
        assert set(content[0]) == {"token", "logprob", "bytes", "top_logprobs"}


def test_completions_answer_each_prompt_in_order(served: Served) -> None:
    prompts = ["The sky is", "Once upon a"]
    asked: dict[str, Any] = {"prompt": prompts, "n": 2, "max_tokens": 3, "echo": True, "logprobs": 1, **ENDLESS}
    result = served.ask("completions", CHAT, **asked)
    assert result["object"] == "text_completion"
    assert [choice["index"] for choice in result["choices"]] == [0, 1, 2, 3]
    for choice, prompt in zip(result["choices"], (prompts[0], prompts[0], prompts[1], prompts[1]), strict=True):
        assert choice["text"].startswith(prompt)
        logprobs = choice["logprobs"]
        assert prompt + "".join(logprobs["tokens"]) == choice["text"]
        assert logprobs["text_offset"][0] == len(prompt)
        assert len(logprobs["token_logprobs"]) == len(logprobs["top_logprobs"]) == 3
    alone = [
        served.ask("completions", CHAT, prompt=prompt, max_tokens=1)["usage"]["prompt_tokens"] for prompt in prompts
    ]
    assert result["usage"]["prompt_tokens"] == sum(alone)
    assert result["usage"]["completion_tokens"] == 12


def test_a_response_that_is_cut_off_says_so(served: Served) -> None:
    result = served.ask("responses", CHAT, instructions="Be brief.", input="Say hello.", max_output_tokens=4, **ENDLESS)
    assert result["object"] == "response"
    assert result["id"].startswith("resp_")
    assert result["status"] == "incomplete"
    assert result["incomplete_details"] == {"reason": "max_output_tokens"}
    assert result["instructions"] == "Be brief."
    [item] = result["output"]
    assert item["type"] == "message"
    assert item["id"].startswith("msg_")
    assert item["content"][0]["type"] == "output_text"
    assert item["content"][0]["text"]
    assert result["usage"]["output_tokens"] == 4
    assert result["usage"]["total_tokens"] == result["usage"]["input_tokens"] + 4


def test_a_response_may_be_a_function_call(served: Served) -> None:
    tools = [{"type": "function", **WEATHER}]
    result = served.ask(
        "responses",
        CHAT,
        input="Weather?",
        tools=tools,
        tool_choice="required",
        max_output_tokens=200,
        temperature=0,
    )
    [item] = result["output"]
    assert result["status"] == "completed"
    assert item["type"] == "function_call"
    assert item["name"] == "get_weather"
    assert json.loads(item["arguments"])["city"] in ("Rome", "Oslo")


def test_progress_counts_the_prompt_and_then_the_tokens(served: Served) -> None:
    heard: list[Progress] = []
    served.ask("chat/completions", CHAT, heard.append, messages=HELLO, max_completion_tokens=60, n=2, **ENDLESS)
    tokens = [progress for progress in heard if progress.unit == "tokens"]
    assert heard[0].unit == "prompt tokens"
    assert {progress.total for progress in tokens} == {120}
    assert [progress.done for progress in tokens] == sorted(progress.done for progress in tokens)
    assert tokens[-1].done > 60


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("chat/completions", {"messages": HELLO, "max_completion_tokens": 60, "n": 2, "seed": 1}),
        ("completions", {"prompt": ["Once upon", "The sky"], "max_tokens": 60, "echo": True}),
        ("responses", {"input": "Say hello to Ana.", "max_output_tokens": 60}),
        ("chat/completions", {"messages": HELLO, "max_completion_tokens": 60, "tools": TOOLS, "temperature": 0}),
    ],
)
def test_the_first_answers_text_is_told_while_it_is_made(
    served: Served, operation: str, request_: dict[str, Any]
) -> None:
    heard: list[Progress] = []
    result = served.ask(operation, CHAT, heard.append, **request_, **ENDLESS)
    if operation == "responses":
        text = result["output"][0]["content"][0]["text"]
    else:
        choice = result["choices"][0]
        text = choice["text"] if operation == "completions" else choice["message"]["content"]
    told = "".join(progress.delta for progress in heard)
    assert len([progress for progress in heard if progress.delta]) > 2
    assert text.startswith(told)
    assert len(told) > len(text) / 2


def test_a_text_is_not_told_before_it_is_known_not_to_be_stopped(served: Served) -> None:
    asked: dict[str, Any] = {"prompt": "1, 2, 3, 4, 5, 6,", "max_tokens": 60, "temperature": 0, **ENDLESS}
    whole = served.ask("completions", CHAT, **asked)["choices"][0]["text"]
    heard: list[Progress] = []
    word = whole[len(whole) // 2 :][:12]
    choice = served.ask("completions", CHAT, heard.append, **asked, stop=[word])["choices"][0]
    assert choice["text"] == whole.split(word)[0]
    told = "".join(progress.delta for progress in heard)
    assert told
    assert choice["text"].startswith(told)


def test_a_call_is_not_told_as_text(served: Served) -> None:
    heard: list[Progress] = []
    tools = [{"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {
        "text": {"type": "string", "minLength": 200}}, "required": ["text"]}}}]  # fmt: skip
    asked: dict[str, Any] = {"messages": HELLO, "max_completion_tokens": 300, "tools": tools, "tool_choice": "required"}
    served.ask("chat/completions", CHAT, heard.append, **asked)
    assert heard[-1].unit == "tokens"
    assert {progress.delta for progress in heard} == {""}


def test_a_prompt_that_is_too_long_is_refused_with_the_counts(served: Served) -> None:
    with pytest.raises(CallFailed, match=r"has 90\d\d tokens, and the context has room for 8192") as caught:
        served.ask("completions", CHAT, prompt="word " * 9000)
    assert caught.value.status == 400
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("operation", "request_", "param", "reason"),
    [
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url"}]}]},
            "messages[0].content[1]",
            "a block of type image_url",
        ),
        ("chat/completions", {"messages": HELLO, "modalities": ["audio"]}, "modalities", "text only"),
        ("chat/completions", {"messages": HELLO, "tools": [{"type": "custom"}]}, "tools[0]", "type function only"),
        ("chat/completions", {"messages": HELLO, "tool_choice": "required"}, "tool_choice", "there are no tools"),
        ("chat/completions", {"messages": HELLO, "max_completion_tokens": 0}, "max_tokens", "at least one token"),
        ("chat/completions", {"messages": HELLO, "response_format": {"type": "xml"}}, "response_format", "json_object"),
        ("completions", {"prompt": "a", "suffix": "b"}, "suffix", "cannot fill in"),
        ("completions", {"prompt": "a", "best_of": 2}, "best_of", "cannot exceed n"),
        (
            "responses",
            {"input": "a", "previous_response_id": "resp_1"},
            "previous_response_id",
            "send the earlier items",
        ),
        ("responses", {"input": [{"type": "computer_call"}]}, "input[0]", "type computer_call"),
        (
            "responses",
            {"instructions": "?", "input": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "input[0].content[0]",
            "a block of type input_audio",
        ),
        ("responses", {"input": "a", "text": {"format": {"type": "xml"}}}, "text.format", "json_object"),
        ("responses", {"input": "a", "tools": [{"type": "web_search"}]}, "tools[0]", "type web_search"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    served: Served, operation: str, request_: dict[str, Any], param: str, reason: str
) -> None:
    with pytest.raises(CallFailed, match=reason) as caught:
        served.ask(operation, CHAT, **request_)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    "request_",
    [
        {"temperature": "warm"},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}},
    ],
)
def test_what_the_library_refuses_is_the_clients_error(served: Served, request_: dict[str, Any]) -> None:
    with pytest.raises(CallFailed, match=r"(?i)type") as caught:
        served.ask("chat/completions", CHAT, messages=HELLO, **request_)
    assert (caught.value.status, caught.value.code) == (400, "invalid_request")
    assert served.ask("chat/completions", CHAT, messages=HELLO, max_completion_tokens=1)["choices"]


def test_keys_that_are_not_on_the_list_do_not_reach_the_library(served: Served) -> None:
    """`grammar` would hold the answer to one word, `n_predict` to one token."""
    result = served.ask(
        "chat/completions",
        CHAT,
        messages=HELLO,
        max_completion_tokens=5,
        grammar='root ::= "no"',
        n_predict=1,
        reasoning={"effort": "high"},
        **ENDLESS,
    )
    assert result["usage"]["completion_tokens"] == 5
    assert result["choices"][0]["message"]["content"] != "no"
