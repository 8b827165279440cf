"""Embeddings by Gemini's batchEmbedContents (https://ai.google.dev/api/embeddings): one vector an input."""

import base64
import struct
from typing import Any

from ...engine.errors import Unusable
from ..data_urls import Data
from ..refusals import invalid, unreadable
from .parts import by_address, inline
from .usage import usage

_MEDIA = ("image", "audio", "file", "video")
_TYPES = {"image": "image/png", "audio": "audio/wav", "file": "application/pdf", "video": "video/mp4"}


def embedding_request(request: dict[str, Any], model: str) -> dict[str, Any]:
    """Raises `CallFailed` for an input that Gemini does not take, as tokens."""
    shared: dict[str, Any] = {"model": f"models/{model}"}
    if task := request.get("task_type"):
        shared["taskType"] = task.upper()
    if request.get("title"):
        shared["title"] = request["title"]
    if request.get("dimensions"):
        shared["outputDimensionality"] = request["dimensions"]
    given = request["input"]
    inputs = [given] if isinstance(given, str) else given
    return {"requests": [{**shared, "content": _content(each, f"input[{n}]")} for n, each in enumerate(inputs)]}


def embeddings(provider: str, request: dict[str, Any], asked: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Raises `KeyError` or `TypeError` for what is no answer, `Unusable` if vectors are missing."""
    vectors = [each["values"] for each in answer["embeddings"]]
    if len(vectors) != len(asked["requests"]):
        raise Unusable(f"provider {provider} answered {len(vectors)} vectors for {len(asked['requests'])} inputs")
    shown = _base64 if request.get("encoding_format") == "base64" else list
    counted = usage(answer).input_tokens
    return {
        "object": "list",
        "data": [{"index": n, "object": "embedding", "embedding": shown(each)} for n, each in enumerate(vectors)],
        "usage": None if counted is None else {"prompt_tokens": counted, "total_tokens": counted},
    }


def _base64(vector: list[float]) -> str:
    """As OpenAI packs them: floats of four bytes, the least significant first."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _content(given: Any, where: str) -> dict[str, Any]:
    if isinstance(given, str):
        return {"parts": [{"text": given}]}
    parts = given.get("content") if isinstance(given, dict) else given
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise unreadable("Gemini embeds texts and media, not tokens.", where)
    return {"parts": [_part(part, f"{where}[{n}]") for n, part in enumerate(parts)]}


def _part(part: dict[str, Any], where: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"text": part.get("text") or ""}
    if kind not in _MEDIA:
        raise unreadable(f"Gemini does not embed parts of type {kind}.", where)
    source = part.get(kind) or {}
    media_type = source.get("mime_type")
    if isinstance(data := source.get("data"), str) and not data.startswith("data:"):
        return inline(Data(media_type=media_type or _TYPES[kind], base64=data))
    if (address := source.get("data") or source.get("url")) is None:
        raise invalid(f"It needs {kind}.data or {kind}.url.", f"{where}.{kind}")
    return by_address(address, f"{where}.{kind}", media_type)
