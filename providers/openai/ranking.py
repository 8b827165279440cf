"""Reranking as the servers have it that took over Jina's and Cohere's path: `POST …/rerank`."""

from typing import Any

import orjson

from ...engine.calls import Call, Reply
from ...engine.errors import Unusable
from ..http import Door
from .results import made, parsed


def ranking_request(request: dict[str, Any]) -> dict[str, Any]:
    """As all of these servers know it: the documents are strings, and are not sent back."""
    documents = [_text(document) for document in request["documents"]]
    return {**{key: value for key, value in request.items() if key != "return_documents"}, "documents": documents}


def ranked(door: Door, call: Call, answer: bytes) -> Reply:
    """The reply, with the best first, of which there are `top_n` at most; documents are the client's own."""
    documents = call.request["documents"]
    told = _object(door, answer)
    found = told.get("results", told.get("data"))
    if not isinstance(found, list):
        raise Unusable(f"provider {door.name} answered without results")
    results: list[dict[str, Any]] = []
    for item in found:
        index, score = _entry(item)
        if index is None or score is None or not 0 <= index < len(documents):
            raise Unusable(f"provider {door.name} answered with a result that names no document or has no score")
        results.append({"index": index, "relevance_score": score})
    results.sort(key=lambda result: result["relevance_score"], reverse=True)
    if call.request.get("return_documents"):
        for result in results:
            document = documents[result["index"]]
            result["document"] = document if isinstance(document, dict) else {"text": document}
    kept = {key: told[key] for key in ("id", "meta", "usage") if told.get(key) is not None}
    return made(call, {**kept, "model": told.get("model") or call.model, "results": results[: _most(call)]})


def _object(door: Door, answer: bytes) -> dict[str, Any]:
    if answer.lstrip()[:1] == b"[":
        # Some answer with the results alone.
        try:
            items = orjson.loads(answer)
        except orjson.JSONDecodeError:
            items = None
        if isinstance(items, list) and all(isinstance(item, dict) for item in items):
            return {"results": items}
    return parsed(door, answer)


def _entry(item: object) -> tuple[int | None, float | None]:
    if not isinstance(item, dict):
        return None, None
    index, score = item.get("index"), item.get("relevance_score", item.get("score"))
    return (
        index if isinstance(index, int) and not isinstance(index, bool) else None,
        score if isinstance(score, int | float) and not isinstance(score, bool) else None,
    )


def _text(document: object) -> object:
    return document.get("text", "") if isinstance(document, dict) else document


def _most(call: Call) -> int | None:
    most = call.request.get("top_n")
    return most if isinstance(most, int) and most >= 0 else None
