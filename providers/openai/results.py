"""Results that are JSON: parsed, freed of what they may not say, and rendered again only where that changed them."""

from typing import Any

import orjson

from ...engine.blobs import Blob
from ...engine.calls import Call, Reply
from ..http import Door
from ..usage import cost_of, usage_of


def parsed(door: Door, answer: bytes) -> dict[str, Any]:
    """The result, which may not speak of an error. Raises `Unusable` if it is no JSON object, `Refused` for an error
    that came with a success's status."""
    result = door.parsed(answer)
    door.check(result)
    return result


def plain(door: Door, call: Call, answer: bytes, cost: tuple[str, ...] = ()) -> Reply:
    """The reply whose result is the answer, byte by byte if possible; `cost` is where its usage says what it cost."""
    # A response has an error among its own fields.
    result = door.parsed(answer) if call.operation == "responses" else parsed(door, answer)
    return made(call, result, rendered=answer.strip(), cost=cost_of(result, cost))


def made(
    call: Call,
    result: dict[str, Any],
    *,
    rendered: bytes | None = None,
    files: tuple[Blob, ...] = (),
    cost: int | None = None,
) -> Reply:
    """The reply of a result; `rendered` is the result as JSON, if it is there already."""
    if "extra_fields" in result:
        # What the server itself adds to a result is not for an upstream to say.
        del result["extra_fields"]
        rendered = None
    model = result.get("model")
    return Reply(
        result=orjson.dumps(result) if rendered is None else rendered,
        model=model if isinstance(model, str) else None,
        usage=usage_of(call.operation, result),
        cost=cost,
        files=files,
    )
