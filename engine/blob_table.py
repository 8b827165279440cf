"""The rows of files: which there are, which job uses them, and whose file is still to be removed.

A use, its blob's row and its job's row are written in one commit. When the last use goes (with its job, by a cascade)
a trigger takes the blob's row with it and leaves the id in `blob_gone`, so that no crash leaves a file behind.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
from aiosqlite import Connection

from .blobs import Blob
from .errors import JobNotFound, UploadNotFound
from .jobs import ResultFile, Submission

#: The role of the files that a job's outcome names; every other role is a field of its request.
RESULT = "result"


class Asked(NamedTuple):
    """The files of one job in one role."""

    seq: int
    role: str
    #: Where the file of an id is.
    path: Callable[[str], Path]


async def attach(db: Connection, submissions: Sequence[Submission]) -> None:
    """The files of new jobs, whose rows have been written in this transaction.

    Raises `JobNotFound` if a job whose files are to be shared, or its request's files, are gone, `UploadNotFound` if an
    upload is, or is another owner's.
    """
    attached = [(s, file) for s in submissions for file in s.files]
    if attached:
        await insert(db, ((file.blob, s.created_at) for s, file in attached))
        await db.executemany(
            "INSERT INTO blob_use (seq, role, place, blob, file_name) SELECT seq, ?, ?, ?, ? FROM job WHERE id = ?",
            [(file.role, file.place, file.blob.id, file.file_name, s.id) for s, file in attached],
        )
    for s in submissions:
        for role, place, upload in s.borrowed:
            lent = await db.execute(
                "INSERT INTO blob_use (seq, role, place, blob, file_name)"
                " SELECT job.seq, ?, ?, upload.blob, upload.file_name FROM job CROSS JOIN upload"
                " WHERE job.id = ? AND upload.id = ? AND upload.owner = job.owner AND upload.expires_at > ?",
                [role, place, s.id, upload, s.created_at],
            )
            if not lent.rowcount:
                raise UploadNotFound(f"file not found or expired: input.{role}", param=f"input.{role}")
        if s.files_of is None:
            continue
        shared = await db.execute(
            "INSERT INTO blob_use (seq, role, place, blob, file_name)"
            " SELECT job.seq, u.role, u.place, u.blob, u.file_name FROM job CROSS JOIN blob_use u"
            " WHERE job.id = ? AND u.seq = ? AND u.role <> ?",
            [s.id, s.files_of, RESULT],
        )
        if not shared.rowcount:
            raise JobNotFound("the job, or its request's files, are gone: it cannot be done again")


async def keep(db: Connection, results: Sequence[tuple[int, Sequence[Blob], int]]) -> None:
    """The files of outcomes; an item is the job's seq, its files and the moment."""
    await insert(db, ((blob, now) for _, blobs, now in results for blob in blobs))
    await db.executemany(
        "INSERT INTO blob_use (seq, role, place, blob) VALUES (?, ?, ?, ?)",
        [(seq, RESULT, place, blob.id) for seq, blobs, _ in results for place, blob in enumerate(blobs)],
    )


async def insert(db: Connection, blobs: Iterable[tuple[Blob, int]]) -> None:
    """The rows of files; an item is the file and the moment."""
    # One file may be used in several places.
    await db.executemany(
        "INSERT OR IGNORE INTO blob (id, size_bytes, sha256, media_type, created_at) VALUES (?, ?, ?, ?, ?)",
        [(blob.id, blob.size_bytes, blob.sha256, blob.media_type, now) for blob, now in blobs],
    )


async def free(db: Connection, seqs: Sequence[int]) -> None:
    """Ends the jobs' use of their requests' files."""
    await db.execute(
        "DELETE FROM blob_use WHERE seq IN (SELECT value FROM json_each(?)) AND role <> ?",
        [orjson.dumps(seqs).decode(), RESULT],
    )


async def files(db: Connection, items: Sequence[Asked]) -> Sequence[list[ResultFile]]:
    """The jobs' files of a role, in their order."""
    rows = await db.execute_fetchall(
        "SELECT e.key, blob.id, blob.media_type, blob.size_bytes, u.place, u.file_name FROM json_each(?) e"
        " CROSS JOIN blob_use u ON u.seq = e.value ->> 0 AND u.role = e.value ->> 1"
        " CROSS JOIN blob ON blob.id = u.blob ORDER BY e.key, u.place",
        [orjson.dumps([(i.seq, i.role) for i in items]).decode()],
    )
    answers: list[list[ResultFile]] = [[] for _ in items]
    for key, id, media_type, size_bytes, place, file_name in rows:
        answers[key].append(ResultFile(id, media_type, size_bytes, place, file_name, items[key].path(id)))
    return answers


async def gone(db: Connection, items: Sequence[int]) -> Sequence[list[str]]:
    """Ids of files to be removed; an item is how many at most."""
    rows = await db.execute_fetchall("SELECT id FROM blob_gone LIMIT ?", [max(items)])
    ids = [id for (id,) in rows]
    return [ids[:most] for most in items]


async def removed(db: Connection, items: Sequence[Sequence[str]]) -> Sequence[None]:
    """Files are no longer there; an item is their ids."""
    await db.executemany("DELETE FROM blob_gone WHERE id = ?", [(id,) for ids in items for id in ids])
    return [None] * len(items)


async def unused(db: Connection, items: Sequence[Sequence[str]]) -> Sequence[None]:
    """Removes the rows of those files that nobody uses; an item is ids."""
    await db.executemany(
        "DELETE FROM blob WHERE id = ? AND NOT EXISTS (SELECT 1 FROM blob_use WHERE blob = blob.id)"
        " AND NOT EXISTS (SELECT 1 FROM upload WHERE blob = blob.id)",
        [(id,) for ids in items for id in ids],
    )
    return [None] * len(items)
