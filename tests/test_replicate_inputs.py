"""Fields of image requests become the inputs that a model of Replicate's says it has."""

from typing import Any

import pytest

from coatcheck.engine.calls import Call
from coatcheck.engine.errors import CallFailed
from coatcheck.providers.replicate.inputs import Schema, percent, prediction_input

from .vendors.replicate import model_object


def schema(**inputs: Any) -> Schema:
    return Schema.of(model_object(prompt={"type": "string"}, **inputs)["latest_version"])


def given(
    request: dict[str, Any], of: Schema | None = None, renamed: dict[str, str] | None = None, **files: list[str]
) -> dict[str, Any]:
    call = Call(job_id="j", operation="images/edits", model="acme/painter", request={"model": "x", **request})
    return prediction_input(call, of or Schema(), renamed or {}, files)


WIDE = {"width": {"type": "integer"}, "height": {"type": "integer"}}


@pytest.mark.parametrize(
    ("size", "inputs", "expected"),
    [
        ("1024x1536", None, {"aspect_ratio": "2:3"}),
        ("1792x1024", None, {"aspect_ratio": "16:9"}),
        ("auto", None, {}),
        ("1792x1024", {"aspect_ratio": {"words": ["1:1", "3:2"]}}, {"aspect_ratio": "3:2"}),
        ("1792x1024", {"aspect_ratio": {"words": ["match_input_image", "1:1"]}}, {"aspect_ratio": "1:1"}),
        ("512x768", WIDE, {"width": 512, "height": 768}),
        (
            "512x768",
            {**WIDE, "aspect_ratio": {"words": ["1:1", "custom"]}},
            {"aspect_ratio": "custom", "width": 512, "height": 768},
        ),
        ("512x768", {**WIDE, "aspect_ratio": {"words": ["1:1", "2:3"]}}, {"aspect_ratio": "2:3"}),
        ("512x768", {**WIDE, "size": {"words": ["1K", "custom"]}}, {"size": "custom", "width": 512, "height": 768}),
        ("1024x1024", {"size": {"words": ["1024x1024", "1365x1024"]}}, {"size": "1024x1024"}),
    ],
)
def test_a_size_becomes_what_the_model_has_for_it(size: str, inputs: Any, expected: dict[str, Any]) -> None:
    assert given({"size": size}, schema(**inputs) if inputs else None) == expected


@pytest.mark.parametrize(
    ("request_", "inputs", "param"),
    [
        ({"size": "512x768"}, {"seed": {}}, "size"),
        ({"size": "large"}, None, "size"),
        ({"n": 2}, {"seed": {}}, "n"),
        ({"num_inference_steps": 4}, {"seed": {}}, "num_inference_steps"),
        ({"openai_api_key": "sk-1"}, None, "openai_api_key"),
        ({"hf_token": "hf_1"}, None, "hf_token"),
        ({"password": "x"}, None, "password"),
    ],
)
def test_what_a_model_has_no_input_for_and_what_is_a_credential_is_refused(
    request_: dict[str, Any], inputs: Any, param: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        given(request_, schema(**inputs) if inputs else None)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_models_have_names_of_their_own_for_our_fields() -> None:
    of = schema(number_of_images={}, input_images={"type": "array"}, mask_image={}, steps={}, output_compression={})
    request = {"n": 2, "num_inference_steps": 4, "output_compression": 80, "max_tokens": 5}
    assert given(request, of, image=["a", "b"], mask=["m"]) == {
        "number_of_images": 2,
        "input_images": ["a", "b"],
        "mask_image": "m",
        "steps": 4,
        "output_compression": 80,
        "max_tokens": 5,
    }


def test_the_configuration_has_the_last_word_on_names() -> None:
    renamed = {"image": "picture", "n": "", "prompt": "text", "size": "dimensions", "mask": ""}
    request = {"prompt": "a cat", "n": 3, "size": "512x512"}
    expected = {"text": "a cat", "dimensions": "512x512", "picture": "a"}
    assert given(request, schema(image={}), renamed, image=["a"], mask=["m"]) == expected


def test_one_file_where_a_model_takes_one_and_several_where_it_takes_several() -> None:
    assert given({}, schema(image={"type": "string"}), image=["a"]) == {"image": "a"}
    assert given({}, schema(image={"type": "array"}), image=["a"]) == {"image": ["a"]}
    assert given({}, image=["a", "b"]) == {"image": ["a", "b"]}
    with pytest.raises(CallFailed, match="takes one file as 'image', not 2"):
        given({}, schema(image={"type": "string"}), image=["a", "b"])


@pytest.mark.parametrize(("words", "sent"), [(["webp", "jpg"], "jpg"), (["jpeg", "png"], "jpeg"), (None, "jpg")])
def test_a_jpeg_has_two_names(words: list[str] | None, sent: str) -> None:
    of = schema(output_format={"words": words} if words else {})
    assert given({"output_format": "jpeg"}, of) == {"output_format": sent}


@pytest.mark.parametrize("version", [None, {}, {"openapi_schema": []}, {"openapi_schema": {"components": "x"}}])
def test_a_model_that_says_nothing_of_its_inputs_is_taken_for_a_usual_one(version: Any) -> None:
    assert given({"n": 2}, Schema.of(version)) == {"num_outputs": 2}


@pytest.mark.parametrize(
    ("logs", "expected"),
    [(None, None), ("", None), ("50% of it", None), ("  5%|▌ | 1/20\n 50%|█ | 10/20", 50), ("999%|", 100)],
)
def test_progress_is_read_from_the_last_line_that_tells_it(logs: Any, expected: int | None) -> None:
    assert percent(logs) == expected
