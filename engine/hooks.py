"""Hooks: who is told of a job's end, and what. A notice is made in the commit of the end, and never changes."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson

from .jobs import Hook, State, Ticket

log = logging.getLogger(__name__)


class Notice(NamedTuple):
    """What a receiver is sent."""

    event: str
    #: Compact JSON.
    payload: bytes


#: Makes the notice of a job as it has ended. It is called in the transaction of the end, on the loop: it is quick, and
#: looks at nothing but what it is given.
Announce = Callable[[Ticket, Hook], Notice]


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A receiver that the configuration names."""

    url: str
    #: What its deliveries are signed with, the newest first; empty: the store's.
    secrets: tuple[bytes, ...] = ()
    #: None: as for all receivers.
    allow_private: bool | None = None


def bare(ticket: Ticket, _hook: Hook) -> Notice:
    """The notice that says no more than that the job has ended."""
    job = ticket.job
    done = job.state is State.COMPLETED
    if job.dialect == "v3":
        event = "async_job_completed"
        return Notice(event, orjson.dumps({"event": event, "job_id": job.id, "status": "success" if done else "fail"}))
    status = "completed" if done else "failed"
    event = f"async_job.{status}"
    data = {"job_id": job.id, "status": status, "status_code": job.status_code}
    return Notice(event, orjson.dumps({"event": event, "data": data}))


def notice(announce: Announce, ticket: Ticket, hook: Hook) -> Notice:
    """What `announce` makes; where it fails, the bare notice: a job's end is not lost because it cannot be told of."""
    try:
        return announce(ticket, hook)
    except Exception:
        log.exception("job %s: the notice of its end could not be made", ticket.job.id)
        return bare(ticket, hook)


class Arrivals:
    """What statements that end jobs take with them: how notices are made; and what they leave: for whom there are
    some."""

    def __init__(self) -> None:
        #: Where nobody says more, no more is told than that a job has ended.
        self.announce: Announce = bare
        #: By owner and receiver, of the transaction that is under way: nothing of it can be found before its commit.
        self.queues: set[tuple[str, str]] = set()
        self._committed: set[tuple[str, str]] = set()

    def commit(self) -> bool:
        """To be called after each commit; whether there is more to be taken."""
        self._committed |= self.queues
        arrived = bool(self.queues)
        self.queues.clear()
        return arrived

    def taken(self) -> set[tuple[str, str]]:
        """What commits have left, which is then forgotten."""
        queues, self._committed = self._committed, set()
        return queues


def receiver_of(hook: Hook) -> str:
    """What deliveries that go to the same place have in common: an endpoint's name, or the scheme, host and port of an
    address, which has been checked."""
    if hook.endpoint is not None:
        return hook.endpoint
    parts = urlsplit(hook.url or "")
    host = parts.hostname or ""
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
