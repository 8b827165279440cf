"""Forms byte by byte, over connections of their own, and the files that they leave on disk."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TRANSCRIBE = "/v1/async/audio/transcriptions"

BOUNDARY = "0123456789abcdef"


def kept(folder: Path) -> list[Path]:
    """The files that a server in that folder has, finished or not."""
    files = [path for path in (folder / "blobs").rglob("*") if path.is_file()]
    return [path for path in files if path.name != "database"]


async def until(holds: Callable[[], object]) -> None:
    """Returns when it does; it is looked at in a thread."""
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(holds):
            pass


async def none_kept(folder: Path) -> None:
    """Waits until there is no file."""
    await until(lambda: not kept(folder))


def field(name: str, content: bytes, *, file_name: str | None = None) -> bytes:
    """A part of a form."""
    more = "" if file_name is None else f'; filename="{file_name}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


class Upload:
    """A request whose body is sent by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answered(self) -> tuple[int, bytes]:
        """The status and the body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        found = re.search(r"\r\nContent-Length: (\d+)\r\n", head)
        assert found, head
        return int(head.split()[1]), await self._reader.readexactly(int(found[1]))

    def abort(self) -> None:
        """Breaks off without a word."""
        self._writer.transport.abort()


@asynccontextmanager
async def uploading(
    url: str, length: int | None, path: str = TRANSCRIBE, headers: Mapping[str, Any] | None = None
) -> AsyncIterator[Upload]:
    """A form on its way; `length` None: in chunks, which the caller makes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    size = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": length}
    given: dict[str, Any] = {
        "Host": parts.netloc,
        "Connection": "close",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        **size,
        **(headers or {}),
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    try:
        upload = Upload(reader, writer)
        await upload.send("\r\n".join([*lines, "", ""]).encode())
        yield upload
    finally:
        writer.transport.abort()
