"""Anthropic's message as a chat completion."""

import time
from typing import Any

import orjson

from ...engine.calls import Usage
from .messages import FORMAT

_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
#: Blocks that chat has words for.
_SAID = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


def completion(message: dict[str, Any]) -> dict[str, Any]:
    """Raises `KeyError`, `TypeError` or `AttributeError` for what is not a message."""
    blocks = message["content"]
    if not isinstance(blocks, list):
        raise TypeError("the content of a message is a list")
    reason = message.get("stop_reason")
    choice: dict[str, Any] = {
        "index": 0,
        "message": _message(blocks, message),
        # A word that chat does not have, as pause_turn, is told as it is.
        "finish_reason": _FINISHES.get(reason or "", reason or "stop"),
        "logprobs": None,
    }
    if message.get("stop_sequence"):
        choice["stop"] = message["stop_sequence"]
    made = {
        "id": message.get("id"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": message.get("model"),
        "choices": [choice],
        "usage": _shown(message.get("usage") or {}),
    }
    if tier := (message.get("usage") or {}).get("service_tier"):
        made["service_tier"] = tier
    return made


def usage(message: dict[str, Any]) -> Usage:
    counts = message.get("usage") or {}
    return Usage(
        input_tokens=_input(counts),
        cached_input_tokens=counts.get("cache_read_input_tokens"),
        cache_write_tokens=counts.get("cache_creation_input_tokens"),
        long_cache_write_tokens=(counts.get("cache_creation") or {}).get("ephemeral_1h_input_tokens"),
        output_tokens=counts.get("output_tokens"),
        searches=(counts.get("server_tool_use") or {}).get("web_search_requests"),
        tier=_tier(counts),
    )


def _tier(counts: dict[str, Any]) -> str | None:
    """What the rate depends on: an answer that was made in one country costs more, as does a fast one."""
    if (place := counts.get("inference_geo")) not in (None, "global", "not_available"):
        return f"inference_geo={place}"
    return "fast" if counts.get("speed") == "fast" else counts.get("service_tier")


def _message(blocks: list[dict[str, Any]], message: dict[str, Any]) -> dict[str, Any]:
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    texts = [block for block in blocks if block.get("type") == "text"]
    content = "".join(block.get("text") or "" for block in texts)
    made: dict[str, Any] = {"role": "assistant", "content": content if content or not calls else None}
    made["refusal"] = (message.get("stop_details") or {}).get("explanation")
    if details := _thoughts(blocks):
        if reasoning := "\n".join(detail["text"] for detail in details if detail.get("text")):
            made["reasoning"] = reasoning
        made["reasoning_details"] = details
    annotations, citations = _cited(texts)
    if annotations:
        made["annotations"] = annotations
    if citations:
        made["citations"] = citations
    if calls:
        made["tool_calls"] = calls
    if any(block.get("type") not in _SAID or block.get("citations") for block in blocks):
        # So that the conversation can go on where only Anthropic's own blocks say it all.
        made["content_blocks"] = blocks
    return made


def _call(block: dict[str, Any]) -> dict[str, Any]:
    given = block.get("input") or {}
    arguments = given if isinstance(given, str) else orjson.dumps(given).decode()
    function = {"name": block.get("name"), "arguments": arguments}
    return {"id": block.get("id"), "type": "function", "function": function}


def _thoughts(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = []
    for block in blocks:
        about = {"format": FORMAT, "index": len(details)}
        if block.get("type") == "thinking":
            text, signature = block.get("thinking") or "", block.get("signature")
            details.append({"type": "reasoning.text", "text": text, "signature": signature, **about})
        elif block.get("type") == "redacted_thinking":
            details.append({"type": "reasoning.encrypted", "data": block.get("data"), **about})
    return details


def _cited(texts: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Each citation with the part of the whole content that it supports: those of the web as chat's annotations, those
    of documents and search results in Anthropic's words, for which chat has none."""
    annotations: list[dict[str, Any]] = []
    citations: list[dict[str, Any]] = []
    at = 0
    for block in texts:
        end = at + len(block.get("text") or "")
        for citation in block.get("citations") or ():
            place = {"start_index": at, "end_index": end}
            if url := citation.get("url"):
                cited = {"url": url, "title": citation.get("title") or "", **place}
                if citation.get("cited_text"):
                    cited["content"] = citation["cited_text"]
                annotations.append({"type": "url_citation", "url_citation": cited})
            else:
                citations.append({**{key: value for key, value in citation.items() if value is not None}, **place})
        at = end
    return annotations, citations


def _shown(counts: dict[str, Any]) -> dict[str, Any]:
    total_in, total_out = _input(counts) or 0, counts.get("output_tokens") or 0
    read, written = counts.get("cache_read_input_tokens") or 0, counts.get("cache_creation_input_tokens") or 0
    before = {"cached_tokens": read + written, "cached_read_tokens": read, "cached_write_tokens": written}
    if spans := counts.get("cache_creation"):
        before["cached_write_token_details"] = {
            f"cached_write_tokens_{span}": spans.get(f"ephemeral_{span}_input_tokens") or 0 for span in ("5m", "1h")
        }
    after = {}
    if (thought := (counts.get("output_tokens_details") or {}).get("thinking_tokens")) is not None:
        after["reasoning_tokens"] = thought
    if (searches := (counts.get("server_tool_use") or {}).get("web_search_requests")) is not None:
        after["num_search_queries"] = searches
    return {
        "prompt_tokens": total_in,
        "prompt_tokens_details": before,
        "completion_tokens": total_out,
        "completion_tokens_details": after,
        "total_tokens": total_in + total_out,
    }


def _input(counts: dict[str, Any]) -> int | None:
    """All input tokens: Anthropic counts those written to and read from its cache apart."""
    if counts.get("input_tokens") is None:
        return None
    parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(counts.get(part) or 0 for part in parts)
