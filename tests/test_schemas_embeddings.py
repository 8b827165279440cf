"""What may be embedded."""

from typing import Any

import pytest

from coatcheck.engine.errors import InvalidRequest
from coatcheck.schemas.operations import OPERATIONS


def loaded(**fields: Any) -> dict[str, Any]:
    return OPERATIONS["embeddings"].load({"model": "openai/ada", "input": "Hello", **fields}).body


TEXT_PART = {"type": "text", "text": "Hello", "brand_new": 1}


@pytest.mark.parametrize(
    "input",
    [
        "Hello",
        ["Hello", "you"],
        [1, 2, 3],
        [[1, 2], [3]],
        [[TEXT_PART], [{"type": "tokens", "tokens": [1, 2]}]],
        [{"content": [TEXT_PART], "params": {"x": 1}}],
        [[TEXT_PART], {"content": [TEXT_PART]}],
        [[]],
    ],
)
def test_every_published_shape_of_input_comes_out_as_it_came_in(input: Any) -> None:
    assert loaded(input=input)["input"] == input


SHAPES = "a string or a list of strings, of integers, of lists of integers or of typed parts"


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"input": 5}, "input", f"expected {SHAPES}, got a number"),
        ({"input": {}}, "input", f"expected {SHAPES}, got an object"),
        ({"input": ["a", 1]}, "input[1]", "expected a string, got a number"),
        ({"input": [1, "a"]}, "input[1]", "expected an integer, got a string"),
        ({"input": [1, 2.0]}, "input[1]", "expected an integer, got a floating-point number"),
        ({"input": [[1], [2, True]]}, "input[1][1]", "expected an integer, got a boolean"),
        ({"input": [[{"type": "text", "text": 5}]]}, "input[0][0].text", "expected a string, got a number"),
        (
            {"input": [{"content": [{"video_config": {"start_offset_sec": "1"}}]}]},
            "input[0].content[0].video_config.start_offset_sec",
            "expected a number, got a string",
        ),
        ({"dimensions": "256"}, "dimensions", "expected an integer, got a string"),
        ({"auto_truncate": 1}, "auto_truncate", "expected true or false, got a number"),
    ],
)
def test_a_wrong_type_is_named_with_its_path(fields: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        loaded(**fields)
    assert (caught.value.param, caught.value.message) == (path, f"invalid request format: {path}: {reason}")


def test_an_item_that_no_shape_has_is_told_what_would_do() -> None:
    with pytest.raises(InvalidRequest) as caught:
        loaded(input=[None])
    assert caught.value.param == "input[0]"
    assert caught.value.message.endswith(
        "expected a string, an integer or a list of integers or typed parts or an object, got null"
    )


@pytest.mark.parametrize(
    ("good", "bad", "path", "reason"),
    [
        ("a", 1, "input[100000]", "expected a string, got a number"),
        (1, "a", "input[100000]", "expected an integer, got a string"),
        ([1], [1, None], "input[100000][1]", "expected an integer, got null"),
    ],
)
def test_the_last_of_very_many_is_checked_too(good: Any, bad: Any, path: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        loaded(input=[good] * 100_000 + [bad])
    assert (caught.value.param, caught.value.message) == (path, f"invalid request format: {path}: {reason}")
