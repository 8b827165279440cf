"""Deliveries of webhooks: what may be asked of them, and how they are shown."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
from marshmallow import Schema, ValidationError, fields, post_load, validate

from ..engine.deliveries import Delivery, DeliveryFilter
from ..engine.errors import InvalidRequest
from ..engine.signatures import Secret, whsec
from .config import EndpointSettings
from .queries import Moment, Whole, microseconds
from .v1 import timestamp

_LONGEST_OVERLAP_SECONDS = 31_536_000
#: Ids that one replay can name.
_MOST_IDS = 1000


class State(StrEnum):
    #: It is still to be sent.
    DUE = "due"
    DELIVERED = "delivered"
    #: It is not tried any more.
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a list is asked for."""

    filter: DeliveryFilter
    limit: int
    #: The `next` of the page before.
    cursor: int | None


class DeliveriesQuery(Schema):
    limit = Whole(
        load_default=20, validate=validate.Range(1, 100), metadata={"description": "Deliveries on a page at most."}
    )
    cursor = Whole(metadata={"description": "The `next` of the page before."})
    state = fields.String(
        validate=validate.OneOf(list(State)),
        metadata={"description": "`due`: still to be sent. `dead`: not tried any more."},
    )
    endpoint = fields.String(metadata={"description": "Those to an endpoint of the configuration."})
    job_id = fields.String(metadata={"description": "Those that tell of one job's end."})
    created_after = Moment(metadata={"description": "RFC 3339.", "format": "date-time"})
    created_before = Moment(metadata={"description": "RFC 3339.", "format": "date-time"})
    owner = fields.String(metadata={"description": "For admins: those of one owner, as `key:…`."})

    @post_load
    def make(self, data: dict[str, Any], **_options: Any) -> Asked:
        limit, cursor, state = data.pop("limit"), data.pop("cursor", None), data.pop("state", None)
        return Asked(filter=DeliveryFilter(**data, states=(state,) if state else ()), limit=limit, cursor=cursor)


DELIVERIES = DeliveriesQuery()


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Which deliveries are sent again: those that all of this fits."""

    #: `due`: at once, and not when their time comes.
    state: State = State.DEAD
    endpoint: str | None = None
    job_id: str | None = None
    #: RFC 3339.
    created_after: str | None = None
    created_before: str | None = None
    ids: tuple[str, ...] | None = None

    def filter(self, owner: str | None) -> DeliveryFilter:
        """`owner`: None: everyone's. Raises `InvalidRequest`."""
        if self.ids is not None and len(self.ids) > _MOST_IDS:
            raise InvalidRequest(f"ids: at most {_MOST_IDS}, got {len(self.ids)}", param="ids")
        moments: dict[str, int] = {}
        for name in ("created_after", "created_before"):
            text = getattr(self, name)
            if text is None:
                continue
            try:
                moments[name] = microseconds(text)
            except ValidationError as error:
                raise InvalidRequest(f"{name}: {error.messages[0]}", param=name) from None
        return DeliveryFilter(owner=owner, states=(self.state,), endpoint=self.endpoint, job_id=self.job_id, **moments)


@dataclass(frozen=True, kw_only=True)
class NewSecret:
    #: For how long the secret before is signed with as well; 0: not at all.
    overlap_seconds: int = field(default=86_400, metadata={"min": 0, "max": _LONGEST_OVERLAP_SECONDS})


def shown(delivery: Delivery, *, owners: bool) -> dict[str, Any]:
    """The delivery; what does not apply is absent. `owners`: with whose it is. The payload only where it was read."""
    found: dict[str, Any] = {"id": delivery.id, "job_id": delivery.job_id, "dialect": delivery.dialect}
    found |= {"endpoint": delivery.endpoint} if delivery.endpoint is not None else {"url": delivery.url}
    found |= {"event": delivery.event, "state": delivery.state, "attempts": delivery.attempts}
    found["created_at"] = timestamp(delivery.created_at)
    if delivery.tried_at is not None:
        found["tried_at"] = timestamp(delivery.tried_at)
    if delivery.ended_at is not None:
        found["ended_at"] = timestamp(delivery.ended_at)
    else:
        found["next_at"] = timestamp(delivery.next_at)
    for name in ("status_code", "error"):
        if getattr(delivery, name) is not None:
            found[name] = getattr(delivery, name)
    if owners:
        found["owner"] = delivery.owner
    if delivery.payload is not None:
        found["payload"] = orjson.Fragment(delivery.payload)
    return found


def shown_endpoint(endpoint: EndpointSettings, off: tuple[int, str] | None) -> dict[str, Any]:
    """`off`: since when and why it is switched off; None: it is not."""
    found: dict[str, Any] = {"name": endpoint.name, "url": endpoint.url, "state": "off" if off else "on"}
    if off is not None:
        found |= {"off_since": timestamp(off[0]), "off_reason": off[1]}
    if endpoint.secret_env is not None:
        found["secret"] = endpoint.secret_env
    return found


def shown_secret(secret: Secret) -> dict[str, Any]:
    found: dict[str, Any] = {"secret": whsec(secret.secret), "created_at": timestamp(secret.created_at)}
    if secret.earlier_until is not None:
        found["earlier_secret_ends_at"] = timestamp(secret.earlier_until)
    return found
