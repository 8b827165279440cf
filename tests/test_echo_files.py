"""Kind `echo`, where files come or go."""

import wave
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.blobs import Blobs
from coatcheck.engine.calls import Call, File, Reply
from coatcheck.engine.errors import CallFailed
from coatcheck.schemas.operations import OPERATIONS

from .jobs import echo

Run = Callable[[Any], Any]


def asked(
    folder: Path, run: Run, operation: str, request: Any, files: Mapping[str, tuple[File, ...]] | None = None
) -> tuple[Reply, list[bytes]]:
    """The echo's reply to a call, and the files of its result."""

    async def main() -> tuple[Reply, list[bytes]]:
        blobs = Blobs(folder / "blobs")
        await blobs.open(folder / "coatcheck.db")
        call = Call(
            job_id="j", operation=operation, model="echo", request=request, files=files or {}, new_file=blobs.new
        )
        reply = await echo().execute(call)
        await blobs.close()
        return reply, [blobs.path(blob.id).read_bytes() for blob in reply.files]

    return run(main())  # type: ignore[no-any-return]


def file(folder: Path, content: bytes, name: str = "a.bin") -> tuple[File, ...]:
    path = folder / name
    path.write_bytes(content)
    return (File(name=name, media_type="x/y", size_bytes=len(content), path=path),)


@pytest.mark.parametrize(("characters", "seconds"), [(1, 0.1), (100, 5.0), (100_000, 60.0)])
def test_speech_is_a_tone_as_long_as_the_text(folder: Path, run: Run, characters: int, seconds: float) -> None:
    reply, (audio,) = asked(folder, run, "audio/speech", {"input": "x" * characters, "voice": "a"})
    assert orjson.loads(reply.result) == {"audio": reply.files[0].placeholder}
    assert reply.files[0].media_type == "audio/wav"
    with wave.open(BytesIO(audio)) as opened:
        assert (opened.getnchannels(), opened.getsampwidth()) == (1, 2)
        assert opened.getnframes() / opened.getframerate() == pytest.approx(seconds)
        assert len(set(opened.readframes(100))) > 2


def square(png: bytes) -> bytes:
    """The colour of all of its pixels."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.endswith(b"IEND\xaeB`\x82")
    at = png.index(b"IDAT")
    size = int.from_bytes(png[at - 4 : at])
    assert zlib.crc32(png[at : at + 4 + size]) == int.from_bytes(png[at + 4 + size : at + 8 + size])
    rows = zlib.decompress(png[at + 4 : at + 4 + size])
    colour = rows[1:4]
    assert rows == (b"\0" + colour * 64) * 64
    return colour


def test_an_image_is_a_square_whose_colour_follows_from_what_was_asked(folder: Path, run: Run) -> None:
    def colours(operation: str, request: Any, **files: tuple[File, ...]) -> list[bytes]:
        reply, images = asked(folder, run, operation, request, files)
        shown = orjson.loads(reply.result)["data"]
        assert shown == [{"b64_json": blob.placeholder, "index": i} for i, blob in enumerate(reply.files)]
        return [square(image) for image in images]

    fox = colours("images/generations", {"prompt": "A fox", "n": 3})
    assert len(set(fox)) == 3
    assert colours("images/generations", {"prompt": "A fox"}) == fox[:1]
    assert colours("images/generations", {"prompt": "A dog"}) != fox[:1]
    one, two = file(folder, b"one", "1"), file(folder, b"two", "2")
    edited = colours("images/edits", {"prompt": "A fox"}, image=one)
    assert edited != fox[:1]
    assert edited != colours("images/edits", {"prompt": "A fox"}, image=two)
    assert edited != colours("images/edits", {"prompt": "A fox"}, image=one, mask=two)
    assert len(colours("images/variations", {"n": 2}, image=one)) == 2


def test_addresses_of_images_have_no_files(folder: Path, run: Run) -> None:
    reply, images = asked(folder, run, "images/generations", {"prompt": "A fox", "n": 2, "response_format": "url"})
    first, second = orjson.loads(reply.result)["data"]
    assert images == []
    assert first["url"].startswith("https://echo.invalid/")
    assert first["url"] != second["url"]


def heard(folder: Path, run: Run, content: bytes, **request: Any) -> Any:
    reply, _ = asked(folder, run, "audio/transcriptions", request, {"file": file(folder, content)})
    return orjson.loads(reply.result)


def test_a_recording_that_is_a_text_is_read_out(folder: Path, run: Run) -> None:
    assert heard(folder, run, "Grüße an alle\n".encode()) == {"text": "Grüße an alle"}
    for content in (b"\xff\xfe\x00", b"RIFF\x00\x01\x02", b""):
        assert heard(folder, run, content) == {"text": f"a.bin: x/y, {len(content)} bytes"}


def test_a_recording_has_a_second_for_each_word(folder: Path, run: Run) -> None:
    words = " ".join(["word"] * 61).encode()
    assert heard(folder, run, words, response_format="srt")["text"].startswith("1\n00:00:00,000 --> 00:01:01,000\nword")
    assert heard(folder, run, words, response_format="vtt")["text"].startswith(
        "WEBVTT\n\n00:00.000 --> 01:01.000\nword"
    )
    verbose = heard(
        folder, run, b"one two", response_format="verbose_json", timestamp_granularities=["word"], language="de"
    )
    assert verbose == {
        "text": "one two",
        "task": "transcribe",
        "language": "de",
        "duration": 2.0,
        "segments": [{"id": 0, "start": 0.0, "end": 2.0, "text": "one two"}],
        "words": [{"word": "one", "start": 0.0, "end": 1.0}, {"word": "two", "start": 1.0, "end": 2.0}],
    }


def test_documents_are_ordered_by_the_words_they_share_with_the_query(folder: Path, run: Run) -> None:
    documents = [{"text": "nothing"}, {"text": "A quick FOX", "id": "b"}, {"text": "a dog"}]
    request = {"query": "a fox", "documents": documents, "top_n": 2, "return_documents": True}
    reply, _ = asked(folder, run, "rerank", request)
    assert orjson.loads(reply.result)["results"] == [
        {"index": 1, "relevance_score": 1.0, "document": documents[1]},
        {"index": 2, "relevance_score": 0.5, "document": documents[2]},
    ]


def test_a_document_that_comes_along_is_read_and_one_that_is_elsewhere_refused(folder: Path, run: Run) -> None:
    def read(url: str, **more: Any) -> Any:
        reply, _ = asked(folder, run, "ocr", {"document": {"type": "image_url", "image_url": url}, **more})
        return orjson.loads(reply.result)

    shown = read("data:text/plain,Page%20one")
    assert shown["pages"] == [{"index": 0, "markdown": "Page one"}]
    assert shown["usage_info"] == {"pages_processed": 1, "doc_size_bytes": 8}
    assert read("data:image/png;base64,/w==")["pages"][0]["markdown"] == "image/png, 1 bytes"
    assert read("data:text/plain,x", pages=[1])["pages"] == []
    with pytest.raises(CallFailed, match="Only a data: URL is read here") as caught:
        read("https://img.example/1.png")
    assert (caught.value.status, caught.value.param) == (400, "document.image_url")


def test_what_it_does_is_offered_and_free(folder: Path, run: Run) -> None:
    (offer,) = run(echo().offers())
    assert offer.id == "echo"
    assert set(offer.operations) == set(OPERATIONS)
    reply, _ = asked(folder, run, "embeddings", {"input": "x"})
    assert reply.cost == 0
