"""A job's story as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from typing import Any

import orjson

from ..engine.calls import Progress
from ..engine.jobs import Event, Job, Ticket
from . import v1

#: A larger outcome is not sent along: its result is to be had by a poll.
_MOST_BYTES = 262_144

#: Keeps a silent connection open, and finds out that it is not.
HEARTBEAT = b": still here\n\n"


def submitted(job: Job) -> bytes:
    """The first event of a job; it has the id 0."""
    shown = v1.brief(job) | v1.details(job)
    return _event("submitted", {key: shown[key] for key in shown if key in _AT_FIRST} | {"status": "pending"}, 0)


def step(number: int, event: Event) -> bytes:
    """A claim or a release, the `number`th event after the first."""
    data: dict[str, Any] = {"attempt": event.attempt, "at": v1.timestamp(event.at)}
    for key, value in event.data.items():
        if value is not None:
            data[key] = v1.timestamp(value) if key == "run_at" else value
    return _event(event.kind, data, number)


def end(number: int, event: Event, ticket: Ticket, *, whole: bool = True) -> bytes:
    """The last event: the job as a poll shows it; without its result where `whole` says so, or where it is large."""
    more = v1.details(ticket.job)
    body = v1.envelope(ticket, more).body
    if not whole or len(body) > _MOST_BYTES:
        body = orjson.dumps(v1.brief(ticket.job) | more | {"result_omitted": True})
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, event.kind.encode(), body.strip())


def progress(attempt: int, progress: Progress, offset: int, text: str) -> bytes:
    """How far the running call has come; `text` is what has been added after `offset` characters. It has no id: after
    a reconnect the text starts over."""
    data: dict[str, Any] = {"attempt": attempt, **v1.progress(progress)}
    if text:
        data |= {"offset": offset, "text": text}
    return _event("progress", data)


_AT_FIRST = {"id", "request_id", "created_at", "operation", "model", "parent"}


def _event(kind: str, data: dict[str, Any], number: int | None = None) -> bytes:
    id = b"" if number is None else b"id: %d\n" % number
    return b"%bevent: %b\ndata: %b\n\n" % (id, kind.encode(), orjson.dumps(data))
