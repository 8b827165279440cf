"""What a start finds on the disk after a crash, and that it neither keeps what is of no use nor takes what is."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from coatcheck.engine.collector import Collector
from coatcheck.engine.settings import JobSettings
from coatcheck.engine.store import Store

from .files import filed, ids, in_rows, keep, on_disk
from .jobs import add, completed, found, opened, rows, submission, take

Run = Callable[[Awaitable[Any]], Any]


def collector(store: Store) -> Collector:
    return Collector(store, JobSettings())


async def collected(store: Store, folder: Path) -> None:
    """Waits until a collector that runs has nothing left to do."""
    async with asyncio.timeout(30):
        while await store.gone(1) or store.blobs.begun is not None or on_disk(folder) != in_rows(folder):
            pass


def test_a_start_removes_files_without_a_row_and_nothing_else(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := await filed(store, b"one", b"two"))
            (job,) = await take(store)
            await store.finish(job, completed(files=[result := await keep(store, b"three")]))
            for number in range(200):
                await keep(store, b"orphan %d" % number)
        async with opened(folder) as store:
            compared = await collector(store).compare()
            assert len(compared.orphans) == 200
            assert (compared.missing, compared.unused) == ([], [])
            kept = ids([*(file.blob for file in asked.files), result])
            assert on_disk(folder) == in_rows(folder) == kept
            assert store.blobs.size_bytes == len(b"one" + b"two" + b"three")
            assert len(await store.files(job.seq)) == 1

    run(main())


def test_what_is_not_of_this_program_is_left_alone_and_in_nobodys_way(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            orphan = await keep(store, b"orphan")
        place = folder / "blobs" / orphan.id[:2]
        (place / ".nfs0001").touch()
        (place / "a folder").mkdir()
        # No file can be kept whose id begins so, but all others are looked after.
        other = "00" if place.name != "00" else "01"
        (folder / "blobs" / other).touch()
        async with opened(folder) as store:
            assert (await collector(store).compare()).orphans == [orphan.id]
            assert sorted(path.name for path in place.iterdir()) == [".nfs0001", "a folder"]

    run(main())


def test_what_is_written_while_the_files_are_compared_stays(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            # On disk before the comparison, its row not before it is over.
            early = await filed(store, b"early")
            late = store.blobs.new("image/png")
            await collector(store).compare()
            async with late:
                await late.write(b"late")
            assert on_disk(folder) == {early.files[0].blob.id, late.blob.id}
            await add(store, early)
            work = await store.work(1)
            assert work is not None
            assert work.files["file"][0].path.read_bytes() == b"early"
            assert store.blobs.size_bytes == len(b"early" + b"late")

    run(main())


def test_a_start_goes_on_where_the_collector_was_cut_off(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := await filed(store, b"one", b"two", b"three"))
            await store.cancel(asked.id, None)
            await store.delete(asked.id, None)
            # One file is gone already, another row of the list too.
            left = await store.gone(3)
            await store.blobs.unlink(left[0])
            await store.removed([left[1]])
            assert len(on_disk(folder)) == 2
        async with opened(folder) as store:
            running = asyncio.create_task(collector(store).run())
            await collected(store, folder)
            assert on_disk(folder) == set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run(main())


def test_a_row_that_nobody_uses_goes_with_its_file(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := await filed(store, b"one"))
            blob = await keep(store, b"left")
        with closing(sqlite3.connect(folder / "coatcheck.db")) as db, db:
            db.execute("INSERT INTO blob VALUES (?, 4, ?, 'audio/wav', 1)", [blob.id, blob.sha256])
        async with opened(folder) as store:
            one = collector(store)
            assert (await one.compare()).unused == [blob.id]
            assert await one.collect() == 1
            assert on_disk(folder) == in_rows(folder) == ids([asked.files[0].blob])

    run(main())


def test_a_missing_file_is_told_and_its_job_stays(folder: Path, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := await filed(store, b"one"))
            await store.blobs.unlink(asked.files[0].blob.id)
        async with opened(folder) as store:
            compared = await collector(store).compare()
            assert f"1 files are missing that jobs need, such as {asked.files[0].blob.id}" in caplog.text
            assert compared.missing == [asked.files[0].blob.id]
            assert (await found(store, asked.id)).job.completed_at is None

    run(main())


def test_files_of_a_deleted_job_are_removed_without_waiting_for_a_sweep(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := await filed(store, b"one"), submission())
            running = asyncio.create_task(Collector(store, JobSettings(sweep_interval_seconds=3600)).run())
            await collected(store, folder)
            await store.cancel(asked.id, None)
            await store.delete(asked.id, None)
            await collected(store, folder)
            assert on_disk(folder) == set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run(main())


def test_a_collector_that_is_stopped_leaves_no_connection_behind(folder: Path, run: Run) -> None:
    async def main() -> None:
        store = await Store.open(folder / "coatcheck.db", blobs=folder / "blobs")
        running = asyncio.create_task(collector(store).run())
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()
        assert not (folder / "coatcheck.db-wal").exists(), "somebody has the database open"

    run(main())


def test_many_files_are_compared_while_the_loop_turns(folder: Path, run: Run) -> None:
    count = 20_000

    async def main() -> None:
        async with opened(folder) as store:
            await add(store, submission())
        known = [str(uuid4()) for _ in range(count)]
        with closing(sqlite3.connect(folder / "coatcheck.db")) as db, db:
            db.executemany("INSERT INTO blob VALUES (?, 0, zeroblob(32), 'audio/wav', 1)", ((id,) for id in known))
            db.executemany("INSERT INTO blob_use (seq, role, place, blob) VALUES (1, 'file', ?, ?)", enumerate(known))
        for id in known:
            path = folder / "blobs" / id[:2] / id
            path.parent.mkdir(exist_ok=True)
            path.touch()
        async with opened(folder) as store:
            comparing = asyncio.create_task(collector(store).compare())
            turns = 0
            while not comparing.done():
                await asyncio.sleep(0)
                turns += 1
            compared = await comparing
            assert (compared.orphans, compared.missing, compared.unused) == ([], [], [])
            assert turns > 10
        assert len(rows(folder / "coatcheck.db", "SELECT id FROM blob")) == len(on_disk(folder)) == count

    run(main())
