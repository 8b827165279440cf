"""How many requests an owner may still make in this minute: the generic cell rate algorithm (ITU-T I.371).

A bucket that holds a minute's requests and fills up evenly. Kept of an owner is one moment, when its bucket is full
again; an owner whose bucket is full is forgotten.
"""

from dataclasses import dataclass

from .clock import Clock
from .jobs import SECOND

_MINUTE = 60 * SECOND

#: Below that many, owners are not worth a clean-up.
_FEW = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    #: Whether the request may be made; one that may not is not counted.
    granted: bool
    #: Requests that may be made at once after this one.
    left: int
    #: Seconds until a whole minute's requests may be made at once.
    full_seconds: float
    #: Seconds until the next request may be made.
    next_seconds: float


class Rates:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: By owner: when its bucket is full again.
        self._full: dict[str, int] = {}
        self._most = _FEW

    def __len__(self) -> int:
        return len(self._full)

    def ask(self, owner: str, per_minute: int) -> Allowance:
        """Counts one request of this owner, if it may have it now."""
        return self._look(owner, per_minute, count=True)

    def look(self, owner: str, per_minute: int) -> Allowance:
        """What `ask` would say; counts nothing."""
        return self._look(owner, per_minute, count=False)

    def _look(self, owner: str, per_minute: int, *, count: bool) -> Allowance:
        now = self._clock.elapsed()
        # Rounded up: never more than what is allowed.
        cost = -(-_MINUTE // per_minute)
        room = cost * per_minute - max(self._full.get(owner, 0) - now, 0)
        granted = room >= cost
        if granted and count:
            room -= cost
            self._full[owner] = now + cost * per_minute - room
            self._clean_up(now)
        return Allowance(
            granted=granted,
            left=room // cost,
            full_seconds=(cost * per_minute - room) / SECOND,
            next_seconds=max(cost - room, 0) / SECOND,
        )

    def _clean_up(self, now: int) -> None:
        """Forgets whose bucket is full. Seldom: only when there are twice as many as the last clean-up left."""
        if len(self._full) > self._most:
            self._full = {owner: full for owner, full in self._full.items() if full > now}
            self._most = max(_FEW, 2 * len(self._full))
