"""A chat completion as the response to the request that `responses_request` made a chat of."""

import time
import uuid
from collections.abc import Sequence
from typing import Any

#: How an answer ends that lacks nothing, and responses' words for what made another end.
_WHOLE = frozenset({"stop", "tool_calls"})
_INCOMPLETE = {"length": "max_output_tokens"}
#: Always in a response, null where unset.
_ECHOED = (
    *("instructions", "max_output_tokens", "max_tool_calls", "previous_response_id", "prompt_cache_key", "reasoning"),
    *("safety_identifier", "service_tier"),
)
#: In a response where the request has them.
_ECHOED_IF_SET = (
    *("background", "include", "metadata", "presence_penalty", "frequency_penalty", "store", "temperature", "text"),
    *("top_logprobs", "top_p", "truncation", "user"),
)


def response(request: dict[str, Any], completion: dict[str, Any]) -> dict[str, Any]:
    """The chat completion of `request` as a response."""
    choice = completion["choices"][0]
    finish = choice["finish_reason"]
    reason = None if finish in _WHOLE else _INCOMPLETE.get(finish, finish)
    status = "incomplete" if reason else "completed"
    made = {
        "id": _id("resp"),
        "object": "response",
        "created_at": completion["created"],
        "completed_at": None if reason else int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": completion["model"],
        "output": _output(choice, status, bool((request.get("reasoning") or {}).get("summary"))),
        **{key: request.get(key) for key in _ECHOED},
        **{key: request[key] for key in _ECHOED_IF_SET if request.get(key) is not None},
        "parallel_tool_calls": request.get("parallel_tool_calls") is not False,
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "usage": _usage(completion["usage"]),
    }
    if tier := completion.get("service_tier"):
        made["service_tier"] = tier
    return made


def _output(choice: dict[str, Any], status: str, summarise: bool) -> list[dict[str, Any]]:
    message = choice["message"]
    calls = message.get("tool_calls") or ()
    items = _reasoning(message, summarise)
    parts = _parts(message, choice.get("logprobs"))
    if not parts and not calls:
        parts = [_text("", [], [])]
    if parts:
        item = {"id": _id("msg"), "type": "message", "status": status, "role": "assistant", "content": parts}
        items.append(item)
    items.extend(
        {
            "id": _id("fc"),
            "type": "function_call",
            "status": status,
            "call_id": call["id"],
            "name": call["function"]["name"],
            "arguments": call["function"]["arguments"],
        }
        for call in calls
    )
    return items


def _reasoning(message: dict[str, Any], summarise: bool) -> list[dict[str, Any]]:
    details: Sequence[dict[str, Any]] = message.get("reasoning_details") or ()
    if not details and message.get("reasoning"):
        details = [{"type": "reasoning.text", "text": message["reasoning"]}]
    items = []
    for detail in details:
        text = detail.get("text") or ""
        item: dict[str, Any] = {"id": _id("rs"), "type": "reasoning", "summary": []}
        if summarise and text:
            item["summary"] = [{"type": "summary_text", "text": text}]
        if detail["type"] == "reasoning.encrypted":
            item["encrypted_content"] = detail["data"]
        else:
            signed = {"signature": detail["signature"]} if detail.get("signature") else {}
            item["content"] = [{"type": "reasoning_text", "text": text, **signed}]
        if detail.get("format"):
            item["format"] = detail["format"]
        if detail.get("id"):
            item["call_id"] = detail["id"]
        items.append(item)
    return items


def _parts(message: dict[str, Any], logprobs: dict[str, Any] | None) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if message.get("content"):
        annotations = [
            *({"type": each["type"], **each[each["type"]]} for each in message.get("annotations") or ()),
            *(_file_citation(each) for each in message.get("citations") or ()),
        ]
        parts.append(_text(message["content"], annotations, (logprobs or {}).get("content") or []))
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    return parts


def _text(text: str, annotations: list[Any], logprobs: list[Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def _file_citation(citation: dict[str, Any]) -> dict[str, Any]:
    """What responses must say of one, and what else the vendor told."""
    told = {key: value for key, value in citation.items() if key != "type"}
    name = citation.get("document_title") or citation.get("title") or ""
    must = {"file_id": citation.get("file_id") or "", "filename": name, "index": citation["end_index"]}
    return {"type": "file_citation", **told, **must}


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    before, after = usage["prompt_tokens_details"], usage["completion_tokens_details"]
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {**before, "cache_write_tokens": before.get("cached_write_tokens") or 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0, **after},
        "total_tokens": usage["total_tokens"],
    }


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
