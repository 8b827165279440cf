"""What attempts have saved of the jobs that providers run for them: one value a job, at the target of the attempt.

It stays until it is forgotten, until another attempt saves another, or until the provider has been told that its job is
no longer wanted. So a value whose own job did not complete, or went on elsewhere, is one that nobody has been told yet.
"""

from collections.abc import Sequence
from typing import NamedTuple

import orjson
from aiosqlite import Connection

from .jobs import JOB_COLUMNS, Checkpoint, Job

#: Provider's jobs that are told at once.
_MOST = 1000


class Save(NamedTuple):
    seq: int
    #: The fence: a later attempt's value is not overwritten.
    attempt: int
    #: None: nothing is saved any more.
    value: str | None


async def save(db: Connection, items: Sequence[Save]) -> Sequence[bool]:
    """Keeps what an attempt saves; False for an attempt that is no longer the job's."""
    rows = await db.execute_fetchall(
        "SELECT e.key FROM json_each(?) e CROSS JOIN job ON job.seq = e.value ->> 0 AND job.attempt = e.value ->> 1"
        " WHERE job.state = 'processing'",
        [orjson.dumps([(i.seq, i.attempt) for i in items]).decode()],
    )
    places = {place for (place,) in rows}
    held = [item for place, item in enumerate(items) if place in places]
    await db.executemany("DELETE FROM checkpoint WHERE seq = ?", [(i.seq,) for i in held])
    await db.executemany(
        "INSERT INTO checkpoint (seq, target, value) SELECT seq, target, ? FROM job WHERE seq = ?",
        [(i.value, i.seq) for i in held if i.value is not None],
    )
    return [place in places for place in range(len(items))]


async def forget(db: Connection, items: Sequence[tuple[int, str]]) -> Sequence[None]:
    """Removes values whose provider has been told; an item is a job's seq and the value."""
    await db.executemany("DELETE FROM checkpoint WHERE seq = ? AND value = ?", items)
    return [None] * len(items)


async def interrupted(db: Connection, items: Sequence[None]) -> Sequence[set[int]]:
    """Which of the jobs that an attempt holds have a value at their present target; by seq."""
    rows = await db.execute_fetchall(
        "SELECT job.seq FROM checkpoint c CROSS JOIN job ON job.seq = c.seq AND job.target = c.target"
        " WHERE job.state = 'processing'"
    )
    return [{seq for (seq,) in rows}] * len(items)


async def unwanted(db: Connection, items: Sequence[int | None]) -> Sequence[list[tuple[Job, Checkpoint]]]:
    """The values that nobody needs any more, with their jobs; an item is one job's seq, or None for all jobs."""
    answers = []
    for seq in items:
        rows = await db.execute_fetchall(
            f"SELECT {JOB_COLUMNS}, c.target, c.value FROM checkpoint c CROSS JOIN job ON job.seq = c.seq"
            " WHERE (job.state IN ('failed', 'cancelled') OR job.target <> c.target)"
            " AND c.seq = COALESCE(?, c.seq) LIMIT ?",
            [seq, _MOST],
        )
        answers.append([(Job.from_row(columns), Checkpoint(target, value)) for *columns, target, value in rows])
    return answers
