"""Group commit: an answer follows the commit, and of many that share one, each answers for itself alone."""

import asyncio
import gc
import sqlite3
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from coatcheck.engine.batches import Batches
from coatcheck.engine.errors import CoatcheckError, StoreUnavailable

from .jobs import add, completed, ended_once, found, opened, rows, submission, take, told

Run = Callable[[Awaitable[Any]], Any]


@asynccontextmanager
async def batches(folder: Path, **options: Any) -> AsyncIterator[Batches]:
    """Batches over a small table of notes."""
    db = await aiosqlite.connect(folder / "notes.db", isolation_level=None, timeout=0)
    await db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS note (text TEXT NOT NULL UNIQUE)")
    made = Batches(db, transactional=True, **options)
    try:
        yield made
    finally:
        await made.close()
        await db.close()


async def write(db: aiosqlite.Connection, texts: Sequence[str | None]) -> Sequence[int]:
    """Writes notes; answers how long each is."""
    await db.executemany("INSERT INTO note VALUES (?)", [(text,) for text in texts])
    return [len(text or "") for text in texts]


async def erase(db: aiosqlite.Connection, texts: Sequence[str]) -> Sequence[None]:
    await db.executemany("DELETE FROM note WHERE text = ?", [(text,) for text in texts])
    return [None] * len(texts)


def notes(folder: Path) -> list[str]:
    return [text for (text,) in rows(folder / "notes.db", "SELECT text FROM note ORDER BY rowid")]


def test_what_was_answered_is_not_kept(folder: Path, run: Run) -> None:
    class Large:
        """Can be looked after, as bytes cannot."""

    async def read(_: aiosqlite.Connection, items: Sequence[None]) -> Sequence[Large]:
        return [Large() for _ in items]

    async def main() -> None:
        async with batches(folder) as made:
            answers = [made.ask(read, None) for _ in range(3)]
            kept = [weakref.ref(await answer) for answer in answers]
            del answers
            # The batch has ended when the next one has begun to be waited for.
            await asyncio.sleep(0)
            gc.collect()
            assert [large() for large in kept] == [None] * 3

    run(main())


def test_a_submit_is_answered_after_its_commit_and_not_before(folder: Path, run: Run) -> None:
    async def main() -> None:
        path = folder / "coatcheck.db"
        steps: list[tuple[str, int]] = []

        def look(step: str) -> None:
            steps.append((step, rows(path, "SELECT COUNT(*) FROM job JOIN body USING (seq)")[0][0]))

        async with opened(folder) as store:
            answers = [await store.submit(submission(), "echo") for _ in range(20)]
            look("asked")
            for answer in answers:
                answer.add_done_callback(lambda _: look("answered"))
            await asyncio.gather(*answers)
        assert steps == [("asked", 0), *[("answered", 20)] * 20], "another connection sees what is committed"

    run(main())


def test_every_change_is_answered_after_its_commit(folder: Path, run: Run) -> None:
    async def main() -> None:
        path = folder / "coatcheck.db"

        def state(id: str) -> str:
            return str(rows(path, "SELECT state FROM job WHERE id = ?", id)[0][0])

        async with opened(folder) as store:
            await add(store, first := submission(), second := submission())
            job, _ = await take(store, count=2)
            assert state(first.id) == "processing"
            await store.finish(job, completed())
            assert state(first.id) == "completed"
            await store.cancel(second.id, None)
            assert state(second.id) == "cancelled"

    run(main())


def test_what_waits_together_is_one_transaction(folder: Path, run: Run) -> None:
    async def main() -> None:
        statements: list[str] = []
        async with opened(folder) as store:
            await store._writer.set_trace_callback(statements.append)
            await add(store, *(submission() for _ in range(100)))
            await store._writer.set_trace_callback(None)  # type: ignore[arg-type]
        assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT") == 1

    run(main())


def test_a_submit_that_the_database_refuses_leaves_its_neighbours_alone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, known := submission())
            good = [submission() for _ in range(6)]
            batch = [*good[:3], submission(id=known.id, owner="key:mallory"), *good[3:]]
            asked = [await store.submit(one, "echo") for one in batch]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            refused = answers.pop(3)
            assert answers == [None] * 6
            assert isinstance(refused, CoatcheckError)
            assert refused.message == "the job store refused a statement: UNIQUE constraint failed: job.id"
            assert (await found(store, known.id)).job.owner == "key:alice", "the first job of that id is untouched"
            for job in await take(store, count=10):
                await store.finish(job, completed())
            for one in good:
                assert [event.kind for event in await told(store, one.id)] == ["claimed", "completed"]
        ended_once(folder / "coatcheck.db", [known.id, *(one.id for one in good)])

    run(main())


def test_of_two_that_clash_with_each_other_one_is_taken(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with batches(folder) as made:
            texts = ["a", "b", "b", None, "c"]
            answers = await asyncio.gather(*(made.ask(write, text) for text in texts), return_exceptions=True)
            assert [answer for answer in answers if isinstance(answer, int)] == [1, 1, 1]
            assert [str(answer) for answer in answers if not isinstance(answer, int)] == [
                "the job store refused a statement: UNIQUE constraint failed: note.text",
                "the job store refused a statement: NOT NULL constraint failed: note.text",
            ]
        assert notes(folder) == ["a", "b", "c"]

    run(main())


def test_an_item_that_no_statement_can_be_built_of_fails_alone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with batches(folder) as made:
            answers = await asyncio.gather(
                *(made.ask(write, text) for text in ("a", 2**70, "c")), return_exceptions=True
            )
            assert (answers[0], answers[2]) == (1, 1)
            assert isinstance(answers[1], CoatcheckError)
            assert await made.ask(write, "d") == 1
        assert notes(folder) == ["a", "c", "d"]

    run(main())


def test_a_statement_whose_caller_has_gone_is_carried_out_all_the_same(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with batches(folder) as made:
            waiters = [made.ask(write, text) for text in "abc"]
            waiters[1].cancel()
            assert [*await asyncio.gather(waiters[0], waiters[2])] == [1, 1]
            leaver = asyncio.create_task(asyncio.wait_for(made.ask(write, "d"), None))
            await asyncio.wait([leaver], timeout=0)
            leaver.cancel()
            assert await made.ask(write, "e") == 1
            assert leaver.cancelled()
        assert notes(folder) == ["a", "b", "c", "d", "e"]

    run(main())


def test_kinds_that_share_a_commit_each_get_their_own_answers(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with batches(folder) as made:
            asked = [(write, "a"), (write, "bbb"), (erase, "a"), (write, "cc"), (erase, "none")]
            assert await asyncio.gather(*(made.ask(*one) for one in asked)) == [1, 3, None, 2, None]
        assert notes(folder) == ["bbb", "cc"]

    run(main())


def test_a_full_disk_refuses_the_whole_batch_and_is_recovered_from(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with batches(folder) as made:
            await made.ask(write, "before")
            ((pages,),) = await made.alone(lambda db: db.execute_fetchall("PRAGMA page_count"))
            await made.alone(lambda db: db.execute_fetchall(f"PRAGMA max_page_count = {pages}"))
            asked = [made.ask(write, text) for text in ("small", "b" * 100_000, "also small")]
            for answer in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(answer, StoreUnavailable)
                assert answer.message == "the job store cannot be used: database or disk is full (SQLITE_FULL)"
                assert answer.retry_after == 5
            assert notes(folder) == ["before"], "what was answered with an error is not there"
            await made.alone(lambda db: db.execute_fetchall("PRAGMA max_page_count = 1000"))
            assert await made.ask(write, "b" * 100_000) == 100_000
        assert [text[0] for text in notes(folder)] == ["b", "b"]

    run(main())


def test_a_database_that_is_locked_is_recovered_from(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with batches(folder) as made:
            with closing(sqlite3.connect(folder / "notes.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreUnavailable, match=r"database is locked \(SQLITE_BUSY\)"):
                    await made.ask(write, "a")
                other.execute("ROLLBACK")
            assert await made.ask(write, "b") == 1
        assert notes(folder) == ["b"]

    run(main())


def test_who_brings_bytes_waits_while_too_many_wait(folder: Path, run: Run) -> None:
    async def main() -> None:
        opened, entered = asyncio.Event(), asyncio.Event()

        async def gate(db: aiosqlite.Connection, items: Sequence[None]) -> Sequence[None]:
            entered.set()
            await opened.wait()
            return [None] * len(items)

        async with batches(folder, max_bytes=100) as made:
            held = made.ask(gate, None)
            await entered.wait()
            await made.room()
            asked = [made.ask(write, "a", 60)]
            await made.room()
            asked.append(made.ask(write, "b", 60))
            waits = asyncio.create_task(made.room())
            await asyncio.wait([waits], timeout=0)
            assert not waits.done(), "120 bytes wait, the bound is 100"
            opened.set()
            await asyncio.gather(held, waits, *asked)
            await made.room()

    run(main())


def test_what_was_asked_before_the_end_is_carried_out_and_nothing_after_it(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with batches(folder, max_items=2) as made:
            asked = [made.ask(write, text) for text in "abcde"]
            await made.close()
            assert [answer.result() for answer in asked] == [1] * 5
            with pytest.raises(StoreUnavailable, match="the job store is closed"):
                await made.ask(write, "f")
        assert notes(folder) == ["a", "b", "c", "d", "e"]

    run(main())


def test_a_chore_runs_outside_of_any_transaction(folder: Path, run: Run) -> None:
    async def main() -> None:
        async def look(db: aiosqlite.Connection) -> bool:
            return db.in_transaction

        async with batches(folder) as made:
            asked = [made.ask(write, text) for text in "abc"]
            assert await made.alone(look) is False
            await asyncio.gather(*asked)

    run(main())
