"""The statements that move jobs, each for many jobs at once.

Each runs inside a batch's transaction (see `batches`) and answers one result an item. What carries integers goes in as
one JSON array and through `json_each`; what carries text and bytes goes through `executemany`. Every write of an
attempt is guarded by the attempt's number: a stale one changes nothing, and learns it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from aiosqlite import Connection

from . import blob_table, delivery_table, repeats
from .hooks import Arrivals
from .jobs import COLUMNS, SECOND, Job, Outcome, Release, Submission
from .repeats import Repeat, Repeated
from .story import tell
from .targets import render_targets

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
    arrivals: Arrivals


@dataclass(frozen=True, slots=True, eq=False)
class Back:
    """A release of an attempt."""

    seq: int
    attempt: int
    release: Release
    now: int


async def submit(db: Connection, items: Sequence[Submit]) -> Sequence[Repeated | None]:
    """(nothing) → pending; for a repeat nothing happens, and the answer is what the first one left.

    Raises `JobNotFound` if a job whose files are to be shared is gone, `UploadNotFound` if an upload is."""
    answers: list[Repeated | None] = [None] * len(items)
    keyed = [(place, item.repeat, item.submission) for place, item in enumerate(items) if item.repeat]
    if keyed:
        kept = await repeats.keep(db, [(repeat, s.id, s.created_at) for _, repeat, s in keyed])
        for (place, *_), earlier in zip(keyed, kept, strict=True):
            answers[place] = earlier
    taken = [item for item, earlier in zip(items, answers, strict=True) if earlier is None]
    await _insert(db, taken)
    submissions = [item.submission for item in taken]
    if filed := [s for s in submissions if s.files or s.borrowed or s.files_of is not None]:
        await blob_table.attach(db, filed)
    if hooks := [(*s.hook, s.id) for s in submissions if s.hook]:
        await db.executemany(
            "INSERT INTO hook (endpoint, url, parameters, seq) SELECT ?, ?, ?, seq FROM job WHERE id = ?", hooks
        )
    if attended := [(s.id,) for s in submissions if s.attended]:
        await db.executemany("INSERT INTO attended (seq) SELECT seq FROM job WHERE id = ?", attended)
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
    await tell(
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
        " RETURNING seq, attempt, EXISTS (SELECT 1 FROM hook WHERE hook.seq = job.seq)",
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
    ended = {wanted[seq, attempt]: hooked for seq, attempt, hooked in rows}
    won = ended.keys()
    await db.executemany(
        "UPDATE body SET result = ?, original = ?, request = CASE WHEN ? THEN request END WHERE seq = ?",
        [(i.outcome.body, i.outcome.original, i.keep_request, i.seq) for i in won],
    )
    if results := [(i.seq, i.outcome.files, i.now) for i in won if i.outcome.files]:
        await blob_table.keep(db, results)
    if forgotten := [i.seq for i in won if not i.keep_request]:
        await blob_table.free(db, forgotten)
    await tell(db, ((i.seq, i.now, i.outcome.state, i.attempt, {"status_code": i.outcome.status_code}) for i in won))
    if hooked := [i for i, has in ended.items() if has]:
        await delivery_table.write(db, [i.seq for i in hooked], hooked[0].now, hooked[0].arrivals)
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
    await tell(
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
