"""Jobs and errors as the v1 dialect shows them (Bifrost's AsyncJobResponse and BifrostError).

Keys that are not known are absent, never null. A result is spliced in as the bytes that the provider gave: a poll
never parses it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from ..engine.calls import Progress
from ..engine.errors import Refusal
from ..engine.forecast import Queue
from ..engine.jobs import SECOND, Event, Job, State, Ticket
from ..engine.listing import Page
from .operations import OPERATIONS

#: The words of the dialect; it has none for a cancelled job, which is shown as failed with status 499.
_WORDS = {
    State.PENDING: "pending",
    State.PROCESSING: "processing",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "failed",
}

_CANCELLED = "the job was cancelled"

#: What a failure and its error have in common.
_DETAILS: tuple[str, ...] = ("type", "code", "message", "param")


def timestamp(moment: int) -> str:
    """Microseconds UTC as RFC 3339, with six digits and Z."""
    seconds, microseconds = divmod(moment, SECOND)
    return f"{_second(seconds)}.{microseconds:06d}Z"


@lru_cache(maxsize=4096)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Envelope(NamedTuple):
    #: All but the result, which is fixed once it is there: what it takes to see whether anything has changed.
    head: bytes
    body: bytes


def dollars(cost: int) -> str:
    """Picodollars as US dollars, in plain decimal notation."""
    whole, rest = divmod(cost, 1_000_000_000_000)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")


def accepted(id: str, created_at: int, request_id: str, parent: str | None = None) -> bytes:
    """The answer to a submit."""
    more = f',"parent":"{parent}"' if parent else ""
    name = orjson.dumps(request_id).decode()
    created = timestamp(created_at)
    return f'{{"id":"{id}","request_id":{name},"status":"pending","created_at":"{created}"{more}}}\n'.encode()


def envelope(ticket: Ticket, more: Mapping[str, object] | None = None) -> Envelope:
    """The answer to a poll; `more` are extra keys."""
    shown = brief(ticket.job)
    failed = failure(ticket)
    if failed is not None:
        shown["error"] = failed
    if more:
        shown.update(more)
    head = orjson.dumps(shown)
    found = result(ticket)
    if found is not None:
        return Envelope(head, b'%b,"result":%b}\n' % (head[:-1], found))
    return Envelope(head, head + b"\n")


def result(ticket: Ticket) -> bytes | None:
    """The result, with the dialect's extra fields; None of a job that has not completed."""
    if ticket.job.state is not State.COMPLETED or ticket.body is None:
        return None
    return _with_extra_fields(ticket.body, _extra_fields(ticket.job))


def failure(ticket: Ticket) -> dict[str, Any] | None:
    """The error of a job that has failed or was cancelled; None of any other."""
    job = ticket.job
    if job.state is State.CANCELLED:
        return _error(499, cancelled(job), {"request_type": request_type(job)})
    if job.state is State.FAILED and ticket.body is not None:
        return _failure(job, orjson.loads(ticket.body))
    return None


def brief(job: Job) -> dict[str, Any]:
    """The job without its outcome's body."""
    shown: dict[str, Any] = {
        "id": job.id,
        "request_id": job.request_id,
        "status": _WORDS[job.state],
        "created_at": timestamp(job.created_at),
    }
    if job.completed_at is not None and job.expires_at is not None:
        shown["completed_at"] = timestamp(job.completed_at)
        shown["expires_at"] = timestamp(job.expires_at)
        shown["status_code"] = job.status_code
        if job.cost is not None:
            shown["cost"] = dollars(job.cost)
        if job.state is State.CANCELLED:
            shown["state"] = "cancelled"
    return shown


def page(page: Page, *, owners: bool) -> bytes:
    """A page of a list; `owners`: with whose each job is."""
    data = [{**brief(job), **details(job), **({"owner": job.owner} if owners else {})} for job in page.jobs]
    return orjson.dumps({"data": data, **({"next": str(page.next)} if page.next is not None else {})}) + b"\n"


def details(job: Job) -> dict[str, Any]:
    """What the routes of the jobs show beside the dialect's own keys."""
    shown: dict[str, Any] = {"operation": job.operation, "model": job.model, "provider": job.at.provider}
    if job.parent is not None:
        shown["parent"] = job.parent
    if job.cancel_at is not None and not job.state.ended:
        shown["cancel_at"] = timestamp(job.cancel_at)
    return shown


def error(refusal: Refusal) -> bytes:
    """A refusal as the bare BifrostError that answers a request."""
    details = {"message": refusal.message, "code": refusal.code, "param": refusal.param}
    known = {key: value for key, value in details.items() if value is not None}
    shown = _error(refusal.status, known, {})
    if refusal.code.startswith("virtual_key"):
        shown = {"type": refusal.code, **shown}
    return orjson.dumps(shown) + b"\n"


def story(job: Job, events: Sequence[Event]) -> list[dict[str, Any]]:
    """The job's attempts, oldest first: where each ran, when, and how it ended."""
    attempts: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.kind == "claimed":
            attempts[event.attempt] = {
                "attempt": event.attempt,
                "provider": event.data["provider"],
                "model": event.data["model"],
                "started_at": timestamp(event.at),
                "status": "processing",
            }
        elif event.attempt in attempts:
            attempt = attempts[event.attempt]
            attempt["ended_at"] = timestamp(event.at)
            attempt["status"] = event.kind
            for key, value in event.data.items():
                if value is not None:
                    attempt[key] = timestamp(value) if key == "run_at" else value
    return list(attempts.values())


def progress(progress: Progress) -> dict[str, Any]:
    shown: dict[str, Any] = {"done": progress.done, "unit": progress.unit}
    if progress.total is not None:
        shown["total"] = progress.total
    return shown


def queue(queue: Queue) -> dict[str, Any]:
    """Where a pending job stands."""
    shown: dict[str, Any] = {
        "lane": queue.lane,
        "reason": queue.reason,
        "running": queue.running,
        "concurrency": queue.concurrency,
    }
    if queue.position is not None:
        shown |= {"position": queue.position, "exact": queue.exact}
    if queue.starts_at is not None:
        shown["starts_at"] = timestamp(queue.starts_at)
    return shown


def request_type(job: Job) -> str:
    """What the dialect calls the job's operation."""
    operation = OPERATIONS.get(job.operation)
    return operation.request_type if operation else job.operation


def _extra_fields(job: Job) -> dict[str, Any]:
    took = (job.completed_at or 0) - (job.started_at or 0)
    return {
        "request_type": request_type(job),
        "provider": job.at.provider,
        "original_model_requested": job.at.model,
        "resolved_model_used": job.resolved_model or job.at.model,
        "latency": took // 1000,
        "chunk_index": 0,
    }


def _with_extra_fields(result: bytes, extra: dict[str, Any]) -> bytes:
    comma = b"" if result[1:-1].strip() == b"" else b","
    return b'%b%b"extra_fields":%b}' % (result[:-1], comma, orjson.dumps(extra))


def cancelled(job: Job) -> dict[str, str]:
    """What a job that was cancelled is shown to have failed with."""
    late = job.cancel_at is not None and (job.completed_at or 0) >= job.cancel_at
    message = "the job was cancelled: it had not ended by the time that Cancel-After gave it" if late else _CANCELLED
    return {"message": message, "code": "job_cancelled"}


def _failure(job: Job, failure: dict[str, Any]) -> dict[str, Any]:
    details: dict[str, object] = {key: failure[key] for key in _DETAILS if key in failure}
    extra = {
        "provider": failure.get("provider", job.at.provider),
        "original_model_requested": failure.get("model", job.at.model),
        "request_type": request_type(job),
    }
    if "upstream" in failure:
        extra["raw_response"] = failure["upstream"]
    ours = failure.get("type") == "request_timed_out"
    return _error(job.status_code or 500, details, extra, ours=ours)


def _error(
    status: int, details: Mapping[str, object], extra: Mapping[str, object], *, ours: bool = False
) -> dict[str, Any]:
    return {"is_bifrost_error": ours, "status_code": status, "error": details, "extra_fields": extra}
