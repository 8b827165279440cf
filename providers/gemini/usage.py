"""What Gemini counted, as the engine keeps it and as chats and others show it."""

from typing import Any

from ...engine.calls import Usage


def usage(answer: dict[str, Any]) -> Usage:
    counts = answer.get("usageMetadata") or {}
    before, after = _by_kind(counts, "promptTokensDetails"), _by_kind(counts, "candidatesTokensDetails")
    return Usage(
        input_tokens=_sum(counts, "promptTokenCount", "toolUsePromptTokenCount"),
        cached_input_tokens=counts.get("cachedContentTokenCount"),
        output_tokens=_sum(counts, "candidatesTokenCount", "thoughtsTokenCount"),
        audio_input_tokens=before.get("AUDIO"),
        image_input_tokens=before.get("IMAGE"),
        audio_output_tokens=after.get("AUDIO"),
        image_output_tokens=after.get("IMAGE"),
        tier=tier.lower() if isinstance(tier := counts.get("serviceTier"), str) else None,
    )


def chat_usage(answer: dict[str, Any]) -> dict[str, Any]:
    counts, counted = answer.get("usageMetadata") or {}, usage(answer)
    cached = counted.cached_input_tokens or 0
    return {
        "prompt_tokens": counted.input_tokens or 0,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cached_read_tokens": cached,
            "cached_write_tokens": 0,
            **_shown(counts, "promptTokensDetails"),
        },
        "completion_tokens": counted.output_tokens or 0,
        "completion_tokens_details": {
            "reasoning_tokens": counts.get("thoughtsTokenCount") or 0,
            **_shown(counts, "candidatesTokensDetails"),
        },
        "total_tokens": (counted.input_tokens or 0) + (counted.output_tokens or 0),
    }


def plain_usage(answer: dict[str, Any]) -> dict[str, Any]:
    """As images and speech show it."""
    counts, counted = answer.get("usageMetadata") or {}, usage(answer)
    return {
        "input_tokens": counted.input_tokens or 0,
        "input_tokens_details": _shown(counts, "promptTokensDetails"),
        "output_tokens": counted.output_tokens or 0,
        "output_tokens_details": _shown(counts, "candidatesTokensDetails"),
        "total_tokens": (counted.input_tokens or 0) + (counted.output_tokens or 0),
    }


def _sum(counts: dict[str, Any], first: str, *more: str) -> int | None:
    if all(counts.get(key) is None for key in (first, *more)):
        return None
    return sum(counts.get(key) or 0 for key in (first, *more))


def _by_kind(counts: dict[str, Any], key: str) -> dict[str, int]:
    return {each.get("modality") or "": each.get("tokenCount") or 0 for each in counts.get(key) or ()}


def _shown(counts: dict[str, Any], key: str) -> dict[str, int]:
    known = _by_kind(counts, key)
    return {f"{kind.lower()}_tokens": known[kind] for kind in ("TEXT", "IMAGE", "AUDIO") if kind in known}
