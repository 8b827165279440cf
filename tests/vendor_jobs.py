"""Vendors that run calls as jobs, for tests: real servers on this machine, whose jobs end when they are told to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

from .vendors.vendor import Seen

Answer = web.StreamResponse | None


class JobVendor:
    """A server on a free port that says of each of its jobs that it runs, until `end` is set.

    A subclass says what it answers; None means that the connection is closed without a word.
    """

    path = ""

    def __init__(self) -> None:
        #: What it was asked, in order.
        self.seen: list[Seen] = []
        #: The bodies of the requests that launched a job.
        self.launched: list[Any] = []
        #: The ids of jobs that it was told to end.
        self.ended: list[str] = []
        #: Put once a question after a job has been answered.
        self.asked: asyncio.Queue[str] = asyncio.Queue()
        #: What a question after a job says at last; None while it runs.
        self.end: dict[str, Any] | None = None
        #: Answers that questions after a job get first, each once.
        self.blips: list[Callable[[], Answer]] = []
        #: Called when a job was launched, before its answer.
        self.on_launch: Callable[[], Awaitable[None]] | None = None
        self.url = ""

    async def answer(self, seen: Seen) -> Answer:
        raise NotImplementedError

    async def job(self, id: str, running: dict[str, Any]) -> Answer:
        """The answer to a question after a job."""
        if self.blips:
            return self.blips.pop(0)()
        self.asked.put_nowait(id)
        return web.json_response(running if self.end is None else {**running, **self.end})

    async def launch(self, body: Any, launched: dict[str, Any]) -> Answer:
        self.launched.append(body)
        if self.on_launch is not None:
            await self.on_launch()
        return web.json_response(launched, status=201)

    @property
    def told(self) -> list[str]:
        """The requests, as "METHOD path"."""
        return [f"{each.method} {each.raw_path.removeprefix(self.path)}" for each in self.seen]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.url = self.origin + self.path
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.rel_url.raw_path, request.query, request.headers, body))
        answer = await self.answer(self.seen[-1])
        if answer is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return answer


def lost() -> Answer:
    return None


def limited() -> Answer:
    return web.json_response({"detail": "slow down"}, status=429, headers={"Retry-After": "0"})


def broken() -> Answer:
    return web.Response(status=502, text="<html>")


def nonsense() -> Answer:
    return web.Response(text="<html>")


BLIPS = (lost, limited, broken, nonsense)


class Saves:
    """What a call saves, and beside it how many requests the vendor had seen by then."""

    def __init__(self, vendor: JobVendor) -> None:
        self._vendor = vendor
        self.values: list[str | None] = []
        self.after: list[int] = []

    async def __call__(self, value: str | None) -> None:
        self.values.append(value)
        self.after.append(len(self._vendor.seen))
