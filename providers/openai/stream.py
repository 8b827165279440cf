"""OpenAI's streams, read as they come and put together again to the result that the call has without a stream."""

from collections.abc import Iterator
from contextlib import aclosing
from typing import Any, Protocol

import aiohttp
import orjson

from ...engine.calls import Call, Progress
from ...engine.errors import Interrupted, Unusable
from ..sse import Event, EventParser
from ..streams import said
from ..upstream import pieces
from .chunks import Completion, rendered

_DONE = "[DONE]"
_OBJECTS = {"chat/completions": "chat.completion", "completions": "text_completion"}
_LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed")


class StreamError(Exception):
    """The stream speaks of an error instead of going on."""

    def __init__(self, data: str) -> None:
        super().__init__(data)
        #: The event that speaks of it.
        self.data = data


class Assembly(Protocol):
    """Takes what a stream says, and has the result when all of it has come."""

    @property
    def whole(self) -> bool:
        """Whether the result is there, even if the stream should break off now."""

    @property
    def over(self) -> bool:
        """Whether nothing can follow that belongs to the result."""

    def take(self, said: dict[str, Any]) -> Iterator[str]:
        """The text that this adds to the first choice; empty for a thought or a part of a call."""

    def result(self) -> dict[str, Any] | None:
        """None if there was nothing to put together."""


class Response:
    """A response: the last event holds all of it."""

    def __init__(self) -> None:
        self._response: dict[str, Any] | None = None

    @property
    def whole(self) -> bool:
        return self._response is not None

    @property
    def over(self) -> bool:
        return self.whole

    def take(self, said: dict[str, Any]) -> Iterator[str]:
        kind, delta = said.get("type"), said.get("delta")
        if kind in _LAST_EVENTS and isinstance(response := said.get("response"), dict):
            self._response = response
        elif isinstance(kind, str) and kind.endswith(".delta") and isinstance(delta, str) and delta:
            yield delta if kind == "response.output_text.delta" else ""

    def result(self) -> dict[str, Any] | None:
        return self._response


def can_stream(operation: str, request: dict[str, Any]) -> bool:
    """Whether a stream says what the call would: one of sound has another format, and `best_of` cannot be streamed."""
    if operation == "completions":
        return (request.get("best_of") or 1) == 1
    return operation == "responses" or (operation in _OBJECTS and "audio" not in (request.get("modalities") or ()))


def stream_request(operation: str) -> dict[str, Any]:
    """What a request for a stream has besides."""
    return {"stream": True, **({"stream_options": {"include_usage": True}} if operation in _OBJECTS else {})}


async def read_stream(provider: str, call: Call, response: aiohttp.ClientResponse, most: int) -> bytes:
    """The result, from a stream of up to `most` bytes; the call's progress is told with each piece of the first choice.

    Raises `Interrupted` if the stream is cut, `Unusable` if it is larger or makes no sense, `StreamError` for an error
    that it speaks of.
    """
    parser = EventParser()
    assembly: Assembly = Response() if call.operation == "responses" else Completion(_OBJECTS[call.operation])
    done = 0
    ended = False
    try:
        async with aclosing(pieces(response, most)) as coming:
            async for piece in coming:
                for event in parser.feed(piece):
                    ended = ended or event.data.strip() == _DONE
                    if ended or assembly.over:
                        break
                    for text in assembly.take(_said(provider, event)):
                        done += 1
                        call.progress(Progress(done=done, delta=text))
                if ended or assembly.over:
                    break
    except aiohttp.ClientError:
        # What has come in full has been paid for.
        if not assembly.whole:
            raise
    if not ended and not assembly.whole:
        raise Interrupted(f"provider {provider} cut its stream before the end")
    if (result := assembly.result()) is None:
        raise Unusable(f"provider {provider} ended its stream without an answer")
    try:
        return rendered(result)
    except orjson.JSONEncodeError as error:
        raise Unusable(f"provider {provider} sent a stream that is no JSON object: {error}") from error


def _said(provider: str, event: Event) -> dict[str, Any]:
    found = said(provider, event)
    if found.get("error") or "error" in (event.type, found.get("type"), found.get("object")):
        raise StreamError(event.data)
    return found
