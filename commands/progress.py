"""What a person sees while a job runs: a bar that is drawn again, or plain lines where nothing can be."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol, Self

from .course import Course
from .moments import lasted
from .terminal import STATUS_COLOURS, Region, Terminal, columns, fitted, printable, tail

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_SECONDS = 0.12
#: While the job waits, it is asked so seldom why.
_FRAMES_A_QUESTION = 16
_LONGEST_BAR, _SHORTEST_BAR = 30, 8
#: Lines of the answer that are shown as it comes.
_TEXT_LINES = 3
#: Between two lines about the same call.
_LINE_SECONDS = 5.0


class Progress(Protocol):
    def show(self, course: Course) -> None:
        """The course has changed."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def progress(terminal: Terminal, name: str, where: Callable[[], str] = lambda: "") -> Progress:
    """For standard error. `where` says why the job waits, and is asked now and then."""
    return Bar(terminal, name, where) if terminal.live else Lines(terminal, name)


class Lines:
    def __init__(self, terminal: Terminal, name: str) -> None:
        self._terminal = terminal
        self._name = name
        self._said = ""
        self._next = 0.0

    def show(self, course: Course) -> None:
        state = " ".join(part for part in (course.status, course.at) if part) + (
            f": {course.why}" if course.why else ""
        )
        if state == self._said and (not course.count or time.monotonic() < self._next):
            return
        count = f" {course.count}" if course.count and state == self._said else ""
        self._said, self._next = state, time.monotonic() + _LINE_SECONDS
        self._terminal.show(f"{self._name} {state}{count}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to clear."""


class Bar:
    def __init__(self, terminal: Terminal, name: str, where: Callable[[], str]) -> None:
        self._terminal = terminal
        self._name = name
        self._where = where
        self._region = Region(sys.stderr)
        self._course = Course()
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def show(self, course: Course) -> None:
        self._course = course

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticker.join()
        self._region.clear()

    def _tick(self) -> None:
        frame = 0
        while True:
            course = self._course
            if course.status == "pending" and frame % _FRAMES_A_QUESTION == 2 and (why := self._where()):
                course.why = why
            self._region.draw(self._lines(course, _FRAMES[frame % len(_FRAMES)]))
            frame += 1
            if self._over.wait(_FRAME_SECONDS):
                return

    def _lines(self, course: Course, frame: str) -> list[str]:
        width = self._terminal.width - 1
        paint = self._terminal.paint
        left = [paint(frame, "cyan"), paint(course.status, STATUS_COLOURS[course.status])]
        used = 2 + len(course.status)
        seconds = time.monotonic() - self._began
        elapsed = f"{seconds:.1f} s" if seconds < 60 else lasted(seconds)
        right = [part for part in (course.count, elapsed) if part]
        room = width - used - sum(2 + len(part) for part in right)
        bar = ""
        if course.fraction is not None and room - 2 >= _SHORTEST_BAR:
            size = min(_LONGEST_BAR, max(room // 2, _SHORTEST_BAR))
            full = round(course.fraction * size)
            bar = paint("━" * full, "cyan") + paint("─" * (size - full), "dim")
            room -= 2 + size
        what = printable(course.at or course.why or self._name).replace("\n", " ")
        if room > 6:
            left.append(fitted(what, min(columns(what), room - 2)))
        line = "  ".join([" ".join(left[:2]), *left[2:], *([bar] if bar else []), *(paint(p, "dim") for p in right)])
        shown = tail(course.text, width - 2, _TEXT_LINES) if course.text.strip() else []
        return [line, *(paint(f"  {text}", "dim") for text in shown)]
