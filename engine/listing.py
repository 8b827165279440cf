"""Pages of jobs, newest first: by cursor, and with no more work a page than a few thousand rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiosqlite import Connection

from .jobs import COLUMNS, Job, State

#: Rows that one page looks at: a filter that seldom matches makes short pages, not long statements.
SCAN = 5000


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which jobs; None does not narrow."""

    owner: str | None = None
    states: tuple[State, ...] | None = None
    operation: str | None = None
    #: The one that runs, ran or is next.
    provider: str | None = None
    #: As the client named it.
    model: str | None = None
    #: Microseconds UTC, both exclusive.
    created_after: int | None = None
    created_before: int | None = None
    #: The beginning of the id.
    prefix: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    jobs: list[Job]
    #: `before` of the next page; None if this was the last.
    next: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    filter: Filter
    #: Jobs that arrived before this seq; None: from the newest.
    before: int | None
    limit: int
    #: The moment by which a job must not have expired.
    expiry: int


async def pages(db: Connection, items: Sequence[Ask]) -> Sequence[Page]:
    return [await _page(db, item) for item in items]


async def _page(db: Connection, ask: Ask) -> Page:
    inside = "seq < ?"
    bounds: list[Any] = [ask.before if ask.before is not None else 1 << 62]
    if ask.filter.owner is not None:
        inside += " AND owner = ?"
        bounds.append(ask.filter.owner)
    where, values = _conditions(ask.filter)
    ((seen, oldest),) = await db.execute_fetchall(
        f"SELECT COUNT(*), MIN(seq) FROM (SELECT seq FROM job WHERE {inside} ORDER BY seq DESC LIMIT {SCAN})", bounds
    )
    if not seen:
        return Page(jobs=[], next=None)
    rows = await db.execute_fetchall(
        f"SELECT {COLUMNS} FROM job WHERE {' AND '.join([inside, 'seq >= ?', *where])}"
        " AND (expires_at IS NULL OR expires_at > ?) ORDER BY seq DESC LIMIT ?",
        [*bounds, oldest, *values, ask.expiry, ask.limit + 1],
    )
    jobs = [Job.from_row(row) for row in rows]
    if len(jobs) > ask.limit:
        jobs.pop()
        return Page(jobs=jobs, next=jobs[-1].seq)
    return Page(jobs=jobs, next=oldest if seen == SCAN else None)


def _conditions(filter: Filter) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    if filter.states is not None:
        where.append(f"state IN ({', '.join('?' * len(filter.states))})")
        values += filter.states
    if filter.prefix is not None:
        where.append("substr(id, 1, ?) = ?")
        values += [len(filter.prefix), filter.prefix]
    for condition, value in (
        ("operation = ?", filter.operation),
        ("targets ->> ('$[' || target || '][0]') = ?", filter.provider),
        ("model = ?", filter.model),
        ("created_at > ?", filter.created_after),
        ("created_at < ?", filter.created_before),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    return where, values
