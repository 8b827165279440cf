"""Sound, images and rankings of an OpenAI-shaped server that cannot be used, and how their files are taken in."""

import base64
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.errors import CallFailed, Refused, Unusable

from .vendors.openai import JPEG, PNG, VENDOR, encoded, pictures
from .vendors.vendor import KEY, KEY_ENV, OTHER, OTHER_ENV, Answer, Case, calling, carried_out, failing, saying, served


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    monkeypatch.setenv(OTHER_ENV, OTHER)


def case_of(operation: str) -> Case:
    return next(case for case in VENDOR.cases if case.operation == operation)


def pictures_in(text: str) -> Any:
    return {"data": [{"b64_json": text}]}


def typed(media_type: str, body: bytes = b"something") -> Answer:
    return lambda _seen: web.Response(body=body, content_type=media_type)


@pytest.mark.parametrize(
    ("operation", "answer", "reason"),
    [
        ("audio/speech", typed("text/html"), "answered with text/html where sound was due"),
        ("audio/speech", typed("audio/mpeg", b""), "answered with nothing where a file was due"),
        ("audio/speech", saying({"id": "x"}), "answered without sound"),
        ("audio/speech", saying({"audio": "%%%"}), "sent a file that is not base64"),
        ("audio/speech", typed("audio/mpeg", b"x" * 5000), "larger than 2048 bytes"),
        ("audio/transcriptions", saying({"id": "x"}), "answered without a text"),
        ("audio/transcriptions", saying({"text": 5}), "answered without a text"),
        ("images/generations", saying({"data": []}), "answered without images"),
        ("images/generations", saying({"data": ["x"]}), "answered without images"),
        ("images/generations", saying({"id": "x"}), "answered without images"),
        ("images/generations", saying({"data": [{}]}), "neither base64 nor an address"),
        ("images/generations", saying({"data": [{"b64_json": ""}]}), "sent a file that is not base64"),
        ("images/generations", saying({"data": [{"b64_json": "YQ"}]}), "sent a file that is not base64"),
        ("images/generations", saying({"data": [{"b64_json": "YQ==YQ=="}]}), "sent a file that is not base64"),
        # Whole by itself where it is cut, and not in one with the rest.
        ("images/generations", saying(pictures_in(encoded(PNG[:786_431]) + "YQ==")), "sent a file that is not base64"),
        ("rerank", saying({"id": "x"}), "answered without results"),
        ("rerank", saying({"results": [{"index": 3, "relevance_score": 1}]}), "names no document"),
        ("rerank", saying({"results": [{"index": -1, "relevance_score": 1}]}), "names no document"),
        ("rerank", saying({"results": [{"index": True, "relevance_score": 1}]}), "names no document"),
        ("rerank", saying({"results": [{"index": 0, "relevance_score": "1"}]}), "names no document"),
        ("rerank", saying({"results": [5]}), "names no document"),
        ("moderations", saying({"id": "x"}), "answered without results"),
        ("moderations", saying({"results": []}), "answered without results"),
        ("moderations", saying({"results": [5]}), "a result that has no categories"),
        ("moderations", saying({"results": [{"flagged": True}]}), "a result that has no categories"),
    ],
)
def test_a_success_that_brings_nothing_usable_ends_the_job(
    run: Any, folder: Path, operation: str, answer: Answer, reason: str
) -> None:
    async def main() -> CallFailed:
        limit = 2048 if operation == "audio/speech" else 2**24
        async with served(VENDOR, answer, max_answer_bytes=limit) as (provider, _, _):
            return await failing(provider, folder, case_of(operation))

    error = run(main())
    assert isinstance(error, Unusable)
    assert reason in error.message


def test_a_page_is_not_a_text_that_was_heard(run: Any, folder: Path) -> None:
    async def main() -> CallFailed:
        case = next(case for case in VENDOR.cases if case.request.get("response_format") == "srt")
        async with served(VENDOR, typed("text/html", b"<h1>Log in</h1>")) as (provider, _, _):
            return await failing(provider, folder, case)

    error = run(main())
    assert isinstance(error, Unusable)
    assert "is not JSON" in error.message


@pytest.mark.parametrize("operation", ["audio/speech", "audio/transcriptions", "images/generations", "rerank", "ocr"])
def test_an_error_in_a_200_is_an_error(run: Any, folder: Path, operation: str) -> None:
    async def main() -> CallFailed:
        async with served(VENDOR, saying({"error": {"message": f"overloaded {KEY}"}})) as (provider, _, _):
            return await failing(provider, folder, case_of(operation))

    error = run(main())
    assert isinstance(error, Refused)
    assert error.message == "provider up answered 200 with an error: overloaded [redacted]"


@pytest.mark.parametrize("size", [1, 2, 3, 786_431, 786_432, 786_433, 2_000_000])
@pytest.mark.parametrize("form", ["plain", "in lines", "a data: URI"])
def test_base64_is_decoded_piece_by_piece(run: Any, folder: Path, size: int, form: str) -> None:
    image = (PNG * 3)[:size]
    text = base64.encodebytes(image).decode().replace("\n", "\r\n") if form == "in lines" else encoded(image)
    if form == "a data: URI":
        text = f"data:image/png;base64,{text}"

    async def main() -> None:
        answer = saying({"data": [{"b64_json": text}]})
        async with (
            served(VENDOR, answer) as (provider, _, _),
            calling(folder, case_of("images/generations")) as (call, blobs),
        ):
            done = await carried_out(provider, call, blobs)
        assert done.files == [image]

    run(main())


@pytest.mark.parametrize(
    ("image", "asked", "media_type"),
    [
        (PNG, "webp", "image/png"),
        (JPEG, None, "image/jpeg"),
        (b"GIF89a...", None, "image/gif"),
        (b"RIFF....WEBPVP8 ", "png", "image/webp"),
        (b"<svg xmlns=''/>", None, "image/svg+xml"),
        (b"<?xml?><svg/>", "svg", "image/svg+xml"),
        (b"what nobody knows", None, "image/png"),
        (b"what nobody knows", "jpeg", "image/jpeg"),
    ],
)
def test_what_an_image_is_can_be_seen_or_was_asked_for(
    run: Any, folder: Path, image: bytes, asked: str | None, media_type: str
) -> None:
    async def main() -> None:
        request = {"prompt": "a cat", "output_format": asked}
        async with (
            served(VENDOR, saying(pictures(image))) as (provider, _, _),
            calling(folder, case_of("images/generations"), request=request) as (call, blobs),
        ):
            done = await carried_out(provider, call, blobs)
        assert [blob.media_type for blob in done.reply.files] == [media_type]

    run(main())
