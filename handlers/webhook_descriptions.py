"""The routes of webhooks in words, as `descriptions` has the others; and what receivers are sent."""

from collections.abc import Mapping
from typing import NamedTuple

from ..engine.errors import (
    BodyTooLarge,
    Conflict,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    UnsupportedEncoding,
)
from ..schemas import parameters, webhook_answers
from ..schemas.answers import Answer
from ..schemas.deliveries import DeliveriesQuery, NewSecret, Replay
from ..schemas.tables import schema_of
from .vocabulary import (
    Part,
    described,
    docs,
    json_schema,
    match_info_schema,
    querystring_schema,
    refusals,
    response_schema,
)

_BODY = (InvalidRequest, BodyTooLarge, UnsupportedEncoding)

_PEM = "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n"


def _named(id: str, summary: str, description: str = "") -> Part:
    return docs(tags=["webhooks"], operationId=id, summary=summary, description=description)


deliveries = described(
    _named("listDeliveries", "List deliveries", "Your own, newest first; an admin's are everyone's."),
    querystring_schema(DeliveriesQuery),
    response_schema(webhook_answers.DeliveryPage, 200, "A page."),
    refusals(InvalidRequest, StoreUnavailable),
)

delivery = described(
    _named("getDelivery", "Show a delivery", "With its payload, as it is sent: the same each time."),
    match_info_schema(parameters.DeliveryPath),
    response_schema(webhook_answers.Delivery, 200, "It."),
    refusals(NotFound, StoreUnavailable),
)

replay_delivery = described(
    _named(
        "replayDelivery",
        "Send a delivery again",
        "With the same id and payload, as often as a new one is tried. One that is due later is sent at once.",
    ),
    match_info_schema(parameters.DeliveryPath),
    response_schema(webhook_answers.Delivery, 202, "It is due.", titles=("Due",)),
    refusals(NotFound, Conflict, StoreUnavailable),
)

replay_deliveries = described(
    _named(
        "replayDeliveries", "Send deliveries again", "All that fit what the body says; dead ones if it says nothing."
    ),
    json_schema(
        schema_of(Replay),
        required=False,
        examples={
            "All dead ones": {},
            "Of an endpoint": {"endpoint": "orders", "created_after": "2026-11-21T00:00:00Z"},
            "Some": {"ids": ["0d9f7c1e-7f49-4a8b-8a49-1a0f6a6a2b10"]},
        },
    ),
    response_schema(webhook_answers.Replayed, 202, "They are due."),
    refusals(*_BODY, Conflict, StoreUnavailable),
)

endpoints = described(
    _named("listEndpoints", "List endpoints", "Receivers that submits can name; they are the configuration's."),
    response_schema(webhook_answers.Endpoints, 200, "Without their secrets."),
    refusals(StoreUnavailable),
)

enable_endpoint = described(
    _named("enableEndpoint", "Switch an endpoint on", "One whose receiver has answered 410."),
    match_info_schema(parameters.EndpointPath),
    response_schema(webhook_answers.Endpoint, 200, "It is on.", titles=("On",)),
    refusals(NotFound, StoreUnavailable),
)

endpoint_secret = described(
    _named("getEndpointSecret", "Show an endpoint's secret", "One that was made here."),
    match_info_schema(parameters.EndpointPath),
    response_schema(webhook_answers.WebhookSecret, 200, "It."),
    refusals(NotFound, Conflict, StoreUnavailable),
)

_OVERLAP = {"Over a day": {"overlap_seconds": 86_400}, "At once": {"overlap_seconds": 0}}

rotate_endpoint = described(
    _named("rotateEndpoint", "Give an endpoint a new secret", "The one before is signed with as well, for a while."),
    match_info_schema(parameters.EndpointPath),
    json_schema(schema_of(NewSecret), required=False, examples=_OVERLAP),
    response_schema(webhook_answers.WebhookSecret, 200, "The new one.", titles=("Rotated",)),
    refusals(*_BODY, NotFound, Conflict, StoreUnavailable),
)

webhook_secret = described(
    _named("getWebhookSecret", "Show your secret", "With which deliveries to addresses that you gave are signed."),
    response_schema(webhook_answers.WebhookSecret, 200, "It."),
    refusals(StoreUnavailable),
)

rotate_webhook_secret = described(
    _named("rotateWebhookSecret", "Get a new secret", "The one before is signed with as well, for a while."),
    json_schema(schema_of(NewSecret), required=False, examples=_OVERLAP),
    response_schema(webhook_answers.WebhookSecret, 200, "The new one.", titles=("Rotated",)),
    refusals(*_BODY, StoreUnavailable),
)

public_key = described(
    _named("webhookPublicKey", "The key of v3's signatures", "RSA, 3072 bits. It is made when it is first needed."),
    response_schema(None, 200, "The key.", text={"application/x-pem-file": _PEM}),
    refusals(StoreUnavailable),
)


class Sent(NamedTuple):
    """What receivers are sent."""

    schema: type[Answer]
    summary: str
    #: The headers that tell it from anybody else's, each in words.
    headers: Mapping[str, str]


_ID = "The delivery's id, the same for each attempt."

#: By the names that their operations have.
SENT: Mapping[str, Sent] = {
    "jobEnded": Sent(
        webhook_answers.Webhook,
        "A job of v1 has ended",
        {
            "webhook-id": _ID,
            "webhook-timestamp": "When this attempt was made, in seconds.",
            "webhook-signature": "As Standard Webhooks has it.",
            "X-Bifrost-Event": "The event.",
        },
    ),
    "universalJobEnded": Sent(
        webhook_answers.UniversalWebhook,
        "A job of v3 has ended",
        {
            "webhook-id": _ID,
            "X-Edenai-Webhook": "`true`",
            "X-Edenai-Signature": "Hexadecimal; made with the key at `/v3/webhooks/public-key`.",
            "X-Edenai-Hash-Algorithm": "`SHA256`",
        },
    ),
}
