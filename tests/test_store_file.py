"""The store's file: what SQLite is told, what it refuses by itself, how it searches, and which files are not taken."""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.errors import StoreLocked, StoreUnusable
from coatcheck.engine.listing import Filter
from coatcheck.engine.migrations import MIGRATIONS
from coatcheck.engine.store import Store

from .files import filed
from .jobs import add, back, completed, failed, found, opened, rows, submission, take

Run = Callable[[Awaitable[Any]], Any]

#: An account without rights, for what the superuser may always do.
NOBODY = 65534

#: The indexes of jobs that wait or run: as long as the backlog, however long the table.
PARTIAL = ("job_ready", "job_held", "job_running")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("state = 'failed'", "a job ends once"),
        ("state = 'pending', completed_at = NULL, expires_at = NULL, status_code = NULL", "a job ends once"),
        ("completed_at = completed_at + 1", "a job ends once"),
        ("status_code = 500", "a job ends once"),
        ("attempt = attempt + 1", "a job ends once"),
    ],
)
def test_the_database_itself_refuses_a_second_end(change: str, reason: str, folder: Path, run: Run) -> None:
    run(_one_of_each(folder))
    with (
        closing(sqlite3.connect(folder / "coatcheck.db")) as db,
        pytest.raises(sqlite3.IntegrityError, match=reason),
    ):
        db.execute(f"UPDATE job SET {change} WHERE state = 'completed'")


@pytest.mark.parametrize(
    "change",
    [
        "state = 'completed' WHERE state = 'processing'",
        "state = 'lost' WHERE state = 'pending'",
        "completed_at = 1 WHERE state = 'pending'",
        "status_code = 200 WHERE state = 'pending'",
        "state = 'processing' WHERE state = 'pending'",
        "started_at = 1 WHERE state = 'pending'",
        "run_at = 1 WHERE state = 'processing'",
        "calls = calls + 1 WHERE state = 'processing'",
        "calls = -1 WHERE state = 'processing'",
        "priority = 8 WHERE state = 'pending'",
        "ttl_seconds = 0 WHERE state = 'pending'",
        "id = 'short' WHERE state = 'pending'",
        "dialect = 'v2' WHERE state = 'pending'",
        "targets = 'echo' WHERE state = 'pending'",
        "cost = -1 WHERE state = 'processing'",
        "owner = NULL WHERE state = 'pending'",
    ],
)
def test_the_database_itself_refuses_a_state_that_cannot_be(change: str, folder: Path, run: Run) -> None:
    run(_one_of_each(folder))
    with closing(sqlite3.connect(folder / "coatcheck.db")) as db, pytest.raises(sqlite3.IntegrityError) as caught:
        db.execute(f"UPDATE job SET {change}")
    assert "constraint failed" in str(caught.value)


def test_every_commit_is_synced_and_the_readers_cannot_write(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            expected = {
                store._writer: {
                    "synchronous": 2, "journal_mode": "wal", "auto_vacuum": 2, "foreign_keys": 1, "query_only": 0,
                },
                store._reader: {"journal_mode": "wal", "query_only": 1, "wal_autocheckpoint": 0},
                store._searcher: {"journal_mode": "wal", "query_only": 1, "wal_autocheckpoint": 0},
            }  # fmt: skip
            for connection, pragmas in expected.items():
                for name, value in pragmas.items():
                    ((found,),) = await connection.execute_fetchall(f"PRAGMA {name}")
                    assert found == value, name

    run(main())


def test_durability_normal_syncs_at_checkpoints_alone(folder: Path, run: Run) -> None:
    async def main() -> None:
        store = await Store.open(folder / "coatcheck.db", durability="normal")
        ((synchronous,),) = await store._writer.execute_fetchall("PRAGMA synchronous")
        assert synchronous == 1
        await store.close()

    run(main())


def test_no_search_scans_the_jobs(folder: Path, run: Run) -> None:
    """The plans of the very statements that the store runs, as its connections report them."""

    async def main() -> None:
        statements: list[str] = []
        async with opened(folder) as store:
            for connection in (store._writer, store._reader, store._searcher):
                await connection.set_trace_callback(statements.append)
            await add(store, *(many := [submission() for _ in range(5)]))
            first, second, *_ = await take(store, count=3)
            await store.finish(first, completed())
            await store.release(second, back(second, run_at=1))
            await store.cancel(many[2].id, "key:alice")
            await store.ticket(many[3].id, "key:alice")
            await asyncio.gather(store.request(1), store.story(1), store.processing(), store.alarms())
            await asyncio.gather(store.backlog(), store.promote(3600), store.sweep(10))
            await asyncio.gather(store.cancel_due(), store.overdue(0, failed()), store.delete(many[0].id, "key:alice"))
            waiting = (await found(store, many[3].id)).job
            await add(store, await filed(store, b"one"), submission()._replace(attended=True))
            await add(store, submission()._replace(files_of=6))
            await asyncio.gather(store.work(6), store.files(6), store.attended(), store.resumable())
            await asyncio.gather(store.unwanted(None), store.unwanted(6), store.checkpoint(waiting, "v"), store.gone(9))
            await store.cancel_attended(keep_request=False)
            await asyncio.gather(store.ahead(waiting, 7), store.survey(["echo"]))
            await store.page(Filter(owner="key:alice", provider="echo"), before=None, limit=20)
        plans = {statement: plan(folder, statement) for statement in statements if " job" in statement}
        for statement, steps in plans.items():
            scans = {step for step in steps if step.startswith("SCAN job")}
            small = {step for step in scans if any(f"INDEX {name}" in step for name in PARTIAL)}
            assert scans == small, statement
        assert len(plans) >= 20
        for index, part in {
            "job_ready (lane=? AND owner=?)": "SET state = 'processing'",
            "job_expiry (expires_at<?)": "DELETE FROM job",
            "sqlite_autoindex_job_1 (id=?)": "LEFT JOIN body",
            "job_ready": "GROUP BY lane, owner",
            "job_running": "state = 'processing' ORDER BY seq",
            "job_held": "SELECT MIN(run_at)",
            "job_cancel (cancel_at<?)": "cancel_at <=",
            "job_tried (claimed_at<?)": "claimed_at <=",
            "job_ready (lane=? AND owner=? AND priority=? AND seq<?)": "LIMIT 7)",
            "job_owner (owner=? AND seq>? AND seq<?)": "ORDER BY seq DESC LIMIT 21",
        }.items():
            taken = [" | ".join(steps) for statement, steps in plans.items() if part in statement]
            assert any(index in steps for steps in taken), (index, taken)

    run(main())


def plan(folder: Path, statement: str) -> list[str]:
    with closing(sqlite3.connect(folder / "coatcheck.db")) as db:
        return [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + statement)]


def test_the_order_of_arrival_is_never_given_twice(folder: Path, run: Run) -> None:
    async def main() -> None:
        seen: set[int] = set()
        for _ in range(3):
            async with opened(folder) as store:
                await add(store, submission(ttl_seconds=1), submission(ttl_seconds=1))
                for job in await take(store, count=2):
                    assert job.seq not in seen
                    assert job.seq > max(seen, default=0)
                    seen.add(job.seq)
                    await store.finish(job, completed())
            with closing(sqlite3.connect(folder / "coatcheck.db")) as db, db:
                db.execute("DELETE FROM job")

    run(main())


def test_a_file_that_is_opened_again_still_has_its_jobs(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission())
        async with opened(folder) as store:
            assert await store.backlog() == [("echo", "key:alice", False, 1)]
            assert (await store.ticket(asked.id, "key:alice")) is not None

    run(main())


async def refused(path: Path) -> str:
    """The reason why this path is not taken."""
    with pytest.raises(StoreUnusable) as caught:
        await Store.open(path)
    return caught.value.message


def test_a_database_that_another_process_owns_is_refused(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            with pytest.raises(StoreLocked) as caught:
                await Store.open(folder / "coatcheck.db")
            assert caught.value.message == (
                f"{folder}/coatcheck.db is owned by another process (pid {os.getpid()}); "
                "one process serves a database at a time"
            )
            await add(store, submission())
        async with opened(folder):
            """It is free again."""

    run(main())


def test_a_database_of_a_newer_version_is_refused(folder: Path, run: Run) -> None:
    path = folder / "coatcheck.db"
    newer = len(MIGRATIONS) + 1

    async def main() -> None:
        async with opened(folder):
            """Makes the file."""
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA user_version = {newer}")
        assert await refused(path) == (
            f"{path} was written by a newer Coatcheck (schema {newer}, this one knows {newer - 1}); "
            "use that version, or another file"
        )
        assert rows(path, "PRAGMA user_version") == [(newer,)], "it is left as it was"

    run(main())


def test_a_database_of_another_application_is_refused_and_left_alone(folder: Path, run: Run) -> None:
    path = folder / "coatcheck.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE note (text)")
    before = path.read_bytes()
    assert run(refused(path)) == f"{path} is a database of another application"
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(folder: Path, run: Run) -> None:
    path = folder / "coatcheck.db"
    path.write_text("Dear diary, " * 100)
    assert run(refused(path)) == f"{path} cannot be opened: file is not a database"
    assert path.read_text().startswith("Dear diary, ")


def test_a_folder_in_the_place_of_the_file_is_refused(folder: Path, run: Run) -> None:
    (folder / "coatcheck.db").mkdir()
    assert (
        run(refused(folder / "coatcheck.db")) == f"{folder}/coatcheck.db cannot be opened: unable to open database file"
    )


def test_a_file_in_the_place_of_the_folder_is_refused(folder: Path, run: Run) -> None:
    (folder / "data").write_text("")
    path = folder / "data" / "coatcheck.db"
    assert run(refused(path)).startswith(f"the folder of the database {path} cannot be written: ")


@contextmanager
def without_rights() -> Iterator[None]:
    """As an account that may not write what is read-only; only the superuser has to become another for that."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_folder_that_cannot_be_written_is_refused(folder: Path, run: Run) -> None:
    path = folder / "coatcheck.db"
    folder.chmod(0o555)
    with without_rights():
        assert run(refused(path)) == f"the folder of the database {path} cannot be written: Permission denied"
    folder.chmod(0o755)
    assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_written_is_refused(folder: Path, run: Run) -> None:
    path = folder / "coatcheck.db"
    run(_one_of_each(folder))
    path.chmod(0o444)
    (folder / "coatcheck.db.lock").chmod(0o666)
    folder.chmod(0o777)
    with without_rights():
        assert run(refused(path)) == f"{path} cannot be opened: attempt to write a readonly database"


async def _one_of_each(folder: Path) -> None:
    """A store with a pending, a processing and a completed job."""
    async with opened(folder) as store:
        await add(store, submission(), submission(), submission())
        (job, _) = await take(store, count=2)
        await store.finish(job, completed())
    assert dict(rows(folder / "coatcheck.db", "SELECT state, COUNT(*) FROM job GROUP BY state")) == {
        "pending": 1,
        "processing": 1,
        "completed": 1,
    }


def test_a_new_database_is_its_owners_alone(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, submission())
            assert open_to_others() == {0}

    def open_to_others() -> set[int]:
        return {path.stat().st_mode & 0o077 for path in folder.glob("coatcheck.db*")}

    run(main())
