"""Reads a request's JSON body, within a limit of its own: an application that embeds this one sets another."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from aiohttp import hdrs, web

from ..engine.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding

T = TypeVar("T")

#: A larger body is parsed and checked in a thread: the loop goes on meanwhile.
_OFF_LOOP_BYTES = 262_144


async def off_loop(size_bytes: int, work: Callable[..., T], *arguments: object) -> T:
    """Does the work, which has to do with so many bytes: in a thread, if those are many."""
    if size_bytes > _OFF_LOOP_BYTES:
        return await asyncio.to_thread(work, *arguments)
    return work(*arguments)


async def read(request: web.BaseRequest, most: int) -> bytes:
    """The body, whatever its Content-Type says. Raises `BodyTooLarge`, or `UnsupportedEncoding` if compressed."""
    try:
        return await _read(request, most)
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InvalidRequest(f"the request's body could not be read: {error}") from error


def refuse_encoding(request: web.BaseRequest) -> None:
    """Raises `UnsupportedEncoding` for a body that is compressed."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise UnsupportedEncoding


async def _read(request: web.BaseRequest, most: int) -> bytes:
    refuse_encoding(request)
    length = request.content_length
    if length is not None and length <= most:
        return await request.content.read()
    chunks: list[bytes] = []
    size = 0
    if length is None:
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > most:
                break
            chunks.append(chunk)
        else:
            return b"".join(chunks)
    raise BodyTooLarge(f"the request's body is larger than {most} bytes ([server] max_json_bytes)")


def render(value: Any) -> bytes:
    """The value as JSON; raises `InvalidRequest` where it nests deeper than can be written."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(f"invalid request format: {error}; nest less deeply") from None


def identity(*values: Any) -> bytes:
    """The values as JSON with sorted keys: the same for what means the same. One a line, not one list of them: what
    `render` could just write would be too deep inside of it."""
    return b"\n".join(orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for value in values)


def parse(body: bytes) -> Any:
    """The JSON in the body; raises `InvalidRequest` with the place of the fault."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        what = str(error) if body.strip() else "the body is empty; send a JSON object"
        if body.startswith(b"--"):
            what = "this is a form; send a JSON object"
        raise InvalidRequest(f"invalid request format: {what}") from None
