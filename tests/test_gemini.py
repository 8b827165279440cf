"""Kind `gemini` at a server of its format: images, speech, embeddings, and Google's way of telling errors."""

import base64
import struct
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.calls import File
from coatcheck.engine.errors import CallFailed, Refused, Unusable
from coatcheck.providers.gemini.embeddings import embedding_request
from coatcheck.providers.gemini.images import image_request
from coatcheck.providers.gemini.models import operations
from coatcheck.providers.gemini.speech import Sound, sound, speech_request
from coatcheck.providers.http import KeyOptions

from .vendors.gemini import VENDOR, answering, blob
from .vendors.vendor import (
    KEY,
    KEY_ENV,
    OTHER,
    OTHER_ENV,
    Attachment,
    Case,
    Done,
    Seen,
    calling,
    carried_out,
    failing,
    saying,
    served,
)

SAMPLES = struct.pack("<4h", 0, 1, -1, 0)
SPEECH = {"input": "Hello.", "voice": "Kore"}
EMBED = {"input": ["one"]}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


def case(operation: str, request: Any, answer: Any = None, **more: Any) -> Case:
    return Case(operation=operation, request=request, answer=saying(answer), check=lambda _seen, _done: None, **more)


async def done(asked: Case, folder: Path) -> Done:
    async with served(VENDOR, asked.answer) as (provider, _, _), calling(folder, asked) as (call, blobs):
        return await carried_out(provider, call, blobs)


async def failed(asked: Case, folder: Path, status: int = 200, body: Any = None) -> tuple[CallFailed, int]:
    """How it fails, and how many requests the vendor saw."""
    answer = asked.answer if body is None else saying(body, status)
    async with served(VENDOR, answer) as (provider, seen, _):
        return await failing(provider, folder, asked), len(seen)


# Speech


def speech(model: str = "gemini-3.8-flash-tts", **request: Any) -> Any:
    return speech_request({**SPEECH, **request}, model)


def test_a_wav_file_that_gemini_makes_is_taken_as_it_is(run: Any, folder: Path) -> None:
    wav = Sound(samples=SAMPLES, rate=16_000).head() + SAMPLES
    told = run(done(case("audio/speech", SPEECH, answering(blob("audio/wav", wav))), folder))
    assert told.files == [wav]


def test_pcm_is_the_samples_alone(run: Any, folder: Path) -> None:
    asked = {**SPEECH, "response_format": "pcm"}
    wav = Sound(samples=SAMPLES, rate=24_000).head() + SAMPLES
    for given in (blob("audio/wav", wav), blob("audio/L16;rate=24000", SAMPLES)):
        told = run(done(case("audio/speech", asked, answering(given)), folder))
        assert told.files == [SAMPLES]
        assert told.reply.files[0].media_type == "audio/pcm"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answering({"text": "I cannot."}), "without sound: I cannot."),
        (answering(blob("audio/mpeg", b"mp3")), "sound of another kind: audio/mpeg"),
        (answering(blob("audio/wav", b"RIFF")), "sound of another kind"),
        (answering({"inlineData": {"mimeType": "audio/L16", "data": "???"}}), "base64 that is none"),
        (answering({"inlineData": {"mimeType": "audio/L16", "data": "?" * 300_000}}), "base64 that is none"),
        ({"candidates": [{"content": []}]}, "without sound"),
        ({"candidates": 1}, "not an answer"),
    ],
)
def test_what_is_no_sound_is_unusable(answer: Any, words: str, run: Any, folder: Path) -> None:
    error, _ = run(failed(case("audio/speech", SPEECH, answer), folder))
    assert isinstance(error, Unusable)
    assert words in error.message


def test_samples_are_found_behind_what_else_a_wav_file_holds() -> None:
    whole = Sound(samples=SAMPLES, rate=24_000).head() + SAMPLES
    listed = whole[:36] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + whole[36:]
    assert sound("audio/x-wav", listed) == Sound(samples=SAMPLES, rate=24_000)
    endless = whole[:40] + b"\xff\xff\xff\xff" + SAMPLES
    assert sound("audio/wav", endless) == Sound(samples=SAMPLES, rate=24_000)
    stereo = whole[:22] + b"\x02" + whole[23:]
    assert sound("audio/wav", stereo) is None
    assert sound("audio/pcm", SAMPLES) == Sound(samples=SAMPLES, rate=24_000)


def test_speakers_have_a_voice_each_and_their_turns() -> None:
    voice = [{"speaker": "Ann", "voice": "Kore"}, {"speaker": "Bob", "voice": "Puck"}]
    body = speech(input="Ann: Hello!\nHow are you?\nBob: Fine.", voice=voice, instructions="Calmly.")
    assert body["contents"][0]["parts"] == [
        {"text": "Hello!\nHow are you?", "speechMetadata": {"speaker": "Ann", "style": "Calmly."}},
        {"text": "Fine.", "speechMetadata": {"speaker": "Bob", "style": "Calmly."}},
    ]
    assert body["generationConfig"]["speechConfig"]["multiSpeakerVoiceConfig"] == {
        "speakerVoiceConfigs": [
            {"speaker": "Ann", "voiceConfig": {"voice": "Kore"}},
            {"speaker": "Bob", "voiceConfig": {"voice": "Puck"}},
        ]
    }


def test_earlier_models_are_told_the_style_in_the_text() -> None:
    body = speech("gemini-2.5-flash-preview-tts", instructions="Calmly.", language_code="de")
    assert body["contents"][0]["parts"] == [{"text": "Calmly.\n\nHello."}]
    voice = {"prebuiltVoiceConfig": {"voiceName": "Kore"}}
    assert body["generationConfig"]["speechConfig"] == {"voiceConfig": voice, "languageCode": "de"}
    assert speech()["contents"][0]["parts"] == [{"text": "Hello."}]


@pytest.mark.parametrize(("field", "value"), [("response_format", "mp3"), ("response_format", "opus"), ("speed", 1.5)])
def test_sound_that_gemini_does_not_make_is_refused_before_a_call(
    field: str, value: Any, run: Any, folder: Path
) -> None:
    error, calls = run(failed(case("audio/speech", {**SPEECH, field: value}, {}), folder))
    assert (error.status, error.code, error.param, calls) == (400, "unsupported_parameter", field, 0)


# Images


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({"size": "1024x1024"}, {"aspectRatio": "1:1"}),
        ({"size": "1792x1024"}, {"aspectRatio": "16:9"}),
        ({"size": "1024x1536"}, {"aspectRatio": "2:3"}),
        ({"size": "2048x2048"}, {"aspectRatio": "1:1", "imageSize": "2K"}),
        ({"size": "4096x4096"}, {"aspectRatio": "1:1", "imageSize": "4K"}),
        ({"size": "auto"}, None),
        ({"size": "1024x1024", "aspect_ratio": "21:9"}, {"aspectRatio": "21:9"}),
        ({}, None),
    ],
)
def test_a_size_becomes_the_nearest_shape(given: Any, shape: Any, run: Any) -> None:
    body = run(image_request({"prompt": "A fox.", **given}, {}))
    assert body["generationConfig"].get("imageConfig") == shape


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 2), ("background", "transparent"), ("negative_prompt", "cats"), ("num_inference_steps", 5)],
)
def test_an_image_that_gemini_does_not_make_is_refused_before_a_call(
    field: str, value: Any, run: Any, folder: Path
) -> None:
    asked = case("images/generations", {"prompt": "A fox.", field: value}, {})
    error, calls = run(failed(asked, folder))
    assert (error.status, error.code, error.param, calls) == (400, "unsupported_parameter", field, 0)


def test_a_mask_is_refused(run: Any, folder: Path) -> None:
    mask = (Attachment(name="m.png", media_type="image/png", content=b"m"),)
    error, calls = run(failed(case("images/edits", {"prompt": "x"}, {}, files={"image": mask, "mask": mask}), folder))
    assert (error.status, error.param, calls) == (400, "mask", 0)


def test_images_that_no_request_can_hold_are_refused_before_they_are_read(run: Any) -> None:
    file = File(name="a.png", media_type="image/png", size_bytes=40_000_000, path=Path("/nowhere"))
    with pytest.raises(CallFailed) as caught:
        run(image_request({"prompt": "x"}, {"image": (file, file)}))
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "unsupported_content", "image")


def test_an_image_that_the_filter_kept_back_is_refused_with_its_reason(run: Any, folder: Path) -> None:
    answer = {"candidates": [{"finishReason": "IMAGE_SAFETY", "finishMessage": "It shows harm."}]}
    error, _ = run(failed(case("images/generations", {"prompt": "x"}, answer), folder))
    assert isinstance(error, Refused)
    assert (error.status, error.code) == (400, "content_filter")
    assert "IMAGE_SAFETY: It shows harm." in error.message


def test_words_instead_of_an_image_are_unusable(run: Any, folder: Path) -> None:
    error, _ = run(failed(case("images/generations", {"prompt": "x"}, answering({"text": "A fox is red."})), folder))
    assert isinstance(error, Unusable)
    assert "without an image: A fox is red." in error.message


def test_a_thought_of_an_image_is_not_the_image(run: Any, folder: Path) -> None:
    answer = answering({**blob("image/png", b"draft"), "thought": True}, blob("image/jpeg", b"final"))
    told = run(done(case("images/generations", {"prompt": "x"}, answer), folder))
    assert told.files == [b"final"]
    assert told.result["output_format"] == "jpeg"


# Embeddings


def test_vectors_are_packed_as_openai_packs_them(run: Any, folder: Path) -> None:
    asked = case("embeddings", {**EMBED, "encoding_format": "base64"}, {"embeddings": [{"values": [0.5, -2]}]})
    told = run(done(asked, folder))
    packed = base64.b64decode(told.result["data"][0]["embedding"])
    assert struct.unpack("<2f", packed) == (0.5, -2.0)
    assert told.result["usage"] is None


def test_a_vector_that_is_missing_is_noticed(run: Any, folder: Path) -> None:
    error, _ = run(failed(case("embeddings", {"input": ["a", "b"]}, {"embeddings": [{"values": [1]}]}), folder))
    assert isinstance(error, Unusable)
    assert "1 vectors for 2 inputs" in error.message


def test_typed_parts_are_embedded_together() -> None:
    picture = {"type": "image", "image": {"data": "cG5n", "mime_type": "image/webp"}}
    page = {"type": "file", "file": {"url": "https://example.com/a.pdf"}}
    body = embedding_request({"input": [[{"type": "text", "text": "x"}, picture], {"content": [page]}]}, "m")
    assert [each["content"]["parts"] for each in body["requests"]] == [
        [{"text": "x"}, {"inlineData": {"mimeType": "image/webp", "data": "cG5n"}}],
        [{"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.com/a.pdf"}}],
    ]


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([1, 2], "input[0]"),
        ([[1], [2]], "input[0]"),
        ([[{"type": "tokens", "tokens": [1]}]], "input[0][0]"),
        ([[{"type": "image", "image": {}}]], "input[0][0].image"),
    ],
)
def test_tokens_are_not_embedded(given: Any, param: str) -> None:
    with pytest.raises(CallFailed) as caught:
        embedding_request({"input": given}, "m")
    assert (caught.value.status, caught.value.param) == (400, param)


# Errors


def test_a_key_that_is_not_valid_is_not_the_clients_fault(run: Any, folder: Path) -> None:
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    body = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [reason]}}
    error, _ = run(failed(case("embeddings", EMBED), folder, 400, body))
    assert isinstance(error, Refused)
    assert (error.status, error.type) == (502, "provider_authentication_error")
    assert error.message == "provider up answered 400: API key not valid."


def test_a_key_that_is_not_valid_gives_way_to_another(run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OTHER_ENV, OTHER)
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    no = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [reason]}}
    used: list[str | None] = []

    def answer(seen: Seen) -> web.StreamResponse:
        used.append(VENDOR.key(seen))
        return saying(no, 400)(seen) if used[-1] == KEY else saying({"embeddings": [{"values": [1]}]})(seen)

    keys = (KeyOptions(env=KEY_ENV, weight=1e9), KeyOptions(env=OTHER_ENV, weight=0.001))

    async def main() -> None:
        async with (
            served(VENDOR, answer, api_keys=keys) as (provider, _, _),
            calling(folder, case("embeddings", EMBED)) as (call, blobs),
        ):
            await carried_out(provider, call, blobs)
            await carried_out(provider, call, blobs)

    run(main())
    assert used == [KEY, OTHER, OTHER]


@pytest.mark.parametrize(("said", "seconds"), [("37s", 37), ("0.5s", 0.5), ("soon", None), (5, None), ("-1s", None)])
def test_the_time_to_come_back_is_read_from_the_body(said: Any, seconds: Any, run: Any, folder: Path) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": said}]
    body = {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED", "details": details}}
    error, _ = run(failed(case("embeddings", EMBED), folder, 429, body))
    assert (error.status, error.code, error.retry_after) == (429, "RESOURCE_EXHAUSTED", seconds)


def test_a_prompt_that_was_blocked_is_refused_with_its_reason(run: Any, folder: Path) -> None:
    chat = case("chat/completions", {"messages": [{"role": "user", "content": "x"}]})
    for body in (
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {"promptFeedback": {"blockReason": "SAFETY"}, "candidates": []},
    ):
        error, _ = run(failed(chat, folder, 200, body))
        assert isinstance(error, Refused)
        assert (error.status, error.code) == (400, "content_filter")
        assert error.message == "provider up blocked the prompt: its reason is SAFETY"


def test_an_answer_without_a_candidate_is_unusable(run: Any, folder: Path) -> None:
    chat = case("chat/completions", {"messages": [{"role": "user", "content": "x"}]})
    error, _ = run(failed(chat, folder, 200, {"candidates": []}))
    assert isinstance(error, Unusable)
    assert "answered with nothing" in error.message


def test_a_refusal_names_the_clients_own_field(run: Any, folder: Path) -> None:
    items = [{"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "input_file"}]}]
    error, calls = run(failed(case("responses", {"instructions": "y", "input": items}), folder))
    assert (error.status, error.param, calls) == (400, "input[1].content[0].file", 0)


@pytest.mark.parametrize(
    ("name", "methods", "can"),
    [
        ("gemini-3.8-flash", ["generateContent"], ("chat/completions", "responses")),
        ("gemini-3.8-flash-tts", ["generateContent"], ("audio/speech",)),
        ("gemini-embedding-2", ["embedContent"], ("embeddings",)),
        ("veo-4", ["predictLongRunning"], ()),
    ],
)
def test_a_models_name_and_methods_tell_what_it_is_for(name: str, methods: Any, can: Any) -> None:
    assert operations(name, methods) == can
    assert "images/edits" in operations("gemini-3.1-flash-image", ["generateContent"])
