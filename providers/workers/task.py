"""One call as a model in a worker sees it: its files, how it tells its progress and learns that it was cancelled."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

#: A watcher sees no more than ten steps a second.
_PACE_SECONDS = 0.1
#: A file of the result goes to the gateway in pieces of that size, each when the one before it has been written.
_PIECE_BYTES = 1 << 20


class Cancelled(Exception):
    """Nobody waits for this call any more."""


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """A file of the request."""

    name: str
    media_type: str
    size_bytes: int
    path: Path


def _nowhere(_media_type: str, _piece: bytes, _last: bool) -> None:
    raise RuntimeError("there is nobody to take a file")


class Task:
    def __init__(
        self,
        report: Callable[[int, int | None, str, str], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        files: Mapping[str, tuple[TaskFile, ...]] | None = None,
        hand_over: Callable[[str, bytes, bool], None] = _nowhere,
    ) -> None:
        """`report` takes what `progress` takes; `clock` tells seconds; `hand_over` sends a piece of a file of the
        result, with its media type and whether it is the last, and `taken` is called when it has been written."""
        self.files = files or {}
        self._clock = clock
        self._report = report
        self._hand_over = hand_over
        self._text = ""
        self._reported_at = -_PACE_SECONDS
        self._cancelled = threading.Event()
        self._taken: queue.SimpleQueue[str] = queue.SimpleQueue()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        self._cancelled.set()
        # Whoever waits for an answer about a piece learns it there.
        self._taken.put("")

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

    def keep(self, media_type: str, file: BinaryIO) -> str:
        """Makes a file of the result of what `file` still holds; the answer is what stands for it in the result."""
        piece = file.read(_PIECE_BYTES)
        while True:
            next_piece = file.read(_PIECE_BYTES)
            self.go_on()
            self._hand_over(media_type, piece, not next_piece)
            placeholder = self._taken.get()
            self.go_on()
            if not next_piece:
                return placeholder
            piece = next_piece

    def taken(self, placeholder: str) -> None:
        """A piece has been written; with the last one comes what stands for the file."""
        self._taken.put(placeholder)
