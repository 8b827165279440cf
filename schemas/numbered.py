"""Lists in numbered pages, as the v3 dialect has them."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, validate

from ..engine.errors import InvalidRequest
from . import faults
from .queries import Whole

#: What may be passed over to come to a page: it is counted one by one.
MOST_PASSED_OVER = 100_000


class NumberedQuery(Schema):
    class Meta:
        unknown = EXCLUDE

    page = Whole(
        load_default=1,
        validate=validate.Range(1),
        metadata={"description": f"From 1; no further than {MOST_PASSED_OVER} items."},
    )
    limit = Whole(
        load_default=100, validate=validate.Range(1, 1000), metadata={"description": "Items on a page at most."}
    )


def load(schema: NumberedQuery, query: Mapping[str, str]) -> dict[str, Any]:
    """What a query asks for; what says nothing is passed over. Raises `InvalidRequest`, which names the parameter."""
    try:
        found: dict[str, Any] = schema.load({name: value for name, value in query.items() if value})
    except ValidationError as error:
        name, fault = faults.first(error)
        raise InvalidRequest(fault, param=name, place="query") from None
    if (found["page"] - 1) * found["limit"] > MOST_PASSED_OVER:
        raise InvalidRequest(f"no further than {MOST_PASSED_OVER} items", param="page", place="query")
    return found


def page(items: Sequence[Mapping[str, Any]], total: int, number: int, limit: int) -> dict[str, Any]:
    """That page; `total`: on all of them."""
    return {"items": items, "total": total, "page": number, "limit": limit, "total_pages": -(-total // limit)}
