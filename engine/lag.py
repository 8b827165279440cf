"""How late the event loop is: what every request and every job waits, whatever it does."""

import asyncio
import time
from collections import deque

from .meters import Meters

_EVERY_SECONDS = 0.25
_MINUTE = int(60 / _EVERY_SECONDS)


class Lag:
    def __init__(self, meters: Meters) -> None:
        self._histogram = meters.lag
        self._latest: deque[float] = deque(maxlen=_MINUTE)

    @property
    def worst(self) -> float:
        """The most seconds that the loop was late in the last minute."""
        return max(self._latest, default=0.0)

    async def watch(self) -> None:
        """Sleeps, and takes how late it wakes, until it is cancelled."""
        while True:
            due = time.perf_counter() + _EVERY_SECONDS
            await asyncio.sleep(_EVERY_SECONDS)
            late = max(time.perf_counter() - due, 0.0)
            self._histogram.observe(late)
            self._latest.append(late)
