"""Files on their way to a vendor: as a stream, under a name it can read, and again for another key."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.calls import Call, File
from coatcheck.engine.errors import Refused
from coatcheck.providers.http import KeyOptions
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider
from coatcheck.providers.uploads import file_name

from .upstreams import SECRET, failed, serving, upstream

MEGABYTE = 1_000_000


@pytest.fixture
def recording(folder: Path) -> Callable[[int], Call]:
    """Makes a call that brings a recording of so many megabytes."""

    def made(megabytes: int) -> Call:
        path = folder / "recording"
        with path.open("wb") as file:
            file.truncate(megabytes * MEGABYTE)
        sent = File(name="a.wav", media_type="audio/wav", size_bytes=path.stat().st_size, path=path)
        return Call(job_id="j", operation="audio/transcriptions", model="m", request={}, files={"file": (sent,)})

    return made


def test_a_large_file_is_never_in_memory(run: Any, recording: Callable[[int], Call]) -> None:
    async def main() -> None:
        taken = []

        async def handle(request: web.Request) -> web.StreamResponse:
            assert int(request.headers["Content-Length"]) > 200 * MEGABYTE
            taken.append(sum([len(piece) async for piece in request.content.iter_any()]))
            return web.json_response({"text": "silence"})

        async with upstream(handle) as provider:
            tracemalloc.start()
            try:
                await provider.execute(recording(200))
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert taken[0] > 200 * MEGABYTE
        assert peak < 20 * MEGABYTE

    run(main())


def test_a_server_that_refuses_before_it_has_read_is_heard(run: Any, recording: Callable[[int], Call]) -> None:
    async def main() -> None:
        async def handle(_request: web.Request) -> web.StreamResponse:
            return web.json_response({"error": {"message": "too long"}}, status=413)

        async with upstream(handle) as provider:
            error = await failed(provider, recording(50))
        assert (error.status, error.message) == (413, "provider up answered 413: too long")

    run(main())


def test_a_file_is_sent_whole_again_with_another_key(run: Any, recording: Callable[[int], Call]) -> None:
    async def main() -> None:
        sizes: dict[str, int] = {}

        async def handle(request: web.Request) -> web.StreamResponse:
            key = request.headers["Authorization"].removeprefix("Bearer ")
            if key == SECRET:
                return web.json_response({}, status=429)
            sizes[key] = len(await request.read())
            return web.json_response({"text": "silence"})

        keys = (KeyOptions(env="A", weight=1e9), KeyOptions(env="B", weight=0.001))
        async with serving(handle) as url:
            options = OpenAIOptions(base_url=url, api_keys=keys)
            provider = OpenAIProvider("up", options, {"A": SECRET, "B": "another-key"})
            await provider.start()
            try:
                await provider.execute(recording(5))
            finally:
                await provider.close()
        assert sizes["another-key"] > 5 * MEGABYTE

    run(main())


def test_a_redirect_of_an_upload_is_refused(run: Any, recording: Callable[[int], Call]) -> None:
    async def main() -> None:
        async def handle(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": "/elsewhere"})

        async with upstream(handle) as provider:
            assert isinstance(await failed(provider, recording(1)), Refused)

    run(main())


@pytest.mark.parametrize(
    ("name", "media_type", "extension", "sent"),
    [
        ("hello.wav", "audio/mpeg", None, "hello.wav"),
        ("hello.wav", "audio/mpeg", "mp3", "hello.wav"),
        ("hello", "audio/mpeg", None, "hello.mp3"),
        ("hello", "audio/mpeg; codecs=mp3", None, "hello.mp3"),
        ("hello", "audio/mpeg", "flac", "hello.flac"),
        ("hello", "application/octet-stream", None, "hello"),
        ("", "image/png", None, "file.png"),
        ('a"b\\c.wav', "audio/wav", None, "file.wav"),
        ("Grüße.ogg", "audio/wav", None, "file.ogg"),
        ("line\r\nX-Forged: 1", "image/webp", None, "file.webp"),
        ("x.\r\n", "image/webp", None, "file.webp"),
        ("a" * 300, "image/webp", None, "file.webp"),
    ],
)
def test_a_vendor_is_told_a_name_that_it_can_read(name: str, media_type: str, extension: str | None, sent: str) -> None:
    file = File(name=name, media_type=media_type, size_bytes=1, path=Path("x"))
    assert file_name(file, extension) == sent
