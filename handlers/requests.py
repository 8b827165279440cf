"""What is known of every request: its id and its trace, for the log, for the job it submits and for the answer."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from multidict import istr

from ..engine.errors import Refusal
from ..engine.ids import new_id
from ..engine.logs import ABOUT, Subject
from ..engine.trace import read
from . import headers

REQUEST_ID = istr("x-request-id")

#: How often a connection is looked at: nothing tells a handler that its client has gone.
_LOOK_SECONDS = 0.5

#: Ids of requests that bring none: random for this process, then counted. They tell requests apart and guard nothing.
_PROCESS = new_id()[:-12]
_numbers = itertools.count(1)


class Asked:
    """A request as its log lines name it. Worked out when it is needed: most polls never write a line."""

    __slots__ = ("_given", "_id")

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._id: str | None = None

    @property
    def named(self) -> bool:
        """Whether the request has an id: it came with one, or somebody has asked for it."""
        return self._id is not None or REQUEST_ID in self._given

    @property
    def request_id(self) -> str:
        """The caller's own, or one that is made up."""
        if self._id is None:
            self._id = headers.request_id(self._given) or f"{_PROCESS}{next(_numbers):012x}"
        return self._id

    @property
    def job_id(self) -> str | None:
        return None

    @property
    def trace(self) -> str | None:
        return read(self._given)


def present(given: Mapping[str, str]) -> Subject:
    """What is known of the request that is being handled, whose headers are `given`."""
    return ABOUT.get() or Asked(given)


def has_left(request: web.Request) -> bool:
    """Whether the client has closed its connection, or its half of it."""
    return request.transport is None or request.transport.is_closing()


class ClientGone(Refusal):
    """The client has gone."""

    status = 499
    code = "client_gone"


@asynccontextmanager
async def while_there(request: web.Request) -> AsyncIterator[None]:
    """What is done within is cancelled when the client goes; that raises `ClientGone`, which nobody reads."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        if has_left(request):
            scope.reschedule(loop.time())
        else:
            timer = loop.call_later(_LOOK_SECONDS, look)

    try:
        async with asyncio.timeout(None) as scope:
            timer = loop.call_later(_LOOK_SECONDS, look)
            try:
                yield
            finally:
                timer.cancel()
    except TimeoutError:
        if scope.expired():
            raise ClientGone from None
        raise
