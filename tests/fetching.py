"""Addresses for tests: a resolver that knows its own names, and servers whose answers are bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from coatcheck.engine.blobs import Blobs
from coatcheck.engine.fetch import Fetch, Fetched, Found


class Names(AbstractResolver):
    """Answers a look-up of a name with the first of its addresses that is left, and the last of them for ever."""

    def __init__(self, names: Mapping[str, Sequence[str | Sequence[str]]]) -> None:
        """Several addresses of one answer are a list."""
        self._left = {name: list(answers) for name, answers in names.items()}
        #: The names that were looked up.
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self._left:
            raise OSError("no such name")
        left = self._left[host]
        found = left.pop(0) if len(left) > 1 else left[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in ([found] if isinstance(found, str) else found)
        ]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def fetching(*, allow_private: bool = True, **options: Any) -> AsyncIterator[Fetch]:
    fetch = Fetch(allow_private=allow_private, **options)
    await fetch.start()
    try:
        yield fetch
    finally:
        await fetch.close()


@asynccontextmanager
async def files(folder: Path) -> AsyncIterator[Blobs]:
    """A folder of files without a store."""
    blobs = Blobs(folder / "blobs")
    await blobs.open(folder / "none.db")
    try:
        yield blobs
    finally:
        await blobs.close()


async def got(
    fetch: Fetch, blobs: Blobs, url: str, most: int = 1_000_000, *, timeout_seconds: float = 20
) -> tuple[bytes, Found]:
    """What is at the address, and what is said of it."""
    fetched: Fetched = await fetch.get(
        url, lambda found: blobs.new(found.media_type or ""), most=most, timeout_seconds=timeout_seconds
    )
    return blobs.path(fetched.blob.id).read_bytes(), fetched.found


class Origin:
    """A server on the loopback that answers each connection with bytes, and then holds or closes it."""

    def __init__(self, *answers: bytes, holds: bool = False) -> None:
        self._answers = list(answers)
        self._holds = holds
        #: The requests that came, up to their bodies.
        self.heads: list[str] = []
        #: Set when a client has closed its connection.
        self.left = asyncio.Event()

    async def __aenter__(self) -> "Origin":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        try:
            writer.write(answer)
            await writer.drain()
            if self._holds:
                await reader.read()
                while await reader.read(65_536):
                    pass
        except ConnectionError:
            pass
        finally:
            self.left.set()
            writer.close()


def answer(body: bytes = b"a file", status: str = "200 OK", **headers: str) -> bytes:
    """An answer as it is on the wire; underscores in the names of headers are hyphens."""
    said = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in said.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body
