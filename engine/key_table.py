"""The keys that were made by `coatcheck keys`, in the database."""

from collections.abc import Sequence

from aiosqlite import Connection

from .keys import Key

_COLUMNS = "id, name, sha256, admin, created_at"


def _key(row: Sequence[object]) -> Key:
    id_, name, sha256, admin, created_at = row
    return Key(id=id_, name=name, sha256=sha256, admin=bool(admin), created_at=created_at)  # type: ignore[arg-type]


async def add(db: Connection, keys: Sequence[Key]) -> Sequence[bool]:
    """False for a key whose name is taken."""
    answers = []
    for key in keys:
        rows = await db.execute_fetchall(
            f"INSERT INTO key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING RETURNING id",
            [key.id, key.name, key.sha256, key.admin, key.created_at],
        )
        answers.append(bool(list(rows)))
    return answers


async def remove(db: Connection, names: Sequence[str]) -> Sequence[Key | None]:
    answers = []
    for name in names:
        rows = list(await db.execute_fetchall(f"DELETE FROM key WHERE name = ? RETURNING {_COLUMNS}", [name]))
        answers.append(_key(rows[0]) if rows else None)
    return answers


async def every(db: Connection, items: Sequence[None]) -> Sequence[list[Key]]:
    rows = await db.execute_fetchall(f"SELECT {_COLUMNS} FROM key ORDER BY name")
    keys = [_key(row) for row in rows]
    return [keys] * len(items)
