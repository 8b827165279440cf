"""The keys that were made by `coatcheck keys`, in the database."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

import orjson
from aiosqlite import Connection

from .keys import EarlierToken, Key, Rotation
from .limits import Limits

_SELECT = (
    "SELECT key.id, name, key.sha256, admin, limits, created_at, expires_at, key_token.sha256, ends_at"
    " FROM key LEFT JOIN key_token ON key_token.key = key.id{where} ORDER BY name, ends_at"
)


async def add(db: Connection, keys: Sequence[Key]) -> Sequence[bool]:
    """False for a key whose name is taken."""
    answers = []
    for key in keys:
        limits = {name: most for name, most in asdict(key.limits).items() if most is not None}
        rows = await db.execute_fetchall(
            "INSERT INTO key (id, name, sha256, admin, limits, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO NOTHING RETURNING id",
            [key.id, key.name, key.sha256, key.admin, orjson.dumps(limits).decode(), key.created_at, key.expires_at],
        )
        answers.append(bool(list(rows)))
    return answers


async def rotate(db: Connection, rotations: Sequence[Rotation]) -> Sequence[Key | None]:
    """The keys with their new tokens; None where there is none of that name, or it has expired and is not renewed."""
    answers: list[Key | None] = []
    for asked in rotations:
        key = next(iter(await _keys(db, [asked.name])), None)
        if key is None or (key.expires_at is not None and key.expires_at <= asked.now and asked.expires_at is None):
            answers.append(None)
            continue
        # A token whose end has come does not come back to life, and no earlier end is put off.
        earlier = [
            (sha256, key.id, min(asked.overlap_ends_at, ends_at or asked.overlap_ends_at))
            for sha256, ends_at in key.tokens
        ]
        await db.execute("DELETE FROM key_token WHERE key = ?", [key.id])
        await db.executemany(
            "INSERT INTO key_token (sha256, key, ends_at) VALUES (?, ?, ?)",
            [token for token in earlier if token[2] > asked.now],
        )
        await db.execute(
            "UPDATE key SET sha256 = ?, expires_at = ? WHERE id = ?",
            [asked.sha256, asked.expires_at or key.expires_at, key.id],
        )
        answers += await _keys(db, [asked.name])
    return answers


async def remove(db: Connection, names: Sequence[str]) -> Sequence[Key | None]:
    answers: list[Key | None] = []
    for name in names:
        answers += await _keys(db, [name]) or [None]
        await db.execute("DELETE FROM key WHERE name = ?", [name])
    return answers


async def every(db: Connection, items: Sequence[None]) -> Sequence[list[Key]]:
    keys = await _keys(db)
    return [keys] * len(items)


async def _keys(db: Connection, name: Sequence[str] = ()) -> list[Key]:
    """The key of that name, or all of them; read with their tokens in one statement, so that both are of one moment."""
    rows = await db.execute_fetchall(_SELECT.format(where=" WHERE name = ?" if name else ""), name)
    return [_key(list(group)) for _, group in groupby(rows, key=lambda row: row[0])]


def _key(rows: Sequence[Iterable[Any]]) -> Key:
    """One key, of a row for each of its earlier tokens."""
    id_, name, sha256, admin, limits, created_at, expires_at, _, _ = rows[0]
    return Key(
        id=id_,
        name=name,
        sha256=sha256,
        admin=bool(admin),
        limits=Limits(**orjson.loads(limits)),
        created_at=created_at,
        expires_at=expires_at,
        earlier=tuple(EarlierToken(sha256=token, ends_at=ends) for *_, token, ends in rows if token is not None),
    )
