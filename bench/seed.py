"""Fills a store that no server owns with jobs, by plain SQL on the schema of `engine/migrations`."""

import json
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from coatcheck.engine.migrations import APPLICATION_ID, MIGRATIONS

from .servers import CHAT

SECOND = 1_000_000
OWNER = "key:config/bench"

#: Each job has an id like the server's own, so that the index is met where a server would meet it.
_ID = (
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a' ||"
    " substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
)
_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"


def pending(path: Path, count: int, model: str) -> None:
    """Jobs that wait for `model`, given as "provider/model", of one owner."""
    provider, _, name = model.partition("/")
    with closing(_created(path)) as db:
        db.execute(
            f"{_NUMBERS} INSERT INTO job (id, dialect, operation, owner, model, targets, lane, priority, request_id,"
            f" ttl_seconds, created_at) SELECT {_ID}, 'v1', 'chat/completions', :owner, :model,"
            f" json_array(json_array(:provider, :name)), :provider, 3, {_ID}, 3600, :now + i FROM n",
            {"count": count, "owner": OWNER, "model": model, "provider": provider, "name": name, "now": _now()},
        )
        db.execute("INSERT INTO body (seq, request) SELECT seq, ? FROM job", [_request(model)])
        db.commit()
        _settle(db)


def completed(path: Path, count: int, *, expires_in_seconds: int) -> None:
    """Jobs of many owners that have ended, with result and story. They expire then, or did so (below zero)."""
    ended = _now() + (expires_in_seconds - 3600) * SECOND
    with closing(_created(path)) as db:
        db.execute(
            f"{_NUMBERS} INSERT INTO job (id, dialect, operation, owner, state, model, targets, lane, priority,"
            " attempt, calls, tries, request_id, ttl_seconds, created_at, claimed_at, started_at, completed_at,"
            f" expires_at, status_code, resolved_model) SELECT {_ID}, 'v1', 'chat/completions',"
            " CASE WHEN i % 2 THEN :owner ELSE 'key:k_' || (i % 200) END, 'completed', 'echo/echo',"
            f" '[[\"echo\",\"echo\"]]', 'echo', 3, 1, 1, 1, {_ID}, 3600, :ended - 2000000 + i, :ended - 1000000 + i,"
            f" :ended - 1000000 + i, :ended + i, :ended + 3600 * {SECOND} + i, 200, 'echo' FROM n",
            {"count": count, "owner": OWNER, "ended": ended},
        )
        result = (
            b'{"id":"chatcmpl-1","object":"chat.completion","created":0,"model":"echo","choices":[{"index":0,'
            b'"finish_reason":"stop","message":{"role":"assistant","content":"Paris; about two million."}}]}'
        )
        db.execute("INSERT INTO body (seq, request, result) SELECT seq, ?, ? FROM job", [_request("echo/echo"), result])
        for kind, data in (("claimed", '{"provider":"echo","model":"echo"}'), ("completed", '{"status_code":200}')):
            db.execute(
                "INSERT INTO event (seq, at, kind, attempt, data) SELECT seq, started_at, ?, 1, ? FROM job",
                [kind, data],
            )
        db.commit()
        _settle(db)


def ids(path: Path, count: int) -> list[str]:
    """Ids of jobs of the benchmark's own key, from all over the table."""
    with closing(sqlite3.connect(path)) as db:
        (most,) = db.execute("SELECT MAX(seq) FROM job").fetchone()
        wanted = [(OWNER, 1 + number * most // count) for number in range(count)]
        return [row[0] for row in _each(db, "SELECT id FROM job WHERE owner = ? AND seq >= ? LIMIT 1", wanted)]


def left(path: Path) -> int:
    """How many jobs have expired and are still there."""
    with closing(sqlite3.connect(path)) as db:
        (count,) = db.execute("SELECT COUNT(*) FROM job WHERE expires_at <= ?", [_now()]).fetchone()
        return int(count)


def _each(db: sqlite3.Connection, statement: str, items: Iterable[tuple[object, ...]]) -> list[tuple[str, ...]]:
    return [row for item in items for row in db.execute(statement, item)]


def _created(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.executescript("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
    for number, migration in enumerate(MIGRATIONS, 1):
        db.executescript(
            f"BEGIN; {migration} PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
        )
    # Filled in the order of the tables, a big cache spares most of the index's page reads.
    db.execute("PRAGMA cache_size = -1000000")
    return db


def _settle(db: sqlite3.Connection) -> None:
    """Brings everything into the file and onto the disk: what follows is not to be charged for it."""
    db.executescript("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE);")


def _request(model: str) -> bytes:
    return json.dumps({"model": model, **CHAT}).encode()


def _now() -> int:
    return time.time_ns() // 1000
