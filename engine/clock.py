"""Wall time for stamps, and a second opinion on it before anything is thrown away."""

import time
from collections.abc import Callable

from .jobs import SECOND

#: How far the two clocks may be apart before neither is trusted to expire a job.
MAX_DISAGREEMENT = 60 * SECOND


def _boot_time() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Clock:
    """Microseconds UTC. Time is an argument here, so that tests may hand in their own."""

    def __init__(
        self,
        wall: Callable[[], int] = lambda: time.time_ns() // 1000,
        boot: Callable[[], int] = _boot_time,
    ) -> None:
        self._wall = wall
        self._boot = boot
        self._offset = wall() - boot()
        self._jumped_at: int | None = None

    def now(self) -> int:
        """The wall clock."""
        return self._wall()

    def elapsed(self) -> int:
        """Microseconds since the machine's start: what no jump of the wall clock moves."""
        return self._boot()

    def expiry(self) -> int:
        """The moment by which a job must have expired to be gone: the earlier of the wall clock and of what it said
        at the last agreement plus the time that passed since. A wall clock that jumps ahead expires nothing."""
        return min(self._wall(), self._boot() + self._offset)

    def agree(self, patience_seconds: float) -> bool:
        """Whether wall and boot clock still tell the same time; to be asked now and then.

        After a jump they disagree until the wall clock comes back, or until `patience_seconds` have passed: then
        every job that ended before the jump has had its time, and the new wall time is taken as right.
        """
        boot = self._boot()
        offset = self._wall() - boot
        if abs(offset - self._offset) > MAX_DISAGREEMENT:
            if self._jumped_at is None:
                self._jumped_at = boot
            if boot - self._jumped_at < patience_seconds * SECOND:
                return False
        self._jumped_at = None
        self._offset = offset
        return True
