"""The statements that move jobs, each for many jobs at once.

Each runs inside a batch's transaction (see `batches`) and answers one result an item. What carries integers goes in as
one JSON array and through `json_each`; what carries text and bytes goes through `executemany`. Every write of an
attempt is guarded by the attempt's number: a stale one changes nothing, and learns it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from aiosqlite import Connection

from . import repeats
from .jobs import COLUMNS, JOB_COLUMNS, SECOND, Job, Outcome, Release, State, Submission
from .repeats import Repeat, Repeated
from .targets import render_targets

CANCELLED_STATUS = 499

#: Owners in one claim statement; SQLite takes at most 500 terms in a compound SELECT.
_MAX_TERMS = 64


class Submit(NamedTuple):
    """A submission with the lane that its first target's provider named."""

    submission: Submission
    lane: str
    repeat: Repeat | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    lane: str
    #: How many jobs of which owner.
    turns: Mapping[str, int]
    now: int


@dataclass(frozen=True, slots=True, eq=False)
class Finish:
    seq: int
    attempt: int
    outcome: Outcome
    now: int
    keep_request: bool


@dataclass(frozen=True, slots=True, eq=False)
class Back:
    """A release of an attempt."""

    seq: int
    attempt: int
    release: Release
    now: int


@dataclass(frozen=True, slots=True, eq=False)
class Cancel:
    id: str
    #: None: whoever owns it.
    owner: str | None
    now: int
    keep_request: bool


async def submit(db: Connection, items: Sequence[Submit]) -> Sequence[Repeated | None]:
    """(nothing) → pending; for a repeat nothing happens, and the answer is what the first one left."""
    answers: list[Repeated | None] = [None] * len(items)
    keyed = [(place, item.repeat, item.submission) for place, item in enumerate(items) if item.repeat]
    if keyed:
        kept = await repeats.keep(db, [(repeat, s.id, s.created_at) for _, repeat, s in keyed])
        for (place, *_), earlier in zip(keyed, kept, strict=True):
            answers[place] = earlier
    await _insert(db, [item for item, earlier in zip(items, answers, strict=True) if earlier is None])
    return answers


async def _insert(db: Connection, items: Sequence[Submit]) -> None:
    rows = [
        (
            s.id, s.dialect, s.operation, s.owner, s.model, render_targets(s.targets), lane, s.priority,
            s.request_id, s.ttl_seconds, s.created_at, s.cancel_at, s.parent, s.trace,
        )
        for s, lane in ((item.submission, item.lane) for item in items)
    ]  # fmt: skip
    await db.executemany(
        "INSERT INTO job (id, dialect, operation, owner, model, targets, lane, priority, request_id, ttl_seconds,"
        " created_at, cancel_at, parent, trace) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    await db.executemany(
        "INSERT INTO body (seq, request) SELECT seq, ? FROM job WHERE id = ?",
        [(item.submission.request, item.submission.id) for item in items],
    )


async def claim(db: Connection, items: Sequence[Claim]) -> Sequence[list[Job]]:
    """pending → processing: the first ready jobs of each owner, by priority, then age. One call of each begins."""
    answers = []
    for item in items:
        jobs: list[Job] = []
        turns = list(item.turns.items())
        for start in range(0, len(turns), _MAX_TERMS):
            jobs += await _claim(db, item.lane, turns[start : start + _MAX_TERMS], item.now)
        answers.append(jobs)
    await _tell(
        db,
        (
            (job.seq, item.now, "claimed", job.attempt, {"provider": job.at.provider, "model": job.at.model})
            for item, jobs in zip(items, answers, strict=True)
            for job in jobs
        ),
    )
    return answers


async def _claim(db: Connection, lane: str, turns: Sequence[tuple[str, int]], now: int) -> list[Job]:
    ready = " UNION ALL ".join(
        ["SELECT seq FROM (SELECT seq FROM job WHERE state = 'pending' AND run_at IS NULL AND lane = ? AND owner = ?"
         " ORDER BY priority, seq LIMIT ?)"] * len(turns)
    )  # fmt: skip
    rows = await db.execute_fetchall(
        "UPDATE job SET state = 'processing', attempt = attempt + 1, calls = calls + 1, tries = tries + 1,"
        f" started_at = ?, claimed_at = COALESCE(claimed_at, ?) WHERE seq IN ({ready}) RETURNING {COLUMNS}",
        [now, now, *(value for owner, count in turns for value in (lane, owner, count))],
    )
    return sorted((Job.from_row(row) for row in rows), key=lambda job: (job.priority, job.seq))


async def finish(db: Connection, items: Sequence[Finish]) -> Sequence[bool]:
    """processing → completed | failed, with the result; False for an attempt that is no longer the job's."""
    wanted = {(i.seq, i.attempt): i for i in reversed(items)}
    rows = await db.execute_fetchall(
        "UPDATE job SET state = e.value ->> 2, completed_at = e.value ->> 3,"
        f" expires_at = (e.value ->> 3) + ttl_seconds * {SECOND}, status_code = e.value ->> 4,"
        " resolved_model = e.value ->> 5, cost = e.value ->> 6 FROM json_each(?) e"
        " WHERE job.seq = e.value ->> 0 AND job.attempt = e.value ->> 1 AND job.state = 'processing'"
        " RETURNING seq, attempt",
        [
            orjson.dumps(
                [
                    [i.seq, i.attempt, i.outcome.state, i.now, i.outcome.status_code, i.outcome.resolved_model,
                     i.outcome.cost]
                    for i in wanted.values()
                ]
            ).decode()
        ],
    )  # fmt: skip
    won = {wanted[seq, attempt] for seq, attempt in rows}
    await db.executemany(
        "UPDATE body SET result = ?, request = CASE WHEN ? THEN request END WHERE seq = ?",
        [(i.outcome.body, i.keep_request, i.seq) for i in won],
    )
    await _tell(db, ((i.seq, i.now, i.outcome.state, i.attempt, {"status_code": i.outcome.status_code}) for i in won))
    return [item in won for item in items]


async def release(db: Connection, items: Sequence[Back]) -> Sequence[bool]:
    """processing → pending; False for an attempt that is no longer the job's."""
    wanted = {(i.seq, i.attempt): i for i in reversed(items)}
    rows = await db.execute_fetchall(
        "UPDATE job SET state = 'pending', started_at = NULL, calls = calls - (e.value ->> 2), run_at = e.value ->> 3,"
        " lane = e.value ->> 4, target = e.value ->> 5, tries = e.value ->> 6 FROM json_each(?) e"
        " WHERE job.seq = e.value ->> 0 AND job.attempt = e.value ->> 1 AND job.state = 'processing'"
        " RETURNING seq, attempt",
        [
            orjson.dumps(
                [
                    [i.seq, i.attempt, r.refund, r.run_at, r.lane, r.target, r.tries]
                    for i, r in ((i, i.release) for i in wanted.values())
                ]
            ).decode()
        ],
    )
    won = {wanted[seq, attempt] for seq, attempt in rows}
    await _tell(
        db,
        (
            (
                i.seq,
                i.now,
                "released",
                i.attempt,
                {"reason": i.release.reason, "run_at": i.release.run_at, "failure": i.release.failure},
            )
            for i in won
        ),
    )
    return [item in won for item in items]


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
    if forgotten := [(found[i.id].seq,) for i in wanted.values() if i.id in found and not i.keep_request]:
        await db.executemany("UPDATE body SET request = NULL WHERE seq = ?", forgotten)
    # Of several who ask for the same job in one batch, the first who may cancels it; for the others it has ended.
    return [found.pop(i.id) if i.id in found and i.owner in (None, found[i.id].owner) else None for i in items]


async def overdue(db: Connection, items: Sequence[tuple[int, Outcome, int]]) -> Sequence[list[Job]]:
    """pending → failed, for jobs that wait again and whose first claim was by a moment; an item is `(moment, failure,
    now)`. Answers the jobs as they were before."""
    moment, failure, now = items[0]
    rows = await db.execute_fetchall(
        f"SELECT {COLUMNS} FROM job WHERE state = 'pending' AND claimed_at <= ? LIMIT 1000", [moment]
    )
    jobs = [Job.from_row(row) for row in rows]
    await _end(db, jobs, failure.state, failure.status_code, now)
    await db.executemany("UPDATE body SET result = ? WHERE seq = ?", [(failure.body, job.seq) for job in jobs])
    return [jobs, *([] for _ in items[1:])]


async def cancel_due(db: Connection, items: Sequence[tuple[int, bool]]) -> Sequence[list[Job]]:
    """pending | processing → cancelled, for jobs whose time for that has come; an item is `(now, keep_request)`.
    Answers the jobs as they were before."""
    now, keep_request = items[0]
    rows = await db.execute_fetchall(
        f"SELECT {COLUMNS} FROM job WHERE cancel_at <= ? AND completed_at IS NULL LIMIT 1000", [now]
    )
    jobs = [Job.from_row(row) for row in rows]
    await _end(db, jobs, State.CANCELLED, CANCELLED_STATUS, now, reason="cancel_after")
    if not keep_request:
        await db.executemany("UPDATE body SET request = NULL WHERE seq = ?", [(job.seq,) for job in jobs])
    return [jobs, *([] for _ in items[1:])]


async def delete(db: Connection, items: Sequence[tuple[str, str | None]]) -> Sequence[bool]:
    """ended → gone, for one job; an item is its id and owner (None: any). False if there is none that has ended."""
    rows = await db.execute_fetchall(
        "DELETE FROM job WHERE completed_at IS NOT NULL AND seq IN (SELECT job.seq FROM json_each(?) e CROSS JOIN job"
        " ON job.id = e.value ->> 0 AND (e.value ->> 1 IS NULL OR job.owner = e.value ->> 1)) RETURNING id, owner",
        [orjson.dumps(items).decode()],
    )
    gone: dict[str, str] = dict(map(tuple, rows))
    return [id in gone and owner in (None, gone[id]) for id, owner in items]


async def promote(db: Connection, items: Sequence[tuple[int, int]]) -> Sequence[list[tuple[str, str]]]:
    """Held pending jobs whose time has come, or is further off than any hold can be (the clock went back), become
    ready. An item is `(now, horizon)`; answers lane and owner of each."""
    now, horizon = min(items)
    rows = await db.execute_fetchall(
        "UPDATE job SET run_at = NULL WHERE state = 'pending' AND run_at IS NOT NULL AND (run_at <= ? OR run_at > ?)"
        " RETURNING lane, owner",
        [now, horizon],
    )
    return [[(lane, owner) for lane, owner in rows], *([] for _ in items[1:])]


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
    await _tell(db, ((job.seq, now, state, job.attempt, data) for job in jobs))


async def _tell(db: Connection, events: Iterable[tuple[int, int, str, int, Mapping[str, Any]]]) -> None:
    """Appends to the jobs' stories."""
    rows = [(seq, at, kind, attempt, orjson.dumps(data).decode()) for seq, at, kind, attempt, data in events]
    if rows:
        await db.executemany("INSERT INTO event (seq, at, kind, attempt, data) VALUES (?, ?, ?, ?, ?)", rows)
