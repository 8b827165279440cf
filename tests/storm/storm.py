"""The lives of the server in a storm, and what is asked when it is over."""

import asyncio
import os
import random
import resource
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Self, TypeVar

import aiohttp

from ..jobs import ends, rows
from ..servers import ServerProcess
from .clients import Client
from .ledger import Fault, Ledger
from .receiver import Told
from .upstream import Counted
from .watchers import Watch, Watcher

_CLIENTS = 8
_WATCHERS = 4
#: For all jobs to end after the last kill, and all clients; what has not ended then is lost.
_SETTLE_SECONDS = 60.0
#: Events of jobs that an earlier process had left behind, as the start settled them.
_SETTLED = (
    "SELECT COUNT(*) FROM event LEFT JOIN body USING (seq) WHERE event.id > ? AND (data ->> 'reason' = 'stopped' OR"
    " (kind = 'failed' AND CAST(result AS TEXT) ->> 'code' = 'server_stopped'))"
)
_DUE = "SELECT id FROM delivery WHERE state = 'due' LIMIT 1"
_TEXTS = "SELECT CAST(request AS TEXT) ->> '$.messages[0].content' FROM body"

T = TypeVar("T")


class Storm:
    """`seconds` is the longest life of a server. To be used once, from entering to leaving."""

    def __init__(self, folder: Path, chance: random.Random, seconds: float) -> None:
        self.ledger = Ledger()
        #: Jobs that were cut off by a kill.
        self.interrupted = 0
        self._path = folder / "coatcheck.db"
        self._chance = chance
        self._seconds = seconds
        self._watches: list[Watch] = []
        self._upstream = Counted()
        self._receiver = Told(self.ledger, chance)
        self._folder = folder
        self._told = 0

    async def __aenter__(self) -> Self:
        await self._upstream.server.__aenter__()
        await self._receiver.server.__aenter__()
        self.ledger.receiver = self._receiver.server.url
        once = {"kind": "openai", "base_url": self._upstream.server.url, "on_interrupt": "fail", "concurrency": 50}
        echo = {"kind": "echo", "concurrency": 200}
        # What has ended stays until it is asked for, however long the storm is.
        jobs = {"result_ttl_seconds": 2_592_000, "shutdown_grace_seconds": 1}
        config = {"jobs": jobs, "providers": {"echo": echo, "once": once}, "webhooks": {"allow_private_networks": True}}
        self._server = ServerProcess(self._folder, config)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.__aexit__()
        await self._receiver.server.__aexit__()
        await self._upstream.server.__aexit__()

    async def live(self) -> float:
        """One life of the server, from its start to its kill; its seconds."""
        await self._start()
        seconds = self._chance.uniform(0.01, self._seconds)
        async with self._session() as session:
            clients = [Client(session, self.ledger, self._chance) for _ in range(_CLIENTS)]
            watchers = [Watcher(session, self.ledger, self._chance, self._watches) for _ in range(_WATCHERS)]
            lives = [client.live() for client in clients] + [watcher.live() for watcher in watchers]
            living = [asyncio.create_task(life) for life in lives]
            # Not to wait for something: the moment of the kill is what is random.
            await asyncio.sleep(seconds / 2)
            await self._trouble(seconds / 4)
            await asyncio.sleep(seconds / 2)
            if all(life.done() for life in living) and not self.ledger.rough:
                self.ledger.fault(Fault.WRONG, "the server has ended without being told to")
            await self._server.kill9()
            await asyncio.gather(*living)
        self.ledger.rough = False
        return seconds

    async def settle(self) -> None:
        """Starts the server once more, waits for all jobs to end, asks for everything again, and looks at its file."""
        entries = list(self.ledger.entries.values())
        await self._start()
        async with self._session() as session:
            client = Client(session, self.ledger, self._chance)
            watchers = [Watcher(session, self.ledger, self._chance, self._watches) for _ in range(_WATCHERS)]
            try:
                async with asyncio.timeout(_SETTLE_SECONDS + len(entries) / 100):
                    await _share(entries, [client.end] * _CLIENTS)
                    # And those whose 202 the kill swallowed.
                    while self._unended():
                        async with session.get("/healthz"):
                            pass
                    await client.walk(set(self.ledger.entries))
                    await _share(self._watches, [watcher.resume for watcher in watchers])
                    await _share([entry for entry in entries if entry.story], [watcher.reread for watcher in watchers])
                    while rows(self._path, _DUE):
                        async with session.get("/healthz"):
                            pass
            except TimeoutError:
                self.ledger.fault(Fault.LOST, f"not all that was asked for has ended: {self._unended()[:10]}")
        if code := await self._server.terminate():
            self.ledger.fault(Fault.WRONG, f"the server ended with exit code {code}")
        self._audit()
        self._receiver.audit()

    async def _start(self) -> None:
        await self._server.start()
        if self._told:
            ((count,),) = rows(self._path, _SETTLED, self._told)
            self.interrupted += count
        ((self._told,),) = rows(self._path, "SELECT COALESCE(MAX(id), 0) FROM event")

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(base_url=self._server.url, connector=aiohttp.TCPConnector(limit=0))

    async def _trouble(self, seconds: float) -> None:
        """Now and then the disk is full for a while or until the kill, or the server is asked to stop."""
        kind = self._chance.choices(("none", "full disks", "stops"), (6, 1, 1))[0]
        if kind == "none":
            return
        self.ledger.rough = True
        self.ledger.counts[kind] += 1
        if kind == "stops":
            os.kill(self._server.pid, signal.SIGTERM)
            return
        # No file grows beyond the log of changes, to which every commit must append.
        size = self._path.with_name("coatcheck.db-wal").stat().st_size
        resource.prlimit(self._server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        await asyncio.sleep(seconds)
        if self._chance.random() < 0.5:
            resource.prlimit(self._server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _unended(self) -> list[str]:
        return [id for (id,) in rows(self._path, "SELECT id FROM job WHERE completed_at IS NULL")]

    def _audit(self) -> None:
        """Compares the file with what was said."""
        fault, entries = self.ledger.fault, self.ledger.entries
        if (found := rows(self._path, "PRAGMA integrity_check")) != [("ok",)]:
            fault(Fault.WRONG, f"the database is damaged: {found}")
        states = dict(rows(self._path, "SELECT id, state FROM job"))
        for id, kinds in ends(self._path).items():
            if kinds != [states[id]]:
                fault(Fault.TWICE if kinds else Fault.LOST, f"job {id} is {states[id]}; it has ended {kinds}")
        for entry in entries.values():
            if entry.deleted and entry.id in states:
                fault(Fault.WRONG, f"job {entry.id} was deleted and is in the database")
            if not entry.deletes and (entry.id not in states or entry.outcome is None):
                fault(Fault.LOST, f"job {entry.id} was accepted; it is {states.get(entry.id, 'unknown')}")
        jobs = Counter(text for (text,) in rows(self._path, _TEXTS))
        for text, count in jobs.items():
            if count > self.ledger.wanted[text]:
                fault(Fault.KEY_TWICE, f"{count} jobs are there for {text!r}, not {self.ledger.wanted[text]}")
        for text, count in self._upstream.calls.items():
            if count > self.ledger.wanted[text]:
                fault(Fault.CALLED_TWICE, f"the upstream was called {count} times for {text!r}")
        self.ledger.counts["upstream calls"] = self._upstream.calls.total()
        self.ledger.counts["unheard tickets"] = len(set(states) - set(entries))


async def _share(tasks: Iterable[T], workers: Iterable[Callable[[T], Awaitable[object]]]) -> None:
    """Hands the tasks out to the workers, until nothing is left."""
    left = iter(list(tasks))

    async def work(worker: Callable[[T], Awaitable[object]]) -> None:
        for one in left:
            await worker(one)

    await asyncio.gather(*map(work, workers))
