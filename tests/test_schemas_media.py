"""What speech, transcriptions, images, rerank and OCR may hold."""

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from coatcheck.engine.errors import InvalidRequest
from coatcheck.schemas.operations import OPERATIONS, Loaded

SPEECH = {"model": "a/b", "input": "Hello", "voice": "alloy"}
FOX = {"type": "image_url", "image_url": "data:,x"}


def form(name: str, *texts: tuple[str, str], files: Collection[str] = ("file", "image"), model: bool = True) -> Loaded:
    return OPERATIONS[name].load_form([*([("model", "a/b")] if model else []), *texts], files)


def refused(name: str, *texts: tuple[str, str], **options: Any) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        form(name, *texts, **options)
    return caught.value.message, caught.value.param


def refused_json(name: str, body: Any) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        OPERATIONS[name].load({"model": "a/b", **body})
    return caught.value.message, caught.value.param


def test_a_voice_is_a_name_or_one_for_each_speaker() -> None:
    voices = [{"speaker": "Ann", "voice": "alloy"}]
    assert OPERATIONS["audio/speech"].load({**SPEECH, "voice": voices}).body["voice"] == voices
    missing = "invalid request format: voice[0].voice: expected a string, but it is missing"
    assert refused_json("audio/speech", {**SPEECH, "voice": [{"speaker": "Ann"}]}) == (missing, "voice[0].voice")


def test_a_speech_format_that_is_no_stream_is_passed_on() -> None:
    assert OPERATIONS["audio/speech"].load({**SPEECH, "stream_format": "audio"}).body["stream_format"] == "audio"


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav", "pcm", "ogg", "mulaw"])
def test_a_form_of_audio_that_some_vendor_has_is_passed_on(name: str) -> None:
    assert OPERATIONS["audio/speech"].load({**SPEECH, "response_format": name}).body["response_format"] == name


def test_a_form_of_audio_that_none_has_is_refused() -> None:
    known = "'mp3', 'opus', 'aac', 'flac', 'wav', 'pcm', 'ogg' or 'mulaw'"
    message = f"invalid request format: response_format: expected {known}, got 'mp4'"
    assert refused_json("audio/speech", {**SPEECH, "response_format": "mp4"}) == (message, "response_format")


def test_the_fields_of_a_transcription_come_out_as_their_types() -> None:
    texts = [
        ("language", "en"),
        ("file_format", "mp3"),
        ("temperature", "0.5"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("include", "logprobs"),
        ("fallbacks", "c/d"),
        ("fallbacks", "e"),
        ("chunking_strategy", "auto"),
        ("known_speaker_names[]", "Ann"),
        ("known_speaker_names[]", "Bob"),
        ("stream", "false"),
    ]
    loaded = form("audio/transcriptions", *texts)
    assert loaded.fallbacks == ("c/d", "e")
    assert loaded.body == {
        "model": "a/b",
        "language": "en",
        "file_format": "mp3",
        "temperature": 0.5,
        "timestamp_granularities": ["word", "segment"],
        "include": ["logprobs"],
        "chunking_strategy": "auto",
        "known_speaker_names": ["Ann", "Bob"],
    }


def test_only_the_first_value_of_a_field_counts_and_an_empty_one_is_absent() -> None:
    texts = [("language", ""), ("language", "en"), ("language", "de"), ("user", "a"), ("user", "b")]
    assert form("audio/transcriptions", *texts).body == {"model": "a/b", "language": "en", "user": "a"}


def test_a_name_with_and_without_brackets_is_one_field() -> None:
    assert form("audio/transcriptions", ("x[]", "1"), ("x", "2")).body["x"] == ["1"]
    assert form("audio/transcriptions", ("x", "2"), ("x[]", "1")).body["x"] == "2"
    assert form("audio/transcriptions", ("language[]", "en")).body["language"] == "en"


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("audio/transcriptions", ["model is required", "file is required"]),
        ("images/edits", ["model is required", "at least one image is required"]),
        ("images/variations", ["model is required", "at least one image is required"]),
    ],
)
def test_what_a_form_must_hold_is_asked_for(name: str, messages: Sequence[str]) -> None:
    assert refused(name, model=False)[0] == messages[0]
    assert refused(name, ("model", " "), model=False)[0] == messages[0]
    assert refused(name, files=())[0] == messages[1]


@pytest.mark.parametrize("field", ["n", "partial_images", "num_inference_steps", "seed", "output_compression"])
@pytest.mark.parametrize("text", ["x", "1.0", "1_000", "١٢", " 1", "1e3", "0x10", "9" * 30])
def test_an_integer_of_a_form_is_decimal(field: str, text: str) -> None:
    message = f"invalid {field} value: expected an integer, got {text!r}"
    assert refused("images/edits", ("prompt", "x"), (field, text)) == (message, field)


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "0x1", "1_0", "", "--1", "."])
def test_a_number_of_a_form_is_decimal(text: str) -> None:
    if text:
        message = f"invalid temperature value: expected a number, got {text!r}"
        assert refused("audio/transcriptions", ("temperature", text)) == (message, "temperature")
    else:
        assert "temperature" not in form("audio/transcriptions", ("temperature", text)).body


def test_the_ranges_of_json_hold_for_forms() -> None:
    message = "invalid request format: n: expected an integer from 1 to 10, got 11"
    assert refused("images/variations", ("n", "11")) == (message, "n")
    message = "invalid request format: timestamp_granularities[1]: expected 'word' or 'segment', got 'line'"
    texts = [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "line")]
    assert refused("audio/transcriptions", *texts)[0] == message


@pytest.mark.parametrize(
    ("name", "noun"), [("audio/transcriptions", "transcriptions"), ("images/edits", "image edits")]
)
@pytest.mark.parametrize("word", ["true", "True", "1"])
def test_a_form_that_asks_for_a_stream_is_refused(name: str, noun: str, word: str) -> None:
    message = f"stream is not supported for async {noun}"
    assert refused(name, ("prompt", "x"), ("stream", word)) == (message, "stream")


def test_a_stream_of_a_form_must_be_true_or_false() -> None:
    message = "invalid stream value: expected true or false, got 'maybe'"
    assert refused("images/edits", ("stream", "maybe")) == (message, "stream")


def test_variations_know_no_streams_and_drop_the_word() -> None:
    assert form("images/variations", ("stream", "true")).body == {"model": "a/b"}


def test_an_edit_needs_a_prompt_or_a_type() -> None:
    assert refused("images/edits") == ("prompt is required for image edits without a type", "prompt")
    assert form("images/edits", ("type", "background_removal")).body["type"] == "background_removal"


def test_a_text_for_a_field_of_files_says_nothing() -> None:
    assert form("images/edits", ("prompt", "x"), ("image", "x")).body == {"model": "a/b", "prompt": "x"}


def test_documents_are_texts_or_objects_and_come_out_as_objects() -> None:
    body = {"model": "a/b", "query": "x", "documents": [{"text": "a", "id": "1", "meta": {"k": 1}}]}
    assert OPERATIONS["rerank"].load(body).body == body
    loaded = OPERATIONS["rerank"].load({**body, "documents": ["a", "b"]})
    assert loaded.body["documents"] == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize("second", [{}, {"text": None}, {"text": ""}, {"text": " "}, " "])
def test_a_document_without_a_text_is_asked_for_it(second: Any) -> None:
    fault = ("document text is required for rerank at index 1", "documents[1].text")
    first = "a" if isinstance(second, str) else {"text": "a"}
    assert refused_json("rerank", {"query": "x", "documents": [first, second]}) == fault


@pytest.mark.parametrize("top_n", [0, -1])
def test_top_n_must_be_at_least_one(top_n: int) -> None:
    body = {"query": "x", "documents": ["a"], "top_n": top_n}
    assert refused_json("rerank", body) == ("top_n must be at least 1", "top_n")


@pytest.mark.parametrize(
    ("document", "message", "param"),
    [
        ({"document_url": "data:,x"}, "document type is required for ocr", "document.type"),
        (
            {"type": "document_url"},
            "document_url is required when document type is document_url",
            "document.document_url",
        ),
        ({"type": "image_url", "image_url": ""}, "image_url is required when document type is image_url", None),
        ({"type": "image_url", "image_url": {"url": None}}, None, "document.image_url.url"),
        ({"type": "fax"}, None, "document.type"),
    ],
)
def test_a_document_that_cannot_be_read_is_told_why(document: Any, message: str | None, param: str | None) -> None:
    told, where = refused_json("ocr", {"document": document})
    assert told == message or message is None
    assert where == param or param is None


def test_an_image_of_ocr_may_be_an_object() -> None:
    loaded = OPERATIONS["ocr"].load(
        {"model": "a/b", "document": {"type": "image_url", "image_url": {"url": "data:,x"}}}
    )
    assert loaded.body["document"] == FOX


@pytest.mark.parametrize("format", ["text", {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}])
def test_annotation_formats_are_words_or_objects(format: Any) -> None:
    body = {"model": "a/b", "document": FOX, "bbox_annotation_format": format, "document_annotation_format": format}
    assert OPERATIONS["ocr"].load(body).body == body


def test_an_operation_that_takes_json_takes_no_form() -> None:
    with pytest.raises(TypeError, match="embeddings takes no form"):
        OPERATIONS["embeddings"].load_form([], ())
