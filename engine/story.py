"""The stories of jobs: one row an event, appended and never changed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from aiosqlite import Connection

from .jobs import Event


async def tell(db: Connection, events: Iterable[tuple[int, int, str, int, Mapping[str, Any]]]) -> None:
    """Appends to the jobs' stories."""
    rows = [(seq, at, kind, attempt, orjson.dumps(data).decode()) for seq, at, kind, attempt, data in events]
    if rows:
        await db.executemany("INSERT INTO event (seq, at, kind, attempt, data) VALUES (?, ?, ?, ?, ?)", rows)


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
