"""Gemini's answer as a chat completion."""

import time
import uuid
from typing import Any

import orjson

from .contents import FORMAT
from .usage import chat_usage

_FINISHES = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"),
            *("IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "ESCALATION", "MODEL_ARMOR", "PUP_LIMITED_DISABLED"),
        ),
        "content_filter",
    ),
}
#: What a part may be that chat has words for.
_SAID = ("text", "functionCall", "inlineData")


def completion(answer: dict[str, Any]) -> dict[str, Any]:
    """Raises `KeyError`, `TypeError` or `AttributeError` for what is not an answer with candidates."""
    candidates: list[dict[str, Any]] = answer["candidates"]
    return {
        "id": answer.get("responseId") or f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.get("modelVersion"),
        "choices": [_choice(candidate, index) for index, candidate in enumerate(candidates)],
        "usage": chat_usage(answer),
    }


def _choice(candidate: dict[str, Any], index: int) -> dict[str, Any]:
    message = _message(candidate)
    reason = candidate.get("finishReason") or "STOP"
    # A word that chat does not have is told as it is.
    finish = _FINISHES.get(reason, reason.lower())
    if finish == "stop" and message.get("tool_calls"):
        finish = "tool_calls"
    if finish == "content_filter" and candidate.get("finishMessage"):
        message["refusal"] = candidate["finishMessage"]
    choice = {
        "index": candidate.get("index") or index,
        "message": message,
        "finish_reason": finish,
        "logprobs": _logprobs(candidate.get("logprobsResult")),
    }
    if grounding := candidate.get("groundingMetadata"):
        choice["grounding_metadata"] = grounding
    return choice


def _message(candidate: dict[str, Any]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = (candidate.get("content") or {}).get("parts") or []
    texts = [part for part in parts if "text" in part and not part.get("thought")]
    calls = [(part, _call(part["functionCall"])) for part in parts if "functionCall" in part]
    content = "".join(part["text"] for part in texts)
    made: dict[str, Any] = {"role": "assistant", "content": content if content or not calls else None, "refusal": None}
    if details := _details(parts, {id(part): call["id"] for part, call in calls}):
        if reasoning := "".join(detail.get("text") or "" for detail in details):
            made["reasoning"] = reasoning
        made["reasoning_details"] = details
    if annotations := _annotations(parts, candidate.get("groundingMetadata") or {}):
        made["annotations"] = annotations
    if calls:
        made["tool_calls"] = [call for _, call in calls]
    if images := [_image(part["inlineData"]) for part in parts if "inlineData" in part]:
        made["images"] = images
    if any(not any(kind in part for kind in _SAID) for part in parts):
        # So that the conversation can go on where only Gemini's own parts say it all.
        made["content_parts"] = parts
    return made


def _call(call: dict[str, Any]) -> dict[str, Any]:
    arguments = orjson.dumps(call.get("args") or {}).decode()
    function = {"name": call["name"], "arguments": arguments}
    return {"id": call.get("id") or f"call_{uuid.uuid4().hex}", "type": "function", "function": function}


def _details(parts: list[dict[str, Any]], calls: dict[int, str]) -> list[dict[str, Any]]:
    """The thoughts that are shown, and the signatures of the others, each with the call it came with."""
    details: list[dict[str, Any]] = []
    for part in parts:
        about = {"format": FORMAT, "index": len(details)}
        signature = part.get("thoughtSignature")
        if part.get("thought"):
            signed = {"signature": signature} if signature else {}
            details.append({"type": "reasoning.text", "text": part.get("text") or "", **signed, **about})
        elif signature:
            named = {"id": calls[id(part)]} if id(part) in calls else {}
            details.append({"type": "reasoning.encrypted", "data": signature, **named, **about})
    return details


def _image(blob: dict[str, Any]) -> dict[str, Any]:
    url = f"data:{blob.get('mimeType') or 'image/png'};base64,{blob.get('data') or ''}"
    return {"type": "image_url", "image_url": {"url": url}}


def _annotations(parts: list[dict[str, Any]], grounding: dict[str, Any]) -> list[dict[str, Any]]:
    """The pages that support a piece of the content, whose place Gemini tells in bytes of its part."""
    chunks = grounding.get("groundingChunks") or []
    starts, at = {}, 0
    for index, part in enumerate(parts):
        if "text" in part and not part.get("thought"):
            starts[index] = (at, part["text"].encode())
            at += len(part["text"])
    found = []
    for support in grounding.get("groundingSupports") or ():
        segment = support.get("segment") or {}
        if (place := starts.get(segment.get("partIndex") or next(iter(starts), 0))) is None:
            continue
        start, text = place
        before, until = (
            len(text[: segment.get(key) or 0].decode(errors="ignore")) for key in ("startIndex", "endIndex")
        )
        for number in support.get("groundingChunkIndices") or ():
            web = chunks[number].get("web") if number < len(chunks) else None
            if web and web.get("uri"):
                cited = {"url": web["uri"], "title": web.get("title") or ""}
                where = {"start_index": start + before, "end_index": start + until}
                found.append({"type": "url_citation", "url_citation": {**cited, **where}})
    return found


def _logprobs(told: dict[str, Any] | None) -> dict[str, Any] | None:
    if not told:
        return None
    tops = [each.get("candidates") or [] for each in told.get("topCandidates") or ()]
    chosen = told.get("chosenCandidates") or ()
    tokens = [
        {**_token(token), "top_logprobs": [_token(each) for each in (tops[n] if n < len(tops) else ())]}
        for n, token in enumerate(chosen)
    ]
    return {"content": tokens, "refusal": None}


def _token(token: dict[str, Any]) -> dict[str, Any]:
    text = token.get("token") or ""
    return {"token": text, "logprob": token.get("logProbability") or 0.0, "bytes": list(text.encode())}
