"""Jobs as clients are shown them, declared for the documents."""

from typing import Any, ClassVar

from .answers import Answer, Anything, decimal, identifier, moment
from .fields import Examples, Flag, Integer, ListOf, Object, Text

STATUSES = ("pending", "processing", "completed", "failed")

EVENTS = ("submitted", "claimed", "progress", "released", "completed", "failed", "cancelled")

REASONS = ("lane_full", "next", "owner_limit", "held", "stopping")

_JOB: dict[str, Any] = {
    "id": "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de",
    "request_id": "d1b6f7a0-93c5-4b52-8a9e-0a4f6c1e2b77",
    "created_at": "2026-11-21T09:00:00.000000Z",
}
_ENDED = {"completed_at": "2026-11-21T09:00:04.200000Z", "expires_at": "2026-11-21T10:00:04.200000Z"}
_ASKED = {"request_type": "chat_completion", "provider": "echo", "original_model_requested": "echo"}
_STORY = {"operation": "chat/completions", "model": "echo/echo", "provider": "echo"}

_PENDING = {**_JOB, "status": "pending"}
_PROCESSING = {**_JOB, "status": "processing"}
_COMPLETED = {
    **_JOB,
    "status": "completed",
    **_ENDED,
    "status_code": 200,
    "cost": "0",
    "result": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "echo",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris."}}],
        "extra_fields": {**_ASKED, "resolved_model_used": "echo", "latency": 3990, "chunk_index": 0},
    },
}
_FAILED = {
    **_JOB,
    "status": "failed",
    **_ENDED,
    "status_code": 503,
    "error": {
        "is_bifrost_error": False,
        "status_code": 503,
        "error": {"type": "provider_error", "message": "echo was told to answer 503"},
        "extra_fields": {**_ASKED, "raw_response": {"status": 503}},
    },
}
_CANCELLED = {
    **_JOB,
    "status": "failed",
    **_ENDED,
    "status_code": 499,
    "state": "cancelled",
    "error": {
        "is_bifrost_error": False,
        "status_code": 499,
        "error": {"message": "the job was cancelled", "code": "job_cancelled"},
        "extra_fields": {"request_type": "chat_completion"},
    },
}
_ATTEMPT = {
    "attempt": 1,
    "provider": "echo",
    "model": "echo",
    "started_at": "2026-11-21T09:00:00.210000Z",
    "ended_at": "2026-11-21T09:00:04.200000Z",
    "status": "completed",
}
_QUEUE = {"lane": "echo", "reason": "lane_full", "position": 3, "exact": True, "running": 16, "concurrency": 16}


class Ticket(Answer):
    id = identifier("Under which the job is to be asked for.")
    request_id = Text("The caller's `x-request-id`, or one made up.", required=True)
    status = Text("`processing` after a wait that was too short.", required=True, enum=("pending", "processing"))
    created_at = moment("When the job was accepted.", required=True)
    parent = identifier("The job that this one repeats.", required=False)

    examples: ClassVar[Examples] = {"Accepted": _PENDING}


class ExtraFields(Answer):
    request_type = Text("The operation, as Bifrost calls it.")
    provider = Text()
    original_model_requested = Text()
    resolved_model_used = Text()
    latency = Integer("Milliseconds from the first call to the end.")
    chunk_index = Integer()
    raw_response = Anything("The provider's own answer, redacted.")


class Result(Answer):
    """The provider's answer."""

    extra_fields = Object(ExtraFields, required=True)


class JobErrorDetails(Answer):
    message = Text(required=True)
    type = Text("The provider's own word, where it gave one; else one of ours.")
    code = Anything("The provider's own word, where it gave one; else one of ours.")
    param = Anything("What the provider found at fault.")


class JobError(Answer):
    """A BifrostError: why the job failed."""

    is_bifrost_error = Flag("Whether it is the gateway's own: a time-out.", required=True)
    status_code = Integer("499 for a job that was cancelled.", required=True, minimum=400, maximum=599)
    error = Object(JobErrorDetails, required=True)
    extra_fields = Object(ExtraFields, required=True)


class Job(Answer):
    id = identifier("Under which the job is asked for.")
    request_id = Text("The caller's `x-request-id`, or one made up.", required=True)
    status = Text("A job that was cancelled is `failed`, and has `state`.", required=True, enum=STATUSES)
    created_at = moment("When the job was accepted.", required=True)
    completed_at = moment("When it ended.")
    expires_at = moment("When it is forgotten.")
    status_code = Integer("200, or the status of the error; with the end.", minimum=200, maximum=599)
    cost = decimal("US dollars, where it is known; `0` for what is free.")
    state = Text(enum=("cancelled",))
    parent = identifier("The job that this one repeats; where a retry is waited for.", required=False)
    result = Object(Result)
    error = Object(JobError)

    examples: ClassVar[Examples] = {
        "Pending": _PENDING,
        "Processing": _PROCESSING,
        "Completed": _COMPLETED,
        "Failed": _FAILED,
        "Cancelled": _CANCELLED,
    }


class Progress(Answer):
    done = Integer(required=True, minimum=0)
    total = Integer(minimum=0)
    unit = Text("What is counted: `tokens`, `percent`, …", required=True)


class Queue(Answer):
    """Where a pending job stands."""

    lane = Text(required=True)
    reason = Text("Why it has not started.", required=True, enum=REASONS)
    position = Integer("1 is next.", minimum=1)
    exact = Flag("Whether the position is counted, not estimated.")
    running = Integer("Calls that run in the lane.", required=True, minimum=0)
    concurrency = Integer("Calls that may.", required=True, minimum=0)
    starts_at = moment("An estimate; for a held job when it becomes ready.")


class Failure(JobErrorDetails):
    """How a call failed."""

    status_code = Integer(required=True, minimum=400, maximum=599)
    provider = Text()
    model = Text()
    upstream = Anything("The provider's own answer, redacted.")


class Attempt(Answer):
    attempt = Integer("From 1.", required=True, minimum=1)
    provider = Text(required=True)
    model = Text(required=True)
    started_at = moment("When it began.", required=True)
    ended_at = moment("When it ended.")
    status = Text(required=True, enum=("processing", "released", "completed", "failed", "cancelled"))
    status_code = Integer("With the job's end.", minimum=200, maximum=599)
    reason = Text("Why it was given back, or why the job ended without it.")
    run_at = moment("Not before this is the job tried again.")
    failure = Object(Failure, "Why it was given back, where the provider failed.")


class PlanTarget(Answer):
    provider = Text(required=True)
    model = Text(required=True)
    lane = Text(required=True)


class Plan(Answer):
    """What may become of a job yet, and within which bounds."""

    lane = Text(required=True)
    priority = Integer("0 first, 7 last.", required=True, minimum=0, maximum=7)
    targets = ListOf(Object(PlanTarget), required=True, about="The model that was asked for, then the fallbacks.")
    target = Integer("The index of the one that runs it, ran it or is next.", required=True, minimum=0)
    calls = Integer("Upstream calls begun.", required=True, minimum=0)
    calls_left = Integer("Over all targets.", required=True, minimum=0)
    tries_left = Integer("At the present target.", required=True, minimum=0)
    ttl_seconds = Integer("How long the outcome is kept.", required=True, minimum=1)
    ends_by = moment("When it fails if it has not ended.")


class JobStory(Job):
    """A job of whatever operation."""

    operation = Text(required=True)
    model = Text("As the client named it.", required=True)
    provider = Text("The one that runs it, ran it or is next.")
    parent = identifier("The job that this one repeats.", required=False)
    owner = Text("In a list that an admin asked for.")
    cancel_at = moment("When it is cancelled if it has not ended.")
    progress = Object(Progress, "Of the attempt that runs.")
    queue = Object(Queue, "While it is pending.")
    attempts = ListOf(Object(Attempt), about="With `include=attempts`, oldest first.")
    plan = Object(Plan, "With `include=plan`.")

    examples: ClassVar[Examples] = {
        "Pending": {**_PENDING, **_STORY, "queue": _QUEUE},
        "Processing": {**_PROCESSING, **_STORY, "progress": {"done": 12, "total": 100, "unit": "tokens"}},
        "Completed": {**_COMPLETED, **_STORY, "attempts": [_ATTEMPT]},
        "Failed": {**_FAILED, **_STORY},
        "Cancelled": {**_CANCELLED, **_STORY},
    }


class StreamedEvent(Answer):
    """One of a stream's events, by its fields."""

    id = Text("0, 1, 2 … within the job.")
    event = Text(required=True, enum=EVENTS)
    data = Text("JSON.", required=True)


class JobPage(Answer):
    data = ListOf(Object(JobStory), about="Newest first, without results and errors.", required=True)
    next = Text("The `cursor` of the next page; absent on the last.")

    examples: ClassVar[Examples] = {
        "A page": {"data": [{**_PENDING, **_STORY}], "next": "41"},
        "The last": {"data": []},
    }
