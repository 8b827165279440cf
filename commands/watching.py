"""Waits for the end of a job by its events, and shows how it goes."""

import time
from typing import Any

from .client import NotReached, Server
from .course import Course, standing
from .progress import progress
from .terminal import Terminal

#: So long a server may be away while a job is watched: it may be starting again.
_ABSENCE_SECONDS = 30.0
_AGAIN_SECONDS = 0.5

ENDS = ("completed", "failed", "cancelled")


def job(server: Server, id: str, *, story: bool = False) -> dict[str, Any]:
    """The job as it is now; with its `story`, how it came there and what may become of it."""
    query = "?include=attempts,plan" if story else ""
    shown: dict[str, Any] = server.ask("GET", f"/v1/async/jobs/{id}{query}").json
    return shown


def state(shown: dict[str, Any]) -> str:
    """A cancelled job is shown as failed, with a state of its own."""
    return str(shown.get("state", shown["status"]))


def watch(server: Server, id: str, terminal: Terminal, *, deadline: float | None = None) -> dict[str, Any] | None:
    """The job when it has ended; None at the deadline, a reading of the monotonic clock. A server that is away for a
    moment is asked again."""

    def where() -> str:
        try:
            return standing(job(server, id).get("queue"))
        except (NotReached, KeyError):
            return ""

    course = Course()
    last: str | None = None
    away_since: float | None = None
    with progress(terminal, id[:8], where) as bar:
        while True:
            try:
                for event in server.events(id, last, deadline=deadline):
                    away_since = None
                    last = event.id if event.id is not None else last
                    course.hear(event)
                    bar.show(course)
                shown = job(server, id)
                if state(shown) in ENDS:
                    return shown
            except TimeoutError:
                return None
            except NotReached:
                away_since = away_since or time.monotonic()
                if last is None or time.monotonic() - away_since > _ABSENCE_SECONDS:
                    raise
                course.why = "the server is away"
                bar.show(course)
            if deadline is not None and time.monotonic() > deadline:
                return None
            time.sleep(_AGAIN_SECONDS)
