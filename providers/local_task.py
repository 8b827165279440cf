"""One call as a model in a worker sees it: how it tells its progress and learns that it was cancelled."""

import threading
import time
from collections.abc import Callable

#: A watcher sees no more than ten steps a second.
_PACE_SECONDS = 0.1


class Cancelled(Exception):
    """Nobody waits for this call any more."""


class Task:
    def __init__(self, report: Callable[[int, int | None, str], None]) -> None:
        self._report = report
        self._reported_at = -_PACE_SECONDS
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        self._cancelled.set()

    def go_on(self) -> None:
        """Raises `Cancelled` where work may stop."""
        if self.cancelled:
            raise Cancelled

    def progress(self, done: int, total: int | None, unit: str) -> None:
        now = time.monotonic()
        if now - self._reported_at >= _PACE_SECONDS:
            self._reported_at = now
            self._report(done, total, unit)
