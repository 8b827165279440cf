"""What the gateway and a worker process say to each other: frames over the worker's standard input and output.

A frame is its length (four bytes, big-endian), a header of one line of JSON, and a body of bytes that neither end
parses on the way through.

| from    | header                                                 | body        |
|---------|--------------------------------------------------------|-------------|
| worker  | `{"ready": true}`, once                                |             |
| worker  | `{"failed": {…}}`, instead: it cannot load             |             |
| gateway | `{"call": 1, "operation": "embeddings", "files": {…}}` | the request |
| gateway | `{"cancel": 1}`                                        |             |
| worker  | `{"progress": 1, "done", "total", "unit", "delta"}`    |             |
| worker  | `{"piece": 1, "media_type", "last": false}`            | of a file   |
| gateway | `{"taken": 1, "placeholder": ""}`, to each piece       |             |
| worker  | `{"error": 1, "failure": {…}}`                         |             |
| worker  | `{"stopped": 1}`, once a cancelled call has ended      |             |
| worker  | `{"result": 1}`                                        | the result  |

The first key says what a frame is, and which call it is about.

Files of the request go by their paths. Files of the result come in pieces, the next when the one before it is written,
so that neither end holds a file; with the last answer comes the placeholder that stands for the file in the result.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from ...engine.calls import File
from ...engine.errors import CallFailed, NotConfigured
from .task import TaskFile

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


def files_described(files: Mapping[str, tuple[File, ...]]) -> dict[str, list[dict[str, Any]]]:
    return {
        role: [
            {"name": file.name, "media_type": file.media_type, "size_bytes": file.size_bytes, "path": str(file.path)}
            for file in of_role
        ]
        for role, of_role in files.items()
    }


def files_from(described: Mapping[str, list[dict[str, Any]]]) -> dict[str, tuple[TaskFile, ...]]:
    return {
        role: tuple(TaskFile(**{**file, "path": Path(file["path"])}) for file in of_role)
        for role, of_role in described.items()
    }
