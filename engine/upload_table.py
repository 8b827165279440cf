"""The rows of uploads; each has one file, which jobs may use as well."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from aiosqlite import Connection

from . import blob_table
from .blobs import Blob

_COLUMNS = (
    "upload.id, upload.owner, upload.purpose, upload.file_name, upload.created_at, upload.expires_at,"
    " blob.id, blob.size_bytes, blob.sha256, blob.media_type"
)
_VISIBLE = "owner = :owner AND expires_at > :expiry AND (:purpose IS NULL OR purpose = :purpose)"


class Upload(NamedTuple):
    """A file that a client has sent for later jobs."""

    id: str
    owner: str
    purpose: str
    #: As the client named it, without folders; may be empty.
    file_name: str
    #: Microseconds UTC, as is `expires_at`.
    created_at: int
    expires_at: int
    blob: Blob


class Page(NamedTuple):
    """What is asked of a list."""

    owner: str
    #: None: any.
    purpose: str | None
    offset: int
    limit: int
    #: What has expired by then is not there.
    expiry: int


class Removal(NamedTuple):
    owner: str
    #: None: all.
    ids: Sequence[str] | None
    expiry: int
    most: int


async def add(db: Connection, items: Sequence[Upload]) -> Sequence[None]:
    """Uploads whose files are on disk."""
    await blob_table.insert(db, ((upload.blob, upload.created_at) for upload in items))
    await db.executemany(
        "INSERT INTO upload (id, owner, purpose, file_name, created_at, expires_at, blob) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(*upload[:-1], upload.blob.id) for upload in items],
    )
    return [None] * len(items)


async def find(db: Connection, items: Sequence[tuple[str, str, int]]) -> Sequence[Upload | None]:
    """The uploads; None for one that is unknown, expired or another owner's. An item is its id, the owner, and the
    moment by which it must not have expired."""
    rows = await db.execute_fetchall(
        f"SELECT e.key, {_COLUMNS} FROM json_each(?) e CROSS JOIN upload ON upload.id = e.value ->> 0"
        " AND upload.owner = e.value ->> 1 AND upload.expires_at > e.value ->> 2"
        " CROSS JOIN blob ON blob.id = upload.blob",
        [orjson.dumps(list(items)).decode()],
    )
    answers: list[Upload | None] = [None] * len(items)
    for key, *columns in rows:
        answers[key] = _upload(columns)
    return answers


async def sizes(db: Connection, items: Sequence[tuple[str, int]]) -> Sequence[int]:
    """How many bytes an owner's uploads have; an item is the owner, and the moment by which they must not have
    expired."""
    answers = []
    for owner, expiry in items:
        ((size,),) = await db.execute_fetchall(
            "SELECT COALESCE(SUM(blob.size_bytes), 0) FROM upload CROSS JOIN blob ON blob.id = upload.blob"
            " WHERE upload.owner = ? AND upload.expires_at > ?",
            [owner, expiry],
        )
        answers.append(size)
    return answers


async def page(db: Connection, items: Sequence[Page]) -> Sequence[tuple[list[Upload], int]]:
    """A page of an owner's uploads, newest first, and how many there are on all pages."""
    answers = []
    for item in items:
        asked = item._asdict()
        ((total,),) = await db.execute_fetchall(f"SELECT COUNT(*) FROM upload WHERE {_VISIBLE}", asked)
        # What is passed over is read in the index alone.
        rows = await db.execute_fetchall(
            f"SELECT {_COLUMNS} FROM (SELECT id FROM upload WHERE {_VISIBLE}"
            " ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset) AS found"
            " CROSS JOIN upload ON upload.id = found.id CROSS JOIN blob ON blob.id = upload.blob"
            " ORDER BY upload.created_at DESC, upload.id DESC",
            asked,
        )
        answers.append(([_upload(row) for row in rows], total))
    return answers


async def remove(db: Connection, items: Sequence[Removal]) -> Sequence[int]:
    """(there) → gone, for some of an owner's uploads; how many went. Jobs keep the files that they use."""
    answers = []
    for item in items:
        ids = None if item.ids is None else orjson.dumps(list(item.ids)).decode()
        gone = await db.execute(
            "DELETE FROM upload WHERE id IN (SELECT id FROM upload WHERE owner = :owner AND expires_at > :expiry"
            " AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids))) LIMIT :most)",
            {"owner": item.owner, "expiry": item.expiry, "ids": ids, "most": item.most},
        )
        answers.append(gone.rowcount)
    return answers


async def sweep(db: Connection, items: Sequence[tuple[int, int]]) -> Sequence[int]:
    """(there) → gone, for uploads that have expired; how many went. An item is the moment, and how many at most."""
    answers = []
    for expiry, most in items:
        gone = await db.execute(
            "DELETE FROM upload WHERE id IN (SELECT id FROM upload WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
            [expiry, most],
        )
        answers.append(gone.rowcount)
    return answers


def _upload(row: Sequence[Any]) -> Upload:
    *columns, id, size_bytes, sha256, media_type = row
    return Upload._make([*columns, Blob(id=id, size_bytes=size_bytes, sha256=sha256, media_type=media_type)])
