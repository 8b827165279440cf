"""What clients of the v3 dialect are answered, declared for the documents. Here a key can be null."""

from typing import Any, ClassVar

from .answers import Answer, Anything, decimal, identifier, moment
from .fields import Examples, Flag, Integer, ListOf, MapOf, Null, Object, OneOf, Text
from .v3 import STATUSES

STATES = ("pending", "processing", "completed", "failed", "cancelled")

_COST = "US dollars; `0` also while it is not known."

_ITEM: dict[str, Any] = {
    "public_id": "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de",
    "status": "processing",
    "feature": "text",
    "subfeature": "embeddings",
    "provider": "echo",
    "model": None,
    "created_at": "2026-11-21T09:00:00.000000+00:00",
}
_PENDING = {**_ITEM, "cost": "0", "state": "pending"}
_ENDED = {
    "finished_at": "2026-11-21T09:00:04.200000+00:00",
    "expires_at": "2026-11-28T09:00:04.200000+00:00",
}
_TRIED = {
    "provider": "echo",
    "model": "echo",
    "status": "success",
    "started_at": "2026-11-21T09:00:00.210000+00:00",
    "ended_at": "2026-11-21T09:00:04.200000+00:00",
}
_ERROR = {"message": "echo was told to answer 503", "provider_status_code": 503}
_DONE = {"output": {"items": [{"embedding": [0.5, -0.5]}]}}
_ANSWER = {"status": "success", "cost": "0", "provider": "echo", "feature": "text", "subfeature": "embeddings"}


class UniversalFailure(Answer):
    message = Text("For people; `cancelled` for a job that was.", required=True)
    code = Anything("The provider's own word, where it gave one; else one of ours.")
    provider_status_code = Integer("What the provider answered.")


class UniversalAttempt(Answer):
    provider = Text(required=True)
    model = Text(required=True)
    status = Text(required=True, enum=("processing", "success", "fail", "released", "cancelled"))
    started_at = moment("When it began.", required=True)
    ended_at = moment("When it ended.")
    error = Object(UniversalFailure, "Why it failed.")


class MetadataAttempt(Answer):
    provider = Text(required=True)
    model = Text(required=True)
    status = Text(required=True)
    region = Null("None has one here.", required=True)


class UniversalMetadata(Answer):
    """How an answer came about."""

    requested = Text("`model`, as it was sent.", required=True)
    region = Null("None has one here.", required=True)
    summary = Text("For people.", required=True)
    attempt = Integer("How many there were.", required=True, minimum=0)
    is_byok = Flag("Always: each provider is called with the operator's own key.", required=True)
    attempts = ListOf(Object(MetadataAttempt), required=True)
    tags = MapOf(Text(), required=True)
    mode = Text(required=True, enum=("sync", "async"))


class UniversalItem(Answer):
    public_id = identifier("Under which the job is asked for.")
    status = Text(required=True, enum=tuple(STATUSES))
    feature = Text(required=True)
    subfeature = Text(required=True)
    provider = Text("The one that served, serves or is next.", required=True)
    model = OneOf(Text(), Null(), about="As it was named; null where only the provider was.", required=True)
    created_at = moment("When the job was accepted.", required=True)


class UniversalJob(UniversalItem):
    cost = decimal(_COST)
    cost_known = Flag("False beside a `0` that stands for a cost that is not known.")
    state = Text("The finer word.", required=True, enum=STATES)
    output = Anything("What the feature answers; null where it failed.")
    error = Object(UniversalFailure, "Why it failed.")
    original_response = Anything("The provider's own answer, where the request asked for it.")
    finished_at = moment("When it ended.")
    expires_at = moment("When it is forgotten.")
    attempts = ListOf(Object(UniversalAttempt), about="Oldest first.")
    edenai_metadata = Object(UniversalMetadata, "Where `x-edenai-metadata` asks for it.")

    examples: ClassVar[Examples] = {
        "Processing": _PENDING,
        "Success": {
            **_PENDING, "status": "success", "state": "completed", **_ENDED, "attempts": [_TRIED], **_DONE,
        },
        "Fail": {
            **_PENDING, "status": "fail", "state": "failed", "cost_known": False, **_ENDED,
            "attempts": [{**_TRIED, "status": "fail", "error": _ERROR}], "output": None, "error": _ERROR,
        },
    }  # fmt: skip


class UniversalAnswer(Answer):
    status = Text(required=True, enum=("success", "fail"))
    cost = decimal(_COST)
    cost_known = Flag("False beside a `0` that stands for a cost that is not known.")
    provider = Text("The one that served.", required=True)
    feature = Text(required=True)
    subfeature = Text(required=True)
    output = Anything("What the feature answers; null where it failed.", required=True)
    error = Object(UniversalFailure, "Why it failed.")
    original_response = Anything("The provider's own answer, where the request asked for it.")
    edenai_metadata = Object(UniversalMetadata, "Where `x-edenai-metadata` asks for it.")

    examples: ClassVar[Examples] = {
        "Success": {**_ANSWER, **_DONE},
        "Fail": {**_ANSWER, "status": "fail", "cost_known": False, "output": None, "error": _ERROR},
    }


class UniversalPage(Answer):
    items = ListOf(Object(UniversalItem), about="Newest first.", required=True)
    total = Integer("On all pages.", required=True, minimum=0)
    page = Integer(required=True, minimum=1)
    limit = Integer(required=True, minimum=1)
    total_pages = Integer(required=True, minimum=0)

    examples: ClassVar[Examples] = {
        "A page": {"items": [_ITEM], "total": 1, "page": 1, "limit": 100, "total_pages": 1},
    }


class UniversalDeleted(Answer):
    deleted = Flag(required=True)
    public_id = identifier("The job that was there.")

    examples: ClassVar[Examples] = {"Deleted": {"deleted": True, "public_id": _ITEM["public_id"]}}


class UniversalFault(Answer):
    loc = ListOf(OneOf(Text(), Integer()), about="Where it is: `body`, `input`, `texts`.", required=True)
    msg = Text("For people: what is wrong.", required=True)
    type = Text("For programs.", required=True)


class UniversalError(Answer):
    """An error as FastAPI has it: a sentence, or of a 422 a list of faults."""

    detail = OneOf(Text(), ListOf(Object(UniversalFault)), Object(None), required=True)

    examples: ClassVar[Examples] = {}
