"""A model's worker process as the gateway sees it: started on first use, stopped when idle, replaced when it dies."""

import asyncio
import contextlib

from ...engine.calls import Call, Reply
from ...engine.errors import CallFailed
from .connection import Connection, Recipe


class Worker:
    """Runs the calls of one model, in a process that is there only while it is of use."""

    def __init__(self, recipe: Recipe, *, idle_seconds: float) -> None:
        self._recipe = recipe
        self._idle_seconds = idle_seconds
        self._connection: asyncio.Task[Connection] | None = None
        self._calls = 0
        self._idle: asyncio.TimerHandle | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    async def call(self, call: Call) -> Reply:
        """Carries out one call. Raises `CallFailed`; cancelling it stops the work at the next step."""
        self._calls += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        try:
            connection = await self._connected()
            return await connection.call(call)
        finally:
            self._calls -= 1
            if not self._calls and self._connection is not None:
                self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._stop)

    @property
    def pid(self) -> int | None:
        """The process that is ready for calls at the moment."""
        task = self._connection
        return task.result().pid if task and task.done() and not _is_over(task) else None

    async def close(self) -> None:
        """Ends the process, and with it whatever it was at."""
        if self._idle is not None:
            self._idle.cancel()
        self._stop()
        await asyncio.gather(*self._stopping)

    async def _connected(self) -> "Connection":
        """The running process. Many callers share one start, and a caller who leaves does not end it."""
        while True:
            if (task := self._connection) is None:
                task = self._connection = asyncio.create_task(Connection.start(self._recipe))
            try:
                connection = await asyncio.shield(task)
                if not connection.ended:
                    return connection
            finally:
                if self._connection is task and _is_over(task):
                    self._connection = None

    def _stop(self) -> None:
        if (task := self._connection) is not None:
            self._connection = None
            stopping = asyncio.create_task(_end(task))
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)


def _is_over(task: "asyncio.Task[Connection]") -> bool:
    """Whether the start has failed, or its process has ended since."""
    return task.done() and (task.cancelled() or task.exception() is not None or task.result().ended)


async def _end(task: "asyncio.Task[Connection]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, CallFailed):
        await (await task).close()
