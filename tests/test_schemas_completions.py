"""What a text completion may hold."""

from typing import Any

import pytest

from coatcheck.engine.errors import InvalidRequest
from coatcheck.schemas.operations import OPERATIONS


def loaded(**fields: Any) -> dict[str, Any]:
    return OPERATIONS["completions"].load({"model": "openai/gpt-4o", "prompt": "Once upon", **fields}).body


@pytest.mark.parametrize("prompt", ["Once upon", " ", ["Once", "upon"]])
def test_a_prompt_is_a_text_or_a_list_of_texts(prompt: Any) -> None:
    assert loaded(prompt=prompt)["prompt"] == prompt


def test_the_older_names_are_the_only_ones_here_and_stay() -> None:
    assert loaded(max_tokens=7)["max_tokens"] == 7


@pytest.mark.parametrize("stop", ["END", ["END", "STOP"]])
def test_stop_is_kept_as_it_was_given(stop: Any) -> None:
    assert loaded(stop=stop)["stop"] == stop


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"prompt": 5}, "prompt", "expected a string or a list of strings, got a number"),
        ({"prompt": ["a", None]}, "prompt[1]", "expected a string, got null"),
        ({"logprobs": True}, "logprobs", "expected an integer, got a boolean"),
        ({"echo": "yes"}, "echo", "expected true or false, got a string"),
        ({"suffix": []}, "suffix", "expected a string, got a list"),
        ({"logit_bias": {"1": None}}, "logit_bias.1", "expected a number, got null"),
        (
            {"stream_options": {"include_usage": 1}},
            "stream_options.include_usage",
            "expected true or false, got a number",
        ),
    ],
)
def test_a_wrong_type_is_named_with_its_path(fields: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        loaded(**fields)
    assert (caught.value.param, caught.value.message) == (path, f"invalid request format: {path}: {reason}")
