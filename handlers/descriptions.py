"""The routes in words, one description each, by the names that their handlers give; imported for the document alone."""

from ..engine.errors import (
    BodyTooLarge,
    Conflict,
    InvalidRequest,
    KeyReused,
    NotFound,
    Overloaded,
    RateLimited,
    StoreUnavailable,
    Unavailable,
    UnsupportedEncoding,
)
from ..schemas import answers, job_answers, parameters
from ..schemas.keys import NewKey, NewToken
from ..schemas.operations import Operation
from ..schemas.queries import JobsQuery
from ..schemas.tables import schema_of
from .ranges import NotInRange
from .vocabulary import (
    Part,
    described,
    docs,
    form_schema,
    headers_schema,
    json_schema,
    match_info_schema,
    querystring_schema,
    refusals,
    response_schema,
)

_BODY = (InvalidRequest, BodyTooLarge, UnsupportedEncoding)

_UNENDED, _ENDED = ("Pending", "Processing"), ("Completed", "Failed", "Cancelled")

_SHOWN = ("ETag", "Cache-Control", "Vary", "Preference-Applied")
_TAKEN = ("Location", "Vary", "Preference-Applied", "Idempotency-Replayed", "RateLimit", "RateLimit-Policy")

_EVENTS = """The job's story as server-sent events, from the submit to the end. Each has `event` and, as `data`, JSON;
all but `progress` have an `id` within the job that stays the same over restarts.

| event | data |
|---|---|
| `submitted` | the job, as it was accepted |
| `claimed` | `attempt`, `provider`, `model`, `at` |
| `progress` | `attempt`, `done`, `unit`, and where known `total`, `text` and its `offset` in the attempt's answer |
| `released` | `attempt`, `at`, `reason`, and where known `run_at`, `failure` |
| `completed`, `failed`, `cancelled` | the job, as a poll shows it; a large result is left out, with `result_omitted` |

Comments keep the connection alive. After the last event the stream ends, and a reconnect is answered 204."""


_STREAM = """id: 0
event: submitted
data: {"id":"7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de","status":"pending"}

id: 1
event: claimed
data: {"attempt":1,"provider":"echo","model":"echo","at":"2026-11-21T09:00:00.210000Z"}

event: progress
data: {"attempt":1,"done":12,"unit":"tokens"}
"""

_METRICS = """# TYPE coatcheck_jobs_submitted_total counter
coatcheck_jobs_submitted_total{operation="embeddings",provider="echo"} 3.0
"""

_CACHED = ("ETag", "Cache-Control")
_FILE = (*_CACHED, "Vary")
_BYTES = (*_CACHED, "Accept-Ranges", "Content-Disposition")
_MEDIA = ("audio/*", "image/*", "application/octet-stream")

_ASSETS = {"text/css": "body {}", "text/javascript": "'use strict'", "image/svg+xml": "<svg/>"}


def _named(tag: str, id: str, summary: str, description: str = "") -> Part:
    return docs(tags=[tag], operationId=id, summary=summary, description=description)


def _word(operation: Operation) -> str:
    """The operation's name as a part of identifiers: ChatCompletions."""
    return "".join(part.capitalize() for part in operation.name.split("/"))


_taken = described(
    headers_schema(parameters.SubmitHeaders),
    response_schema(job_answers.Ticket, 202, "The job is on disk.", headers=(*_TAKEN, *_CACHED, "Retry-After")),
    response_schema(job_answers.Job, 200, "It has ended within the wait.", headers=(*_TAKEN, *_CACHED), titles=_ENDED),
    refusals(InvalidRequest, KeyReused, RateLimited, Overloaded, Unavailable, StoreUnavailable),
)

_shown = described(
    match_info_schema(parameters.JobPath),
    headers_schema(parameters.PollHeaders),
    response_schema(None, 304, "It is as you have it.", headers=(*_SHOWN, "Retry-After")),
    refusals(InvalidRequest, StoreUnavailable),
)


def submit(operation: Operation) -> Part:
    return described(
        _named("submit", f"submit{_word(operation)}", operation.summary, operation.description),
        form_schema(operation.schema) if operation.files else json_schema(operation.schema),
        _taken,
        refusals(*_BODY),
    )


def poll(operation: Operation) -> Part:
    return described(
        _named("poll", f"poll{_word(operation)}", f"Poll: {operation.summary.lower()}"),
        response_schema(job_answers.Job, 202, "It has not ended.", headers=(*_SHOWN, "Retry-After"), titles=_UNENDED),
        response_schema(job_answers.Job, 200, "It has ended.", headers=_SHOWN, titles=_ENDED),
        _shown,
    )


def content(operation: Operation | None) -> Part:
    """Of any operation where it is None."""
    tag, word = ("jobs", "Job") if operation is None else ("poll", _word(operation))
    what = "the result" if operation is None else operation.summary.lower()
    return described(
        _named(tag, f"content{word}", f"Content: {what}", "A file of a completed job's result, as the bytes it is."),
        match_info_schema(parameters.JobPath),
        querystring_schema(parameters.ContentQuery),
        headers_schema(parameters.ContentHeaders),
        response_schema(None, 200, "The file.", headers=_BYTES, files=_MEDIA),
        response_schema(None, 206, "The part that was asked for.", headers=(*_BYTES, "Content-Range"), files=_MEDIA),
        response_schema(None, 304, "It is as you have it.", headers=_CACHED),
        refusals(InvalidRequest, NotFound, Conflict, NotInRange, StoreUnavailable),
    )


jobs = described(
    _named("jobs", "listJobs", "List jobs", "Your own, newest first; an admin's are everyone's."),
    querystring_schema(JobsQuery),
    response_schema(job_answers.JobPage, 200, "A page. It can be shorter than `limit` and still have a `next`."),
    refusals(InvalidRequest, StoreUnavailable),
)

job = described(
    _named("jobs", "getJob", "Show a job", "Of whatever operation, with where it stands."),
    querystring_schema(parameters.JobQuery),
    response_schema(job_answers.JobStory, 202, "It has not ended.", headers=(*_SHOWN, "Retry-After"), titles=_UNENDED),
    response_schema(job_answers.JobStory, 200, "It has ended.", headers=_SHOWN, titles=_ENDED),
    _shown,
)

events = described(
    _named("jobs", "watchJob", "Watch a job", _EVENTS),
    match_info_schema(parameters.JobPath),
    headers_schema(parameters.EventHeaders),
    response_schema(
        job_answers.StreamedEvent,
        200,
        "The stream: each event is a `StreamedEvent`.",
        headers=("Cache-Control",),
        text={"text/event-stream": _STREAM},
    ),
    response_schema(None, 204, "There is nothing after the last event."),
    refusals(InvalidRequest, StoreUnavailable),
)

cancel = described(
    _named("jobs", "cancelJob", "Cancel a job", "Ends it, and its call at the provider. Asking again is harmless."),
    match_info_schema(parameters.JobPath),
    response_schema(job_answers.JobStory, 200, "It is cancelled.", headers=_CACHED, titles=("Cancelled",)),
    refusals(InvalidRequest, Conflict, StoreUnavailable),
)

retry = described(
    _named("jobs", "retryJob", "Do a job again", "A failed or cancelled one, as a new job that names it as `parent`."),
    match_info_schema(parameters.JobPath),
    _taken,
    refusals(Conflict),
)

delete = described(
    _named("jobs", "deleteJob", "Delete a job", "One that has ended, with its outcome."),
    match_info_schema(parameters.JobPath),
    response_schema(None, 204, "It is gone."),
    refusals(InvalidRequest, Conflict, StoreUnavailable),
)

providers = described(
    _named("server", "listProviders", "List providers", "With their lanes, and what waits there."),
    response_schema(answers.Providers, 200, "Those of the configuration."),
)

keys = described(
    _named("keys", "listKeys", "List keys", "Those that were made here; the configuration's are in the configuration."),
    response_schema(answers.Keys, 200, "Without their tokens."),
    refusals(StoreUnavailable),
)

add_key = described(
    _named(
        "keys",
        "addKey",
        "Make a key",
        "Its name has 1 to 64 letters, digits, dots, dashes or underscores. The first is an admin's.",
    ),
    json_schema(
        schema_of(NewKey),
        examples={
            "An admin's": {"name": "me", "admin": True},
            "With limits": {"name": "a", "expires_in_seconds": 86_400, "limits": {"requests_per_minute": 60}},
        },
    ),
    response_schema(answers.KeyWithToken, 201, "The token is in this answer and nowhere else."),
    refusals(*_BODY, Conflict, StoreUnavailable),
)

rotate_key = described(
    _named(
        "keys", "rotateKey", "Give a key a new token", "Earlier ones end after the overlap; a day if there is no body."
    ),
    match_info_schema(parameters.KeyPath),
    json_schema(schema_of(NewToken), required=False, examples={"At once": {"overlap_seconds": 0}}),
    response_schema(answers.KeyWithToken, 200, "The token is in this answer and nowhere else."),
    refusals(*_BODY, Conflict, NotFound, StoreUnavailable),
)

remove_key = described(
    _named("keys", "removeKey", "Remove a key", "Its jobs stay, and are an admin's alone."),
    match_info_schema(parameters.KeyPath),
    response_schema(None, 204, "It is gone."),
    refusals(NotFound, StoreUnavailable),
)

alive = described(
    _named("server", "healthz", "Whether the process answers"),
    response_schema(answers.Alive, 200, "It does."),
)

ready = described(
    _named("server", "readyz", "Whether jobs are accepted and kept"),
    response_schema(answers.Readiness, 200, "They are.", titles=("Ready",)),
    response_schema(answers.Readiness, 503, "They are not.", titles=("Unavailable",)),
)

metrics = described(
    _named("server", "metrics", "Metrics for Prometheus", "In OpenMetrics where it is accepted. May be public."),
    response_schema(
        None,
        200,
        "All metrics.",
        headers=("Cache-Control",),
        text={"text/plain": _METRICS, "application/openmetrics-text": _METRICS},
    ),
)

document = described(
    _named("server", "openapi", "This document"),
    response_schema(answers.Document, 200, "OpenAPI 3.1.", headers=_FILE),
    response_schema(None, 304, "It is as you have it.", headers=_FILE),
)

page = described(
    _named("server", "docs", "This document as a page"),
    response_schema(None, 200, "The page.", headers=_FILE, text={"text/html": "<!doctype html>…"}),
    response_schema(None, 304, "It is as you have it.", headers=_FILE),
)

asset = described(
    _named("server", "docsAsset", "What the page loads"),
    match_info_schema(parameters.AssetPath),
    response_schema(None, 200, "A script, a style or a picture.", headers=_FILE, text=_ASSETS),
    response_schema(None, 304, "It is as you have it.", headers=_FILE),
    refusals(NotFound),
)
