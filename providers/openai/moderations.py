"""Moderations: OpenAI's, and Mistral's, which lack the word that sums them up."""

from typing import Any

from ...engine.calls import Call, Reply
from ...engine.errors import Unusable
from ..http import Door
from .results import made, parsed


def judged(door: Door, call: Call, answer: bytes) -> Reply:
    """The reply, each of whose results says whether anything in it is `flagged`."""
    told = parsed(door, answer)
    results = told.get("results")
    if not isinstance(results, list) or not results:
        raise Unusable(f"provider {door.name} answered without results")
    whole = [_whole(door, result) for result in results]
    if whole == results:
        return made(call, told, rendered=answer.strip())
    return made(call, {**told, "results": whole})


def _whole(door: Door, result: object) -> dict[str, Any]:
    categories = result.get("categories") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(categories, dict):
        raise Unusable(f"provider {door.name} answered with a result that has no categories")
    if isinstance(result.get("flagged"), bool):
        return result
    return {**result, "flagged": any(flag is True for flag in categories.values())}
