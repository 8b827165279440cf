"""Deliveries of webhooks, their payloads, endpoints and secrets, declared for the documents."""

from typing import Any, ClassVar

from .answers import Answer, Anything, identifier, moment
from .fields import Examples, Flag, Integer, ListOf, Null, Object, OneOf, Text
from .v3_answers import UniversalFailure

_JOB = "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de"
_PAYLOAD: dict[str, Any] = {
    "event": "async_job.completed",
    "created_at": "2026-11-21T09:00:04.200000Z",
    "data": {
        "job_id": _JOB,
        "request_type": "embedding",
        "status": "completed",
        "status_code": 200,
        "result_url": f"/v1/async/embeddings/{_JOB}",
        "result_expires_at": "2026-11-21T10:00:04.200000Z",
        "response_omitted": True,
    },
}
_DELIVERED: dict[str, Any] = {
    "id": "0d9f7c1e-7f49-4a8b-8a49-1a0f6a6a2b10",
    "job_id": _JOB,
    "dialect": "v1",
    "endpoint": "orders",
    "event": "async_job.completed",
    "state": "delivered",
    "attempts": 2,
    "created_at": "2026-11-21T09:00:04.200000Z",
    "tried_at": "2026-11-21T09:00:09.900000Z",
    "ended_at": "2026-11-21T09:00:09.950000Z",
    "status_code": 204,
}
_DUE = {
    **{name: value for name, value in _DELIVERED.items() if name != "ended_at"},
    "state": "due",
    "attempts": 1,
    "next_at": "2026-11-21T09:00:09.800000Z",
    "status_code": 503,
    "error": "it answered 503",
}
_ENDPOINT = {"name": "orders", "url": "https://orders.example.com/coatcheck", "state": "on", "secret": "ORDERS_SECRET"}
_OFF = {
    **_ENDPOINT,
    "state": "off",
    "off_since": "2026-11-21T09:00:04.200000Z",
    "off_reason": "it answered 410",
}
_UNIVERSAL_ENDED: dict[str, Any] = {
    "event": "async_job_completed",
    "job_id": _JOB,
    "feature": "text",
    "subfeature": "embeddings",
    "provider": "echo",
    "model": "echo",
    "created_at": "2026-11-21T09:00:00.000000+00:00",
    "finished_at": "2026-11-21T09:00:04.200000+00:00",
}
_UNIVERSAL = {
    **_UNIVERSAL_ENDED,
    "status": "success",
    "output": {"items": [{"embedding": [0.25, -0.5]}]},
    "user_parameters": {"order": 7},
}
_UNIVERSAL_FAILED = {**_UNIVERSAL_ENDED, "status": "fail", "error": {"message": "echo was told to answer 503"}}
_SECRET = {"secret": "whsec_…", "created_at": "2026-11-21T09:00:00.000000Z"}


class Delivery(Answer):
    id = identifier("It is `webhook-id` of every attempt.")
    job_id = identifier("The job whose end it tells of.")
    dialect = Text("In whose words it is.", required=True, enum=("v1", "v3"))
    endpoint = Text("The receiver, where it is one of the configuration.")
    url = Text("The receiver, where it is an address that a client gave.")
    event = Text(required=True)
    state = Text(
        "`due`: still to be sent; `dead`: not tried any more.", required=True, enum=("due", "delivered", "dead")
    )
    attempts = Integer(required=True, minimum=0)
    created_at = moment("When the job ended.", required=True)
    tried_at = moment("The last attempt.")
    next_at = moment("The next attempt, not before; while it is due.")
    ended_at = moment("When it was delivered or given up.")
    status_code = Integer("What the receiver answered at last.", minimum=100, maximum=999)
    error = Text("Why the last attempt failed.")
    owner = Text("For an admin: whose it is.")
    payload = Anything("What is sent; of a single delivery.")

    examples: ClassVar[Examples] = {"Delivered": {**_DELIVERED, "payload": _PAYLOAD}, "Due": _DUE}


class DeliveryPage(Answer):
    data = ListOf(Object(Delivery), about="Newest first, without payloads.", required=True)
    next = Text("The `cursor` of the next page; absent on the last.")

    examples: ClassVar[Examples] = {"A page": {"data": [_DELIVERED], "next": "41"}, "The last": {"data": []}}


class Replayed(Answer):
    replayed = Integer("How many are sent again.", required=True, minimum=0)

    examples: ClassVar[Examples] = {"Some": {"replayed": 3}}


class Endpoint(Answer):
    name = Text(required=True)
    url = Text(required=True)
    state = Text("`off`: its receiver has answered 410.", required=True, enum=("on", "off"))
    off_since = moment("When it was switched off.")
    off_reason = Text("Why.")
    secret = Text("The environment variable that holds it; absent: it is made here.")

    examples: ClassVar[Examples] = {"On": _ENDPOINT, "Off": _OFF}


class Endpoints(Answer):
    data = ListOf(Object(Endpoint), required=True)

    examples: ClassVar[Examples] = {"One": {"data": [_ENDPOINT]}}


class WebhookSecret(Answer):
    secret = Text("`whsec_` and base64, as libraries for Standard Webhooks take it.", required=True)
    created_at = moment("When it was made.", required=True)
    earlier_secret_ends_at = moment("Until then the one before is signed with as well.")

    examples: ClassVar[Examples] = {
        "A secret": _SECRET,
        "Rotated": {**_SECRET, "earlier_secret_ends_at": "2026-11-22T09:00:00.000000Z"},
    }


class WebhookData(Answer):
    job_id = identifier("The job.")
    request_type = Text("The operation, as Bifrost calls it.", required=True)
    status = Text("A job that was cancelled is `failed`, and has `state`.", required=True, enum=("completed", "failed"))
    status_code = Integer("200, or the status of the error.", required=True, minimum=200, maximum=599)
    result_url = Text("Where the job is polled.", required=True)
    result_expires_at = moment("When it is forgotten.", required=True)
    state = Text(enum=("cancelled",))
    response = Anything("The result, as a poll shows it.")
    response_omitted = Flag("The result is too large, or has files: collect it at `result_url`.")
    error = Anything("Why the job failed, as a poll shows it.")
    error_omitted = Flag("The error is too large.")


class Webhook(Answer):
    """What is sent of a job of the v1 dialect."""

    event = Text(required=True, enum=("async_job.completed", "async_job.failed"))
    created_at = moment("When the job ended.", required=True)
    data = Object(WebhookData, required=True)

    examples: ClassVar[Examples] = {"Completed": _PAYLOAD}


class UniversalWebhook(Answer):
    """What is sent of a job of the v3 dialect."""

    event = Text("The same for success and failure.", required=True, enum=("async_job_completed",))
    job_id = identifier("What a poll calls `public_id`.")
    status = Text(required=True, enum=("success", "fail"))
    feature = Text(required=True)
    subfeature = Text(required=True)
    provider = Text("The one that served.", required=True)
    model = OneOf(Text(), Null(), about="Null where none was named.", required=True)
    created_at = moment("When the job was accepted.", required=True)
    finished_at = moment("When it ended.", required=True)
    output = Anything("On success. Files are null, and their addresses links that need no key.")
    output_omitted = Flag("The output is too large, and null: poll for it.")
    error = Object(UniversalFailure, "On failure: why.")
    original_response = Anything("Where the submit asked for it.")
    original_response_omitted = Flag("That is too large, and null.")
    user_parameters = Object(None, "The submit's `user_webhook_parameters`.")

    examples: ClassVar[Examples] = {"Success": _UNIVERSAL, "Failure": _UNIVERSAL_FAILED}
