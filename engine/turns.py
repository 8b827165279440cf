"""Fair turns: whose job a free slot takes next.

A clock `V` and, per owner, `at`: the time of its next turn. An owner that begins to wait starts at `max(at, V)`; a turn
goes to the owner with the least `at` that has a job waiting and gets a slot of the ledger, moves `V` there, and moves
the owner on by `1 / weight`. So no owner waits longer than a round, however much another has submitted (start-time fair
queueing, Goyal et al. 1996). Which of the owner's own jobs is taken, the store's index decides.

Pure: no clock, no I/O. The counts change by what the store has committed, so they may be announced out of order and
`waiting` may be below zero for a moment; it is never clamped, and so never drifts.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, floor

from .ledger import Ledger

#: Below that many, owners and places in the queue are not worth a clean-up.
_FEW = 32


@dataclass(slots=True)
class _Owner:
    at: float = 0.0
    waiting: int = 0
    #: Turns given out whose claim has not been answered yet.
    planned: int = 0
    running: int = 0
    #: The number of this owner's place in the queue; None: it has none. A place with another number is void.
    place: int | None = None
    #: Whether the ledger has been asked to tell when the owner may have a slot.
    parked: bool = False

    @property
    def idle(self) -> bool:
        return self.waiting == self.planned == self.running == 0


class Turns:
    def __init__(
        self,
        *,
        weight: Callable[[str], float] = lambda _owner: 1.0,
        ledger: Ledger | None = None,
        woken: Callable[[], None] = lambda: None,
    ) -> None:
        """`weight` gives an owner's share (1 is usual). The `ledger` says whether one more job of an owner may run;
        `woken` is called when room that was made elsewhere may allow a turn here."""
        self._weight = weight
        self._ledger = ledger or Ledger()
        self._woken = woken
        self._now = 0.0
        #: The latest `at` that was ever given: where the clock stands when nobody waits.
        self._latest = 0.0
        self._owners: dict[str, _Owner] = {}
        self._most_owners = _FEW
        #: A heap of (at, place, owner): first come, first served among equals.
        self._queue: list[tuple[float, int, str]] = []
        self._most_places = _FEW
        #: Places that were ever given.
        self._places = 0
        self._waiting = 0
        self._planned = 0

    @property
    def waiting(self) -> int:
        """Jobs that wait for a turn, over all owners."""
        return self._waiting

    def ahead(self, owner: str) -> int:
        """At most that many turns come before the one of this owner's job that arrived last."""
        entry = self._owners.get(owner)
        own = entry.waiting if entry else 0
        return max(min(self._waiting, own * len(self._owners)) - 1, 0)

    def before(self, owner: str, own: int) -> int:
        """How many turns come before the one of a job that has `own` jobs of its owner before it, if nothing else
        comes or goes, and while no owner is at its cap."""
        mine = self._owners.get(owner)
        if mine is None or own < mine.planned:
            return own
        turn = mine.at + (own - mine.planned) / self._weight(owner)
        count = own
        for name, entry in self._owners.items():
            if name == owner:
                continue
            gap = (turn - entry.at) * self._weight(name)
            # Of two turns at the same time, that of the one goes first whose place was given first.
            first = (-entry.at, entry.place or 0) < (-mine.at, mine.place or 0)
            turns = floor(gap) + 1 if first else ceil(gap)
            count += entry.planned + min(max(turns, 0), max(entry.waiting - entry.planned, 0))
        return count

    def arrive(self, owner: str, count: int = 1) -> None:
        """`count` jobs of this owner became ready."""
        entry = self._owners.setdefault(owner, _Owner())
        entry.waiting += count
        self._waiting += count
        self._review(owner, entry)

    def leave(self, owner: str, count: int = 1) -> None:
        """`count` ready jobs of this owner ended without a turn: they were cancelled."""
        self.arrive(owner, -count)

    def plan(self, slots: int) -> dict[str, int]:
        """Gives out up to `slots` turns: how many jobs of which owner to claim. Each is to be settled."""
        turns: dict[str, int] = {}
        while slots > 0 and self._queue:
            at, place, owner = heapq.heappop(self._queue)
            entry = self._owners.get(owner)
            if entry is None or entry.place != place:
                continue
            entry.place = None
            if not self._ledger.take(owner):
                self._park(owner, entry)
                continue
            self._unpark(owner, entry)
            self._now = max(self._now, at)
            entry.at = at + 1.0 / self._weight(owner)
            self._latest = max(self._latest, entry.at)
            entry.planned += 1
            self._planned += 1
            turns[owner] = turns.get(owner, 0) + 1
            slots -= 1
            self._review(owner, entry)
        return turns

    def settle(self, turns: Mapping[str, int], claimed: Mapping[str, int]) -> None:
        """The claim for `turns` was answered: `claimed` jobs of each owner run now, the other turns are void."""
        for owner, planned in turns.items():
            entry = self._owners[owner]
            got = claimed.get(owner, 0)
            entry.planned -= planned
            self._planned -= planned
            entry.waiting -= got
            self._waiting -= got
            entry.running += got
            if got < planned:
                entry.at -= (planned - got) / self._weight(owner)
                entry.place = None
                self._ledger.give_back(owner, planned - got)
            self._review(owner, entry)

    def done(self, owner: str) -> None:
        """A running job of this owner left its slot."""
        entry = self._owners[owner]
        entry.running -= 1
        self._ledger.give_back(owner)
        self._review(owner, entry)

    def _room(self, owner: str) -> None:
        """The owner, which waits here, has given a slot back somewhere."""
        self._review(owner, self._owners[owner])
        self._woken()

    def _park(self, owner: str, entry: _Owner) -> None:
        entry.parked = True
        self._ledger.park(owner, self._room)

    def _unpark(self, owner: str, entry: _Owner) -> None:
        if entry.parked:
            entry.parked = False
            self._ledger.leave(owner, self._room)

    def _review(self, owner: str, entry: _Owner) -> None:
        """Gives the owner a place in the queue, or takes it away, as its counts now say."""
        if entry.waiting <= entry.planned:
            entry.place = None
            self._unpark(owner, entry)
        elif entry.place is None and not self._ledger.free(owner):
            self._park(owner, entry)
        elif entry.place is None:
            # Whoever could not use its turns, for want of jobs or by its cap, has saved none up.
            entry.at = max(entry.at, self._now)
            self._places += 1
            entry.place = self._places
            heapq.heappush(self._queue, (entry.at, entry.place, owner))
        if self._waiting == 0 and self._planned == 0:
            # Nobody waits: this round is over, and the next begins with everyone level.
            self._now = self._latest
        self._clean_up()

    def _clean_up(self) -> None:
        """Drops void places, and idle owners that the clock has passed: one that is ahead of it must not gain by
        going and coming back. Seldom: only when there are twice as many as the last clean-up left."""
        if len(self._owners) > self._most_owners:
            self._owners = {o: e for o, e in self._owners.items() if not (e.idle and e.at <= self._now)}
            self._most_owners = max(_FEW, 2 * len(self._owners))
        if len(self._queue) > self._most_places:
            self._queue = [
                (at, place, owner)
                for at, place, owner in self._queue
                if (entry := self._owners.get(owner)) is not None and entry.place == place
            ]
            heapq.heapify(self._queue)
            self._most_places = max(_FEW, 2 * len(self._queue))
