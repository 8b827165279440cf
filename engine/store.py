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

from . import arrows, blob_table, checkpoints, database, ends, key_table, listing, pulse, reads, repeats, story, survey
from .batches import Batches
from .blobs import Blobs
from .census import Census
from .clock import Clock
from .jobs import SECOND, Checkpoint, Event, Job, Outcome, Release, ResultFile, Submission, Ticket, Work
from .keys import Key, Rotation
from .listing import Filter, Page
from .lock import OwnerLock
from .meters import Meters
from .numbered import NumberedPage, Numbers, numbered
from .outbox import Outbox
from .repeats import Repeat, Repeated
from .survey import Survey
from .uploads import Uploads


class Store:
    """Opened by `Store.open`; owns the file until `close`."""

    def __init__(
        self, path: Path, connections: Sequence[aiosqlite.Connection], lock: OwnerLock, clock: Clock, blobs: Blobs
    ) -> None:
        """`connections`: one that writes, and two that cannot."""
        self._path = path
        self._file = database.identity(path)
        self._writer, self._reader, self._searcher = connections
        self._lock = lock
        self._clock = clock
        #: The files of requests and results.
        self.blobs = blobs
        #: Set when jobs are gone, whose files may be left to remove.
        self.freed = asyncio.Event()
        #: Where this store, and who works with it, count what happens.
        self.meters = Meters()
        self._writes = Batches(self._writer, transactional=True, observe=self._committed)
        self._reads = Batches(self._reader, transactional=False, observe=self.meters.read)
        #: What looks at thousands of rows: no poll waits for somebody's lists.
        self._searches = Batches(self._searcher, transactional=False, max_items=16, observe=self.meters.read)
        self.census = Census(path, self.meters)
        #: Who is told of the ends of jobs.
        self.outbox = Outbox(self._writes, self._reads, self._searches, clock)
        #: Files for later jobs.
        self.uploads = Uploads(self._writes, self._reads, self._searches, clock, self.freed)

    @classmethod
    async def open(
        cls, path: Path, *, durability: str = "full", clock: Clock | None = None, blobs: Path | None = None
    ) -> Self:
        """Opens or creates the database, and the folder of its files; `blobs` None: for who has to do with no file, no
        folder is made or looked at. `durability`: "full" syncs every commit, "normal" may lose the last moments before
        a power cut (not before a crash of the process).

        Raises `StoreLocked` if another process owns it, `StoreUnusable` if it is not ours, too new or unreadable.
        """
        path, lock = database.own(path)
        try:
            connections = await database.connect(path, durability)
        except BaseException:
            lock.release()
            raise
        store = cls(path, connections, lock, clock or Clock(), Blobs(blobs or path.with_name("blobs")))
        if blobs is not None:
            try:
                await store.blobs.open(path)
            except BaseException:
                await store.close()
                raise
        return store

    async def close(self) -> None:
        """Carries out what was asked, then gives the file up."""
        await self.census.close()
        await self.blobs.close()
        for batches in (self._searches, self._reads, self._writes):
            await batches.close()
        for connection in (self._searcher, self._reader, self._writer):
            await connection.close()
        self._lock.release()

    def check_file(self) -> None:
        """Refuses writes while another file, or none, is at the database's path: what is written to a file that was
        removed is lost with this process. To be called now and then."""
        if database.identity(self._path) == self._file:
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

    def _committed(self, seconds: float, items: int) -> None:
        self.meters.committed(seconds, items)
        self.outbox.committed()

    async def claim(self, lane: str, turns: Mapping[str, int]) -> list[Job]:
        """pending → processing, for up to `turns[owner]` ready jobs of each owner in this lane."""
        return await self._writes.ask(arrows.claim, arrows.Claim(lane, turns, self._clock.now()))

    async def finish(self, job: Job, outcome: Outcome, *, keep_request: bool = True) -> bool:
        """processing → completed | failed. False if the attempt is no longer the job's: it was cancelled, or lost."""
        await self._writes.room()
        item = arrows.Finish(job.seq, job.attempt, outcome, self._clock.now(), keep_request, self.outbox.arrivals)
        return await self._writes.ask(arrows.finish, item, len(outcome.body) + len(outcome.original or b""))

    async def release(self, job: Job, release: Release) -> bool:
        """processing → pending. False if the attempt is no longer the job's."""
        item = arrows.Back(job.seq, job.attempt, release, self._clock.now())
        return await self._writes.ask(arrows.release, item)

    async def cancel(self, id: str, owner: str | None, *, keep_request: bool = True) -> Job | None:
        """pending | processing → cancelled. The job as it was before, or None if there is none to cancel: it is
        unknown, another owner's (`owner` None: any), or has ended."""
        item = ends.Cancel(id, owner, self._clock.now(), keep_request, self.outbox.arrivals)
        return await self._writes.ask(ends.cancel, item)

    async def promote(self, longest_seconds: float) -> list[tuple[str, str]]:
        """Held jobs whose time has come become ready; their lanes and owners. None is held longer than that: a
        `run_at` further off is the trace of a clock that went back."""
        now = self._clock.now()
        return await self._writes.ask(arrows.promote, (now, now + int(longest_seconds * SECOND)))

    async def overdue(self, claimed_by: int, failure: Outcome, *, keep_request: bool = True) -> list[Job]:
        """pending → failed, for jobs whose first claim was by then; the jobs as they were before."""
        item = ends.Overdue(claimed_by, failure, self._clock.now(), keep_request, self.outbox.arrivals)
        return await self._writes.ask(ends.overdue, item)

    async def cancel_due(self, *, keep_request: bool = True) -> list[Job]:
        """pending | processing → cancelled, for jobs that were to be cancelled by now; the jobs as they were before."""
        return await self._writes.ask(ends.cancel_due, ends.Due(self._clock.now(), keep_request, self.outbox.arrivals))

    async def cancel_attended(self, *, keep_request: bool = True) -> list[Job]:
        """pending | processing → cancelled, for attended jobs; some of them, as they were before. To be asked for until
        there are none, at a start: their clients are gone with the process before."""
        return await self._writes.ask(
            ends.cancel_attended, ends.Due(self._clock.now(), keep_request, self.outbox.arrivals)
        )

    async def detach(self, id: str, ttl_seconds: int) -> None:
        """An attended job goes on without its clients; its outcome is kept for that long at least."""
        await self._writes.ask(ends.detach, (id, ttl_seconds))

    async def delete(self, id: str, owner: str | None) -> bool:
        """ended → gone, for one job. False if there is none that has ended, or it is another owner's (None: any)."""
        gone: bool = await self._writes.ask(ends.delete, (id, owner))
        if gone:
            self.freed.set()
        return gone

    async def sweep(self, most: int) -> int:
        """ended → gone, for at most that many expired jobs; how many went."""
        count: int = await self._writes.ask(ends.sweep, (self._clock.expiry(), most))
        if count:
            self.freed.set()
        return count

    async def gone(self, most: int) -> list[str]:
        """Ids of files that nobody uses any more, and that are still to be removed."""
        return await self._searches.ask(blob_table.gone, most)

    async def removed(self, ids: Sequence[str]) -> None:
        """These files are not there any more."""
        await self._writes.ask(blob_table.removed, ids)

    async def unused(self, ids: Sequence[str]) -> None:
        """Removes the rows of files, but for those that somebody uses."""
        await self._writes.ask(blob_table.unused, ids)

    async def forget(self, most: int) -> int:
        """Removes up to that many idempotency keys that have expired; how many were looked at."""
        return await self._writes.ask(repeats.forget, (self._clock.expiry(), most))

    async def give_back(self, pages: int) -> int:
        """Returns up to that many free pages to the file system; how many are still free."""
        return await self._writes.alone(lambda db: database.give_back(db, pages))

    async def beat(self) -> None:
        """Writes a row and commits it, to know that this can be done."""
        await self._writes.ask(pulse.beat, self._clock.now())

    async def survey(self, lanes: Sequence[str]) -> Survey:
        """What is known of the jobs that wait, in these lanes, and of the file."""
        return await self._searches.ask(survey.surveys, lanes)

    def look(self) -> sqlite3.Connection:
        """A connection that cannot write, for what a thread reads by itself."""
        return database.look(self._path)

    def ticket(self, id: str, owner: str | None) -> Awaitable[Ticket | None]:
        """The job and its outcome; None if it is unknown, expired or another owner's (`owner` None: any)."""
        return self._reads.ask(reads.tickets, (id, owner, self._clock.expiry()))

    async def work(self, seq: int) -> Work | None:
        """What an attempt at the job needs; None if the job is gone."""
        return await self._reads.ask(reads.works, (seq, self.blobs.path))

    async def request(self, seq: int) -> bytes | None:
        """The job's request, as JSON; None once it is gone."""
        work = await self.work(seq)
        return None if work is None else work.request

    async def files(self, seq: int, role: str = blob_table.RESULT) -> list[ResultFile]:
        """The job's files of that role, in their order: those of its outcome, or of a field of its request."""
        return await self._reads.ask(blob_table.files, blob_table.Asked(seq, role, self.blobs.path))

    def checkpoint(self, job: Job, value: str | None) -> asyncio.Future[bool]:
        """Keeps what the attempt saved, for the job's present target; None: nothing any more. The future, which cannot
        be cancelled, is done after the commit: False if the attempt is no longer the job's."""
        return self._writes.ask(checkpoints.save, checkpoints.Save(job.seq, job.attempt, value), certain=True)

    async def resumable(self) -> set[int]:
        """Which of the jobs that an attempt holds have a checkpoint at their present target; by seq."""
        return await self._reads.ask(checkpoints.interrupted, None)

    async def unwanted(self, seq: int | None) -> list[tuple[Job, Checkpoint]]:
        """Checkpoints that no attempt will go on from, with their jobs: of one job, or of all (None)."""
        return await self._reads.ask(checkpoints.unwanted, seq)

    async def told(self, seq: int, value: str) -> None:
        """The provider knows that this checkpoint is not wanted: forgets it."""
        await self._writes.ask(checkpoints.forget, (seq, value))

    async def story(self, seq: int) -> list[Event]:
        """The job's events, oldest first."""
        return await self._reads.ask(story.stories, seq)

    async def attended(self) -> int:
        """How many attended jobs have not ended."""
        return await self._reads.ask(reads.attended, None)

    async def processing(self) -> list[Job]:
        """The jobs that an attempt holds; after a start, those that were interrupted."""
        return await self._reads.ask(reads.processing, None)

    async def backlog(self) -> list[tuple[str, str, bool, int]]:
        """What waits: lane, owner, whether it is held for later, how many."""
        return await self._reads.ask(reads.backlog, None)

    async def alarms(self) -> tuple[int | None, int | None, int | None]:
        """Of pending jobs: when the first held one becomes ready, and when the first that has been tried was claimed
        for the first time; of all that have not ended: when the first is to be cancelled. In microseconds UTC; None
        if there is none."""
        return await self._reads.ask(reads.alarms, None)

    async def ahead(self, job: Job, most: int) -> int:
        """How many of its owner's jobs go before a ready job; no more than `most` are counted."""
        return await self._searches.ask(reads.ahead, (job, most))

    async def page(self, filter: Filter, *, before: int | None, limit: int) -> Page:
        """Up to `limit` jobs that arrived before the seq `before` (None: now), newest first; perhaps fewer, although
        there are more."""
        return await self._searches.ask(
            listing.pages, listing.Ask(filter=filter, before=before, limit=limit, expiry=self._clock.expiry())
        )

    async def numbered(self, asked: Numbers) -> NumberedPage:
        """Jobs of the v3 dialect, newest first, with how many there are in all."""
        return await self._searches.ask(numbered, (asked, self._clock.expiry()))

    async def repeated(self, owner: str, key: str) -> Repeated | None:
        """What an earlier submit with this idempotency key left; None if there was none, or it is forgotten."""
        return await self._reads.ask(repeats.find, (owner, key, self._clock.expiry()))

    async def add_key(self, key: Key) -> bool:
        """False if the name is taken."""
        return await self._writes.ask(key_table.add, key)

    async def rotate_key(self, rotation: Rotation) -> Key | None:
        """The key with its new token; None if there is none of that name, or it has expired and is not renewed."""
        return await self._writes.ask(key_table.rotate, rotation)

    async def remove_key(self, name: str) -> Key | None:
        """The key that was removed; None if there is none of that name."""
        return await self._writes.ask(key_table.remove, name)

    async def keys(self) -> list[Key]:
        return await self._reads.ask(key_table.every, None)
