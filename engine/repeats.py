"""Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a client's repeat finds the first one's answer.

Kept for a day or for as long as the job, whichever is longer. The row is written in the submit's own commit, so that
of two equal submits in the same instant one makes the job and the other finds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from aiosqlite import Connection

from .jobs import SECOND

#: Microseconds that a key is kept at least.
KEPT = 86_400 * SECOND


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat:
    """What a submit with an idempotency key brings along."""

    owner: str
    key: str
    #: Of what is asked: another request under the same key is a mistake of the client's.
    fingerprint: bytes
    #: The answer to give again.
    answer: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeated:
    """What an earlier submit with the same key left."""

    fingerprint: bytes
    job_id: str
    answer: bytes


#: The owner and the key; the moment at which it must still be kept.
Ask = tuple[str, str, int]


async def find(db: Connection, items: Sequence[Ask]) -> Sequence[Repeated | None]:
    rows = await db.execute_fetchall(
        "SELECT e.key, i.fingerprint, i.job_id, i.answer FROM json_each(?) e"
        " CROSS JOIN idempotency i ON i.owner = e.value ->> 0 AND i.key = e.value ->> 1"
        " WHERE i.expires_at > e.value ->> 2 OR EXISTS (SELECT 1 FROM job WHERE job.id = i.job_id)",
        [orjson.dumps(items).decode()],
    )
    answers: list[Repeated | None] = [None] * len(items)
    for place, fingerprint, job_id, answer in rows:
        answers[place] = Repeated(fingerprint=fingerprint, job_id=job_id, answer=answer)
    return answers


async def keep(db: Connection, items: Sequence[tuple[Repeat, str, int]]) -> Sequence[Repeated | None]:
    """Keeps the keys of new jobs: an item is the key, the job's id, and when it was made. Answers what an earlier job
    left under the same key, if there is one; then nothing is kept."""
    found = await find(db, [(repeat.owner, repeat.key, now) for repeat, _, now in items])
    known = {(r.owner, r.key): earlier for (r, _, _), earlier in zip(items, found, strict=True) if earlier}
    answers: list[Repeated | None] = []
    rows = []
    for repeat, id, now in items:
        name = (repeat.owner, repeat.key)
        answers.append(known.get(name))
        if name not in known:
            known[name] = Repeated(fingerprint=repeat.fingerprint, job_id=id, answer=repeat.answer)
            rows.append((repeat.owner, repeat.key, repeat.fingerprint, id, repeat.answer, now, now + KEPT))
    await db.executemany(
        "INSERT OR REPLACE INTO idempotency (owner, key, fingerprint, job_id, answer, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    return answers


async def forget(db: Connection, items: Sequence[tuple[int, int]]) -> Sequence[int]:
    """Removes keys that expired by a moment, unless their job is still there: then they are looked at again when it may
    be gone. An item is `(moment, most)`; answers how many were looked at."""
    answers = []
    for moment, most in items:
        rows = list(
            await db.execute_fetchall(
                "SELECT i.owner, i.key, job.seq IS NOT NULL, MAX(COALESCE(job.expires_at, 0), ?)"
                " FROM idempotency i LEFT JOIN job ON job.id = i.job_id WHERE i.expires_at <= ? LIMIT ?",
                [moment + KEPT, moment, most],
            )
        )
        await db.executemany(
            "UPDATE idempotency SET expires_at = ? WHERE owner = ? AND key = ?",
            [(later, owner, key) for owner, key, alive, later in rows if alive],
        )
        await db.executemany(
            "DELETE FROM idempotency WHERE owner = ? AND key = ?",
            [(owner, key) for owner, key, alive, _ in rows if not alive],
        )
        answers.append(len(rows))
    return answers
