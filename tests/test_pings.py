"""Pings: what each kind of provider says when an operator asks whether it is there."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.errors import CallFailed, NotConfigured, Refused, Unusable

from .jobs import echo
from .local_models import CHAT, EMBEDDINGS, local
from .upstreams import SECRET, answering, raw_upstream, upstream


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}, "answers, 2 models"),
        (200, {"object": "list"}, "answers, but lists no models"),
        (404, b"", "answers, but lists no models"),
        (405, b"", "answers, but lists no models"),
    ],
)
def test_a_ping_asks_for_the_models_with_the_key(run: Any, status: int, body: Any, said: str) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def handle(request: web.Request) -> web.StreamResponse:
            seen.append((request.method, request.path, request.headers["Authorization"], await request.read()))
            return await answering(status, body)(request)

        async with upstream(handle) as provider:
            assert await provider.ping() == said
        assert seen == [("GET", "/api/v1/models", f"Bearer {SECRET}", b"")]

    run(main())


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (401, {"error": {"message": "Incorrect key"}}, Refused, "the key was refused: .*answered 401: Incorrect key"),
        (403, b"", Refused, "the key was refused: provider up answered 403: Forbidden"),
        (500, b"", CallFailed, "provider up answered 500"),
        (302, b"", Refused, "provider up answered 302"),
        (200, b"<html>", Unusable, "something that is not JSON"),
    ],
)
def test_a_ping_that_fails_says_why(run: Any, status: int, body: Any, kind: type[CallFailed], reason: str) -> None:
    async def main() -> None:
        async with upstream(answering(status, body, {"Location": "http://127.0.0.1:9/"})) as provider:
            with pytest.raises(kind, match=reason):
                await provider.ping()

    run(main())


def test_a_ping_without_a_key_says_that_there_is_none(run: Any) -> None:
    async def main() -> None:
        async with raw_upstream(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n") as provider:
            with pytest.raises(Refused, match="a call without a key was refused: provider up answered 401"):
                await provider.ping()

    run(main())


def test_a_ping_says_which_models_are_there(models_dir: Path, folder: Path) -> None:
    async def scene() -> None:
        async with local(models_dir) as provider:
            assert await provider.ping() == f"has the files of {CHAT}, {EMBEDDINGS}"
            assert provider.worker_pid(CHAT) is None
        (folder / CHAT).symlink_to(models_dir / CHAT)
        async with local(folder, path=str(folder / "mine.gguf")) as provider:
            with pytest.raises(NotConfigured, match=f"local has the files of {CHAT}. ") as caught:
                await provider.ping()
            assert f"run `coatcheck models pull {EMBEDDINGS}`" in caught.value.message
            assert "There is no file for the model mine" in caught.value.message
        async with local(folder / "none") as provider:
            with pytest.raises(NotConfigured, match="local has no model's files"):
                await provider.ping()

    asyncio.run(scene())


@pytest.mark.parametrize("lacking", ["xllamacpp", "onnxruntime"])
def test_a_ping_says_which_package_is_not_installed(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    # So an import of it fails, as where it is not installed.
    monkeypatch.setitem(sys.modules, lacking, None)

    async def scene() -> None:
        async with local(models_dir) as provider:
            with pytest.raises(NotConfigured) as caught:
                await provider.ping()
            assert caught.value.message == f"Local models need {lacking}: run `pip install 'coatcheck[local]'`."
        needed = {"xllamacpp": EMBEDDINGS, "onnxruntime": CHAT}[lacking]
        async with local(models_dir, models=(needed,)) as provider:
            assert await provider.ping() == f"has the files of {needed}"

    asyncio.run(scene())


def test_an_echo_is_always_there(run: Any) -> None:
    assert run(echo().ping()) == "answers"
