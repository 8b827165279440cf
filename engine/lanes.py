"""A lane: a queue with its own concurrency, so that a slow provider blocks nobody else."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from .jobs import Job
from .turns import Turns

#: Jobs in one claim. Enough to fill a batch; few enough that a claim never holds up the commits around it.
MAX_CLAIM = 256


class Lane:
    def __init__(self, name: str, concurrency: int) -> None:
        self.name = name
        self.concurrency = concurrency
        self._turns = Turns()
        self._taken = 0
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Jobs that are ready for a slot."""
        return self._turns.waiting

    def arrive(self, owner: str, count: int = 1) -> None:
        """Jobs of this owner became ready."""
        self._turns.arrive(owner, count)
        self._wake.set()

    def leave(self, owner: str) -> None:
        """A ready job of this owner was cancelled."""
        self._turns.leave(owner)

    def plan(self) -> dict[str, int]:
        """Whose jobs to claim now, for slots that are free. Each plan is to be settled before the next."""
        return self._turns.plan(min(self.concurrency - self._taken, MAX_CLAIM))

    def settle(self, turns: dict[str, int], jobs: Sequence[Job]) -> None:
        """These are the jobs that the claim brought; each takes a slot until it is done."""
        self._taken += len(jobs)
        self._turns.settle(turns, Counter(job.owner for job in jobs))

    def done(self, owner: str) -> None:
        """A job of this owner left its slot."""
        self._taken -= 1
        self._turns.done(owner)
        self._wake.set()

    async def wanted(self) -> None:
        """Returns when something has changed that may allow a claim."""
        await self._wake.wait()
        self._wake.clear()

    def nudge(self) -> None:
        self._wake.set()
