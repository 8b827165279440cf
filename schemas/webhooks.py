"""What receivers of webhooks are sent, in both dialects: frozen when the job ends, and the same for every attempt."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from ..engine.hooks import Announce, Notice
from ..engine.jobs import Hook, Job, State, Ticket
from . import v1, v3
from .config import Config
from .names import answers_files

#: Makes the address of a result's file, from its job's id and its place among the files.
Links = Callable[[str, int], str]

#: What stands in a result for a file, and for a file or its address.
_FILE = re.compile(rb'"blob:([0-9a-f-]{36})"')
_FILE_OR_LINK = re.compile(rb'"(blob|link):([0-9a-f-]{36})"')

_COMPLETED, _FAILED = "async_job.completed", "async_job.failed"
#: The one event of the v3 dialect; `status` says how the job has ended.
_ENDED = "async_job_completed"


def announce(config: Config, links: Links | None = None) -> Announce:
    """What makes the notice of a job's end. `links`: None: files have no addresses, which are then null."""
    most = config.webhooks.max_payload_bytes
    base = (config.server.base_url or "").rstrip("/")

    def notice(ticket: Ticket, hook: Hook) -> Notice:
        if ticket.job.dialect == "v3":
            return Notice(_ENDED, _v3(ticket, hook, most, links))
        event = _COMPLETED if ticket.job.state is State.COMPLETED else _FAILED
        return Notice(event, _v1(event, ticket, most, base))

    return notice


def _v1(event: str, ticket: Ticket, most: int, base: str) -> bytes:
    job = ticket.job
    brief = v1.brief(job)
    data: dict[str, Any] = {
        "job_id": job.id,
        "request_type": v1.request_type(job),
        "status": brief["status"],
        "status_code": job.status_code,
        "result_url": f"{base}/v1/async/{job.operation}/{job.id}",
        "result_expires_at": brief["expires_at"],
    }
    if job.state is State.CANCELLED:
        data["state"] = brief["state"]
    name, part = ("response", _response(ticket, most)) if event == _COMPLETED else ("error", _error(ticket))
    head = orjson.dumps({"event": event, "created_at": brief["completed_at"], "data": data})[:-2]
    if part is None or len(head) + len(part) + len(name) + len(',"":}}') > most:
        return b'%b,"%b_omitted":true}}' % (head, name.encode())
    return b'%b,"%b":%b}}' % (head, name.encode(), part)


def _response(ticket: Ticket, most: int) -> bytes | None:
    """None: it is too large, or has files, which are collected and not sent."""
    if ticket.body is not None and len(ticket.body) > most:
        return None
    found = v1.result(ticket)
    return None if found is None or (answers_files(ticket.job.operation) and _FILE.search(found)) else found


def _error(ticket: Ticket) -> bytes | None:
    """None: it is not known."""
    found = v1.failure(ticket)
    return None if found is None else orjson.dumps(found)


def _v3(ticket: Ticket, hook: Hook, most: int, links: Links | None) -> bytes:
    job = ticket.job
    brief = v3.brief(job)
    shown: dict[str, Any] = {"event": _ENDED, "job_id": brief.pop("public_id"), **brief}
    shown["finished_at"] = v3.timestamp(job.completed_at or job.created_at)
    failed = v3.error(ticket)
    if failed is not None:
        shown["error"] = failed
    parts = {}
    if failed is None:
        body = ticket.body or b"null"
        parts["output"] = _rendered(job, body, links) if answers_files(job.operation) and len(body) <= most else body
    if ticket.original is not None:
        parts["original_response"] = ticket.original
    if hook.parameters is not None:
        shown["user_parameters"] = orjson.Fragment(hook.parameters)
    spoken = {name: len(f',"{name}":') + len(part) for name, part in parts.items()}
    # What it takes to say of a part that it is left out, where that is less.
    silent = {name: min(spoken[name], len(f',"{name}":null,"{name}_omitted":true')) for name in parts}
    left = most - len(orjson.dumps(shown)) - sum(silent.values())
    for name, part in parts.items():
        more = spoken[name] - silent[name]
        if more <= left:
            left -= more
            shown[name] = orjson.Fragment(part)
        else:
            shown |= {name: None, f"{name}_omitted": True}
    return orjson.dumps(shown)


def _rendered(job: Job, body: bytes, links: Links | None) -> bytes:
    """The output without its files: null where they would be, and an address where one belongs."""
    places: dict[bytes, int] = {}

    def put(found: re.Match[bytes]) -> bytes:
        place = places.setdefault(found[2], len(places))
        if found[1] == b"blob" or links is None:
            return b"null"
        return orjson.dumps(links(job.id, place))

    return _FILE_OR_LINK.sub(put, body)
