"""What the gateway and a worker process say to each other: frames over the worker's standard input and output.

A frame is its length (four bytes, big-endian), a header of one line of JSON, and a body of bytes that neither end
parses on the way through.

| from    | header                                              | body        |
|---------|-----------------------------------------------------|-------------|
| worker  | `{"ready": true}`, once                             |             |
| worker  | `{"failed": {…}}`, instead: it cannot load          |             |
| gateway | `{"call": 1, "operation": "embeddings"}`            | the request |
| gateway | `{"cancel": 1}`                                     |             |
| worker  | `{"progress": 1, "done", "total", "unit", "delta"}` |             |
| worker  | `{"error": 1, "failure": {…}}`                      |             |
| worker  | `{"result": 1}`                                     | the result  |
"""

import asyncio
from typing import Any, BinaryIO

import orjson

from ..engine.errors import CallFailed, NotConfigured

_LENGTH_BYTES = 4


def pack(header: dict[str, Any], body: bytes = b"") -> bytes:
    line = orjson.dumps(header)
    return (len(line) + 1 + len(body)).to_bytes(_LENGTH_BYTES) + line + b"\n" + body


def unpack(frame: bytes) -> tuple[dict[str, Any], bytes]:
    line, _, body = frame.partition(b"\n")
    return orjson.loads(line), body


async def receive(stream: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    """The next frame; raises `asyncio.IncompleteReadError` when the other end has gone."""
    length = int.from_bytes(await stream.readexactly(_LENGTH_BYTES))
    return unpack(await stream.readexactly(length))


def receive_blocking(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next frame, or None when the other end has gone."""
    length = stream.read(_LENGTH_BYTES)
    frame = stream.read(int.from_bytes(length))
    if len(length) < _LENGTH_BYTES or len(frame) < int.from_bytes(length):
        return None
    return unpack(frame)


def describe(failure: CallFailed) -> dict[str, Any]:
    """A failure as it travels; `final`: trying again would not do, the next fallback may."""
    return {
        "message": failure.message,
        "status": failure.status,
        "type": failure.type,
        "code": failure.code,
        "param": failure.param,
        "final": isinstance(failure, NotConfigured),
    }


def failure_from(described: dict[str, Any]) -> CallFailed:
    final = described.pop("final")
    return NotConfigured(**described) if final else CallFailed(**described)
