"""A lane: a queue with its own concurrency, so that a slow provider blocks nobody else."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from .jobs import Job
from .ledger import Ledger
from .pace import Pace
from .turns import Turns

#: Jobs in one claim. Enough to fill a batch; few enough that a claim never holds up the commits around it.
MAX_CLAIM = 256


class Lane:
    def __init__(self, name: str, concurrency: int, ledger: Ledger | None = None) -> None:
        """`ledger` is shared by all lanes; None: no owner's concurrency is limited."""
        self.name = name
        self.concurrency = concurrency
        self._ledger = ledger or Ledger()
        self._wake = asyncio.Event()
        self._turns = Turns(ledger=self._ledger, woken=self._wake.set)
        self._taken = 0
        self.pace = Pace()

    @property
    def waiting(self) -> int:
        """Jobs that are ready for a slot."""
        return self._turns.waiting

    @property
    def running(self) -> int:
        """Jobs in a slot."""
        return self._taken

    def at_limit(self, owner: str) -> bool:
        """Whether the owner has as many running, in whatever lanes, as it may."""
        return not self._ledger.free(owner)

    def ahead(self, owner: str) -> int:
        """At most that many jobs start before the one of this owner that arrived last."""
        return self._turns.ahead(owner)

    def before(self, owner: str, own: int) -> int:
        """How many jobs start before one that has `own` jobs of its owner before it, as things are."""
        return self._turns.before(owner, own)

    def until_start(self, ahead: int) -> float | None:
        """Seconds until a job starts that has so many ahead of it, by the recent pace; None if that is not known."""
        return self.pace.until_start(ahead, self.concurrency - self._taken, self.concurrency)

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

    def done(self, owner: str, seconds: float) -> None:
        """A job of this owner left its slot, after so long."""
        self._taken -= 1
        self.pace.note(seconds)
        self._turns.done(owner)
        self._wake.set()

    async def wanted(self) -> None:
        """Returns when something has changed that may allow a claim."""
        await self._wake.wait()
        self._wake.clear()

    def nudge(self) -> None:
        self._wake.set()
