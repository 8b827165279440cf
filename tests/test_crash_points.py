"""A crash after each commit: what a server finds that starts from the files as they were at that moment.

A kill alone does not show what was on disk, since the page cache survives it. So the database, its log and the files of
jobs are copied after each commit of a scenario, and after each step of a file's way, without what belongs to the
running process, and a new pool is started on each copy.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.calls import OnInterrupt
from coatcheck.engine.collector import Collector
from coatcheck.engine.jobs import SECOND, State, Submission, Ticket
from coatcheck.engine.repeats import Repeat
from coatcheck.engine.settings import JobSettings
from coatcheck.engine.store import Store

from .files import filed, in_rows, keep, on_disk
from .jobs import (
    Hands,
    add,
    back,
    completed,
    counted,
    echo,
    ended_once,
    ends,
    failed,
    opened,
    pooled,
    rows,
    submission,
    take,
    until,
)

Run = Callable[[Awaitable[Any]], Any]

MAX_ATTEMPTS = 3
KEY = "k-1"
#: Whose jobs have files.
OTHER = "key:bob"
#: After the last hold and before the end of any time to live that a later step needs.
RESTART_AFTER_SECONDS = 20


@dataclass(frozen=True)
class Point:
    """The files after one commit, and what clients knew by then."""

    folder: Path
    step: str
    wall: int
    #: Every job that was accepted, has not expired and was not deleted, as a poll showed it.
    known: dict[str, Ticket]
    gone: frozenset[str]
    #: The job that the idempotency key stands for; None: it has not been used.
    keyed: str | None
    #: Jobs that their clients wait for, and jobs that a vendor has begun.
    attended: frozenset[str]
    begun: frozenset[str]


class Scenario:
    """Every arrow once at least; each step is one commit."""

    def __init__(self, folder: Path, store: Store, hands: Hands) -> None:
        self._folder = folder
        self._store = store
        self._hands = hands
        self._ids: list[str] = []
        self._keyed: str | None = None
        self._count = 0

    async def points(self) -> AsyncIterator[Point]:
        async for step in self._steps():
            self._count += 1
            yield await self._copy(step)

    async def _steps(self) -> AsyncIterator[str]:
        store = self._store
        yield "the tables were made"
        for name, ttl in (("ends well", 1000), ("ends badly", 1000), ("is swept", 1)):
            await self._submit(ttl)
            yield f"submitted: {name}"
        good, bad, brief = await take(store, count=3)
        yield "claimed three"
        await store.finish(good, completed())
        yield "completed"
        await store.finish(bad, failed(), keep_request=False)
        yield "failed"
        await store.finish(brief, completed())
        yield "completed, soon to be gone"
        self._hands.pass_(2)
        await store.sweep(10)
        yield "swept"

        await self._submit(*[1000] * 6)
        yield "submitted six"
        first, second, third, fourth = await take(store, count=4)
        yield "claimed four of six"
        await store.release(first, back(first))
        yield "released, ready"
        await store.release(second, back(second, run_at=self._hands.wall + 5 * SECOND, refund=1))
        yield "released, held"
        await store.release(third, back(third, reason="fallback", lane="echo", target=1, tries=0))
        yield "released to the fallback"
        await store.cancel(fourth.id, None)
        yield "cancelled while processing"
        await store.cancel(first.id, None)
        yield "cancelled while ready"
        self._hands.pass_(5)
        await store.promote(3600)
        yield "promoted"
        again = await take(store, count=2)
        yield "claimed again"
        await asyncio.gather(store.finish(again[0], completed()), store.cancel(again[1].id, None))
        yield "completed and cancelled in one commit"
        for number in range(1, MAX_ATTEMPTS + 1):
            (tired,) = await take(store)
            yield f"in attempt {number}"
            if number < MAX_ATTEMPTS:
                await store.release(tired, back(tired))
                yield f"released after attempt {number}"
        await store.delete(good.id, None)
        yield "deleted"
        await store.give_back(100)
        yield "pages given back"

        await self._submit_keyed()
        yield "submitted with a key"
        await self._submit_keyed()
        yield "submitted again with the key"
        await store.cancel_due()
        yield "cancelled when it was due"
        (job,) = await take(store)
        yield "claimed the last"
        await store.finish(job, completed())
        yield "completed the last"
        async for step in self._file_steps():
            yield step

    async def _file_steps(self) -> AsyncIterator[str]:
        """Every step of the files of a request and of a result, from the disk to the row and back."""
        store, collector = self._store, Collector(self._store, JobSettings())
        asked = await filed(store, b"one", b"two", ttl_seconds=1000, owner=OTHER)
        yield "kept the files of a request"
        await self._take(asked)
        yield "submitted with files"
        (job,) = await take(store, OTHER)
        yield "claimed with files"
        await store.checkpoint(job, "vendor-1")
        yield "saved a checkpoint"
        result = await keep(store, b"three")
        yield "kept the file of a result"
        await store.finish(job, failed(files=[result]))
        yield "ended with a file"
        again = submission(ttl_seconds=1000, owner=OTHER)._replace(files_of=job.seq)
        await self._take(again)
        yield "submitted with the files of another"
        await store.delete(asked.id, None)
        yield "deleted with a file"
        (gone,) = await store.gone(10)
        await store.blobs.unlink(gone)
        yield "removed a file"
        await store.removed([gone])
        yield "removed what stood for it"
        (job,) = await take(store, OTHER)
        await store.finish(job, completed(files=[await keep(store, b"four")]), keep_request=False)
        yield "completed and forgot the request's files"
        await collector.collect()
        yield "collected"
        await self._take((await filed(store, b"five", owner=OTHER))._replace(attended=True))
        yield "submitted, attended"

    async def _take(self, asked: Submission) -> None:
        await add(self._store, asked)
        self._ids.append(asked.id)

    async def _submit_keyed(self) -> None:
        """Two jobs in one commit: one with an idempotency key, and one that is to be cancelled at once."""
        one, other = submission(ttl_seconds=1000), submission(ttl_seconds=1000)._replace(cancel_at=self._hands.wall)
        key = Repeat(owner=one.owner, key=KEY, fingerprint=b"", answer=b"")
        written = [await self._store.submit(one, "echo", key), await self._store.submit(other, "echo")]
        earlier, _ = await asyncio.gather(*written)
        assert (earlier.job_id if earlier else None) == self._keyed
        if self._keyed is None:
            self._keyed = one.id
            self._ids.append(one.id)
        self._ids.append(other.id)

    async def _submit(self, *ttls: int) -> None:
        asked = [submission("echo", "echo", ttl_seconds=ttl) for ttl in ttls]
        await add(self._store, *asked)
        self._ids += [one.id for one in asked]

    async def _copy(self, step: str) -> Point:
        folder = self._folder / f"crash {self._count}"
        folder.mkdir()
        for name in ("coatcheck.db", "coatcheck.db-wal"):
            shutil.copy(self._folder / name, folder / name)
        shutil.copytree(self._folder / "blobs", folder / "blobs")
        (folder / "blobs" / "incoming" / "begun").write_bytes(b"half")
        tickets = {id: await self._store.ticket(id, None) for id in self._ids}
        known = {id: ticket for id, ticket in tickets.items() if ticket is not None}
        path = self._folder / "coatcheck.db"
        attended, begun = (
            frozenset(id for (id,) in rows(path, f"SELECT id FROM job JOIN {table} USING (seq)"))
            for table in ("attended", "checkpoint")
        )
        gone = frozenset(tickets) - frozenset(known)
        return Point(folder, step, self._hands.wall, known, gone, self._keyed, attended, begun)


async def start_from(point: Point, on_interrupt: OnInterrupt) -> None:
    """Starts a server on the copy and lets it run until nothing is left to do."""
    hands = Hands(point.wall)
    hands.pass_(RESTART_AFTER_SECONDS)
    async with (
        opened(point.folder, clock=hands.clock) as store,
        pooled(store, echo(), clock=hands.clock, on_interrupt=on_interrupt, max_attempts=MAX_ATTEMPTS) as pool,
    ):
        for id, before in point.known.items():
            expires_at = before.job.expires_at
            if expires_at is not None and expires_at <= hands.wall:
                assert await store.ticket(id, None) is None, f"after {point.step!r} it outlived its time"
                continue
            after = await until(store, id)
            if before.job.state.ended:
                assert after == before, f"after {point.step!r} an outcome changed"
            elif before.job.cancel_at is not None or id in point.attended:
                assert (after.job.state, after.job.calls) == (State.CANCELLED, 0)
            elif before.job.state is State.PENDING:
                assert after.job.state is State.COMPLETED, f"after {point.step!r} a waiting job was lost"
            elif id in point.begun:
                assert (after.job.state, after.job.calls) == (State.COMPLETED, before.job.calls), "begun anew"
            else:
                check_interrupted(before, after, on_interrupt)
            await check_files(store, before, after)
        await counted(pool, store, pending=0, running=0)
        for id in point.gone:
            assert await store.ticket(id, None) is None
        repeated = await store.repeated(submission().owner, KEY)
        assert (repeated.job_id if repeated else None) == point.keyed
        collector = Collector(store, JobSettings())
        assert (await collector.compare()).missing == [], f"after {point.step!r} a file is missing"
        await collector.collect()
        assert on_disk(point.folder) == in_rows(point.folder), f"after {point.step!r} there are files without a job"
        used = rows(point.folder / "coatcheck.db", "SELECT DISTINCT blob FROM blob_use")
        assert in_rows(point.folder) == {blob for (blob,) in used}
    path = point.folder / "coatcheck.db"
    ended_once(path, point.known)
    assert set(ends(path)) == set(point.known), "there are jobs that nobody submitted"


async def check_files(store: Store, before: Ticket, after: Ticket) -> None:
    """What has files has them still."""
    for role in ("file", "result"):
        for file in await store.files(before.job.seq, role):
            assert file.path.stat().st_size == file.size_bytes
    if before.body is not None:
        assert after.body == before.body


def check_interrupted(before: Ticket, after: Ticket, on_interrupt: OnInterrupt) -> None:
    if on_interrupt is OnInterrupt.RETRY and before.job.calls < MAX_ATTEMPTS:
        assert (after.job.state, after.job.calls) == (State.COMPLETED, before.job.calls + 1)
        return
    assert after.job.state is State.FAILED
    assert after.job.calls == before.job.calls, "it was called again"
    assert after.body is not None
    assert orjson.loads(after.body)["code"] == "server_stopped"


@pytest.mark.parametrize("on_interrupt", list(OnInterrupt))
def test_from_every_commit_a_server_goes_on_as_it_promised(on_interrupt: OnInterrupt, folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        states: set[State] = set()
        async with opened(folder, clock=hands.clock) as store:
            async for point in Scenario(folder, store, hands).points():
                states |= {ticket.job.state for ticket in point.known.values()}
                await start_from(point, on_interrupt)
        assert states == set(State), "the scenario does not show every state"

    run(main())


def test_a_commit_that_was_cut_off_on_its_way_to_the_disk_never_was(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            points = [point async for point in Scenario(folder, store, hands).points()]
        cut = 0
        for before, after in pairwise(points):
            log = (after.folder / "coatcheck.db-wal").read_bytes()
            if len(log) == (before.folder / "coatcheck.db-wal").stat().st_size:
                continue
            torn = folder / f"torn {after.folder.name}"
            # No file is torn: it is synced before the commit that names it, and removed after the one that does not.
            shutil.copytree(after.folder / "blobs", torn / "blobs")
            shutil.copy(after.folder / "coatcheck.db", torn)
            # The last page that a commit appends to the log is the one that makes it valid.
            (torn / "coatcheck.db-wal").write_bytes(log[:-1])
            await start_from(replace(before, folder=torn), OnInterrupt.RETRY)
            cut += 1
        assert cut > 20, "the scenario does not append to one log"

    run(main())
