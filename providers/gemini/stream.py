"""Gemini's stream of an answer, put together: each piece is an answer of its own, with more parts."""

from collections.abc import Callable, Iterator
from typing import Any

from ...engine.calls import Progress
from ...engine.errors import CallFailed


class Answer:
    #: Only the end of the stream says that there is no more: the counts may come last.
    over = False

    def __init__(self, failure: Callable[[dict[str, Any]], CallFailed]) -> None:
        """`failure` makes the error of a piece that speaks of one."""
        self._failure = failure
        self._answer: dict[str, Any] = {}
        self._candidates: dict[int, dict[str, Any]] = {}

    @property
    def whole(self) -> bool:
        ended = [bool(candidate.get("finishReason")) for candidate in self._candidates.values()]
        return all(ended) if ended else bool(self._answer.get("promptFeedback"))

    def take(self, said: dict[str, Any]) -> Iterator[Progress]:
        if said.get("error"):
            raise self._failure(said)
        self._answer |= {key: value for key, value in said.items() if key != "candidates"}
        texts = [self._add(candidate) for candidate in said.get("candidates") or ()]
        counts = said.get("usageMetadata") or {}
        done = (counts.get("candidatesTokenCount") or 0) + (counts.get("thoughtsTokenCount") or 0)
        yield Progress(done=done, delta="".join(texts))

    def answer(self) -> dict[str, Any]:
        candidates = [self._candidates[index] for index in sorted(self._candidates)]
        for candidate in candidates:
            parts = candidate.pop("_parts")
            if parts:
                candidate["content"] = {"role": "model", "parts": [_joined(part) for part in parts]}
        return {**self._answer, "candidates": candidates}

    def _add(self, piece: dict[str, Any]) -> str:
        """The text that it adds to the first candidate."""
        index = piece.get("index") or 0
        candidate = self._candidates.setdefault(index, {"_parts": []})
        candidate |= {key: value for key, value in piece.items() if key != "content"}
        parts = (piece.get("content") or {}).get("parts") or ()
        for part in parts:
            _append(candidate["_parts"], part)
        return "".join(part.get("text") or "" for part in parts if not part.get("thought")) if index == 0 else ""


def _append(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """To the last part, if both are text of one kind; what follows a signature is another part."""
    last = parts[-1] if parts else {}
    if "text" not in part:
        parts.append(part)
    elif "text" in last and "thoughtSignature" not in last and bool(last.get("thought")) == bool(part.get("thought")):
        last["text"].append(part["text"])
        last |= {key: value for key, value in part.items() if key != "text"}
    else:
        parts.append({**part, "text": [part["text"]]})


def _joined(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "text": "".join(part["text"])} if "text" in part else part
