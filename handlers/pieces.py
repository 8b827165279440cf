"""Bodies that are partly files: sent piece by piece, so that no file is in memory as a whole."""

import asyncio
import binascii
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from ..engine.jobs import ResultFile

log = logging.getLogger(__name__)

#: What is read at once, off the loop. Base64 makes four bytes of three.
_READ_BYTES = 196_608


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """A part of a file, or the whole of it."""

    path: Path
    start: int = 0
    size_bytes: int
    #: Whether it is sent as a string of JSON, in base64.
    encoded: bool = False

    @property
    def sent_bytes(self) -> int:
        return -(-self.size_bytes // 3) * 4 + 2 if self.encoded else self.size_bytes


class Pieces(Payload):
    """A body of bytes and extracts. The answer has its length; one whose file is gone by then is cut off."""

    _value: Sequence[bytes | Extract]

    def __init__(self, *pieces: bytes | Extract) -> None:
        super().__init__(pieces)
        self._size = sum(len(piece) if isinstance(piece, bytes) else piece.sent_bytes for piece in pieces)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("this body is written, not held")

    async def write(self, writer: AbstractStreamWriter) -> None:
        for piece in self._value:
            if isinstance(piece, bytes):
                await writer.write(piece)
            else:
                await _send(piece, writer)


def spliced(body: bytes, files: Sequence[ResultFile], link: Callable[[int], str] | None = None) -> "bytes | Pieces":
    """The body with each placeholder replaced by its file, in base64, or by the address that `link` makes of its place
    (None: by null); by null where the file has nothing."""
    if not files:
        return body
    known = {file.blob.encode(): file for file in files}
    pieces: list[bytes | Extract] = []
    end = 0
    for found in re.finditer(b'"(blob|link):(%b)"' % b"|".join(map(re.escape, known)), body):
        file = known[found[2]]
        whole: bytes | Extract = Extract(path=file.path, size_bytes=file.size_bytes, encoded=True)
        if found[1] == b"link":
            whole = orjson.dumps(link(file.place) if link else None)
        pieces += (body[end : found.start()], whole if file.size_bytes else b"null")
        end = found.end()
    return Pieces(*pieces, body[end:])


async def _send(piece: Extract, writer: AbstractStreamWriter) -> None:
    try:
        file = await asyncio.to_thread(_open, piece)
        try:
            if piece.encoded:
                await writer.write(b'"')
            left = piece.size_bytes
            while left:
                data = await asyncio.to_thread(file.read, min(left, _READ_BYTES))
                if not data:
                    raise EOFError(f"it is {left} bytes shorter than it was")
                left -= len(data)
                await writer.write(binascii.b2a_base64(data, newline=False) if piece.encoded else data)
            if piece.encoded:
                await writer.write(b'"')
        finally:
            file.close()
    except (FileNotFoundError, EOFError) as error:
        log.warning("an answer was cut off: a file of a result cannot be read: %s", error)
        raise ConnectionResetError("the file is gone") from error


def _open(piece: Extract) -> BinaryIO:
    # A read may bring less than was asked for at the end alone: what is buffered is asked for again.
    file: Any = piece.path.open("rb", buffering=_READ_BYTES)
    file.seek(piece.start)
    return file  # type: ignore[no-any-return]
