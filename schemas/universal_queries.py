"""What may be asked in the query of the v3 dialect's list."""

from collections.abc import Mapping
from dataclasses import dataclass

from marshmallow import fields

from ..engine.jobs import State
from . import numbered
from .features.table import FEATURES, find
from .numbered import NumberedQuery
from .v3 import STATUSES


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


class UniversalJobsQuery(NumberedQuery):
    feature = fields.String(metadata={"description": "As `text`."})
    subfeature = fields.String(metadata={"description": "As `embeddings`, with or without `_async` at its end."})
    status = fields.String(metadata={"description": "`processing`, `success` or `fail`; there is none of another."})


_QUERY = UniversalJobsQuery()


def jobs(query: Mapping[str, str]) -> UniversalJobs:
    """Raises `InvalidRequest`, which names the parameter."""
    found = numbered.load(_QUERY, query)
    status = found.get("status")
    return UniversalJobs(
        operations=_operations(found.get("feature"), found.get("subfeature")),
        states=None if status is None else STATUSES.get(status, ()),
        page=found["page"],
        limit=found["limit"],
    )


def _operations(feature: str | None, subfeature: str | None) -> tuple[str, ...] | None:
    if feature is None and subfeature is None:
        return None
    known = [f for f in FEATURES.values() if feature in (None, f.family)]
    if subfeature is not None:
        known = [f for f in known if find(f.family, subfeature) is f]
    return tuple(f.name for f in known)
