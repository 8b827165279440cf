"""The statements that end jobs from outside of any attempt, and those that remove them; see `arrows`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from aiosqlite import Connection

from . import blob_table, delivery_table
from .hooks import Arrivals
from .jobs import COLUMNS, JOB_COLUMNS, SECOND, Job, Outcome, State
from .story import tell

CANCELLED_STATUS = 499


@dataclass(frozen=True, slots=True, eq=False)
class Cancel:
    id: str
    #: None: whoever owns it.
    owner: str | None
    now: int
    keep_request: bool
    arrivals: Arrivals


class Overdue(NamedTuple):
    #: Jobs are overdue that were claimed by then for the first time.
    claimed_by: int
    failure: Outcome
    now: int
    keep_request: bool
    arrivals: Arrivals


class Due(NamedTuple):
    now: int
    keep_request: bool
    arrivals: Arrivals


async def cancel(db: Connection, items: Sequence[Cancel]) -> Sequence[Job | None]:
    """pending | processing → cancelled. Answers the job as it was before; None if there is none to cancel."""
    wanted = {(i.id, i.owner): i for i in reversed(items)}
    asked = orjson.dumps([[i.id, i.owner] for i in wanted.values()]).decode()
    rows = await db.execute_fetchall(
        f"SELECT {JOB_COLUMNS} FROM json_each(?) e CROSS JOIN job ON job.id = e.value ->> 0"
        " WHERE (e.value ->> 1 IS NULL OR job.owner = e.value ->> 1) AND job.state IN ('pending', 'processing')",
        [asked],
    )
    found = {job.id: job for job in map(Job.from_row, rows)}
    now = max(i.now for i in items)
    await _end(db, list(found.values()), State.CANCELLED, CANCELLED_STATUS, now)
    await _forget(db, [found[i.id].seq for i in wanted.values() if i.id in found and not i.keep_request])
    await delivery_table.write(db, [job.seq for job in found.values()], now, items[0].arrivals)
    # Of several who ask for the same job in one batch, the first who may cancels it; for the others it has ended.
    return [found.pop(i.id) if i.id in found and i.owner in (None, found[i.id].owner) else None for i in items]


async def overdue(db: Connection, items: Sequence[Overdue]) -> Sequence[list[Job]]:
    """pending → failed, for jobs that wait again and whose first claim was by a moment. Answers the jobs as they were
    before."""
    moment, failure, now, keep_request, arrivals = items[0]
    rows = await db.execute_fetchall(
        f"SELECT {COLUMNS} FROM job WHERE state = 'pending' AND claimed_at <= ? LIMIT 1000", [moment]
    )
    jobs = [Job.from_row(row) for row in rows]
    await _end(db, jobs, failure.state, failure.status_code, now)
    await db.executemany("UPDATE body SET result = ? WHERE seq = ?", [(failure.body, job.seq) for job in jobs])
    await _forget(db, [job.seq for job in jobs if not keep_request])
    await delivery_table.write(db, [job.seq for job in jobs], now, arrivals)
    return [jobs, *([] for _ in items[1:])]


async def cancel_due(db: Connection, items: Sequence[Due]) -> Sequence[list[Job]]:
    """pending | processing → cancelled, for jobs whose time for that has come. Answers the jobs as they were before."""
    rows = await db.execute_fetchall(
        f"SELECT {COLUMNS} FROM job WHERE cancel_at <= ? AND completed_at IS NULL LIMIT 1000", [items[0].now]
    )
    return [await _cancel(db, rows, "cancel_after", items[0]), *([] for _ in items[1:])]


async def cancel_attended(db: Connection, items: Sequence[Due]) -> Sequence[list[Job]]:
    """pending | processing → cancelled, for jobs whose clients wait for them. Answers the jobs as they were before; of
    many, some."""
    rows = await db.execute_fetchall(
        f"SELECT {JOB_COLUMNS} FROM attended CROSS JOIN job USING (seq) WHERE job.completed_at IS NULL LIMIT 1000"
    )
    return [await _cancel(db, rows, "client_gone", items[0]), *([] for _ in items[1:])]


async def detach(db: Connection, items: Sequence[tuple[str, int]]) -> Sequence[None]:
    """Attended jobs go on without their clients; an item is a job's id, and for how many seconds its outcome is kept at
    least."""
    await db.executemany(
        "DELETE FROM attended WHERE seq = (SELECT seq FROM job WHERE id = ?)", [(id,) for id, _ in items]
    )
    await db.executemany(
        "UPDATE job SET ttl_seconds = MAX(ttl_seconds, ?) WHERE id = ? AND completed_at IS NULL",
        [(ttl_seconds, id) for id, ttl_seconds in items],
    )
    return [None] * len(items)


async def _cancel(db: Connection, rows: Iterable[Iterable[Any]], reason: str, due: Due) -> list[Job]:
    jobs = [Job.from_row(row) for row in rows]
    await _end(db, jobs, State.CANCELLED, CANCELLED_STATUS, due.now, reason)
    await _forget(db, [job.seq for job in jobs if not due.keep_request])
    await delivery_table.write(db, [job.seq for job in jobs], due.now, due.arrivals)
    return jobs


async def delete(db: Connection, items: Sequence[tuple[str, str | None]]) -> Sequence[bool]:
    """ended → gone, for one job; an item is its id and owner (None: any). False if there is none that has ended."""
    rows = await db.execute_fetchall(
        "DELETE FROM job WHERE completed_at IS NOT NULL AND seq IN (SELECT job.seq FROM json_each(?) e CROSS JOIN job"
        " ON job.id = e.value ->> 0 AND (e.value ->> 1 IS NULL OR job.owner = e.value ->> 1)) RETURNING id, owner",
        [orjson.dumps(items).decode()],
    )
    gone: dict[str, str] = dict(map(tuple, rows))
    if gone:
        await delivery_table.drop(db, list(gone))
    return [id in gone and owner in (None, gone[id]) for id, owner in items]


async def sweep(db: Connection, items: Sequence[tuple[int, int]]) -> Sequence[int]:
    """ended → gone, for jobs that expired by a moment; an item is `(moment, most)`. Answers how many."""
    answers = []
    for moment, most in items:
        rows = await db.execute_fetchall(
            "DELETE FROM job WHERE seq IN (SELECT seq FROM job WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)"
            " RETURNING seq",
            [moment, most],
        )
        answers.append(len(list(rows)))
    return answers


async def _end(
    db: Connection, jobs: Sequence[Job], state: State, status: int, now: int, reason: str | None = None
) -> None:
    """Ends jobs that have not ended, from outside of any attempt."""
    await db.execute(
        f"UPDATE job SET state = ?, completed_at = ?, expires_at = ? + ttl_seconds * {SECOND}, status_code = ?,"
        " run_at = NULL WHERE seq IN (SELECT value FROM json_each(?)) AND state IN ('pending', 'processing')",
        [state, now, now, status, orjson.dumps([job.seq for job in jobs]).decode()],
    )
    data = {"status_code": status, **({"reason": reason} if reason else {})}
    await tell(db, ((job.seq, now, state, job.attempt, data) for job in jobs))


async def _forget(db: Connection, seqs: Sequence[int]) -> None:
    """Removes what the jobs were asked."""
    if seqs:
        await db.executemany("UPDATE body SET request = NULL WHERE seq = ?", [(seq,) for seq in seqs])
        await blob_table.free(db, seqs)
