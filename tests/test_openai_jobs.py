"""Jobs of every operation at a server that speaks OpenAI's API, from the submit to the result and its files."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from .clients import Client, client
from .files import in_rows, on_disk
from .upstreams import Handle, answering, serving
from .vendors.openai import JPEG, MP3, OCR, PNG, RANKING, TRANSCRIPTION, encoded, pictures
from .vendors.vendor import Seen


@asynccontextmanager
async def at(folder: Path, handle: Handle, **options: Any) -> AsyncIterator[Client]:
    """A client of a gateway whose provider `up` is at a server that answers so."""
    async with serving(handle) as url:
        table = {"kind": "openai", "base_url": url, "retries": 0, **options}
        async with client(folder, providers={"up": table}) as c:
            yield c


def telling(seen: list[Seen], body: Any, media_type: str = "application/json") -> Handle:
    """Answers with this, and notes what was sent."""

    async def handle(request: web.Request) -> web.StreamResponse:
        path, sent = request.rel_url.raw_path, await request.read()
        seen.append(Seen(request.method, path, request.query, request.headers, sent))
        if isinstance(body, bytes):
            return web.Response(body=body, content_type=media_type)
        return web.json_response(body)

    return handle


async def result(c: Client, operation: str, **request: Any) -> tuple[str, Any]:
    """The id and the result of a job that goes well."""
    id = await c.submit(operation, "up/small", **request)
    answer = await c.ended(id, operation)
    assert answer.json["status"] == "completed", answer.json
    return id, answer.json["result"]


async def emptied(c: Client, folder: Path) -> None:
    """Waits until no file is left, which is a little after the job's end."""
    async with asyncio.timeout(20):
        while on_disk(folder):
            await c.ask("GET", "/v1/async/jobs")
    assert in_rows(folder) == set()


def test_a_speech_is_heard_as_the_server_said_it(run: Any, folder: Path) -> None:
    async def main() -> None:
        seen: list[Seen] = []
        async with at(folder, telling(seen, MP3, "audio/mpeg")) as c:
            id, told = await result(c, "audio/speech", speed=1.5)
            assert base64.b64decode(told["audio"]) == MP3
            content = await c.ask("GET", f"/v1/async/audio/speech/{id}/content")
            assert (content.text, content.headers["Content-Type"]) == (MP3, "audio/mpeg")
        assert seen[0].json == {"model": "small", "input": "hello", "voice": "alloy", "speed": 1.5}

    run(main())


def test_a_recording_reaches_the_server_with_every_field_that_came_with_it(run: Any, folder: Path) -> None:
    async def main() -> None:
        seen: list[Seen] = []
        async with at(folder, telling(seen, TRANSCRIPTION)) as c:
            fields = {"file": MP3, "temperature": "0.5", "timestamp_granularities[]": ["word", "segment"]}
            more = {"file_format": "mp3", "response_format": "verbose_json", "chunking_strategy[type]": "server_vad"}
            _, told = await result(c, "audio/transcriptions", **fields, **more)
        assert told["text"] == TRANSCRIPTION["text"]
        assert sorted(seen[0].fields) == [
            ("chunking_strategy[type]", "server_vad"),
            ("model", "small"),
            ("response_format", "verbose_json"),
            ("temperature", "0.5"),
            ("timestamp_granularities[]", "segment"),
            ("timestamp_granularities[]", "word"),
        ]
        (file,) = [part for part in seen[0].parts if part.file_name]
        assert (file.name, file.file_name, file.content) == ("file", "file.txt", MP3)

    run(main())


def test_images_are_edited_and_come_back_as_files(run: Any, folder: Path) -> None:
    async def main() -> None:
        seen: list[Seen] = []
        async with at(folder, telling(seen, pictures(PNG, JPEG))) as c:
            id, told = await result(c, "images/edits", **{"image[]": [PNG, JPEG], "mask": b"mask", "n": "2"})
            assert [base64.b64decode(item["b64_json"]) for item in told["data"]] == [PNG, JPEG]
            for index, (image, kind) in enumerate([(PNG, "image/png"), (JPEG, "image/jpeg")]):
                content = await c.ask("GET", f"/v1/async/images/edits/{id}/content?index={index}")
                assert (content.text, content.headers["Content-Type"]) == (image, kind)
        sent = [(part.name, part.content) for part in seen[0].parts if part.file_name]
        assert sent == [("image[]", PNG), ("image[]", JPEG), ("mask", b"mask")]
        assert ("n", "2") in seen[0].fields

    run(main())


@pytest.mark.parametrize(
    ("operation", "answer"),
    [("rerank", {**RANKING, "results": RANKING["results"][1:2]}), ("ocr", OCR), ("images/variations", pictures(PNG))],
)
def test_the_other_operations_are_carried_out_too(run: Any, folder: Path, operation: str, answer: Any) -> None:
    async def main() -> None:
        seen: list[Seen] = []
        async with at(folder, telling(seen, answer)) as c:
            await result(c, operation)
        assert [each.raw_path for each in seen] == [f"/api/v1/{operation}"]

    run(main())


def test_of_images_that_cannot_all_be_used_none_is_kept(run: Any, folder: Path) -> None:
    async def main() -> None:
        broken = {"data": [{"b64_json": encoded(PNG)}, {"b64_json": "%%%"}]}
        async with at(folder, answering(200, broken, {"Content-Type": "application/json"})) as c:
            answer = await c.ended(await c.submit("images/generations", "up/small"), "images/generations")
            error = answer.json["error"]["error"]
            assert (answer.json["status"], error["code"]) == ("failed", "unusable_answer")
            assert "sent a file that is not base64" in error["message"]
            await emptied(c, folder)

    run(main())


def test_a_call_that_takes_too_long_fails_and_leaves_nothing(run: Any, folder: Path) -> None:
    async def main() -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "audio/mpeg"})
            await response.prepare(request)
            await response.write(b"la" * 500_000)
            await asyncio.Event().wait()
            return response

        async with at(folder, handle, timeout_seconds=0.3) as c:
            answer = await c.ended(await c.submit("audio/speech", "up/small"), "audio/speech")
            assert (answer.json["status"], answer.json["status_code"]) == ("failed", 504)
            await emptied(c, folder)

    run(main())
