"""The database file: who owns it, how its connections are set up, and what schema it has."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

import aiosqlite

from .errors import StoreUnusable
from .lock import OwnerLock
from .migrations import APPLICATION_ID, MIGRATIONS

SQLITE_FLOOR = (3, 40, 0)

#: For connections that read: no other than the writing one checkpoints.
_READS = "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0;"


async def connect(path: Path, durability: str) -> list[aiosqlite.Connection]:
    """One connection that writes, and two that cannot.

    Raises `StoreUnusable` if the file is not ours, too new or unreadable.
    """
    if sqlite3.sqlite_version_info < SQLITE_FLOOR:
        raise StoreUnusable(f"SQLite {sqlite3.sqlite_version} is too old; 3.40 or newer is needed")
    connections: list[aiosqlite.Connection] = []
    try:
        # A connection that fails leaves a thread of aiosqlite behind, which answers to a loop that may be gone.
        sqlite3.connect(path).close()
        writer = await aiosqlite.connect(path, isolation_level=None)
        connections.append(writer)
        await _prepare(writer, path, durability)
        for _ in range(2):
            reader = await aiosqlite.connect(path, isolation_level=None)
            connections.append(reader)
            await reader.executescript(_READS)
    except BaseException as error:
        for connection in reversed(connections):
            await connection.close()
        if isinstance(error, sqlite3.Error):
            raise StoreUnusable(f"{path} cannot be opened: {error}") from error
        raise
    return connections


def look(path: Path) -> sqlite3.Connection:
    """One more connection that cannot write, to be used by one thread at a time.

    Raises `sqlite3.Error` if the file is gone: it is not made anew.
    """
    db = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None, check_same_thread=False)
    try:
        db.executescript(_READS)
    except BaseException:
        db.close()
        raise
    return db


def own(path: Path) -> tuple[Path, OwnerLock]:
    """The path without links, since under another name it would have another lock; and its lock."""
    try:
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = OwnerLock(path)
        if not path.exists():
            # What people ask is not for every user of the machine to read; SQLite's other files take the same mode.
            path.touch(mode=0o600)
        return path, lock
    except OSError as error:
        raise StoreUnusable(f"the folder of the database {path} cannot be written: {error.strerror}") from error


async def _prepare(db: aiosqlite.Connection, path: Path, durability: str) -> None:
    """Sets the writing connection up and brings the file to the newest schema."""
    ((version,),) = await db.execute_fetchall("PRAGMA user_version")
    ((application,),) = await db.execute_fetchall("PRAGMA application_id")
    ((tables,),) = await db.execute_fetchall("SELECT COUNT(*) FROM sqlite_schema")
    if tables and application != APPLICATION_ID:
        raise StoreUnusable(f"{path} is a database of another application")
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            f"{path} was written by a newer Coatcheck (schema {version}, this one knows {len(MIGRATIONS)}); "
            "use that version, or another file"
        )
    synchronous = {"full": "FULL", "normal": "NORMAL"}[durability]
    # auto_vacuum takes effect only before the first table, and before the switch to WAL.
    await db.executescript(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
        f" PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON; PRAGMA cache_size = -16384;"
        " PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;"
    )
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        await db.executescript(
            f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number};"
            f" PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
        )


def identity(path: Path) -> tuple[int, int] | None:
    """What file is at the path; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def give_back(db: aiosqlite.Connection, pages: int) -> int:
    # Through executescript, which runs a statement to its end: one step of this pragma frees one page.
    await db.executescript(f"PRAGMA incremental_vacuum({pages});")
    ((free,),) = await db.execute_fetchall("PRAGMA freelist_count")
    return int(free)
