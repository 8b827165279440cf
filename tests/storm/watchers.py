"""The watchers of a storm: they read jobs' events, and go on after a kill where it cut them off."""

import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from .clients import JOBS, Client
from .ledger import Entry, Fault, Ledger

ENDS = frozenset({"completed", "failed", "cancelled"})


@dataclass(eq=False, kw_only=True)
class Watch:
    """One reading of a job's events, over as many lives of the server as it takes."""

    entry: Entry
    #: The last durable event that was heard; -1: none.
    last: int = -1
    ended: bool = False


@dataclass(frozen=True, kw_only=True)
class Event:
    kind: str
    #: None: it is not durable.
    number: int | None
    data: Any


class Watcher:
    """Watches one job after another in one life of the server; `watches` are those that were cut off."""

    def __init__(
        self, session: aiohttp.ClientSession, ledger: Ledger, chance: random.Random, watches: list[Watch]
    ) -> None:
        self._session = session
        self._ledger = ledger
        self._chance = chance
        self._watches = watches
        self._client = Client(session, ledger, chance)

    async def live(self) -> None:
        """Watches until the server is gone."""
        try:
            while True:
                if self._watches:
                    await self._follow(self._watches.pop())
                elif entry := await self._job():
                    await self._follow(Watch(entry=entry))
        except aiohttp.ClientError:
            return

    async def resume(self, watch: Watch) -> None:
        """Reads the rest of a job's events."""
        await self._read(watch)
        if not watch.ended:
            self._ledger.fault(Fault.STREAM, f"job {watch.entry.id}: its events after {watch.last} have no end")

    async def reread(self, entry: Entry) -> None:
        """Reads a job's events from the first; after the last nothing comes."""
        watch = Watch(entry=entry)
        await self.resume(watch)
        if entry.deletes:
            return
        headers = {"Last-Event-ID": str(watch.last)}
        async with self._session.get(f"{JOBS}/{entry.id}/events", headers=headers) as response:
            if response.status != 204:
                self._ledger.fault(
                    Fault.STREAM, f"job {entry.id}: after its last event the answer was {response.status}"
                )

    async def _job(self) -> Entry | None:
        """A job to watch: a new one, or one of the newest."""
        known = list(self._ledger.entries.values())[-100:]
        return self._chance.choice(known) if known and self._chance.random() < 0.5 else await self._client.submit()

    async def _follow(self, watch: Watch) -> None:
        """Reads to the end; what is cut off goes to the others."""
        try:
            await self._read(watch)
        finally:
            if not watch.ended:
                self._watches.append(watch)

    async def _read(self, watch: Watch) -> None:
        entry, knew = watch.entry, watch.entry.knows()
        headers = {"Last-Event-ID": str(watch.last)} if watch.last >= 0 else {}
        async with self._session.get(f"{JOBS}/{entry.id}/events", headers=headers) as response:
            if response.status == 200:
                self._ledger.counts["streams resumed" if headers else "streams"] += 1
                texts: dict[int, str] = {}
                async for event in _events(response.content):
                    if event.number is not None:
                        self._note(watch, event.number, event)
                    elif event.kind == "progress":
                        self._grow(entry, texts, event.data)
                    else:
                        self._ledger.fault(Fault.STREAM, f"job {entry.id}: a {event.kind} event has no id")
            elif response.status == 404:
                watch.ended = self._ledger.hear(entry, knew, 404, {})
            elif not (self._ledger.rough and response.status == 503):
                watch.ended = True
                self._ledger.fault(
                    Fault.STREAM, f"job {entry.id}: the events after {watch.last} were answered {response.status}"
                )

    def _note(self, watch: Watch, number: int, event: Event) -> None:
        self._ledger.hear_event(watch.entry, number, watch.last, event.kind, event.data)
        watch.last = number
        if event.kind in ENDS:
            if watch.ended:
                self._ledger.fault(Fault.TWICE, f"job {watch.entry.id}: its events end twice")
            watch.ended = True
            self._ledger.hear_end(watch.entry, event.data)

    def _grow(self, entry: Entry, texts: dict[int, str], data: dict[str, Any]) -> None:
        """Notes a piece of the partial answer; `texts` are those that this connection has brought, by attempt."""
        if "text" in data:
            text = texts.get(data["attempt"], "")
            if data["offset"] != len(text):
                self._ledger.fault(Fault.STREAM, f"job {entry.id}: text at {data['offset']} came after {len(text)}")
            text = texts[data["attempt"]] = text[: data["offset"]] + data["text"]
            if not entry.chat.text.startswith(text):
                self._ledger.fault(Fault.STREAM, f"job {entry.id}: the partial answer {text!r} is not of its answer")
            self._ledger.counts["partial answers"] += 1


async def _events(lines: aiohttp.StreamReader) -> AsyncIterator[Event]:
    """The events of a stream, without comments."""
    fields: dict[str, str] = {}
    async for line in lines:
        name, _, value = line.decode().rstrip("\n").partition(":")
        if line != b"\n":
            fields[name] = value.removeprefix(" ")
            continue
        if "event" in fields:
            number = int(fields["id"]) if "id" in fields else None
            yield Event(kind=fields["event"], number=number, data=json.loads(fields["data"]))
        fields = {}
