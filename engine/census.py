"""Counts the jobs that wait, by operation and provider, as they are at one moment, while others move on.

No index holds what is asked here, and a start must not wait until every waiting job has been looked at. So a connection
of its own keeps the database as it was at that moment, for as long as the counting takes.
"""

import asyncio
import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from . import database
from .meters import Meters

log = logging.getLogger(__name__)

_COUNT = """
SELECT operation, targets ->> ('$[' || target || '][0]') AS provider, COUNT(*) FROM job WHERE seq IN (
    SELECT seq FROM job WHERE state = 'pending' AND run_at IS NULL
    UNION ALL SELECT seq FROM job WHERE run_at IS NOT NULL
) GROUP BY operation, provider
"""


class Census:
    """Of one store: made when it opens, closed when it closes."""

    def __init__(self, path: Path, meters: Meters) -> None:
        self._path = path
        self._meters = meters
        self._counting: dict[asyncio.Task[None], sqlite3.Connection] = {}

    def take(self) -> None:
        """Fixes the moment; the meters have the count a little later. Nothing else fails if it cannot be had."""
        try:
            db = _snapshot(self._path)
        except sqlite3.Error as error:
            log.warning("the jobs that wait cannot be counted: %s", error)
            return
        counting = asyncio.create_task(self._count(db), name="coatcheck census")
        self._counting[counting] = db
        counting.add_done_callback(self._counting.pop)

    async def close(self) -> None:
        """Ends the counting, if it still goes on."""
        for db in self._counting.values():
            # It may have been closed a moment ago.
            with suppress(sqlite3.ProgrammingError):
                db.interrupt()
        if self._counting:
            await asyncio.wait(list(self._counting))

    async def _count(self, db: sqlite3.Connection) -> None:
        try:
            counts = await asyncio.to_thread(_counts, db)
        except sqlite3.Error as error:
            log.warning("the jobs that wait could not be counted: %s", error)
            return
        for operation, provider, count in counts:
            self._meters.found(operation, provider, count)


def _snapshot(path: Path) -> sqlite3.Connection:
    """The database as it is now; to be used by one thread at a time."""
    db = database.look(path)
    try:
        # Fixed is what the first statement after BEGIN sees.
        db.executescript("BEGIN; SELECT seq FROM job LIMIT 1;")
    except BaseException:
        db.close()
        raise
    return db


def _counts(db: sqlite3.Connection) -> list[tuple[str, str, int]]:
    with closing(db):
        return db.execute(_COUNT).fetchall()
