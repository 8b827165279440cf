"""What `coatcheck check` finds of the database's file, and the keys in it."""

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from coatcheck.engine.errors import StoreLocked
from coatcheck.engine.lock import OwnerLock
from coatcheck.engine.migrations import APPLICATION_ID, MIGRATIONS
from coatcheck.engine.store import Store

from .findings import Finding, KeyFacts, facts, failed, warning
from .running import Running


@dataclass(frozen=True, kw_only=True)
class Database:
    findings: list[Finding]
    #: Whether a process has it: what is in it is for that process to say.
    owned: bool = False
    #: None if they cannot be known here.
    keys: list[KeyFacts] | None = None


def database(path: Path, running: Running) -> Database:
    """`path` is without links: the lock goes by it."""
    exists = path.exists()
    try:
        # To ask for the lock makes its file, and a check leaves no traces where nothing has been.
        lock = OwnerLock(path) if exists or path.with_name(path.name + ".lock").exists() else None
    except StoreLocked as error:
        return Database(findings=[_owned(path, exists, error, running)], owned=True)
    except OSError as error:
        fault = f"{path} cannot be opened: {error.strerror}"
        return Database(findings=[failed("database", fault, "run this as the server's user")])
    try:
        finding, current = _of_file(path) if exists else _of_none(path)
    finally:
        if lock is not None:
            lock.release()
    found = [finding]
    if running.ours and not running.named:
        other = f"the server at {running.url} has another one"
        found.append(warning("database", other, "give --config and --data as that server has them"))
    stored = asyncio.run(_stored_keys(path)) if exists and current else []
    return Database(findings=found, keys=stored if current else None)


def _owned(path: Path, exists: bool, error: StoreLocked, running: Running) -> Finding:
    owner = str(error).partition(";")[0]
    if not exists:
        gone = f"{owner}, but the file is gone: what that process takes now is lost with it"
        return failed("database", gone, "end that process, bring back a copy of the file, and start again")
    if running.ours:
        return Finding(subject="database", message=owner)
    return failed("database", owner, "set COATCHECK_URL to where that server listens, or end the process")


def _of_none(path: Path) -> tuple[Finding, bool]:
    """What is found where no file is, and whether one can be made."""
    folder = next(parent for parent in path.parents if parent.exists())
    if not os.access(folder, os.W_OK):
        return failed("database", f"{folder} cannot be written", "choose a folder with --data, or its owner"), False
    return Finding(subject="database", message=f"{path} is not there yet; the first start makes it"), True


def _of_file(path: Path) -> tuple[Finding, bool]:
    """What is found of a database that nobody has open, and whether its schema is today's."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as db:
            ((application,),) = db.execute("PRAGMA application_id")
            ((version,),) = db.execute("PRAGMA user_version")
            ((tables,),) = db.execute("SELECT COUNT(*) FROM sqlite_schema")
            faults = [row[0] for row in db.execute("PRAGMA quick_check(3)") if row[0] != "ok"]
    except sqlite3.Error as error:
        return failed("database", f"{path} cannot be read: {error}", "bring back a copy of it"), False
    if tables and application != APPLICATION_ID:
        return failed("database", f"{path} is of another application", "name another file in [store] url"), False
    if version > len(MIGRATIONS):
        return failed("database", f"{path} was written by a newer Coatcheck", "use that version"), False
    if faults:
        return failed("database", f"{path} is damaged: {'; '.join(faults)}", "bring back a copy of it"), False
    if version < len(MIGRATIONS):
        said = f"{path} is sound; the next start brings it from schema {version} to {len(MIGRATIONS)}"
        return Finding(subject="database", message=said), False
    return Finding(subject="database", message=f"{path} is sound"), True


async def _stored_keys(path: Path) -> list[KeyFacts]:
    store = await Store.open(path)
    try:
        return list(map(facts, await store.keys()))
    finally:
        await store.close()
