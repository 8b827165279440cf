"""Pages of jobs by number, newest first, with how many there are in all: what the v3 dialect asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiosqlite import Connection

from .jobs import JOB_COLUMNS, Job, State


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """Which jobs of an owner, `limit` of them after `offset` others; None does not narrow."""

    owner: str
    operations: tuple[str, ...] | None
    states: tuple[State, ...] | None
    offset: int
    limit: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberedPage:
    jobs: list[Job]
    #: All that match, on whatever page.
    total: int


async def numbered(db: Connection, items: Sequence[tuple[Numbers, int]]) -> Sequence[NumberedPage]:
    """An item is what is asked for, and the moment by which a job must not have expired."""
    return [await _page(db, *item) for item in items]


async def _page(db: Connection, ask: Numbers, expiry: int) -> NumberedPage:
    if () in (ask.operations, ask.states):
        return NumberedPage(jobs=[], total=0)
    where = "dialect = 'v3' AND owner = ? AND (expires_at IS NULL OR expires_at > ?)"
    values: list[Any] = [ask.owner, expiry]
    for column, words in (("operation", ask.operations), ("state", ask.states)):
        if words is not None:
            where += f" AND {column} IN ({', '.join('?' * len(words))})"
            values += words
    # The index has all that is asked for: no row is touched but those of the page.
    chosen = f"FROM job INDEXED BY job_of_v3 WHERE {where}"
    ((total,),) = await db.execute_fetchall(f"SELECT COUNT(*) {chosen}", values)
    if total <= ask.offset:
        return NumberedPage(jobs=[], total=total)
    rows = await db.execute_fetchall(
        f"SELECT {JOB_COLUMNS} FROM (SELECT seq {chosen} ORDER BY seq DESC LIMIT ? OFFSET ?) page"
        " CROSS JOIN job USING (seq) ORDER BY seq DESC",
        [*values, ask.limit, ask.offset],
    )
    return NumberedPage(jobs=[Job.from_row(row) for row in rows], total=total)
