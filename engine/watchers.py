"""Who waits for a job to change: clients that hold a poll open until it ends, and those that watch all it does.

In memory, in this process: what is told has been committed before, so that whoever is woken finds it in the store. To
miss nothing, listen first and read then.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Bell:
    """Rung when a job changes, be it its row or only the progress of its call. For one listener."""

    __slots__ = ("_deaf", "_listener", "_moved", "_rung")

    def __init__(self) -> None:
        self._rung = False
        self._moved = True
        self._listener: asyncio.Future[None] | None = None
        #: The listener hears of changes of the row alone.
        self._deaf = False

    def ring(self, *, moved: bool) -> None:
        self._rung = True
        self._moved = self._moved or moved
        if self._listener is not None and (moved or not self._deaf):
            _wake(self._listener)

    def moved(self) -> bool:
        """Whether the job's row has changed since this was asked last; True at first."""
        moved, self._moved = self._moved, False
        return moved

    async def rung(self, seconds: float) -> bool:
        """Waits until it is rung, or was since the last time; False if the time was over first."""
        if not self._rung:
            await self._listen(seconds, deaf=False)
        rung, self._rung = self._rung, False
        return rung

    async def quiet(self, seconds: float) -> None:
        """Waits so long, or until the job's row has changed."""
        if not self._moved:
            await self._listen(seconds, deaf=True)

    async def _listen(self, seconds: float, *, deaf: bool) -> None:
        # Thousands wait at once: a future and a timer are the least that it takes.
        loop = asyncio.get_running_loop()
        self._listener, self._deaf = loop.create_future(), deaf
        timer = loop.call_later(seconds, _wake, self._listener)
        try:
            await self._listener
        finally:
            timer.cancel()
            self._listener = None


def _wake(listener: asyncio.Future[None]) -> None:
    if not listener.done():
        listener.set_result(None)


class Watchers:
    def __init__(self) -> None:
        # In the order of their coming; of thousands at one job, each must be able to leave at no cost.
        self._ends: dict[str, dict[Bell, None]] = {}
        self._changes: dict[str, dict[Bell, None]] = {}
        #: Clients that wait for an end, and those that watch; for the meters.
        self.waiting = 0
        self.watching = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """The server stops: nobody is told of anything any more."""
        return self._closed

    @contextmanager
    def end_of(self, id: str) -> Iterator[Bell]:
        """A bell that is rung once, when the job ends."""
        self.waiting += 1
        try:
            with self._hung(self._ends, id) as bell:
                yield bell
        finally:
            self.waiting -= 1

    @contextmanager
    def changes_of(self, id: str) -> Iterator[Bell]:
        """A bell that is rung at each step of the job's story, and when its call has come further."""
        self.watching += 1
        try:
            with self._hung(self._changes, id) as bell:
                yield bell
        finally:
            self.watching -= 1

    def progressed(self, id: str) -> None:
        """The job's call has come further."""
        for bell in self._changes.get(id, ()):
            bell.ring(moved=False)

    def moved(self, id: str) -> None:
        """The job was claimed or released."""
        for bell in self._changes.get(id, ()):
            bell.ring(moved=True)

    def ended(self, id: str) -> None:
        """The job has ended."""
        for bells in (self._ends, self._changes):
            for bell in bells.get(id, ()):
                bell.ring(moved=True)

    def close(self) -> None:
        """Rings every bell for the last time."""
        self._closed = True
        for bells in (self._ends, self._changes):
            for some in bells.values():
                for bell in some:
                    bell.ring(moved=True)

    @contextmanager
    def _hung(self, bells: dict[str, dict[Bell, None]], id: str) -> Iterator[Bell]:
        bell = Bell()
        if self._closed:
            bell.ring(moved=True)
        bells.setdefault(id, {})[bell] = None
        try:
            yield bell
        finally:
            others = bells[id]
            del others[bell]
            if not others:
                del bells[id]
