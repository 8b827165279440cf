"""Chunks of chat/completions and completions, joined: the pieces of each choice become one choice."""

from collections.abc import Iterator
from typing import Any

import orjson

#: Of a chunk's own keys, those that some chunks leave empty.
_IDENTITY = ("id", "created", "model")
#: Of a chunk, and not of a result: the padding hides how long the pieces are.
_CHUNKS_OWN = ("object", "choices", "obfuscation")

#: Strings that come in pieces; any other is a word, and stands for itself however often it is said.
_TEXTS = frozenset(
    {
        "content",
        "refusal",
        "reasoning_content",
        "reasoning",
        "thinking",
        "text",
        "summary",
        "name",
        "arguments",
        "input",
    }
)
#: Texts that are lists of parts at some servers, and the types of parts that come in pieces.
_PARTED = ("content", "thinking")
_GROWING = ("text", "thinking")
#: Lists whose items come in pieces, each with its `index`; the items of any other come whole.
_INDEXED = ("tool_calls", "reasoning_details")
#: Pieces lie no deeper in a choice than this; what is deeper comes whole.
_DEPTH = 6


class Completion:
    """A chat or text completion. `over` is never known before the stream says so: the counts come last."""

    over = False

    def __init__(self, kind: str) -> None:
        """`kind` is the result's `object`."""
        self._chat = kind == "chat.completion"
        self._result: dict[str, Any] = {"object": kind}
        self._choices: dict[int, dict[str, Any]] = {}

    @property
    def whole(self) -> bool:
        """Each choice has said why it ended, as it must; some servers forget the stream's own end."""
        return bool(self._choices) and all(choice["finish_reason"] for choice in self._choices.values())

    def take(self, said: dict[str, Any]) -> Iterator[str]:
        for key, value in said.items():
            if key in _CHUNKS_OWN or (key in _IDENTITY and not value):
                continue
            if value is not None or key not in self._result:
                self._result[key] = value
        for choice in _objects(said.get("choices")):
            yield from self._take_choice(choice)

    def _take_choice(self, choice: dict[str, Any]) -> Iterator[str]:
        index = choice["index"] if isinstance(choice.get("index"), int) else 0
        if (kept := self._choices.get(index)) is None:
            answer = {"message": {"role": "assistant", "content": None}} if self._chat else {"text": ""}
            kept = self._choices[index] = {"index": index, **answer, "finish_reason": None}
        delta = choice.get("delta") if self._chat else {"content": choice.get("text")}
        # Some servers send with each delta the message so far, which would be joined twice.
        rest = {key: value for key, value in choice.items() if key not in ("delta", "message")}
        _join(kept, {**rest, "index": index}, _DEPTH)
        if not isinstance(delta, dict):
            return
        if self._chat:
            _join(kept["message"], delta, _DEPTH)
        if index == 0 and any(value for key, value in delta.items() if key != "role"):
            text = delta.get("content")
            yield text if isinstance(text, str) else ""

    def result(self) -> dict[str, Any] | None:
        if not self._choices:
            return None
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            message = choice.get("message", {})
            if calls := _objects(message.get("tool_calls")):
                message["tool_calls"] = [
                    {key: value for key, value in {"type": "function", **call}.items() if key != "index"}
                    for call in sorted(calls, key=lambda call: call["index"])
                ]
        return {**self._result, "choices": choices}


class _Text:
    """A text that grows, joined once, when it is written."""

    def __init__(self, piece: str) -> None:
        self.pieces = [piece]


class _Items(list[dict[str, Any]]):
    """Items that come in pieces, each with its `index`, found without looking through them: there may be many."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[int, dict[str, Any]] = {}
        self._by_id: dict[str | int, int] = {}
        self._highest = -1

    def add(self, item: dict[str, Any], depth: int) -> None:
        """Adds an item, or what continues one, to those that have come."""
        index = item["index"] if isinstance(item.get("index"), int) else self._index(item)
        same = self._places.get(index)
        if same is None:
            self._places[index] = same = {}
            self.append(same)
            self._highest = max(self._highest, index)
        if isinstance(id := item.get("id"), str | int) and id:
            self._by_id.setdefault(id, index)
        _join(same, {**item, "index": index}, depth)

    def _index(self, item: dict[str, Any]) -> int:
        """The index of an item from a server that does not number them: a new one begins with its id, or a name."""
        function, id = item.get("function"), item.get("id")
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(id, str | int) and id in self._by_id:
            return self._by_id[id]
        if self and not id and not name:
            return int(self[-1]["index"])
        return self._highest + 1


class _Parts(list[Any]):
    """A content that is a list, of which pieces come: each goes on with the last part, or is the first of another."""

    def add(self, parts: list[Any], depth: int) -> None:
        for part in parts:
            if not isinstance(part, dict) or part.get("type") not in _GROWING:
                self.append(part)
                continue
            if not self or not isinstance(self[-1], dict) or self[-1].get("type") != part["type"]:
                self.append({})
            _join(self[-1], part, depth)


def rendered(result: dict[str, Any]) -> bytes:
    """A result as JSON. Raises `orjson.JSONEncodeError` if JSON cannot hold it: it nests too deeply."""
    return orjson.dumps(result, default=_joined)


def _joined(value: Any) -> str:
    if isinstance(value, _Text):
        return "".join(value.pieces)
    raise TypeError


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _join(kept: dict[str, Any], more: dict[str, Any], depth: int) -> None:
    for key, value in more.items():
        have = kept.get(key)
        if value is None:
            kept.setdefault(key, None)
        elif isinstance(value, str) and key in _TEXTS:
            if isinstance(have, _Text):
                have.pieces.append(value)
            elif isinstance(have, _Parts):
                have.add([{"type": "text", "text": value}] if value else [], depth)
            else:
                kept[key] = _Text(value)
        elif isinstance(value, list) and key in _PARTED and depth:
            if not isinstance(have, _Parts):
                kept[key] = parts = _Parts()
                if isinstance(have, _Text) and any(have.pieces):
                    parts.append({"type": "text", "text": have})
                have = parts
            have.add(value, depth - 1)
        elif isinstance(value, dict) and depth:
            if not isinstance(have, dict):
                kept[key] = have = {}
            _join(have, value, depth - 1)
        elif isinstance(value, list):
            if key not in _INDEXED:
                if not isinstance(have, list):
                    kept[key] = have = []
                have.extend(value)
            elif depth:
                if not isinstance(have, _Items):
                    kept[key] = have = _Items()
                for item in _objects(value):
                    have.add(item, depth - 1)
        elif value != "" or have is None:
            kept[key] = value
