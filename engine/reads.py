"""What is read of the job table, on a connection that cannot write; each for many askers at once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from aiosqlite import Connection

from .blob_table import RESULT
from .calls import File
from .jobs import COLUMNS, JOB_COLUMNS, Checkpoint, Job, Ticket, Work

#: A job's id; its owner, or None for whoever owns it; the moment by which it must not have expired.
Ask = tuple[str, str | None, int]

_NO_FILES: Mapping[str, tuple[File, ...]] = {}


async def tickets(db: Connection, items: Sequence[Ask]) -> Sequence[Ticket | None]:
    """The jobs with their outcomes, by id; None for one that is unknown, another owner's or expired."""
    rows = await db.execute_fetchall(
        f"SELECT {JOB_COLUMNS}, body.result, body.original, e.key FROM json_each(?) e"
        " CROSS JOIN job ON job.id = e.value ->> 0"
        " LEFT JOIN body ON body.seq = job.seq AND job.completed_at IS NOT NULL"
        " WHERE (e.value ->> 1 IS NULL OR job.owner = e.value ->> 1)"
        " AND (job.expires_at IS NULL OR job.expires_at > e.value ->> 2)",
        [orjson.dumps(list(items)).decode()],
    )
    answers: list[Ticket | None] = [None] * len(items)
    for *columns, body, original, key in rows:
        answers[key] = Ticket(Job.from_row(columns), body, original)
    return answers


async def works(db: Connection, items: Sequence[tuple[int, Callable[[str], Path]]]) -> Sequence[Work | None]:
    """What attempts at the jobs need; None for a job that is gone. An item is the seq, and where an id's file is."""
    rows = await db.execute_fetchall(
        "SELECT body.seq, body.request, checkpoint.target, checkpoint.value, (SELECT NULLIF(json_group_array("
        "json_array(u.role, u.place, blob.id, u.file_name, blob.media_type, blob.size_bytes)), '[]')"
        " FROM blob_use u JOIN blob ON blob.id = u.blob WHERE u.seq = body.seq AND u.role <> ?)"
        " FROM body LEFT JOIN checkpoint USING (seq) WHERE body.seq IN (SELECT value FROM json_each(?))",
        [RESULT, orjson.dumps([seq for seq, _ in items]).decode()],
    )
    found = {row[0]: row for row in rows}
    return [None if seq not in found else _work(found[seq], path) for seq, path in items]


def _work(row: Iterable[Any], path: Callable[[str], Path]) -> Work:
    _, request, target, value, files = row
    checkpoint = None if value is None else Checkpoint(target, value)
    if files is None:
        return Work(request, _NO_FILES, checkpoint)
    named: dict[str, list[File]] = {}
    for role, _, id, name, media_type, size_bytes in sorted(orjson.loads(files)):
        file = File(name=name, media_type=media_type, size_bytes=size_bytes, path=path(id))
        named.setdefault(role, []).append(file)
    return Work(request, {role: tuple(files) for role, files in named.items()}, checkpoint)


async def attended(db: Connection, items: Sequence[None]) -> Sequence[int]:
    """How many jobs have not ended whose clients waited for them."""
    ((count,),) = await db.execute_fetchall(
        "SELECT COUNT(*) FROM attended CROSS JOIN job USING (seq) WHERE job.completed_at IS NULL"
    )
    return [count] * len(items)


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
