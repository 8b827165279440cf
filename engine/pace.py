"""How quickly a lane moves of late, and what follows for those who wait in it."""

#: What the latest call counts for; the first ones count for more.
_WEIGHT = 0.1


class Pace:
    def __init__(self) -> None:
        #: Seconds that a call holds its slot, as a moving average; None before the first has ended.
        self.seconds: float | None = None
        self._count = 0

    def note(self, seconds: float) -> None:
        """A call has left its slot after so long."""
        self._count += 1
        if self.seconds is None:
            self.seconds = seconds
        else:
            self.seconds += (seconds - self.seconds) * max(_WEIGHT, 1 / self._count)

    def until_start(self, ahead: int, free: int, slots: int) -> float | None:
        """Seconds until a job starts that has so many `ahead` of it, in a lane of so many `slots`, of which some are
        `free`; None if that is not known yet."""
        if ahead < free:
            return 0.0
        if self.seconds is None:
            return None
        return (ahead - free + 1) * self.seconds / slots

    def until_end(self, elapsed: float) -> float | None:
        """Seconds that a call which has taken `elapsed` will probably take yet; one that takes longer than usual is
        asked for again after a tenth of its time."""
        if self.seconds is None:
            return None
        return max(self.seconds - elapsed, elapsed / 10)
