"""What a response may be asked with."""

from typing import Any

import pytest

from coatcheck.engine.errors import InvalidRequest
from coatcheck.schemas.operations import OPERATIONS


def loaded(**fields: Any) -> dict[str, Any]:
    return OPERATIONS["responses"].load({"model": "openai/gpt-4o", "input": "Hello", **fields}).body


CONVERSATION = [
    {"role": "user", "content": "Hello"},
    {"role": "user", "content": [{"type": "input_text", "text": "Hello", "brand_new": 1}]},
    {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "1", "output": "42"},
    {"type": "computer_call_output", "call_id": "2", "output": {"type": "computer_screenshot", "image_url": "x"}},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}], "content": None},
    {"type": "item_reference", "id": "msg_1"},
]


def test_a_conversation_of_all_kinds_of_items_comes_out_as_it_came_in() -> None:
    assert loaded(input=CONVERSATION)["input"] == CONVERSATION


@pytest.mark.parametrize("conversation", ["conv_1", {"id": "conv_1"}])
def test_a_conversation_is_named_by_its_id_or_an_object(conversation: Any) -> None:
    assert loaded(conversation=conversation)["conversation"] == conversation


def test_background_is_passed_on() -> None:
    assert loaded(background=True)["background"] is True


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"input": 5}, "input", "expected a string or a list of items, got a number"),
        ({"input": ["Hello"]}, "input[0]", "expected an object, got a string"),
        (
            {"input": [{"content": 5}]},
            "input[0].content",
            "expected a string, a list of content blocks or null, got a number",
        ),
        ({"input": [{"content": [{}]}]}, "input[0].content[0].type", "expected a string, but it is missing"),
        (
            {"input": [{"content": [{"type": "input_audio", "input_audio": {"format": "mp3"}}]}]},
            "input[0].content[0].input_audio.data",
            "expected a string, but it is missing",
        ),
        ({"max_output_tokens": 5.0}, "max_output_tokens", "expected an integer, got a floating-point number"),
        ({"text": {"format": {}}}, "text.format.type", "expected a string, but it is missing"),
        ({"tools": [{"name": "f"}]}, "tools[0].type", "expected a string, but it is missing"),
        ({"tool_choice": {"name": "f"}}, "tool_choice.type", "expected a string, but it is missing"),
        ({"tool_choice": []}, "tool_choice", "expected a string or an object, got a list"),
        ({"include": "all"}, "include", "expected a list of strings, got a string"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort", "expected a string, got a number"),
    ],
)
def test_a_wrong_type_is_named_with_its_path(fields: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        loaded(**fields)
    assert (caught.value.param, caught.value.message) == (path, f"invalid request format: {path}: {reason}")
