"""Vendors that run calls as jobs, for tests: real servers on this machine, whose jobs end when they are told to."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
from aiohttp import web

from coatcheck.engine.calls import Call, Provider
from coatcheck.engine.errors import CallFailed, NotConnected, Unusable

from .servers import ServerProcess
from .vendors.vendor import Seen

KEY_ENV = "COATCHECK_TEST_VENDOR_KEY"

Answer = web.StreamResponse | None


class JobVendor(ABC):
    """A server on a free port that says of each of its jobs that it runs, until `end` is set.

    A subclass says what it answers; None means that the connection is closed without a word.
    """

    path = ""
    #: What the ids of its jobs begin with; they count from 1.
    prefix = ""

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
        #: What uploads are answered instead.
        self.on_upload: Callable[[], Answer] | None = None
        #: Called when a job was launched, before its answer.
        self.on_launch: Callable[[], Awaitable[None]] | None = None
        self.url = ""

    @property
    def next_id(self) -> str:
        return f"{self.prefix}{len(self.launched) + 1}"

    def knows(self, id: str) -> bool:
        return id in {f"{self.prefix}{number + 1}" for number in range(len(self.launched))}

    def hold(self) -> asyncio.Event:
        """Keeps the answers to launches back for ever; what is returned is set by the first."""
        launched = asyncio.Event()

        async def held() -> None:
            launched.set()
            await asyncio.Event().wait()

        self.on_launch = held
        return launched

    @abstractmethod
    async def answer(self, seen: Seen) -> Answer:
        """What the vendor answers to a request."""

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
#: Answers to an upload, and what each is raised as.
BAD_UPLOADS = ((lost, NotConnected), (broken, CallFailed), (nonsense, Unusable))


class Saves:
    """What a call saves, and beside it how many requests the vendor had seen by then."""

    def __init__(self, vendor: JobVendor) -> None:
        self._vendor = vendor
        self.values: list[str | None] = []
        self.after: list[int] = []

    async def __call__(self, value: str | None) -> None:
        self.values.append(value)
        self.after.append(len(self._vendor.seen))


async def refuse_uploads(
    vendor: JobVendor, provider: Provider, call: Call, saves: Saves, how: Callable[[], Answer], raised: type[CallFailed]
) -> None:
    """The call fails in its upload, and is remembered as one that launched nothing."""
    vendor.on_upload = how
    with pytest.raises(CallFailed) as caught:
        await provider.execute(call)
    assert type(caught.value) is raised
    assert (saves.values, vendor.launched) == (["{}", None], [])


async def ask_in_trouble(vendor: JobVendor, provider: Provider, call: Call, end: dict[str, Any], question: str) -> None:
    """Each question after the job goes wrong in each way, twice, and is put again; nothing is launched anew."""
    vendor.blips, vendor.end = [*BLIPS, *BLIPS], end
    await provider.execute(call)
    assert len(vendor.launched) == 1
    assert vendor.told.count(question) == len(BLIPS) * 2 + 1


async def cancel_while_asked(vendor: JobVendor, provider: Provider, call: Call) -> None:
    """The call is cancelled, and the vendor's job left alone."""
    task = asyncio.create_task(provider.execute(call))
    await vendor.asked.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert vendor.ended == []


@asynccontextmanager
async def serving(
    folder: Path, providers: dict[str, Any], key: str
) -> AsyncIterator[tuple[ServerProcess, aiohttp.ClientSession]]:
    """A real server, whose stop waits for no call, and a client of it."""
    tables = {"jobs": {"shutdown_grace_seconds": 0}, "providers": providers}
    async with ServerProcess(folder, tables, {KEY_ENV: key}) as server, aiohttp.ClientSession() as session:
        yield server, session


async def ended(session: aiohttp.ClientSession, server: ServerProcess, operation: str, id: str) -> Any:
    """The job at its end."""
    url = f"{server.url}/v1/async/{operation}/{id}"
    async with session.get(url, headers={"Prefer": "wait=30"}) as response:
        assert response.status == 200, await response.text()
        return await response.json()
