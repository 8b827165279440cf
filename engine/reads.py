"""What is read of the job table, on a connection that cannot write; each for many askers at once."""

from collections.abc import Sequence

import orjson
from aiosqlite import Connection

from .jobs import COLUMNS, JOB_COLUMNS, Event, Job, Ticket

#: A job's id; its owner, or None for whoever owns it; the moment by which it must not have expired.
Ask = tuple[str, str | None, int]


async def tickets(db: Connection, items: Sequence[Ask]) -> Sequence[Ticket | None]:
    """The jobs with their outcomes, by id; None for one that is unknown, another owner's or expired."""
    rows = await db.execute_fetchall(
        f"SELECT {JOB_COLUMNS}, body.result, e.key FROM json_each(?) e CROSS JOIN job ON job.id = e.value ->> 0"
        " LEFT JOIN body ON body.seq = job.seq AND job.completed_at IS NOT NULL"
        " WHERE (e.value ->> 1 IS NULL OR job.owner = e.value ->> 1)"
        " AND (job.expires_at IS NULL OR job.expires_at > e.value ->> 2)",
        [orjson.dumps(list(items)).decode()],
    )
    answers: list[Ticket | None] = [None] * len(items)
    for *columns, body, key in rows:
        answers[key] = Ticket(Job.from_row(columns), body)
    return answers


async def requests(db: Connection, seqs: Sequence[int]) -> Sequence[bytes | None]:
    """The jobs' requests, as JSON, by seq."""
    rows = await db.execute_fetchall(
        "SELECT seq, request FROM body WHERE seq IN (SELECT value FROM json_each(?))",
        [orjson.dumps(list(seqs)).decode()],
    )
    found = {row[0]: row[1] for row in rows}
    return [found.get(seq) for seq in seqs]


async def stories(db: Connection, seqs: Sequence[int]) -> Sequence[list[Event]]:
    """The jobs' events, oldest first."""
    rows = await db.execute_fetchall(
        "SELECT seq, at, kind, attempt, data FROM event WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY id",
        [orjson.dumps(list(seqs)).decode()],
    )
    events: dict[int, list[Event]] = {}
    for seq, at, kind, attempt, data in rows:
        events.setdefault(seq, []).append(Event(at=at, kind=kind, attempt=attempt, data=orjson.loads(data)))
    return [events.get(seq, []) for seq in seqs]


async def processing(db: Connection, items: Sequence[None]) -> Sequence[list[Job]]:
    """The jobs that an attempt holds; after a start, those that were interrupted."""
    rows = await db.execute_fetchall(f"SELECT {COLUMNS} FROM job WHERE state = 'processing' ORDER BY seq")
    jobs = [Job.from_row(row) for row in rows]
    return [jobs] * len(items)


async def backlog(db: Connection, items: Sequence[None]) -> Sequence[list[tuple[str, str, bool, int]]]:
    """What waits: lane, owner, whether it is held for later, how many."""
    ready = await db.execute_fetchall(
        "SELECT lane, owner, 0, COUNT(*) FROM job WHERE state = 'pending' AND run_at IS NULL GROUP BY lane, owner"
    )
    held = await db.execute_fetchall(
        "SELECT lane, owner, 1, COUNT(*) FROM job WHERE run_at IS NOT NULL GROUP BY lane, owner"
    )
    counts = [(lane, owner, bool(later), count) for lane, owner, later, count in (*ready, *held)]
    return [counts] * len(items)


async def ahead(db: Connection, items: Sequence[tuple[Job, int]]) -> Sequence[int]:
    """How many of its owner's jobs go before each job, in its lane; an item is `(job, most)`, and no more than `most`
    are counted."""
    answers = []
    for job, most in items:
        ((count,),) = await db.execute_fetchall(
            # Two ranges of the index: of a comparison of both columns at once it knows only the first.
            "SELECT COUNT(*) FROM ("
            "SELECT 1 FROM job WHERE state = 'pending' AND run_at IS NULL AND lane = :lane AND owner = :owner"
            " AND priority < :priority UNION ALL "
            "SELECT 1 FROM job WHERE state = 'pending' AND run_at IS NULL AND lane = :lane AND owner = :owner"
            " AND priority = :priority AND seq < :seq LIMIT :most)",
            {"lane": job.lane, "owner": job.owner, "priority": job.priority, "seq": job.seq, "most": most},
        )
        answers.append(count)
    return answers


async def alarms(db: Connection, items: Sequence[None]) -> Sequence[tuple[int | None, int | None, int | None]]:
    """The earliest `run_at` and the earliest first claim of jobs that wait, and the earliest `cancel_at`."""
    ((run_at,),) = await db.execute_fetchall("SELECT MIN(run_at) FROM job WHERE run_at IS NOT NULL")
    ((claimed_at,),) = await db.execute_fetchall(
        "SELECT MIN(claimed_at) FROM job WHERE state = 'pending' AND claimed_at IS NOT NULL"
    )
    ((cancel_at,),) = await db.execute_fetchall(
        "SELECT MIN(cancel_at) FROM job WHERE cancel_at IS NOT NULL AND completed_at IS NULL"
    )
    return [(run_at, claimed_at, cancel_at)] * len(items)
