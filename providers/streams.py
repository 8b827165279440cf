"""Streams of JSON objects in server-sent events, put together to the answer that the call has without a stream."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Protocol

import aiohttp
import orjson
from yarl import URL

from ..engine.calls import Call, Progress
from ..engine.errors import Interrupted, Unusable
from .http import Door
from .sse import Event, EventParser
from .upstream import pieces


class Assembly(Protocol):
    """Takes what a stream says, and has the answer when all of it has come."""

    @property
    def whole(self) -> bool:
        """Whether the answer is there, even if the stream should break off now."""

    @property
    def over(self) -> bool:
        """Whether nothing can follow that belongs to the answer."""

    def take(self, said: dict[str, Any]) -> Iterator[Progress]:
        """How far the call has come by this.

        Raises `CallFailed` for an error that the stream speaks of, and `KeyError`, `TypeError`, `AttributeError` or
        `ValueError` for what makes no sense.
        """

    def answer(self) -> dict[str, Any]:
        """As the vendor would have answered without a stream."""


def is_stream(response: aiohttp.ClientResponse) -> bool:
    """Some servers know none, and answer plainly."""
    return response.content_type == "text/event-stream"


def said(provider: str, event: Event) -> dict[str, Any]:
    """What an event says; nothing if it is empty. Raises `Unusable` for what is no JSON object."""
    if not event.data.strip():
        return {}
    try:
        found = orjson.loads(event.data)
    except orjson.JSONDecodeError as error:
        raise Unusable(f"provider {provider} sent something in its stream that is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Unusable(f"provider {provider} sent JSON in its stream that is not an object")
    return found


async def ask_stream(
    door: Door, url: URL, call: Call, body: Any, assembly: Assembly, most: int, *, streams: bool = True
) -> dict[str, Any]:
    """The answer to a POST that asks for a stream if `streams`, whether it comes as one, of up to `most` bytes, or not.

    Raises what `Door.ask` does, `Interrupted` if the stream is cut, and what `take` raises.
    """
    # The next call would run into a connection that is closed unannounced.
    headers = {"Connection": "close"} if streams else {}
    async with door.open("POST", url, call=call, json=body, headers=headers) as response:
        if is_stream(response):
            return await _read(door.name, call, response, most, assembly)
        return door.parsed(await door.read(response, call))


async def _read(
    provider: str, call: Call, response: aiohttp.ClientResponse, most: int, assembly: Assembly
) -> dict[str, Any]:
    try:
        async with aclosing(_objects(provider, response, most)) as coming:
            try:
                async for event in coming:
                    for progress in assembly.take(event):
                        call.progress(progress)
                    if assembly.over:
                        break
            except aiohttp.ClientError:
                # What has come in full has been paid for.
                if not assembly.whole:
                    raise
        if not assembly.whole:
            raise Interrupted(f"provider {provider} cut its stream before the end")
        return assembly.answer()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unusable(f"provider {provider} sent a stream that makes no sense") from error


async def _objects(provider: str, response: aiohttp.ClientResponse, most: int) -> AsyncGenerator[dict[str, Any]]:
    parser = EventParser()
    async with aclosing(pieces(response, most)) as coming:
        async for piece in coming:
            for event in parser.feed(piece):
                if found := said(provider, event):
                    yield found
