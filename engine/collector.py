"""Removes the files that nobody uses any more, and at the start what an earlier process left half done.

A process can be killed between a file and its row, and between a row and its file. So each start compares both, folder
by folder, in a thread with a connection of its own, while the server already works.
"""

import asyncio
import logging
import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field

from .errors import CoatcheckError
from .ids import is_id
from .settings import JobSettings
from .store import Store

log = logging.getLogger(__name__)

#: Files that are removed at once.
_AT_ONCE = 128
#: Between two looks: what a sweep or many deletes leave is collected together.
_PAUSE_SECONDS = 0.1
#: Missing files that are named in the log.
_NAMED = 5

#: A folder for each beginning of an id.
_FOLDERS = {f"{number:02x}" for number in range(256)}
#: The rows of one folder.
_ROWS = """
SELECT id, size_bytes, EXISTS (SELECT 1 FROM blob_use WHERE blob = blob.id)
    OR EXISTS (SELECT 1 FROM upload WHERE blob = blob.id)
FROM blob WHERE id >= ? AND id < ?
"""


@dataclass(slots=True)
class Comparison:
    """Of files and rows that were there at the start."""

    #: Files without a row.
    orphans: list[str] = field(default_factory=list)
    #: Rows that nobody uses.
    unused: list[str] = field(default_factory=list)
    #: Rows without a file.
    missing: list[str] = field(default_factory=list)
    #: Of all the files.
    size_bytes: int = 0


class Collector:
    def __init__(self, store: Store, settings: JobSettings) -> None:
        self._store = store
        self._blobs = store.blobs
        self._interval = settings.sweep_interval_seconds
        self._stopped = False

    async def run(self) -> None:
        """Compares once; collects at once, when jobs have gone, and every interval, until it is cancelled."""
        try:
            while True:
                self._store.freed.clear()
                await self._round()
                await asyncio.sleep(_PAUSE_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await self._store.freed.wait()
        finally:
            self._stopped = True

    async def compare(self) -> Comparison:
        """Removes files without a row, and rows that nobody uses; says which files are missing."""
        found = await self._blobs.off_loop(self._compare)
        self._blobs.begun = None
        self._blobs.size_bytes += found.size_bytes
        if found.missing:
            named = ", ".join(found.missing[:_NAMED])
            log.error("%d files are missing that jobs need, such as %s", len(found.missing), named)
        if found.orphans:
            log.warning("%d files are removed that an earlier process left without a job", len(found.orphans))
        for first in range(0, len(found.orphans), _AT_ONCE):
            await self._blobs.unlink(*found.orphans[first : first + _AT_ONCE])
        if found.unused:
            await self._store.unused(found.unused)
        return found

    async def collect(self) -> int:
        """Removes the files of rows that are gone; how many. In small batches, with pauses: others write too."""
        count = 0
        while ids := await self._store.gone(_AT_ONCE):
            await self._blobs.unlink(*ids)
            began = time.perf_counter()
            await self._store.removed(ids)
            count += len(ids)
            if len(ids) < _AT_ONCE:
                break
            await asyncio.sleep(3 * (time.perf_counter() - began))
        return count

    async def _round(self) -> None:
        try:
            if self._blobs.begun is not None:
                await self.compare()
            await self.collect()
        except (CoatcheckError, sqlite3.Error) as error:
            log.warning("files that nobody uses could not be removed: %s", error)

    def _compare(self) -> Comparison:
        found = Comparison()
        with closing(self._store.look()) as db:
            there = {name for name in os.listdir(self._blobs.folder) if len(name) == 2}
            known = db.execute("SELECT 1 FROM blob LIMIT 1").fetchone()
            for name in sorted(there | _FOLDERS if known else there):
                if self._stopped:
                    break
                self._compare_folder(db, name, found)
        return found

    def _compare_folder(self, db: sqlite3.Connection, name: str, found: Comparison) -> None:
        try:
            # The files first: of a file that was there, the row is there too, or it is one of those begun meanwhile.
            files = {file for file in os.listdir(self._blobs.folder / name) if is_id(file)}
        except (FileNotFoundError, NotADirectoryError):
            # What is no folder is not ours, as is a file without an id for its name: both are left alone.
            files = set()
        rows = db.execute(_ROWS, (name, f"{name}~")).fetchall()
        begun = self._blobs.begun or set()
        for id, size, used in rows:
            if id in begun:
                continue
            if id in files:
                found.size_bytes += size
            else:
                found.missing.append(id)
            if not used:
                found.unused.append(id)
        orphans = [id for id in files.difference(row[0] for row in rows) if id not in begun]
        found.size_bytes += sum(self._blobs.path(id).stat().st_size for id in orphans)
        found.orphans += orphans
