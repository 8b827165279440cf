"""Upstreams of kind `openai` for tests: real servers on this machine, each with a provider that calls it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web

from coatcheck.engine.calls import Call, Progress
from coatcheck.engine.errors import CallFailed
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider

from .clients import REQUESTS
from .servers import listening

SECRET = "sk-live-0123456789abcdef"

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def call(
    operation: str = "chat/completions",
    watch: Callable[[Progress], None] = lambda _: None,
    trace: Mapping[str, str] | None = None,
    **request: Any,
) -> Call:
    body = {"model": "up/small", **REQUESTS[operation], **request}
    return Call(job_id="j", operation=operation, model="small", request=body, trace=trace or {}, progress=watch)


@asynccontextmanager
async def serving(handle: Handle) -> AsyncIterator[str]:
    """The base address of a server that answers with `handle`."""
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handle)
    async with listening(app, shutdown_timeout=0.01) as url:
        yield f"{url}/api/v1"


@asynccontextmanager
async def upstream(handle: Handle, **options: Any) -> AsyncIterator[OpenAIProvider]:
    """A provider of a server that answers with `handle`."""
    async with serving(handle) as base:
        provider = OpenAIProvider("up", OpenAIOptions(base_url=base, api_key_env="KEY", **options), {"KEY": SECRET})
        await provider.start()
        try:
            yield provider
        finally:
            await provider.close()


@asynccontextmanager
async def raw_upstream(answered: bytes, query: str = "", **options: Any) -> AsyncIterator[OpenAIProvider]:
    """A provider of a server that sends these bytes and closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answered)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        provider = OpenAIProvider("up", OpenAIOptions(base_url=f"http://127.0.0.1:{port}{query}", **options), {})
        await provider.start()
        try:
            yield provider
        finally:
            await provider.close()


async def failed(provider: OpenAIProvider, asked: Call) -> CallFailed:
    """How the call fails, as it must."""
    with pytest.raises(CallFailed) as caught:
        await provider.execute(asked)
    return caught.value


def answering(status: int, body: Any, headers: Any = None) -> Handle:
    async def handle(_request: web.Request) -> web.StreamResponse:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(status=status, body=data, headers=headers or {})

    return handle


def streaming(*pieces: bytes) -> Handle:
    """Answers with these pieces, each written by itself, and closes the stream."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for each in pieces:
            await response.write(each)
        await response.write_eof()
        return response

    return handle
