"""Anthropic's stream of a message, put together (https://platform.claude.com/docs/en/build-with-claude/streaming)."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from ...engine.calls import Progress
from ...engine.errors import CallFailed

#: Which part of a block a delta of this kind goes on with, and where it says it.
_PIECES = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}


class Message:
    def __init__(self, failure: Callable[[dict[str, Any]], CallFailed]) -> None:
        """`failure` makes the error of an event that speaks of one."""
        self._failure = failure
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        #: The texts of each block that grow, joined once, when it ends.
        self._growing: dict[int, dict[str, list[str]]] = {}
        self._pieces = 0
        self.over = False

    @property
    def whole(self) -> bool:
        return self._message.get("stop_reason") is not None

    def take(self, said: dict[str, Any]) -> Iterator[Progress]:
        kind = said.get("type")
        if kind == "error":
            raise self._failure(said)
        if kind == "message_start":
            self._message = dict(said["message"])
            self._message["usage"] = dict(self._message.get("usage") or {})
        elif kind == "content_block_start":
            self._blocks[said["index"]] = dict(said["content_block"])
            self._growing[said["index"]] = {}
        elif kind == "content_block_delta":
            yield self._grown(said["index"], said["delta"])
        elif kind == "message_delta":
            self._message.update(said["delta"])
            counts = said.get("usage") or {}
            self._message["usage"].update({key: count for key, count in counts.items() if count is not None})
        elif kind == "message_stop":
            self.over = True

    def answer(self) -> dict[str, Any]:
        blocks = [self._ended(index) for index in sorted(self._blocks)]
        return {**self._message, "content": blocks}

    def _grown(self, index: int, delta: dict[str, Any]) -> Progress:
        """By a delta. Kinds that are not known yet add nothing, as the vendor asks of its clients."""
        kind = delta.get("type") or ""
        if kind == "citations_delta":
            block = self._blocks[index]
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        elif kind == "input_json_delta":
            self._growing[index].setdefault("input", []).append(delta["partial_json"])
        elif kind in _PIECES:
            part, key = _PIECES[kind]
            self._growing[index].setdefault(part, []).append(delta[key])
        self._pieces += 1
        return Progress(done=self._pieces, delta=delta["text"] if kind == "text_delta" else "")

    def _ended(self, index: int) -> dict[str, Any]:
        block = dict(self._blocks[index])
        for part, pieces in self._growing[index].items():
            grown = "".join(pieces)
            if part == "input":
                block["input"] = _input(grown) if grown else block.get("input") or {}
            else:
                block[part] = (block.get(part) or "") + grown
        return block


def _input(grown: str) -> Any:
    """The arguments of a call; those that a limit of tokens cut off are told as they came."""
    try:
        return orjson.loads(grown)
    except orjson.JSONDecodeError:
        return grown
