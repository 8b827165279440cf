"""Jobs and errors as the v3 dialect shows them (Eden AI's UniversalAIAsyncResponse and FastAPI's errors).

A result is kept as the feature's output, and is spliced in as the bytes that it is: a poll never parses it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from ..engine.errors import (
    InvalidRequest,
    InvalidToken,
    JobNotFound,
    Refusal,
    Unacceptable,
    Unauthorized,
    UnknownKey,
    UnknownModel,
)
from ..engine.jobs import SECOND, Event, Job, State, Submission, Ticket
from ..engine.numbered import NumberedPage
from . import numbered
from .v1 import Envelope, dollars

#: The words of the dialect; the finer one of ours is in `state`.
STATUSES: Mapping[str, tuple[State, ...]] = {
    "processing": (State.PENDING, State.PROCESSING),
    "success": (State.COMPLETED,),
    "fail": (State.FAILED, State.CANCELLED),
}
_WORDS = {state: word for word, states in STATUSES.items() for state in states}

#: How an attempt ended, by its event; one that was given back without a failure has called nobody.
_ATTEMPTS = {"completed": "success", "failed": "fail", "released": "released", "cancelled": "cancelled"}

#: The parts of a field's name, as `reference_images[1].file`.
_PART = re.compile(r"[^.\[\]]+")
_LONGEST_PART = 40

#: The type of an error where our code says no more than that a value is wrong.
_WRONG = "value_error"


class UnknownFeature(Unacceptable):
    """There is no such feature."""

    def __init__(self, message: str, *, available: Mapping[str, Sequence[str]]) -> None:
        """`available`: what there is, under the name that the answer gives it."""
        super().__init__(message)
        self.available = available


def timestamp(moment: int) -> str:
    """Microseconds UTC in ISO 8601, with six digits and the offset."""
    seconds, microseconds = divmod(moment, SECOND)
    return f"{_second(seconds)}.{microseconds:06d}+00:00"


@lru_cache(maxsize=4096)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def named_model(job: Job) -> str | None:
    """The model that serves, as far as a client is told: the end of what it named, None where it named a provider
    alone; of a fallback, the model there."""
    return job.at.model if job.target else _tail(job.model)


def _tail(model: str) -> str | None:
    """What follows the provider in a model's whole name, if anything does."""
    parts = model.split("/", 3)
    return (parts[3] or None) if len(parts) == 4 else None


def brief(job: Job) -> dict[str, Any]:
    """A job of a list."""
    feature, _, subfeature = job.operation.partition("/")
    return {
        "public_id": job.id,
        "status": _WORDS[job.state],
        "feature": feature,
        "subfeature": subfeature,
        "provider": job.at.provider,
        "model": named_model(job),
        "created_at": timestamp(job.created_at),
    }


def page(page: NumberedPage, number: int, limit: int) -> bytes:
    """A page of a list."""
    return _line(numbered.page([brief(job) for job in page.jobs], page.total, number, limit))


def accepted(submission: Submission) -> bytes:
    """The answer to a submit."""
    feature, _, subfeature = submission.operation.partition("/")
    return _line(
        {
            "public_id": submission.id,
            "status": "processing",
            "feature": feature,
            "subfeature": subfeature,
            "provider": submission.targets[0].provider,
            "model": _tail(submission.model),
            "created_at": timestamp(submission.created_at),
            "cost": "0",
            "state": "pending",
        }
    )


def envelope(ticket: Ticket, more: Mapping[str, object] | None = None) -> Envelope:
    """The answer to a poll; `more` are extra keys."""
    job = ticket.job
    shown = brief(job) | _cost(job) | {"state": str(job.state)}
    if job.completed_at is not None and job.expires_at is not None:
        shown |= {"finished_at": timestamp(job.completed_at), "expires_at": timestamp(job.expires_at)}
    return _with_outcome(ticket, {**shown, **(more or {})})


def answer(ticket: Ticket, more: Mapping[str, object] | None = None) -> bytes:
    """The answer to who has waited for the job: what has become of it, without the job."""
    job = ticket.job
    feature, _, subfeature = job.operation.partition("/")
    shown = {
        "status": _WORDS[job.state],
        **_cost(job),
        "provider": job.at.provider,
        "feature": feature,
        "subfeature": subfeature,
    }
    return _with_outcome(ticket, {**shown, **(more or {})}).body


def error(ticket: Ticket) -> dict[str, Any] | None:
    """Why a job has failed; None of any other."""
    job = ticket.job
    if job.state is State.CANCELLED:
        return {"message": "cancelled"}
    if job.state is not State.FAILED:
        return None
    return _failure(orjson.loads(ticket.body or b"{}"))


def attempts(events: Sequence[Event], last: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The job's attempts, oldest first: where each ran, when, and how it ended. `last` is the error of the job, which
    its last attempt has too."""
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.kind == "claimed":
            found[event.attempt] = {
                "provider": event.data["provider"],
                "model": event.data["model"],
                "status": "processing",
                "started_at": timestamp(event.at),
            }
        elif event.attempt in found:
            attempt = found[event.attempt]
            attempt |= {"status": _ATTEMPTS[event.kind], "ended_at": timestamp(event.at)}
            failure = event.data.get("failure")
            if failure:
                attempt |= {"status": "fail", "error": _failure(failure)}
            elif event.kind == "failed" and last is not None:
                attempt["error"] = last
    return list(found.values())


def metadata(requested: str, mode: str, tags: Mapping[str, str], story: Sequence[Event]) -> dict[str, Any]:
    """What `x-edenai-metadata` asks for; `mode` is sync or async. Every provider is called with a key of the
    operator's own, and none of them has regions here."""
    tried = [
        {"provider": attempt["provider"], "model": attempt["model"], "status": attempt["status"], "region": None}
        for attempt in attempts(story)
    ]
    last = tried[-1] if tried else None
    return {
        "requested": requested,
        "region": None,
        "summary": f"{last['provider']}/{last['model']}: {last['status']}" if last else "waiting",
        "attempt": len(tried),
        "is_byok": True,
        "attempts": tried,
        "tags": dict(tags),
        "mode": mode,
    }


def status(refusal: Refusal) -> int:
    """The refusal's status there."""
    if isinstance(refusal, Unauthorized):
        return 403
    if isinstance(refusal, UnknownKey | InvalidToken):
        return 401
    return 422 if _invalid(refusal) else refusal.status


def refusal(refusal: Refusal, _request_id: str) -> bytes:
    """The error as FastAPI has it: a list of faults where the request is not valid, else a sentence."""
    return _line({"detail": [_fault(refusal)] if status(refusal) == 422 else _sentence(refusal)})


def _invalid(refusal: Refusal) -> bool:
    unusable = isinstance(refusal, UnknownModel | Unacceptable)
    return isinstance(refusal, InvalidRequest) and refusal.status == 400 and not unusable


def _fault(refusal: Refusal) -> dict[str, Any]:
    parts = [part[:_LONGEST_PART] for part in _PART.findall(refusal.param or "")]
    where = [int(part) if part.isascii() and part.isdigit() else part for part in parts]
    code = refusal.code
    kind = _WRONG if code in (InvalidRequest.code, "unprocessable") else code
    return {"loc": [refusal.place, *where], "msg": refusal.message, "type": kind}


def _sentence(refusal: Refusal) -> str | dict[str, Any]:
    if isinstance(refusal, Unauthorized):
        return "Not authenticated"
    if isinstance(refusal, UnknownKey | InvalidToken):
        return "Invalid token" if type(refusal) is UnknownKey else f"Invalid token: {refusal.message}"
    if isinstance(refusal, UnknownFeature):
        return {"message": refusal.message, **refusal.available}
    return "Job not found" if isinstance(refusal, JobNotFound) else refusal.message


def _cost(job: Job) -> dict[str, Any]:
    """A decimal string always; beside a 0 that stands for what is not known, that it does."""
    if job.cost is not None:
        return {"cost": dollars(job.cost)}
    return {"cost": "0", "cost_known": False} if job.state.ended else {"cost": "0"}


def _failure(failure: Mapping[str, Any]) -> dict[str, Any]:
    """What a failure, as it is kept, is shown as."""
    shown = {"message": str(failure.get("message") or "the job failed")}
    if failure.get("code") is not None:
        shown["code"] = failure["code"]
    upstream = failure.get("upstream")
    if isinstance(upstream, dict) and isinstance(upstream.get("status"), int):
        shown["provider_status_code"] = upstream["status"]
    return shown


def _with_outcome(ticket: Ticket, shown: dict[str, Any]) -> Envelope:
    """The whole answer: `output` is there from the job's end on."""
    failed = error(ticket)
    if failed is not None:
        shown |= {"output": None, "error": failed}
    head = orjson.dumps(shown)
    body = head
    if ticket.job.state is State.COMPLETED:
        body = b'%b,"output":%b}' % (body[:-1], ticket.body or b"null")
    if ticket.original is not None and ticket.job.state.ended:
        body = b'%b,"original_response":%b}' % (body[:-1], ticket.original)
    return Envelope(head, body + b"\n")


def _line(content: object) -> bytes:
    return orjson.dumps(content) + b"\n"
