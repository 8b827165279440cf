"""Server-sent events, read as an EventSource reads them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson


@dataclass(frozen=True)
class Sent:
    kind: str
    #: None for one without `id:`.
    id: int | None
    data: Any


class Stream:
    """The events of one job, from one connection."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.status = response.status
        #: Comments that were read so far.
        self.comments = 0

    async def next(self) -> Sent | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        async for line in self.response.content:
            text = line.decode().removesuffix("\n")
            if text.startswith(":"):
                self.comments += 1
            elif text:
                name, _, value = text.partition(": ")
                assert name not in fields, f"{name} comes twice in one event"
                fields[name] = value
            elif fields:
                assert set(fields) <= {"id", "event", "data"}
                id = int(fields["id"]) if "id" in fields else None
                return Sent(fields["event"], id, orjson.loads(fields["data"]))
        assert not fields, "the stream ends within an event"
        return None

    async def until(self, kind: str) -> Sent:
        """The next event of that kind; others are passed over."""
        while (sent := await self.next()) is not None:
            if sent.kind == kind:
                return sent
        raise AssertionError(f"the stream ended without {kind}")

    async def rest(self) -> list[Sent]:
        """All that comes until the stream ends."""
        found = []
        while (sent := await self.next()) is not None:
            found.append(sent)
        return found


@asynccontextmanager
async def watching(url: str, id: str, *, after: object = None, key: str | None = None) -> AsyncIterator[Stream]:
    """A stream of the job's events; `after` goes as Last-Event-ID."""
    headers = {**({} if after is None else {"Last-Event-ID": str(after)}), **({} if key is None else {"x-bf-vk": key})}
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=2**22) as session,
        session.get(f"{url}/v1/async/jobs/{id}/events", headers=headers) as response,
    ):
        yield Stream(response)


async def events(url: str, id: str, *, after: object = None, key: str | None = None) -> list[Sent]:
    """All events of the job, until it has ended."""
    async with watching(url, id, after=after, key=key) as stream:
        assert stream.status == 200
        return await stream.rest()
