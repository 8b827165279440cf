"""What may be asked in the query of a list."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from ..engine.errors import InvalidRequest
from ..engine.jobs import SECOND, State
from ..engine.listing import Filter
from .names import every

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: The words of the dialect, and one of ours: a cancelled job is shown as failed.
STATUSES: Mapping[str, tuple[State, ...]] = {
    "pending": (State.PENDING,),
    "processing": (State.PROCESSING,),
    "completed": (State.COMPLETED,),
    "failed": (State.FAILED, State.CANCELLED),
    "cancelled": (State.CANCELLED,),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """What a list is asked for."""

    filter: Filter
    limit: int
    #: The `next` of the page before.
    cursor: int | None


class Whole(fields.Integer):
    """A number in decimal digits, and nothing else that Python would take for one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19):
            raise ValidationError("expected a whole number.")
        number: int = super()._deserialize(value, attr, data, **options)
        return number


class Moment(fields.Field[int]):
    """A time as RFC 3339 has it; without an offset it is UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        return microseconds(value)


def microseconds(text: str) -> int:
    """A time as RFC 3339 has it, in microseconds UTC; raises `ValidationError`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationError(
            f"expected a time as 2026-01-31T12:00:00Z (a + is written %2B), got {text[:40]!r}."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(seconds=1) * SECOND + moment.microsecond


class JobsQuery(Schema):
    limit = Whole(load_default=20, validate=validate.Range(1, 100), metadata={"description": "Jobs on a page at most."})
    cursor = Whole(metadata={"description": "The `next` of the page before."})
    status = fields.String(
        validate=validate.OneOf(list(STATUSES)),
        metadata={"description": "As polls show it: `failed` includes cancelled jobs, `cancelled` is only those."},
    )
    operation = fields.String(
        validate=validate.OneOf(every()), metadata={"description": "As in the path of the submit, or a feature's name."}
    )
    provider = fields.String(metadata={"description": "The one that runs, ran or is next."})
    model = fields.String(metadata={"description": "As the submit named it."})
    created_after = Moment(metadata={"description": "RFC 3339.", "format": "date-time"})
    created_before = Moment(metadata={"description": "RFC 3339.", "format": "date-time"})
    owner = fields.String(
        validate=validate.Regexp(r"^(key:|jwt:|anon\Z)", error="expected anon, or what begins with key: or jwt:."),
        metadata={"description": "For admins: the jobs of one owner, as `key:…`."},
    )
    id = fields.String(
        validate=validate.Regexp(r"^[0-9a-f-]{4,36}\Z", error="expected 4 to 36 characters of an id."),
        metadata={"description": "The beginning of the id."},
    )

    @post_load
    def make(self, data: dict[str, Any], **_options: Any) -> Jobs:
        limit, cursor = data.pop("limit"), data.pop("cursor", None)
        status, prefix = data.pop("status", None), data.pop("id", None)
        filter = Filter(**data, states=STATUSES[status] if status else None, prefix=prefix)
        return Jobs(filter=filter, limit=limit, cursor=cursor)


_JOBS = JobsQuery()


def jobs(query: Mapping[str, str]) -> Jobs:
    """What a query asks for; raises `InvalidRequest`, which names the parameter."""
    found: Jobs = loaded(_JOBS, query)
    return found


def loaded(schema: Schema, query: Mapping[str, str]) -> Any:
    """The query, by its schema; raises `InvalidRequest`, which names the parameter."""
    seen: set[str] = set()
    for name, _value in query.items():
        if name not in schema.fields:
            near = difflib.get_close_matches(name, schema.fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(schema.fields)}"
            raise InvalidRequest(f"unknown parameter {name[:40]!r}; {hint}", param=name[:40])
        if name in seen:
            raise InvalidRequest(f"{name}: given twice; one value is expected", param=name)
        seen.add(name)
    try:
        return schema.load(dict(query))
    except ValidationError as error:
        messages: Any = error.messages
        name, (message, *_) = next(iter(messages.items()))
        raise InvalidRequest(f"{name}: {message}", param=name) from None


def index(query: Mapping[str, str]) -> int:
    """Which of a result's files is asked for; raises `InvalidRequest`."""
    given = query.get("index", "0")
    if not (given.isascii() and given.isdigit() and len(given) < 5):
        raise InvalidRequest(f"index: expected a whole number, got {given[:40]!r}", param="index", place="query")
    return int(given)


#: What a look at a job may include.
PARTS = ("attempts", "plan")


def include(query: Mapping[str, str]) -> set[str]:
    """The parts that a query asks to be included; raises `InvalidRequest` for others."""
    parts = {part for part in query.get("include", "").split(",") if part}
    if unknown := parts.difference(PARTS):
        raise InvalidRequest(f"include: expected {' or '.join(PARTS)}, got {min(unknown)[:40]!r}", param="include")
    return parts
