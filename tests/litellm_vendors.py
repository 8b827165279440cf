"""LiteLLM for tests: the library itself, in its environment, against a server on this machine."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.blobs import Blobs
from coatcheck.engine.calls import Call, File
from coatcheck.engine.errors import CallFailed
from coatcheck.providers.litellm.provider import LiteLLMOptions, LiteLLMProvider

from .vendors.vendor import Done, Seen, carried_out

#: The library has an environment of its own, since it needs other versions than what else the tests need.
PYTHON = os.environ.get("COATCHECK_LITELLM_PYTHON") or str(Path(__file__).parent.parent / ".venv-litellm/bin/python")

KEY = "sk-live-0123456789abcdef"

#: None: the answer breaks off.
Answer = Callable[[Seen], web.StreamResponse | Awaitable[web.StreamResponse] | None]


class Vendors:
    """A server that answers for any vendor, and providers that call it; each stays for as long as the tests."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._providers: dict[str, LiteLLMProvider] = {}
        self.seen: list[Seen] = []
        #: Set when the connection of a request was lost before its answer.
        self.lost = asyncio.Event()
        self.answer: Answer = lambda _seen: web.Response(status=404)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs it in the loop of the providers' processes."""

        async def bounded() -> Any:
            async with asyncio.timeout(120):
                return await work

        return self._loop.run_until_complete(bounded())

    def provider(self, vendor: str) -> LiteLLMProvider:
        if vendor not in self._providers:
            base = self.url + ("" if vendor in ("cohere", "petals") else "/v1")
            options = LiteLLMOptions(vendor=vendor, base_url=base, api_key_env="KEY", python=PYTHON)
            self._providers[vendor] = LiteLLMProvider("up", options, {"KEY": KEY})
        return self._providers[vendor]

    async def carried_out(
        self, folder: Path, vendor: str, operation: str, model: str, request: Any, files: Any = None
    ) -> Done:
        self.seen.clear()
        self.lost.clear()
        blobs = Blobs(folder / "blobs")
        await blobs.open(folder / "coatcheck.db")
        try:
            call = asked(operation, model, request, files=files or {}, new_file=blobs.new)
            return await carried_out(self.provider(vendor), call, blobs)
        finally:
            await blobs.close()

    async def failing(self, vendor: str, call: Call) -> CallFailed:
        """How the call fails, as it must."""
        self.seen.clear()
        with pytest.raises(CallFailed) as caught:
            await self.provider(vendor).execute(call)
        return caught.value

    async def start(self) -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        for provider in self._providers.values():
            await provider.close()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen = Seen(request.method, request.rel_url.raw_path, request.query, request.headers, body)
        self.seen.append(seen)
        try:
            answer = self.answer(seen)
            if answer is None:
                return await self._break_off(request)
            return await answer if isinstance(answer, Awaitable) else answer
        except asyncio.CancelledError:
            self.lost.set()
            raise

    async def _break_off(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "999"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response


def asked(operation: str, model: str, request: Any, **more: Any) -> Call:
    return Call(job_id="j", operation=operation, model=model, request={"model": f"up/{model}", **request}, **more)


def chat(**request: Any) -> Call:
    return asked("chat/completions", "gpt-4o-mini", {"messages": [{"role": "user", "content": "hello"}], **request})


def attached(folder: Path, name: str, media_type: str, content: bytes) -> File:
    path = folder / "attached"
    path.write_bytes(content)
    return File(name=name, media_type=media_type, size_bytes=len(content), path=path)


@contextmanager
def vendors() -> Iterator[Vendors]:
    made = Vendors()
    made.run(made.start())
    try:
        yield made
    finally:
        made.run(made.close())
        made._loop.close()
