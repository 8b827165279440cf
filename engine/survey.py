"""What only the database knows of itself, for the meters: read now and then, and never much of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiosqlite import Connection

#: Of so many owners in a lane, with one priority each, the oldest job is looked for.
_MOST = 2000

#: From one owner and priority to the next, through the index: what it costs does not depend on how many jobs wait.
_OLDEST = """
WITH RECURSIVE first (owner, priority, created_at) AS (
    SELECT * FROM (
        SELECT owner, priority, created_at FROM job
        WHERE state = 'pending' AND run_at IS NULL AND lane = :lane ORDER BY owner, priority, seq LIMIT 1
    )
    UNION ALL
    SELECT job.owner, job.priority, job.created_at FROM first JOIN job ON job.seq = COALESCE(
        (
            SELECT seq FROM job AS j
            WHERE j.state = 'pending' AND j.run_at IS NULL AND j.lane = :lane AND j.owner = first.owner
            AND j.priority > first.priority ORDER BY j.priority, j.seq LIMIT 1
        ),
        (
            SELECT seq FROM job AS j
            WHERE j.state = 'pending' AND j.run_at IS NULL AND j.lane = :lane AND j.owner > first.owner
            ORDER BY j.owner, j.priority, j.seq LIMIT 1
        )
    )
    LIMIT :most
)
SELECT MIN(created_at) FROM first
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    #: Jobs that wait for a later moment.
    held: int
    #: Deliveries that are still to be sent.
    due: int
    #: When the oldest ready job of a lane was submitted, in microseconds UTC; lanes without one are absent.
    oldest: Mapping[str, int]
    file_bytes: int
    wal_bytes: int


async def surveys(db: Connection, items: Sequence[Sequence[str]]) -> Sequence[Survey]:
    """An item is the names of lanes."""
    ((_, _, path),) = await db.execute_fetchall("PRAGMA database_list")
    ((held,),) = await db.execute_fetchall("SELECT COUNT(*) FROM job WHERE run_at IS NOT NULL")
    ((due,),) = await db.execute_fetchall("SELECT COUNT(*) FROM delivery WHERE state = 'due'")
    answers = []
    for lanes in items:
        oldest = {}
        for lane in lanes:
            ((moment,),) = await db.execute_fetchall(_OLDEST, {"lane": lane, "most": _MOST})
            if moment is not None:
                oldest[lane] = moment
        answers.append(
            Survey(
                held=held, due=due, oldest=oldest, file_bytes=_size(Path(path)), wal_bytes=_size(Path(f"{path}-wal"))
            )
        )
    return answers


def _size(path: Path) -> int:
    """In bytes; 0 for a file that is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
