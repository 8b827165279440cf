"""What may be asked in the query of the v3 dialect's list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from ..engine.errors import InvalidRequest
from ..engine.jobs import State
from .features.table import FEATURES, find
from .queries import Whole
from .v3 import STATUSES

#: Jobs that may be passed over to come to a page: they are counted one by one.
MOST_PASSED_OVER = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class UniversalJobs:
    """What a list is asked for; None does not narrow."""

    operations: tuple[str, ...] | None
    states: tuple[State, ...] | None
    page: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


class UniversalJobsQuery(Schema):
    class Meta:
        unknown = EXCLUDE

    page = Whole(
        load_default=1,
        validate=validate.Range(1),
        metadata={"description": f"From 1; no further than {MOST_PASSED_OVER} jobs."},
    )
    limit = Whole(
        load_default=100, validate=validate.Range(1, 1000), metadata={"description": "Jobs on a page at most."}
    )
    feature = fields.String(metadata={"description": "As `text`."})
    subfeature = fields.String(metadata={"description": "As `embeddings`, with or without `_async` at its end."})
    status = fields.String(metadata={"description": "`processing`, `success` or `fail`; there is none of another."})


_QUERY = UniversalJobsQuery()


def jobs(query: Mapping[str, str]) -> UniversalJobs:
    """What a query asks for; what says nothing is passed over. Raises `InvalidRequest`, which names the parameter."""
    try:
        found: dict[str, Any] = _QUERY.load({name: value for name, value in query.items() if value})
    except ValidationError as error:
        messages: Any = error.messages
        name, (message, *_) = next(iter(messages.items()))
        raise InvalidRequest(message, param=name, place="query") from None
    status = found.get("status")
    asked = UniversalJobs(
        operations=_operations(found.get("feature"), found.get("subfeature")),
        states=None if status is None else STATUSES.get(status, ()),
        page=found["page"],
        limit=found["limit"],
    )
    if asked.offset > MOST_PASSED_OVER:
        raise InvalidRequest(f"no further than {MOST_PASSED_OVER} jobs", param="page", place="query")
    return asked


def _operations(feature: str | None, subfeature: str | None) -> tuple[str, ...] | None:
    if feature is None and subfeature is None:
        return None
    known = [f for f in FEATURES.values() if feature in (None, f.family)]
    if subfeature is not None:
        known = [f for f in known if find(f.family, subfeature) is f]
    return tuple(f.name for f in known)
