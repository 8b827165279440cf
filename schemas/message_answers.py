"""From a chat completion to the message that it is in the shape of Anthropic's API."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

Json = dict[str, Any]

#: A vendor's word that is none of these goes on as it is.
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


_TIERS = {"default": "standard"}


def waiting(id: str, model: str, status: str) -> Json:
    """The message of a job that has not ended."""
    return {**_message(id, model, []), "usage": {"input_tokens": 0, "output_tokens": 0}, "status": status}


def message(chat: Mapping[str, Any], id: str, model: str) -> Json:
    """The message that a chat completion is: its first choice. `id` and `model` count where the chat says neither.

    Raises `ValueError` for what is no chat completion: a provider's answer is kept unseen.
    """
    try:
        return _translated(chat, id, model)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"the provider's answer is no chat completion: {error!r}") from error


def _translated(chat: Mapping[str, Any], id: str, model: str) -> Json:
    choices = chat.get("choices") or [{}]
    choice: Json = choices[0]
    said: Json = choice.get("message") or {}
    content = list(_blocks(said))
    reason, sequence = _ending(choice, said)
    return {
        **_message(chat.get("id") or id, chat.get("model") or model, content),
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": _usage(chat),
    }


def _message(id: str, model: str, content: list[Json]) -> Json:
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(said: Json) -> Iterator[Json]:
    if isinstance(own := said.get("content_blocks"), list):
        # A provider whose answers have this shape keeps one that holds more than a chat has words for.
        yield from own
        return
    yield from _thoughts(said)
    content = said.get("content")
    if isinstance(content, str):
        yield from _texts(content, said.get("annotations") or ())
    else:
        yield from (_own(part) for part in content or () if part["type"] != "text" or part["text"])
    if said.get("refusal"):
        yield {"type": "text", "text": said["refusal"]}
    for call in said.get("tool_calls") or ():
        yield _tool_use(call)


def _texts(content: str, annotations: Iterable[Json]) -> Iterator[Json]:
    """The text, cut where citations support a part of it."""
    cited: dict[tuple[int, int], list[Json]] = {}
    for annotation in annotations:
        details = annotation.get(annotation.get("type") or "") or {}
        start, end = details.get("start_index"), details.get("end_index")
        if isinstance(start, int) and isinstance(end, int):
            cited.setdefault((start, end), []).append(_citation(details))
    at = 0
    for (start, end), citations in sorted(cited.items(), key=lambda item: item[0]):
        # What overlaps, or is outside of the text, has no place in blocks that follow each other.
        if at <= start < end <= len(content):
            if at < start:
                yield {"type": "text", "text": content[at:start]}
            yield {"type": "text", "text": content[start:end], "citations": citations}
            at = end
    if at < len(content):
        yield {"type": "text", "text": content[at:]}


def _citation(details: Json) -> Json:
    if "url" in details:
        return {
            "type": "web_search_result_location",
            "url": details["url"],
            "title": details.get("title"),
            "cited_text": details.get("content") or "",
            "encrypted_index": "",
        }
    return {key: value for key, value in details.items() if key not in ("start_index", "end_index")}


def _thoughts(said: Json) -> Iterator[Json]:
    details = said.get("reasoning_details") or ()
    for detail in details:
        match detail.get("type"):
            case "reasoning.text":
                yield _thinking(detail.get("text"), detail.get("signature"))
            case "reasoning.summary":
                yield _thinking(detail.get("summary"), detail.get("signature"))
            case "reasoning.encrypted":
                yield {"type": "redacted_thinking", "data": detail.get("data") or ""}
    text = said.get("reasoning") or said.get("reasoning_content")
    if not details and isinstance(text, str) and text:
        yield _thinking(text, None)


def _own(part: Json) -> Json:
    """A part as it is, but for thoughts that are texts in a list, as Mistral has them."""
    if part["type"] != "thinking" or isinstance(part["thinking"], str):
        return part
    return _thinking("".join(text.get("text") or "" for text in part["thinking"]), part.get("signature"))


def _thinking(text: str | None, signature: str | None) -> Json:
    return {"type": "thinking", "thinking": text or "", "signature": signature or ""}


def _tool_use(call: Json) -> Json:
    function = call.get("function") or call.get("custom") or {}
    given = function.get("arguments", function.get("input"))
    return {
        "type": "tool_use",
        "id": call.get("id") or "",
        "name": function.get("name") or "",
        "input": _arguments(given),
    }


def _arguments(given: Any) -> Json:
    """The arguments as an object; what a model wrote that is none is kept under `arguments`."""
    try:
        parsed = orjson.loads(given) if isinstance(given, str) and given.strip() else given or {}
    except orjson.JSONDecodeError:
        parsed = given
    return parsed if isinstance(parsed, dict) else {"arguments": parsed}


def _ending(choice: Json, said: Json) -> tuple[str, str | None]:
    """Why the model stopped, and the stop sequence, where the provider names it."""
    reason = choice.get("finish_reason") or "stop"
    # Where servers say which of the sequences it was.
    sequence = choice.get("stop") or choice.get("stop_reason")
    if reason in ("stop", "stop_sequence") and isinstance(sequence, str) and sequence:
        return "stop_sequence", sequence
    if reason == "stop" and said.get("tool_calls"):
        return "tool_use", None
    if reason == "stop" and said.get("refusal"):
        return "refusal", None
    return _STOP_REASONS.get(reason, reason), None


def _usage(chat: Mapping[str, Any]) -> Json:
    usage = chat.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    # `cached_tokens` are read; beside `cached_write_tokens` it is the sum.
    both = details.get("cached_write_tokens")
    written = details.get("cache_write_tokens") or 0 if both is None else both
    read = details.get("cached_read_tokens", (details.get("cached_tokens") or 0) - (both or 0)) or 0
    shown: Json = {
        "input_tokens": max((usage.get("prompt_tokens") or 0) - read - written, 0),
        "output_tokens": usage.get("completion_tokens") or 0,
    }
    if details:
        shown |= {"cache_read_input_tokens": read, "cache_creation_input_tokens": written}
    if parts := details.get("cached_write_token_details"):
        shown["cache_creation"] = {
            "ephemeral_5m_input_tokens": parts.get("cached_write_tokens_5m") or 0,
            "ephemeral_1h_input_tokens": parts.get("cached_write_tokens_1h") or 0,
        }
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    if thought is not None:
        shown["output_tokens_details"] = {"thinking_tokens": thought}
    if isinstance(tier := chat.get("service_tier"), str):
        shown["service_tier"] = _TIERS.get(tier, tier)
    return shown
