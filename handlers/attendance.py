"""Clients that wait on an open connection for a job of theirs: when they go, it is given up."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from ..engine.errors import CoatcheckError, JobNotFound
from ..engine.jobs import Ticket
from ..engine.pool import Pool
from ..engine.store import Store
from ..engine.watchers import Bell
from .requests import has_left

log = logging.getLogger(__name__)

#: How often the connections are looked at: nothing tells a handler that its client has gone.
_LOOK_SECONDS = 0.5
#: A wait has no end of its own, but a timer needs one.
_LONG_SECONDS = 86_400.0


class Attendance:
    def __init__(self) -> None:
        self._watched: dict[Bell, web.Request] = {}
        self._timer: asyncio.TimerHandle | None = None
        #: How many wait for a job that is given up when the last of them goes.
        self._attending: dict[str, int] = {}
        self._giving_up: set[asyncio.Task[None]] = set()

    async def end(self, request: web.Request, store: Store, pool: Pool, id: str, *, attended: bool) -> Ticket | None:
        """The job when it has ended; None if its client went first, or the server stops. `attended`: it is given up,
        that is cancelled, when nobody waits for it any more; who asks for the same job later is one of those who wait,
        unless it has been released.

        Raises `JobNotFound` if the job is deleted meanwhile.
        """
        if attended:
            self._attending[id] = 0
        joined = id in self._attending
        if joined:
            self._attending[id] += 1
        ended, giving_up = None, None
        try:
            ended = await self._wait(request, store, pool, id)
        finally:
            if joined:
                giving_up = self._leave(pool, id, ended=ended is not None)
        if giving_up is not None:
            await asyncio.shield(giving_up)
        return ended

    def release(self, id: str) -> bool:
        """The job goes on without those who wait for it; False if it does so anyway."""
        return self._attending.pop(id, None) is not None

    async def _wait(self, request: web.Request, store: Store, pool: Pool, id: str) -> Ticket | None:
        with pool.watchers.end_of(id) as bell, self._looked_after(request, bell):
            while True:
                ticket = await store.ticket(id, None)
                if ticket is None:
                    raise JobNotFound
                if ticket.job.state.ended:
                    return ticket
                if pool.watchers.closed or has_left(request):
                    return None
                await bell.rung(_LONG_SECONDS)

    def _leave(self, pool: Pool, id: str, *, ended: bool) -> asyncio.Task[None] | None:
        if id not in self._attending:
            return None
        self._attending[id] -= 1
        if self._attending[id] > 0:
            return None
        del self._attending[id]
        if ended:
            return None
        return self.give_up(pool.cancel(id, None))

    def give_up(self, cancel: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Cancels a job in a task of its own: an application that embeds this one may have cancelled the handler."""
        task = asyncio.create_task(_done(cancel))
        self._giving_up.add(task)
        task.add_done_callback(self._giving_up.discard)
        return task

    @contextmanager
    def _looked_after(self, request: web.Request, bell: Bell) -> Iterator[None]:
        """Rings the bell when the request's client has gone. One timer for all: thousands may wait."""
        self._watched[bell] = request
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)
        try:
            yield
        finally:
            del self._watched[bell]

    def _look(self) -> None:
        for bell, request in self._watched.items():
            if has_left(request):
                bell.ring(moved=True)
        self._timer = None
        if self._watched:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)


async def _done(cancel: Coroutine[Any, Any, object]) -> None:
    try:
        await cancel
    except CoatcheckError as error:
        # It was not taken, or has been deleted; else the next start does it.
        log.info("a job whose client has gone was not cancelled: %s", error)
