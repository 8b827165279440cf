"""One call as a model in a worker sees it: how it tells its progress and learns that it was cancelled."""

import threading
import time
from collections.abc import Callable

#: A watcher sees no more than ten steps a second.
_PACE_SECONDS = 0.1


class Cancelled(Exception):
    """Nobody waits for this call any more."""


class Task:
    def __init__(
        self, report: Callable[[int, int | None, str, str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`report` takes what `progress` takes; `clock` tells seconds."""
        self._clock = clock
        self._report = report
        self._text = ""
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

    def progress(self, done: int, total: int | None, unit: str, text: str = "") -> None:
        """`text` is what has come since the last time; it is kept for the next step that is shown."""
        self._text += text
        now = self._clock()
        if now - self._reported_at >= _PACE_SECONDS:
            self._reported_at = now
            text, self._text = self._text, ""
            self._report(done, total, unit, text)
