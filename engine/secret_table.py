"""The statements of the secrets that deliveries are signed with, and of the endpoints that were switched off."""

from collections.abc import Sequence
from typing import NamedTuple

from aiosqlite import Connection

from .signatures import Secret


class Made(NamedTuple):
    """A secret for a subject."""

    subject: str
    secret: bytes
    now: int
    #: How long the one before is signed with as well.
    earlier_until: int = 0


async def find(db: Connection, items: Sequence[str]) -> Sequence[Secret | None]:
    return [await _find(db, subject) for subject in items]


async def make(db: Connection, items: Sequence[Made]) -> Sequence[Secret]:
    """The secrets that subjects have; those that have none get these."""
    await db.executemany(
        "INSERT INTO secret (subject, secret, created_at) VALUES (?, ?, ?) ON CONFLICT (subject) DO NOTHING",
        [(item.subject, item.secret, item.now) for item in items],
    )
    return [await _get(db, item.subject) for item in items]


async def rotate(db: Connection, items: Sequence[Made]) -> Sequence[Secret]:
    """These are the subjects' secrets now."""
    answers = []
    for item in items:
        until = item.earlier_until if item.earlier_until > item.now else None
        await db.execute(
            "INSERT INTO secret (subject, secret, created_at) VALUES (?, ?, ?) ON CONFLICT (subject) DO UPDATE SET"
            " earlier = CASE WHEN ? IS NULL THEN NULL ELSE secret END, earlier_until = ?, secret = excluded.secret,"
            " created_at = excluded.created_at",
            [item.subject, item.secret, item.now, until, until],
        )
        answers.append(await _get(db, item.subject))
    return answers


async def endpoints_off(db: Connection, items: Sequence[None]) -> Sequence[dict[str, tuple[int, str]]]:
    rows = await db.execute_fetchall("SELECT name, since, reason FROM endpoint_off ORDER BY name")
    found = {name: (since, reason) for name, since, reason in rows}
    return [found] * len(items)


async def endpoint_on(db: Connection, items: Sequence[str]) -> Sequence[bool]:
    """False where the endpoint is on."""
    answers = []
    for name in items:
        gone = await db.execute("DELETE FROM endpoint_off WHERE name = ?", [name])
        answers.append(bool(gone.rowcount))
    return answers


async def _find(db: Connection, subject: str) -> Secret | None:
    rows = await db.execute_fetchall(
        "SELECT secret, created_at, earlier, earlier_until FROM secret WHERE subject = ?", [subject]
    )
    for secret, created_at, earlier, earlier_until in rows:
        return Secret(secret=secret, created_at=created_at, earlier=earlier, earlier_until=earlier_until)
    return None


async def _get(db: Connection, subject: str) -> Secret:
    found = await _find(db, subject)
    assert found is not None
    return found
