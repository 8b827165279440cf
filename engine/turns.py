"""Fair turns: whose job a free slot takes next.

A clock `V` and, per owner, `at`: the time of its next turn. An owner that begins to wait starts at `max(at, V)`; a turn
goes to the owner with the least `at` that has a job waiting and is under its cap, moves `V` there, and moves the
owner on by `1 / weight`. So no owner waits longer than a round, however much another has submitted (start-time fair
queueing, Goyal et al. 1996). Which of the owner's own jobs is taken, the store's index decides.

Pure: no clock, no I/O. The counts change by what the store has committed, so they may be announced out of order and
`waiting` may be below zero for a moment; it is never clamped, and so never drifts.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class _Owner:
    at: float
    waiting: int = 0
    #: Turns given out whose claim has not been answered yet.
    planned: int = 0
    running: int = 0
    #: Whether the heap holds this owner's present `at`.
    queued: bool = False


class Turns:
    def __init__(
        self,
        *,
        weight: Callable[[str], float] = lambda _owner: 1.0,
        cap: Callable[[str], int | None] = lambda _owner: None,
    ) -> None:
        """`weight` gives an owner's share (1 is usual), `cap` how many of its jobs may run at once."""
        self._weight = weight
        self._cap = cap
        self._now = 0.0
        self._owners: dict[str, _Owner] = {}
        self._heap: list[tuple[float, str]] = []
        #: Idle owners that are still ahead of the clock, by `at`.
        self._parked: list[tuple[float, str]] = []
        self._latest = 0.0
        self._ready = 0
        self._planned = 0

    @property
    def waiting(self) -> int:
        """Jobs that wait for a turn, over all owners."""
        return self._ready

    def arrive(self, owner: str, count: int = 1) -> None:
        """`count` jobs of this owner became ready."""
        entry = self._owners.get(owner)
        if entry is None:
            entry = self._owners[owner] = _Owner(at=self._now)
        elif entry.waiting <= 0:
            entry.at = max(entry.at, self._now)
        entry.waiting += count
        self._ready += count
        self._queue(owner, entry)

    def leave(self, owner: str, count: int = 1) -> None:
        """`count` ready jobs of this owner ended without a turn: they were cancelled."""
        self.arrive(owner, 0)
        entry = self._owners[owner]
        entry.waiting -= count
        self._ready -= count
        self._rest(owner, entry)

    def plan(self, slots: int) -> dict[str, int]:
        """Gives out up to `slots` turns: how many jobs of which owner to claim. Each is to be settled."""
        turns: dict[str, int] = {}
        while slots > 0 and self._heap:
            at, owner = heapq.heappop(self._heap)
            entry = self._owners.get(owner)
            if entry is None or not entry.queued or entry.at != at:
                continue
            entry.queued = False
            if not self._eligible(owner, entry):
                continue
            self._now = at
            entry.at = at + 1.0 / self._weight(owner)
            self._latest = max(self._latest, entry.at)
            entry.planned += 1
            turns[owner] = turns.get(owner, 0) + 1
            slots -= 1
            self._queue(owner, entry)
        self._planned += sum(turns.values())
        self._unpark()
        return turns

    def settle(self, turns: Mapping[str, int], claimed: Mapping[str, int]) -> None:
        """The claim for `turns` was answered: `claimed` jobs of each owner run now, the other turns are void."""
        for owner, planned in turns.items():
            entry = self._owners[owner]
            got = claimed.get(owner, 0)
            entry.planned -= planned
            self._planned -= planned
            entry.waiting -= got
            self._ready -= got
            entry.running += got
            if got < planned:
                entry.at -= (planned - got) / self._weight(owner)
                entry.queued = False
            self._queue(owner, entry)
            self._rest(owner, entry)

    def done(self, owner: str) -> None:
        """A running job of this owner left its slot."""
        entry = self._owners[owner]
        entry.running -= 1
        self._queue(owner, entry)
        self._rest(owner, entry)

    def _eligible(self, owner: str, entry: _Owner) -> bool:
        if entry.waiting <= entry.planned:
            return False
        cap = self._cap(owner)
        return cap is None or entry.running + entry.planned < cap

    def _queue(self, owner: str, entry: _Owner) -> None:
        if not entry.queued and self._eligible(owner, entry):
            entry.queued = True
            heapq.heappush(self._heap, (entry.at, owner))

    def _rest(self, owner: str, entry: _Owner) -> None:
        """Forgets an idle owner, but not before the clock has passed it: who comes and goes gains nothing by it."""
        if self._ready == 0 and self._planned == 0:
            # Nobody waits: this round is over, and the next begins with everyone level.
            self._now = self._latest
            self._unpark()
        if entry.waiting or entry.planned or entry.running:
            return
        if entry.at <= self._now:
            del self._owners[owner]
        else:
            heapq.heappush(self._parked, (entry.at, owner))

    def _unpark(self) -> None:
        while self._parked and self._parked[0][0] <= self._now:
            _, owner = heapq.heappop(self._parked)
            entry = self._owners.get(owner)
            if entry and entry.waiting == entry.planned == entry.running == 0 and entry.at <= self._now:
                del self._owners[owner]
