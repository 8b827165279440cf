"""What an OpenAI-shaped result says was used, and what it cost where the vendor says so."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ..engine.calls import Usage
from .prices import picodollars

#: Operations that are charged by their tokens alone.
_OF_TOKENS = ("chat/completions", "completions", "responses", "embeddings", "moderations")


def usage_of(operation: str, result: Mapping[str, Any]) -> Usage | None:
    """None where the result does not say. Images and seconds are counted only where tokens are not: a vendor charges
    for one of them."""
    said = _object(result.get("usage"))
    if operation in _OF_TOKENS:
        return _tokens(said) if said else None
    if operation == "ocr":
        pages = _count(_object(result.get("usage_info")).get("pages_processed"))
        return Usage(pages=pages) if pages is not None else None
    if operation == "audio/transcriptions":
        return _heard(said, result)
    if operation.startswith("images/"):
        return _drawn(said, result)
    if operation == "rerank":
        units = _object(_object(result.get("meta")).get("billed_units"))
        tokens = _first(said, "prompt_tokens", "total_tokens")
        searches = _count(units.get("search_units"))
        return Usage(input_tokens=tokens, searches=searches) if (tokens, searches) != (None, None) else None
    tier = result.get("service_tier")
    return replace(_tokens(said), tier=tier if isinstance(tier, str) else None) if said else None


def cost_of(result: Mapping[str, Any], path: tuple[str, ...]) -> int | None:
    """Picodollars, from the US dollars at that place of the result's usage; None without one."""
    if not path:
        return None
    value: Any = result.get("usage")
    for key in path:
        value = _object(value).get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return picodollars(Fraction(repr(value)))


def _tokens(said: Mapping[str, Any]) -> Usage:
    """The usage of a chat, a completion, a response or embeddings."""
    input_tokens, output_tokens = _first(said, "prompt_tokens", "input_tokens"), _output(said)
    asked = said.get("prompt_tokens_details") or said.get("input_tokens_details")
    made = said.get("completion_tokens_details") or said.get("output_tokens_details")
    cached, searches = _count(said.get("prompt_cache_hit_tokens")), _count(said.get("num_search_queries"))
    if cached is None:
        cached = _count(said.get("cached_tokens"))
    if not isinstance(asked, dict) and not isinstance(made, dict):
        return Usage(
            input_tokens=input_tokens, cached_input_tokens=cached, output_tokens=output_tokens, searches=searches
        )
    asked, made = _object(asked), _object(made)
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=_first(asked, "cached_tokens") if cached is None else cached,
        cache_write_tokens=_count(asked.get("cache_write_tokens")),
        output_tokens=output_tokens,
        audio_input_tokens=_count(asked.get("audio_tokens")),
        audio_output_tokens=_count(made.get("audio_tokens")),
        image_input_tokens=_count(asked.get("image_tokens")),
        image_output_tokens=_count(made.get("image_tokens")),
        searches=searches,
    )


def _output(said: Mapping[str, Any]) -> int | None:
    count = _first(said, "completion_tokens", "output_tokens")
    asked, total = _count(said.get("prompt_tokens")), said.get("total_tokens")
    if count is None or asked is None or total == asked + count:
        return count
    # Some count their thoughts beside the rest, and some among it; the sum tells.
    thoughts = _count(_object(said.get("completion_tokens_details")).get("reasoning_tokens"))
    return count + thoughts if thoughts and total == asked + count + thoughts else count


def _heard(said: Mapping[str, Any], result: Mapping[str, Any]) -> Usage | None:
    asked = _object(said.get("input_token_details") or said.get("input_tokens_details"))
    tokens = _count(said.get("input_tokens"))
    if tokens is not None:
        return Usage(
            input_tokens=tokens,
            audio_input_tokens=_count(asked.get("audio_tokens")),
            output_tokens=_count(said.get("output_tokens")),
        )
    for seconds in (said.get("seconds"), said.get("prompt_audio_seconds"), result.get("duration")):
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0:
            return Usage(seconds=float(seconds))
    return None


def _drawn(said: Mapping[str, Any], result: Mapping[str, Any]) -> Usage | None:
    if result.get("svg_usage"):
        # Another model took part, at prices of its own.
        return None
    tokens = _count(said.get("input_tokens"))
    if tokens is None:
        data = result.get("data")
        return Usage(images=len(data)) if isinstance(data, list) else None
    made = _count(said.get("output_tokens"))
    of_images = _object(said.get("output_tokens_details")).get("image_tokens", made)
    return Usage(
        input_tokens=tokens,
        image_input_tokens=_count(_object(said.get("input_tokens_details")).get("image_tokens")),
        output_tokens=made,
        image_output_tokens=_count(of_images),
    )


def _first(said: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        if (count := _count(said.get(name))) is not None:
            return count
    return None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
