"""The job table in SQLite: one method per arrow of `jobs`, and what is read of it.

Every write is answered after its commit (`synchronous=FULL`), in batches; see `batches`. Only the writing connection
writes and checkpoints: SQLite before 3.51.3 can corrupt a write-ahead log that two connections reset at once.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Self

import aiosqlite

from . import arrows, key_table, listing, pulse, reads, repeats, survey
from .batches import Batches
from .census import Census
from .clock import Clock
from .errors import StoreUnusable
from .jobs import SECOND, Event, Job, Outcome, Release, Submission, Ticket
from .keys import Key, Rotation
from .listing import Filter, Page
from .lock import OwnerLock
from .meters import Meters
from .migrations import APPLICATION_ID, MIGRATIONS
from .repeats import Repeat, Repeated
from .survey import Survey

SQLITE_FLOOR = (3, 40, 0)


class Store:
    """Opened by `Store.open`; owns the file until `close`."""

    def __init__(self, path: Path, connections: Sequence[aiosqlite.Connection], lock: OwnerLock, clock: Clock) -> None:
        """`connections`: one that writes, and two that cannot."""
        self._path = path
        self._file = _identity(path)
        self._writer, self._reader, self._searcher = connections
        self._lock = lock
        self._clock = clock
        #: Where this store, and who works with it, count what happens.
        self.meters = Meters()
        self._writes = Batches(self._writer, transactional=True, observe=self.meters.committed)
        self._reads = Batches(self._reader, transactional=False, observe=self.meters.read)
        #: What looks at thousands of rows: no poll waits for somebody's lists.
        self._searches = Batches(self._searcher, transactional=False, max_items=16, observe=self.meters.read)
        self.census = Census(path, self.meters)

    @classmethod
    async def open(cls, path: Path, *, durability: str = "full", clock: Clock | None = None) -> Self:
        """Opens or creates the database. `durability`: "full" syncs every commit, "normal" may lose the last moments
        before a power cut (not before a crash of the process).

        Raises `StoreLocked` if another process owns it, `StoreUnusable` if it is not ours, too new or unreadable.
        """
        if sqlite3.sqlite_version_info < SQLITE_FLOOR:
            raise StoreUnusable(f"SQLite {sqlite3.sqlite_version} is too old; 3.40 or newer is needed")
        path, lock = _own(path)
        connections: list[aiosqlite.Connection] = []
        try:
            # A connection that fails leaves a thread of aiosqlite behind, which answers to a loop that may be gone.
            sqlite3.connect(path).close()
            writer = await aiosqlite.connect(path, isolation_level=None)
            connections.append(writer)
            await _prepare(writer, path, durability)
            for _ in range(2):
                reader = await aiosqlite.connect(path, isolation_level=None)
                connections.append(reader)
                await reader.executescript("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0;")
        except BaseException as error:
            for connection in reversed(connections):
                await connection.close()
            lock.release()
            if isinstance(error, sqlite3.Error):
                raise StoreUnusable(f"{path} cannot be opened: {error}") from error
            raise
        return cls(path, connections, lock, clock or Clock())

    async def close(self) -> None:
        """Carries out what was asked, then gives the file up."""
        await self.census.close()
        for batches in (self._searches, self._reads, self._writes):
            await batches.close()
        for connection in (self._searcher, self._reader, self._writer):
            await connection.close()
        self._lock.release()

    def check_file(self) -> None:
        """Refuses writes while another file, or none, is at the database's path: what is written to a file that was
        removed is lost with this process. To be called now and then."""
        if _identity(self._path) == self._file:
            self._writes.refuse(None)
        else:
            self._writes.refuse(f"the database {self._path} was removed or replaced while the server runs")

    async def submit(
        self, submission: Submission, lane: str, repeat: Repeat | None = None
    ) -> asyncio.Future[Repeated | None]:
        """(nothing) → pending. The future, which cannot be cancelled, is done when the job is on disk; it brings what
        an earlier submit with the same idempotency key left, and then nothing was taken."""
        await self._writes.room()
        item = arrows.Submit(submission, lane, repeat)
        return self._writes.ask(arrows.submit, item, len(submission.request), certain=True)

    async def claim(self, lane: str, turns: Mapping[str, int]) -> list[Job]:
        """pending → processing, for up to `turns[owner]` ready jobs of each owner in this lane."""
        jobs: list[Job] = await self._writes.ask(arrows.claim, arrows.Claim(lane, turns, self._clock.now()))
        return jobs

    async def finish(self, job: Job, outcome: Outcome, *, keep_request: bool = True) -> bool:
        """processing → completed | failed. False if the attempt is no longer the job's: it was cancelled, or lost."""
        await self._writes.room()
        item = arrows.Finish(job.seq, job.attempt, outcome, self._clock.now(), keep_request)
        won: bool = await self._writes.ask(arrows.finish, item, len(outcome.body))
        return won

    async def release(self, job: Job, release: Release) -> bool:
        """processing → pending. False if the attempt is no longer the job's."""
        item = arrows.Back(job.seq, job.attempt, release, self._clock.now())
        won: bool = await self._writes.ask(arrows.release, item)
        return won

    async def cancel(self, id: str, owner: str | None, *, keep_request: bool = True) -> Job | None:
        """pending | processing → cancelled. The job as it was before, or None if there is none to cancel: it is
        unknown, another owner's (`owner` None: any), or has ended."""
        item = arrows.Cancel(id, owner, self._clock.now(), keep_request)
        job: Job | None = await self._writes.ask(arrows.cancel, item)
        return job

    async def promote(self, longest_seconds: float) -> list[tuple[str, str]]:
        """Held jobs whose time has come become ready; their lanes and owners. None is held longer than that: a
        `run_at` further off is the trace of a clock that went back."""
        now = self._clock.now()
        ready: list[tuple[str, str]] = await self._writes.ask(
            arrows.promote, (now, now + int(longest_seconds * SECOND))
        )
        return ready

    async def overdue(self, claimed_by: int, failure: Outcome) -> list[Job]:
        """pending → failed, for jobs whose first claim was by then; the jobs as they were before."""
        jobs: list[Job] = await self._writes.ask(arrows.overdue, (claimed_by, failure, self._clock.now()))
        return jobs

    async def cancel_due(self, *, keep_request: bool = True) -> list[Job]:
        """pending | processing → cancelled, for jobs that were to be cancelled by now; the jobs as they were before."""
        jobs: list[Job] = await self._writes.ask(arrows.cancel_due, (self._clock.now(), keep_request))
        return jobs

    async def delete(self, id: str, owner: str | None) -> bool:
        """ended → gone, for one job. False if there is none that has ended, or it is another owner's (None: any)."""
        gone: bool = await self._writes.ask(arrows.delete, (id, owner))
        return gone

    async def sweep(self, most: int) -> int:
        """ended → gone, for at most that many expired jobs; how many went."""
        count: int = await self._writes.ask(arrows.sweep, (self._clock.expiry(), most))
        return count

    async def forget(self, most: int) -> int:
        """Removes up to that many idempotency keys that have expired; how many were looked at."""
        count: int = await self._writes.ask(repeats.forget, (self._clock.expiry(), most))
        return count

    async def give_back(self, pages: int) -> int:
        """Returns up to that many free pages to the file system; how many are still free."""
        return await self._writes.alone(lambda db: _give_back(db, pages))

    async def beat(self) -> None:
        """Writes a row and commits it, to know that this can be done."""
        await self._writes.ask(pulse.beat, self._clock.now())

    async def survey(self, lanes: Sequence[str]) -> Survey:
        """What is known of the jobs that wait, in these lanes, and of the file."""
        found: Survey = await self._searches.ask(survey.surveys, lanes)
        return found

    def ticket(self, id: str, owner: str | None) -> Awaitable[Ticket | None]:
        """The job and its outcome; None if it is unknown, expired or another owner's (`owner` None: any)."""
        return self._reads.ask(reads.tickets, (id, owner, self._clock.expiry()))

    async def request(self, seq: int) -> bytes | None:
        """The job's request, as JSON; None once it is gone."""
        request: bytes | None = await self._reads.ask(reads.requests, seq)
        return request

    async def story(self, seq: int) -> list[Event]:
        """The job's events, oldest first."""
        events: list[Event] = await self._reads.ask(reads.stories, seq)
        return events

    async def processing(self) -> list[Job]:
        """The jobs that an attempt holds; after a start, those that were interrupted."""
        jobs: list[Job] = await self._reads.ask(reads.processing, None)
        return jobs

    async def backlog(self) -> list[tuple[str, str, bool, int]]:
        """What waits: lane, owner, whether it is held for later, how many."""
        counts: list[tuple[str, str, bool, int]] = await self._reads.ask(reads.backlog, None)
        return counts

    async def alarms(self) -> tuple[int | None, int | None, int | None]:
        """Of pending jobs: when the first held one becomes ready, and when the first that has been tried was claimed
        for the first time; of all that have not ended: when the first is to be cancelled. In microseconds UTC; None
        if there is none."""
        moments: tuple[int | None, int | None, int | None] = await self._reads.ask(reads.alarms, None)
        return moments

    async def ahead(self, job: Job, most: int) -> int:
        """How many of its owner's jobs go before a ready job; no more than `most` are counted."""
        count: int = await self._searches.ask(reads.ahead, (job, most))
        return count

    async def page(self, filter: Filter, *, before: int | None, limit: int) -> Page:
        """Up to `limit` jobs that arrived before the seq `before` (None: now), newest first; perhaps fewer, although
        there are more."""
        page: Page = await self._searches.ask(
            listing.pages, listing.Ask(filter=filter, before=before, limit=limit, expiry=self._clock.expiry())
        )
        return page

    async def repeated(self, owner: str, key: str) -> Repeated | None:
        """What an earlier submit with this idempotency key left; None if there was none, or it is forgotten."""
        known: Repeated | None = await self._reads.ask(repeats.find, (owner, key, self._clock.expiry()))
        return known

    async def add_key(self, key: Key) -> bool:
        """False if the name is taken."""
        added: bool = await self._writes.ask(key_table.add, key)
        return added

    async def rotate_key(self, rotation: Rotation) -> Key | None:
        """The key with its new token; None if there is none of that name, or it has expired and is not renewed."""
        rotated: Key | None = await self._writes.ask(key_table.rotate, rotation)
        return rotated

    async def remove_key(self, name: str) -> Key | None:
        """The key that was removed; None if there is none of that name."""
        removed: Key | None = await self._writes.ask(key_table.remove, name)
        return removed

    async def keys(self) -> list[Key]:
        keys: list[Key] = await self._reads.ask(key_table.every, None)
        return keys


def _own(path: Path) -> tuple[Path, OwnerLock]:
    """The path without links, since under another name it would have another lock; and its lock."""
    try:
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = OwnerLock(path)
        if not path.exists():
            # What people ask is not for every user of the machine to read; SQLite's other files take the same mode.
            path.touch(mode=0o600)
        return path, lock
    except OSError as error:
        raise StoreUnusable(f"the folder of the database {path} cannot be written: {error.strerror}") from error


async def _prepare(db: aiosqlite.Connection, path: Path, durability: str) -> None:
    """Sets the connection up and brings the file to the newest schema."""
    ((version,),) = await db.execute_fetchall("PRAGMA user_version")
    ((application,),) = await db.execute_fetchall("PRAGMA application_id")
    ((tables,),) = await db.execute_fetchall("SELECT COUNT(*) FROM sqlite_schema")
    if tables and application != APPLICATION_ID:
        raise StoreUnusable(f"{path} is a database of another application")
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            f"{path} was written by a newer Coatcheck (schema {version}, this one knows {len(MIGRATIONS)}); "
            "use that version, or another file"
        )
    synchronous = {"full": "FULL", "normal": "NORMAL"}[durability]
    # auto_vacuum takes effect only before the first table, and before the switch to WAL.
    await db.executescript(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
        f" PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON; PRAGMA cache_size = -16384;"
        " PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;"
    )
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        await db.executescript(
            f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number};"
            f" PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """What file is at the path; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def _give_back(db: aiosqlite.Connection, pages: int) -> int:
    # Through executescript, which runs a statement to its end: one step of this pragma frees one page.
    await db.executescript(f"PRAGMA incremental_vacuum({pages});")
    ((free,),) = await db.execute_fetchall("PRAGMA freelist_count")
    return int(free)
