"""One alarm for all that is to happen later: it is set to the earliest moment, and rings when that has come."""

import asyncio

from .clock import Clock
from .jobs import SECOND

#: The longest sleep, so that a clock that jumps is noticed.
_MAX_NAP_SECONDS = 30.0


class Alarm:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moment: int | None = None
        self._set = asyncio.Event()
        self._stopped = False

    def set(self, moment: int | None) -> None:
        """Rings at `moment`, microseconds UTC, unless it rings before; None is no moment."""
        if moment is not None and (self._moment is None or moment < self._moment):
            self._moment = moment
            self._set.set()

    def reset(self) -> None:
        """Forgets the moment it was set to."""
        self._moment = None

    def stop(self) -> None:
        """Ends the waiting: it rings no more."""
        self._stopped = True
        self._set.set()

    async def rings(self) -> bool:
        """Returns when it rings, or when half a minute has passed; False once it was stopped."""
        while not self._stopped:
            nap = _MAX_NAP_SECONDS
            if self._moment is not None:
                nap = min(max((self._moment - self._clock.now()) / SECOND, 0), nap)
            try:
                async with asyncio.timeout(nap):
                    await self._set.wait()
            except TimeoutError:
                return True
            self._set.clear()
        return False
