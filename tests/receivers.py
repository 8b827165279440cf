"""A receiver of webhooks, as somebody would write one: it remembers what came, and answers what it is told to.

async with Receiver(503, 204) as receiver:
    receiver.url, await receiver.got()
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson
from aiohttp import web

#: A status, with headers or without, or what makes the answer.
Answer = int | tuple[int, Mapping[str, str]] | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Got:
    """One attempt, as it arrived."""

    path: str
    headers: Mapping[str, str]
    #: Unparsed: signatures are of these bytes.
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Receiver:
    """On a free port of the loopback, from entering to leaving; entered again, it has the same port."""

    def __init__(self, *answers: Answer, answer: Callable[[], int] = lambda: 204) -> None:
        """`answers`: to the first attempts; `answer` makes the status for whatever comes later."""
        self.answers = list(answers)
        self._answer = answer
        self.port = 0
        self._got: asyncio.Queue[Got] = asyncio.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def got(self) -> Got:
        """The next attempt; waits for it."""
        async with asyncio.timeout(30):
            return await self._got.get()

    def next(self) -> Got:
        """The next attempt of those that have come."""
        return self._got.get_nowait()

    @property
    def waiting(self) -> int:
        """Attempts that came and that nobody has asked for."""
        return self._got.qsize()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._got.put_nowait(Got(request.path_qs, request.headers.copy(), await request.read()))
        answer = self.answers.pop(0) if self.answers else self._answer()
        if callable(answer):
            return await answer(request)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return web.Response(status=status, headers=headers)
