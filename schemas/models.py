"""Models in the shapes of OpenAI's and Anthropic's lists."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..engine.errors import InvalidRequest

Json = dict[str, Any]

#: Anthropic's own.
_PAGE, _LONGEST_PAGE = 20, 1000
_LONGEST_VALUE = 40


def openai_model(
    id: str, owner: str, created: int, operations: Sequence[str], aliases: Sequence[str], more: Mapping[str, object]
) -> Json:
    """`more`: what else is known of it; what is empty is left out."""
    known = {key: value for key, value in more.items() if value}
    shown = {"id": id, "object": "model", "created": created, "owned_by": owner}
    return {**shown, "operations": operations, "aliases": aliases, **known}


def anthropic_model(id: str, name: str, created: int) -> Json:
    at = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": id, "display_name": name, "created_at": at, "lifecycle": "active"}


def anthropic_page(models: Sequence[Json], query: Mapping[str, str]) -> Json:
    """The part of the list that a query asks for with `limit`, `after_id` and `before_id`; other parameters are the
    vendor's, and say nothing here. Raises `InvalidRequest`, which names the parameter."""
    limit = _limit(query.get("limit"))
    places = {model["id"]: place for place, model in enumerate(models)}
    start, end = 0, len(models)
    if "after_id" in query:
        start = _place(query, "after_id", places) + 1
    elif "before_id" in query:
        end = _place(query, "before_id", places)
    rest = models[start:end]
    page = rest[:limit] if "before_id" not in query or "after_id" in query else rest[-limit:]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
    return {"data": page, "has_more": len(rest) > len(page), **ends}


def _limit(given: str | None) -> int:
    if given is None:
        return _PAGE
    if given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= _LONGEST_PAGE:
        return int(given[:9])
    raise InvalidRequest(
        f"limit: expected a number from 1 to {_LONGEST_PAGE}, got {given[:_LONGEST_VALUE]!r}", param="limit"
    )


def _place(query: Mapping[str, str], name: str, places: Mapping[str, int]) -> int:
    if query[name] not in places:
        raise InvalidRequest(f"{name}: there is no model {query[name][:_LONGEST_VALUE]!r}", param=name)
    return places[query[name]]
