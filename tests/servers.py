"""Real servers for tests: a gateway in this process, a gateway in a process of its own, and an upstream.

async with gateway(folder, providers={"echo": {"kind": "echo"}}) as served:
    await session.post(served.url + "/v1/async/embeddings", json=…)

async with ServerProcess(folder, {"providers": {"echo": {"kind": "echo"}}}) as server:
    await server.kill9()

async with Upstream(never) as upstream:
    upstream.url, await upstream.asked.get(), await upstream.lost.get()
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from coatcheck.app import create_app
from coatcheck.engine.clock import Clock
from coatcheck.handlers.gateway import GATEWAY, Gateway

_LISTENS = re.compile(r"listens on (http://\S+)")


@dataclass(frozen=True)
class Served:
    #: Without a slash at the end.
    url: str
    #: What the handlers work with: the store, the pool, the keys.
    gateway: Gateway
    app: web.Application


@asynccontextmanager
async def listening(app: web.Application, **options: Any) -> AsyncIterator[str]:
    """The address of an application in this loop, on a free port of the loopback; `options` are its runner's."""
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gateway(folder: Path, *, clock: Clock | None = None, **tables: Any) -> AsyncIterator[Served]:
    """A gateway that listens. `tables` are those of the configuration; relative paths in them start at `folder`."""
    app = create_app(tables, data=folder, clock=clock)
    async with listening(app) as url:
        yield Served(url, app[GATEWAY], app)


class ServerProcess:
    """`coatcheck serve` in a process of its own, from entering to leaving; started again, it has another port."""

    def __init__(self, folder: Path, tables: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._config = folder / "config.toml"
        self._config.write_text(render_toml(tables))
        self._environ = {**os.environ, **(environ or {})}
        self._process: asyncio.subprocess.Process | None = None
        #: What it wrote to stderr, over all starts.
        self.log = folder / "server.log"
        #: Without a slash at the end; None while it does not run.
        self.url: str | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Returns when it listens; raises `RuntimeError` with its log if it ends before."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "coatcheck.app", "serve", "--port", "0",
                "--config", str(self._config), "--data", str(self._folder),
                env=self._environ, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if found := _LISTENS.search(line.decode()):
                self.url = found[1]
                return
        await self._process.wait()
        raise RuntimeError(f"the server did not start: {self.log.read_text()}")

    async def kill9(self) -> None:
        """Ends it as a power cut would: nothing of it runs any more on return."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """Asks it to stop and waits until it has; its exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        process, self._process, self.url = self._process, None, None
        assert process is not None
        if process.returncode is None:
            process.send_signal(number)
        # Its end closes the pipe, so that this also waits for the transport to be closed.
        await process.communicate()
        assert process.returncode is not None
        return process.returncode

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            await self.kill9()


Answer = Callable[[dict[str, Any]], Awaitable[web.StreamResponse]]


async def chat(request: dict[str, Any]) -> web.StreamResponse:
    """Answers a chat at once."""
    message = {"role": "assistant", "content": "Hello."}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return web.json_response(
        {"id": "chatcmpl-1", "object": "chat.completion", "model": request["model"], "choices": choices}
    )


async def never(request: dict[str, Any]) -> web.StreamResponse:
    """Holds the request for as long as its client does."""
    await asyncio.Event().wait()
    raise AssertionError


class Gate:
    """An upstream's answer that waits until it is let through."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Takes back what was let through and not used."""
        self._passes = asyncio.Semaphore(0)

    def let(self, count: int) -> None:
        """Lets that many requests through, those that wait first."""
        for _ in range(count):
            self._passes.release()

    async def answer(self, request: dict[str, Any]) -> web.StreamResponse:
        await self._passes.acquire()
        return await chat(request)


class Upstream:
    """An OpenAI-shaped server on a free port, which answers every request with `answer(its body)`."""

    def __init__(self, answer: Answer = chat) -> None:
        self.answer = answer
        #: The bodies of requests, as they arrive.
        self.asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        #: The bodies of requests whose connection the client closed before the answer, as that happens.
        self.lost: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        #: For `base_url`.
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/{path:.*}", self._handle)
        # The handler of a request is cancelled by the loss of its connection.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.put_nowait(body)
        try:
            return await self.answer(body)
        except asyncio.CancelledError:
            self.lost.put_nowait(body)
            raise


def render_toml(tables: Mapping[str, Any]) -> str:
    """A configuration's tables as TOML; JSON's scalars and arrays are TOML's."""
    lines = []
    for section, table in tables.items():
        if any(isinstance(value, Mapping) for value in table.values()):
            for name, inner in table.items():
                lines += [f"[{section}.{name}]", *_lines(inner)]
        else:
            lines += [f"[{section}]", *_lines(table)]
    return "\n".join(lines) + "\n"


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in table.items()]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)
