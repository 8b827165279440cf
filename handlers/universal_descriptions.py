"""The routes of the v3 dialect's jobs in words, as `descriptions` has the others."""

from ..engine.errors import (
    BodyTooLarge,
    Conflict,
    InvalidRequest,
    JobNotFound,
    KeyReused,
    NotFound,
    Overloaded,
    RateLimited,
    StoreUnavailable,
    Unacceptable,
    Unavailable,
    UnknownModel,
    Unprocessable,
    UnsupportedEncoding,
    UploadNotFound,
)
from ..schemas import parameters, v3_answers
from ..schemas.universal import UniversalJobRequest, UniversalRequest
from ..schemas.universal_queries import UniversalJobsQuery
from .ranges import NotInRange
from .vocabulary import (
    Part,
    described,
    docs,
    headers_schema,
    json_schema,
    match_info_schema,
    querystring_schema,
    refusals,
    response_schema,
)

_CACHED = ("ETag", "Cache-Control")
_SHOWN = (*_CACHED, "Vary", "Preference-Applied", "Retry-After")
_LIMITED = ("Idempotency-Replayed", "RateLimit", "RateLimit-Policy")
_BYTES = (*_CACHED, "Accept-Ranges", "Content-Disposition")
_MEDIA = ("audio/*", "image/*", "application/octet-stream")

_REFUSED = (
    InvalidRequest, Unprocessable, UnknownModel, Unacceptable, BodyTooLarge, UnsupportedEncoding, UploadNotFound,
    KeyReused, RateLimited, Overloaded, Unavailable, StoreUnavailable,
)  # fmt: skip


def _named(id: str, summary: str, description: str = "") -> Part:
    return docs(tags=["universal"], operationId=id, summary=summary, description=description)


_PATH = match_info_schema(parameters.JobPath)

create_universal_job = described(
    _named(
        "createUniversalJob",
        "Create a job",
        "Of any feature: `model` is `feature/subfeature/provider[/model]`, and `/v3/info` says what each one takes.",
    ),
    json_schema(UniversalJobRequest),
    headers_schema(parameters.UniversalSubmitHeaders),
    response_schema(
        v3_answers.UniversalJob, 202, "The job is on disk; it may have ended.", headers=("Location", *_LIMITED, *_SHOWN)
    ),
    refusals(*_REFUSED),
)

ask_universal = described(
    _named(
        "askUniversal",
        "Ask a feature",
        "The same, answered when it has ended. A provider's failure is a 200 with the status `fail`.",
    ),
    json_schema(UniversalRequest),
    headers_schema(parameters.UniversalAskHeaders),
    response_schema(v3_answers.UniversalAnswer, 200, "What came of it.", headers=(*_LIMITED, "x-bf-job-id")),
    refusals(*_REFUSED),
)

universal_jobs = described(
    _named("listUniversalJobs", "List jobs of features", "Your own, newest first."),
    querystring_schema(UniversalJobsQuery),
    response_schema(v3_answers.UniversalPage, 200, "A page."),
    refusals(InvalidRequest, StoreUnavailable),
)

universal_job = described(
    _named("getUniversalJob", "Show a job of a feature", "Whether it has ended or not."),
    _PATH,
    headers_schema(parameters.PollHeaders),
    response_schema(v3_answers.UniversalJob, 200, "It.", headers=_SHOWN),
    response_schema(None, 304, "It is as you have it.", headers=_SHOWN),
    refusals(InvalidRequest, StoreUnavailable),
)

cancel_universal_job = described(
    _named("cancelUniversalJob", "Cancel a job of a feature", "Ends it, and its call at the provider."),
    _PATH,
    response_schema(v3_answers.UniversalJob, 200, "It is cancelled.", headers=_CACHED, titles=("Fail",)),
    refusals(InvalidRequest, Conflict, StoreUnavailable),
)

delete_universal_job = described(
    _named("deleteUniversalJob", "Delete a job of a feature", "One that has ended, with its outcome."),
    _PATH,
    response_schema(v3_answers.UniversalDeleted, 200, "It is gone."),
    refusals(InvalidRequest, Conflict, StoreUnavailable),
)

universal_content = described(
    _named(
        "universalContent",
        "Content of a job of a feature",
        "A file of its output, as bytes: for its owner, and for whoever has the address that the output gives.",
    ),
    _PATH,
    querystring_schema(parameters.LinkQuery),
    headers_schema(parameters.ContentHeaders),
    response_schema(None, 200, "The file.", headers=_BYTES, files=_MEDIA),
    response_schema(None, 206, "The part that was asked for.", headers=(*_BYTES, "Content-Range"), files=_MEDIA),
    response_schema(None, 304, "It is as you have it.", headers=_CACHED),
    refusals(InvalidRequest, JobNotFound, NotFound, Conflict, NotInRange, StoreUnavailable),
)
