"""The table of features: what is loaded and what is refused, their names, and that it fits the ways and the kinds."""

import re
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.errors import Unprocessable
from coatcheck.providers.features.provider import featured
from coatcheck.providers.features.ways import WAYS, way_of
from coatcheck.providers.kinds import KINDS
from coatcheck.schemas.features.table import FAMILIES, FEATURES, find
from coatcheck.schemas.operations import OPERATIONS

from .features import INPUTS

#: Options without which a kind cannot be made.
NEEDED = {"azure": {"base_url": "https://x.openai.azure.com"}, "litellm": {"vendor": "cohere"}}
#: The operations of the document's table of defaults.
COLUMNS = ("embeddings", "audio/speech", "audio/transcriptions", "images/generations", "ocr", "moderations")
KEYS = {
    *(kind.preset.key_env for kind in KINDS.values() if kind.preset and kind.preset.key_env),
    *("ANTHROPIC_API_KEY", "ASSEMBLYAI_API_KEY", "GEMINI_API_KEY", "REPLICATE_API_TOKEN"),
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, "sk-live-0123456789abcdef")


def provider(kind: str, **options: Any) -> Any:
    made = KINDS[kind].make(kind, KINDS[kind].options(**NEEDED.get(kind, {}), **options))
    return featured(kind, kind, made)


def refused(feature: str, given: object, files: tuple[str, ...] = ()) -> tuple[str | None, str]:
    with pytest.raises(Unprocessable) as caught:
        FEATURES[feature].load(given, files)
    return caught.value.param, caught.value.message


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_has_a_family_a_valid_example_and_a_way_by_the_operations_that_it_names(name: str) -> None:
    feature = FEATURES[name]
    assert (feature.name, f"{feature.family}/{feature.subfeature}") == (name, name)
    assert feature.family in FAMILIES
    assert feature.mode == ("async" if name.endswith("_async") else "sync")
    for example in feature.input_schema.examples.values():
        feature.load({key: value for key, value in example.items() if key not in feature.files}, feature.files)
    way = way_of(name)
    assert feature.operations == (way.operations if way else ())
    assert set(feature.operations) <= set(OPERATIONS)
    assert any(OPERATIONS[operation].answers_files for operation in feature.operations) == feature.answers_files


def test_every_way_leads_to_a_feature() -> None:
    assert set(WAYS) <= set(FEATURES)
    assert way_of("embeddings") is None


@pytest.mark.parametrize("name", FEATURES)
def test_the_kinds_that_the_table_names_are_those_that_can_do_it(name: str) -> None:
    """With any model, or with the one that they take by themselves."""
    able = {
        kind
        for kind in KINDS
        for made in [provider(kind)]
        if any(made.check(name, model) is None for model in ("small", made.default(name)) if model)
    }
    assert able == set(FEATURES[name].kinds)
    assert list(FEATURES[name].kinds) == sorted(FEATURES[name].kinds)


def test_a_name_with_and_without_its_end_is_the_same_unless_both_are_there() -> None:
    assert find("audio", "speech_to_text") is find("audio", "speech_to_text_async") is not None
    assert find("text", "embeddings_async") is FEATURES["text/embeddings"]
    assert find("ocr", "ocr") is FEATURES["ocr/ocr"]
    assert find("ocr", "ocr_async") is FEATURES["ocr/ocr_async"]
    assert find("audio", "text_to_speech") is None
    assert find("text", "Embeddings") is None
    assert find("text", "") is None
    assert find("", "_async") is None


@pytest.mark.parametrize("name", FEATURES)
def test_nulls_empty_texts_and_unknown_keys_are_passed_over(name: str) -> None:
    given = {**INPUTS[name], "settings": {"a": 1}, "language": "", "dimensions": None}
    files = [field for field, file in FEATURES[name].files.items() if file.required]
    assert FEATURES[name].load(given, files) == INPUTS[name]
    assert "settings" in given


@pytest.mark.parametrize("given", [None, [], "text", 5, True])
def test_an_input_is_an_object(given: object) -> None:
    param, message = refused("text/embeddings", given)
    assert param == "input"
    assert message.startswith("expected an object, got ")


@pytest.mark.parametrize(
    ("feature", "given", "param", "message"),
    [
        ("text/embeddings", {}, "input.texts", "texts is required"),
        ("text/embeddings", {"texts": None}, "input.texts", "texts is required"),
        ("text/embeddings", {"texts": []}, "input.texts", "texts is required"),
        ("text/embeddings", {"texts": "one"}, "input.texts", "expected a list of strings, got a string"),
        ("text/embeddings", {"texts": ["one", 2]}, "input.texts[1]", "expected a string, got a number"),
        (
            "text/embeddings",
            {"texts": ["one", " "]},
            "input.texts[1]",
            "expected a text that is not blank, got ' '",
        ),
        (
            "text/embeddings",
            {"texts": ["one"], "dimensions": 0},
            "input.dimensions",
            "expected an integer of at least 1, got 0",
        ),
        (
            "text/language_detection",
            {"text": " \n "},
            "input.text",
            "expected a text that is not blank, got ' \\n '",
        ),
        (
            "translation/language_detection",
            {"text": ""},
            "input.text",
            "expected a text that is not blank, got ''",
        ),
        ("audio/tts", {"text": "hi", "speed": 9}, "input.speed", "expected a number from 0.25 to 4, got 9"),
        (
            "image/generation",
            {"text": "hi", "num_images": 11},
            "input.num_images",
            "expected an integer from 1 to 10, got 11",
        ),
        (
            "image/generation",
            {"text": "hi", "resolution": "big"},
            "input.resolution",
            "expected WIDTHxHEIGHT, got 'big'",
        ),
        ("ocr/ocr", {}, "input.file", "file is required"),
        ("audio/speech_to_text_async", {"language": "en"}, "input.file", "file is required"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(feature: str, given: Any, param: str, message: str) -> None:
    assert refused(feature, given) == (param, message)


def test_a_mask_needs_an_image_that_it_is_of() -> None:
    param, message = refused("image/generation", {"text": "snow"}, ("mask",))
    assert (param, message) == ("input.mask", "mask needs reference_images")
    assert FEATURES["image/generation"].load({"text": "snow"}, ("mask", "reference_images")) == {"text": "snow"}


def test_a_provider_s_own_parameters_have_the_types_that_they_have_in_v1() -> None:
    feature = FEATURES["text/embeddings"]
    feature.check_parameters({"dimensions": 3, "encoding_format": None, "x_mine": object()}, "provider_params")
    with pytest.raises(Unprocessable) as caught:
        feature.check_parameters({"dimensions": "three"}, "provider_params.up")
    assert caught.value.param == "provider_params.up.dimensions"
    assert caught.value.message == "expected an integer, got a string"


@pytest.mark.parametrize(
    ("kind", "options", "feature", "model"),
    [
        ("local", {}, "text/embeddings", "minilm-l6-v2"),
        ("local", {}, "text/language_detection", "lid-176"),
        ("local", {}, "audio/speech_to_text_async", "whisper-base"),
        ("local", {}, "image/generation", "procedural-1"),
        ("local", {"models": ("style-transfer-1",)}, "image/generation", "style-transfer-1"),
        ("local", {"models": ("minilm-l6-v2",)}, "text/language_detection", None),
        ("echo", {}, "ocr/ocr", "echo"),
        ("openai", {}, "text/embeddings", "text-embedding-3-small"),
        ("openai", {"models": ("text-embedding-3-large", "gpt-5")}, "text/embeddings", "text-embedding-3-large"),
        ("openai", {"models": ("gpt-5",)}, "text/embeddings", "text-embedding-3-small"),
        ("openai", {"models": ("whisper-1",)}, "audio/speech_to_text_async", "whisper-1"),
        ("openai", {"base_url": "http://127.0.0.1:9/v1"}, "text/embeddings", None),
        (
            "openai",
            {"base_url": "http://127.0.0.1:9/v1", "models": ("e5",), "operations": ("embeddings",)},
            "text/embeddings",
            "e5",
        ),
        ("azure", {"models": ("mine",)}, "text/embeddings", None),
        ("vllm", {"models": ("mine", "other")}, "text/embeddings", None),
        ("groq", {}, "audio/speech_to_text_async", "whisper-large-v3-turbo"),
        ("gemini", {}, "text/embeddings", "gemini-embedding-001"),
        ("assemblyai", {}, "audio/speech_to_text_async", "universal-3-5-pro,universal-2"),
        ("litellm", {"models": ("embed-v4",)}, "text/embeddings", None),
        ("litellm", {"models": ("embed-v4",), "operations": ("embeddings",)}, "text/embeddings", "embed-v4"),
        ("anthropic", {"models": ("claude",)}, "text/embeddings", None),
        ("openai", {}, "ocr/ocr", None),
    ],
)
def test_who_names_no_model_gets_the_one_that_is_known_for_it(
    kind: str, options: Any, feature: str, model: str | None
) -> None:
    assert provider(kind, **options).default(feature) == model


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_can_do_what_it_is_the_default_for(kind: str) -> None:
    made = provider(kind)
    for name in (*OPERATIONS, *FEATURES):
        model = made.default(name)
        assert model is None or made.check(name, model) is None, (name, model)
        if model is not None:
            assert made.lane(name, model) in made.lanes


def test_the_documents_name_every_feature_its_kinds_and_every_default() -> None:
    text = (Path(__file__).parent.parent / "docs/providers.md").read_text()
    section = text[text.index("## Features\n") : text.index("## What follows a failed call\n")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    for name, feature in FEATURES.items():
        (row,) = [row for row in rows if f"`{name}`" in row[0]]
        assert re.findall(r"`(\S+)`", row[2]) == list(feature.kinds)
    defaults = {row[0].strip("`"): row[1:] for row in rows if len(row) == 7}
    for kind in KINDS:
        known = [provider(kind).default(name) for name in COLUMNS] if kind not in ("local", "echo") else [None] * 6
        assert [f"`{model}`" if model else "" for model in known] == defaults.get(kind, [""] * 6)
