"""What a chat completion may hold."""

from typing import Any

import pytest

from coatcheck.engine.errors import InvalidRequest
from coatcheck.schemas.operations import OPERATIONS

CHAT = OPERATIONS["chat/completions"]
USER = {"role": "user", "content": "Hello"}


def loaded(**fields: Any) -> dict[str, Any]:
    return CHAT.load({"model": "openai/gpt-4o", "messages": [USER], **fields}).body


def refused(**fields: Any) -> tuple[str | None, str]:
    """The path that is blamed, and for what."""
    with pytest.raises(InvalidRequest) as caught:
        loaded(**fields)
    prefix = f"invalid request format: {caught.value.param}: "
    assert caught.value.message.startswith(prefix)
    return caught.value.param, caught.value.message.removeprefix(prefix)


def refused_message(**fields: Any) -> tuple[str | None, str]:
    return refused(messages=[USER, {"role": "user", **fields}])


def test_a_message_without_a_role_is_named_in_the_error() -> None:
    missing = ("messages[1].role", "expected a string, but it is missing")
    assert refused(messages=[USER, {"content": "Hello"}]) == missing
    assert refused_message(role=None) == missing


def test_a_message_that_is_no_object_is_named_in_the_error() -> None:
    assert refused(messages=[USER, "Hello"]) == ("messages[1]", "expected an object, got a string")


def test_content_of_a_wrong_type_is_told_what_would_do() -> None:
    expected = "expected a string, a list of content blocks or null, got a number"
    assert refused_message(content=5) == ("messages[1].content", expected)


@pytest.mark.parametrize("content", ["Hello", "", None, [], [{"type": "text", "text": "Hello"}]])
def test_content_may_be_text_blocks_or_null(content: Any) -> None:
    message = {"role": "user", "content": content}
    assert loaded(messages=[message])["messages"] == [message]


@pytest.mark.parametrize(
    ("block", "path", "reason"),
    [
        ({"text": "x"}, "type", "expected a string, but it is missing"),
        ({"type": "text", "text": 1}, "text", "expected a string, got a number"),
        ({"type": "image_url", "image_url": "http://x"}, "image_url", "expected an object, got a string"),
        ({"type": "image_url", "image_url": {}}, "image_url.url", "expected a string, but it is missing"),
        ({"type": "video_url", "video_url": {}}, "video_url.url", "expected a string, but it is missing"),
        ({"type": "input_audio", "input_audio": {}}, "input_audio.data", "expected a string, but it is missing"),
        ({"type": "file", "file": {"file_id": 7}}, "file.file_id", "expected a string, got a number"),
    ],
)
def test_a_faulty_content_block_is_found(block: dict[str, Any], path: str, reason: str) -> None:
    good = {"type": "text", "text": "x"}
    assert refused_message(content=[good, block]) == (f"messages[1].content[1].{path}", reason)


def test_the_arguments_of_a_tool_call_are_json_in_a_string() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    path = "messages[1].tool_calls[0].function.arguments"
    assert refused_message(tool_calls=[call]) == (path, "expected a string, got an object")


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"temperature": True}, "temperature", "expected a number, got a boolean"),
        ({"temperature": "0.5"}, "temperature", "expected a number, got a string"),
        ({"seed": "5"}, "seed", "expected an integer, got a string"),
        ({"seed": 5.0}, "seed", "expected an integer, got a floating-point number"),
        ({"seed": False}, "seed", "expected an integer, got a boolean"),
        ({"logprobs": 1}, "logprobs", "expected true or false, got a number"),
        ({"logit_bias": {"50256": "x"}}, "logit_bias.50256", "expected a number, got a string"),
        ({"logit_bias": [1]}, "logit_bias", "expected an object of numbers, got a list"),
        ({"stop": 5}, "stop", "expected a string or a list of strings, got a number"),
        ({"stop": ["a", 5]}, "stop[1]", "expected a string, got a number"),
        ({"tool_choice": {}}, "tool_choice.type", "expected a string, but it is missing"),
        ({"tools": [{}]}, "tools[0].type", "expected a string, but it is missing"),
        (
            {"tools": [{"type": "function", "function": {}}]},
            "tools[0].function.name",
            "expected a string, but it is missing",
        ),
        ({"response_format": "json"}, "response_format", "expected an object, got a string"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [{"function": {"name": 1}}]}}},
            "tool_choice.allowed_tools.tools[0].function.name",
            "expected a string, got a number",
        ),
    ],
)
def test_a_wrong_type_is_named_with_its_path(fields: dict[str, Any], path: str, reason: str) -> None:
    assert refused(**fields) == (path, reason)


@pytest.mark.parametrize("temperature", [0, 1, 0.5, 2.0])
def test_a_number_may_be_an_integer(temperature: float) -> None:
    assert loaded(temperature=temperature)["temperature"] == temperature


@pytest.mark.parametrize("stop", ["END", ["END", "STOP"]])
def test_stop_is_kept_as_it_was_given(stop: Any) -> None:
    assert loaded(stop=stop)["stop"] == stop


def test_unknown_keys_are_kept_at_every_level() -> None:
    message = {
        "role": "user",
        "content": [{"type": "text", "text": "x", "cachePoint": {"a": 1}}],
        "weight": 0,
    }
    tools = [{"type": "web_search_20250305", "function": {"name": "f", "new": [None]}, "citations": {}}]
    body = loaded(messages=[message], tools=tools, min_p=0.1)
    assert (body["messages"], body["tools"], body["min_p"]) == ([message], tools, 0.1)


def test_max_tokens_becomes_max_completion_tokens() -> None:
    body = loaded(max_tokens=7)
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body


def test_max_completion_tokens_wins_over_max_tokens() -> None:
    body = loaded(max_tokens=7, max_completion_tokens=9)
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body


def test_max_tokens_stands_in_for_a_max_completion_tokens_of_null() -> None:
    assert loaded(max_tokens=7, max_completion_tokens=None)["max_completion_tokens"] == 7


def test_the_flat_spellings_of_reasoning_are_merged() -> None:
    reasoning = {"enabled": True, "effort": None}
    body = loaded(reasoning=reasoning, reasoning_effort="low", reasoning_max_tokens=5)
    assert body["reasoning"] == {"enabled": True, "effort": "low", "max_tokens": 5}
    assert not body.keys() & {"reasoning_effort", "reasoning_max_tokens"}
    assert reasoning == {"enabled": True, "effort": None}


def test_a_flat_spelling_of_reasoning_alone_makes_the_object() -> None:
    assert loaded(reasoning=None, reasoning_effort="low")["reasoning"] == {"effort": "low"}


@pytest.mark.parametrize(("name", "value"), [("effort", "low"), ("max_tokens", 5)])
def test_both_spellings_of_reasoning_are_refused_even_when_they_agree(name: str, value: Any) -> None:
    fault = refused(**{"reasoning": {name: value}, f"reasoning_{name}": value})
    assert fault == (f"reasoning_{name}", f"give either this or reasoning.{name}, not both")


def test_the_last_of_very_many_messages_is_checked_too() -> None:
    path = "messages[5000].role"
    assert refused(messages=[USER] * 5000 + [{}]) == (path, "expected a string, but it is missing")
