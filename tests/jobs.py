"""Builders of submissions and outcomes, and what tests ask of a store's file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from coatcheck.engine.blobs import Blob
from coatcheck.engine.calls import Pricing, Provider, unpriced
from coatcheck.engine.clock import Clock
from coatcheck.engine.jobs import SECOND, Event, Job, Outcome, Release, State, Submission, Ticket
from coatcheck.engine.limits import Limits, unlimited
from coatcheck.engine.pool import Pool
from coatcheck.engine.settings import JobSettings
from coatcheck.engine.store import Store
from coatcheck.engine.targets import Target
from coatcheck.providers.echo.provider import EchoOptions, EchoProvider
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider

#: A wall clock's reading that is easy to recognise: 2030-01-01T00:00:00Z.
MORNING = 1_893_456_000 * SECOND

REQUEST = orjson.dumps({"messages": [{"role": "user", "content": "hello"}]})

TERMINAL = ("completed", "failed", "cancelled")


def submission(
    *models: str,
    owner: str = "key:alice",
    provider: str = "echo",
    priority: int = 3,
    ttl_seconds: int = 60,
    created_at: int = MORNING,
    request: bytes = REQUEST,
    id: str | None = None,
) -> Submission:
    """A chat for the echo provider. Of several `models`, the first is the client's choice, the rest are fallbacks; a
    model "provider/name" is at another provider."""
    names = [model.rpartition("/") for model in models or ("echo",)]
    targets = tuple(Target(prefix or provider, name) for prefix, _, name in names)
    return Submission(
        id=id or str(uuid4()),
        dialect="v1",
        operation="chat/completions",
        owner=owner,
        model=f"{targets[0].provider}/{targets[0].model}",
        targets=targets,
        request=request,
        ttl_seconds=ttl_seconds,
        request_id="r-1",
        priority=priority,
        created_at=created_at,
    )


def completed(body: bytes = b'{"answer":1}', files: Iterable[Blob] = ()) -> Outcome:
    return Outcome(state=State.COMPLETED, status_code=200, body=body, resolved_model="echo", cost=7, files=tuple(files))


def failed(body: bytes = b'{"message":"no"}', files: Iterable[Blob] = ()) -> Outcome:
    return Outcome(state=State.FAILED, status_code=502, body=body, files=tuple(files))


def back(job: Job, *, reason: str = "retry", run_at: int | None = None, refund: int = 0, **changes: Any) -> Release:
    """A release of the attempt that leaves the job where it is, but for `changes`."""
    where = {"lane": job.lane, "target": job.target, "tries": job.tries, **changes}
    return Release(reason=reason, refund=refund, run_at=run_at, **where)


class Hands:
    """The hands of a clock: both move on together, and the wall's alone jumps."""

    def __init__(self, wall: int = MORNING) -> None:
        self.wall = wall
        self.boot = 5_000 * SECOND
        self.clock = Clock(lambda: self.wall, lambda: self.boot)

    def pass_(self, seconds: float) -> None:
        self.wall += int(seconds * SECOND)
        self.boot += int(seconds * SECOND)

    def jump(self, seconds: float) -> None:
        self.wall += int(seconds * SECOND)


@asynccontextmanager
async def opened(folder: Path, *, clock: Clock | None = None) -> AsyncIterator[Store]:
    store = await Store.open(folder / "coatcheck.db", clock=clock, blobs=folder / "blobs")
    try:
        yield store
    finally:
        await store.close()


def echo(name: str = "echo", **options: Any) -> EchoProvider:
    return EchoProvider(name, EchoOptions(**options))


@asynccontextmanager
async def pooled(
    store: Store,
    *providers: Provider,
    clock: Clock | None = None,
    grace_seconds: float = 0,
    limits: Callable[[str], Limits] = unlimited,
    price: Pricing = unpriced,
    **settings: Any,
) -> AsyncIterator[Pool]:
    """A pool that runs on the store; `settings` are those of `[jobs]`."""
    named = {next(iter(provider.lanes)): provider for provider in providers}
    for provider in providers:
        await provider.start()
    pool = Pool(store, named, JobSettings(**settings), clock=clock, limits=limits, price=price)
    await pool.start()
    try:
        yield pool
    finally:
        async with asyncio.timeout(20 + grace_seconds):
            await pool.drain(grace_seconds)
        for provider in providers:
            await provider.close()


async def add(store: Store, *submissions: Submission, lane: str = "echo") -> None:
    """Submits to the store alone, in one batch, and waits until all are on disk."""
    await asyncio.gather(*[await store.submit(one, lane) for one in submissions])


async def take(store: Store, owner: str = "key:alice", count: int = 1, lane: str = "echo") -> list[Job]:
    return await store.claim(lane, {owner: count})


async def found(store: Store, id: str, owner: str | None = None) -> Ticket:
    ticket = await store.ticket(id, owner)
    assert ticket is not None, f"job {id} is unknown"
    return ticket


async def told(store: Store, id: str) -> list[Event]:
    """The job's story."""
    return await store.story((await found(store, id)).job.seq)


async def until(
    store: Store, id: str, hold: Callable[[Ticket], bool] = lambda ticket: ticket.job.state.ended
) -> Ticket:
    """Polls as a client would, until the job has ended (or `hold` says so)."""
    async with asyncio.timeout(30):
        while not hold(ticket := await found(store, id)):
            pass
    return ticket


async def counted(pool: Pool, store: Store, *, pending: int, running: int) -> None:
    """Waits until the pool's counters, which follow the commits, have come to these."""
    async with asyncio.timeout(30):
        while (pool.backlog.total, pool.running) != (pending, running):
            await store.alarms()


def rows(path: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What another connection reads of the file: what is committed."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(statement, values).fetchall()


def ends(path: Path) -> Mapping[str, list[str]]:
    """The terminal events of every job, by id: exactly one for a job that has ended, none for another."""
    kinds: dict[str, list[str]] = {id: [] for (id,) in rows(path, "SELECT id FROM job")}
    for id, kind in rows(path, "SELECT job.id, event.kind FROM event JOIN job USING (seq) ORDER BY event.id"):
        if kind in TERMINAL:
            kinds[id].append(kind)
    return kinds


def ended_once(path: Path, ids: Iterable[str]) -> None:
    """Asserts that each of these jobs is known, has ended, and has done so once."""
    kinds = ends(path)
    states = dict(rows(path, "SELECT id, state FROM job"))
    for id in ids:
        assert id in states, f"job {id} was accepted and is unknown"
        assert kinds[id] == [states[id]], f"job {id} is {states[id]}, its terminal events are {kinds[id]}"


def remote(name: str, url: str, **options: Any) -> OpenAIProvider:
    """A provider at an `Upstream`."""
    return OpenAIProvider(name, OpenAIOptions(base_url=url, **options))
