"""Files and their jobs in the store: written in one commit, shared, and gone with the last job that uses them."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.collector import Collector
from coatcheck.engine.errors import CoatcheckError, JobNotFound
from coatcheck.engine.jobs import Attached, State
from coatcheck.engine.repeats import Repeat
from coatcheck.engine.settings import JobSettings

from .files import filed, ids, in_rows, keep, on_disk
from .jobs import Hands, add, back, completed, failed, found, opened, rows, submission, take, told

Run = Callable[[Awaitable[Any]], Any]


def test_an_attempt_is_given_the_files_of_its_request_in_their_order(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            images = await filed(store, *(b"%d" % number for number in range(12)), role="image")
            mask = await keep(store, b"mask", "image/png")
            await add(store, images._replace(files=(Attached("mask", 0, mask, ""), *reversed(images.files))))
            work = await store.work(1)
            assert work is not None
            assert work.request == images.request
            assert [file.path.read_bytes() for file in work.files["image"]] == [b"%d" % n for n in range(12)]
            assert {file.name for file in work.files["image"]} == {f"image-{n}.wav" for n in range(12)}
            (file,) = work.files["mask"]
            assert (file.name, file.media_type, file.size_bytes) == ("", "image/png", 4)
            assert set(work.files) == {"image", "mask"}

    run(main())


def test_a_job_without_files_has_none(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, submission(), await filed(store, b"another's"))
            work = await store.work(1)
            assert work is not None
            assert (work.files, work.checkpoint) == ({}, None)
            assert await store.files(1) == []
            assert await store.work(99) is None

    run(main())


def test_an_outcome_has_its_files_in_their_order_and_beside_those_of_the_request(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := await filed(store, b"in"))
            (job,) = await take(store)
            results = [await keep(store, b"out %d" % number, "image/png") for number in range(11)]
            assert await store.finish(job, completed(files=results))
            kept = await store.files(job.seq)
            assert [file.path.read_bytes() for file in kept] == [b"out %d" % number for number in range(11)]
            assert [(file.blob, file.place, file.media_type) for file in kept] == [
                (blob.id, place, "image/png") for place, blob in enumerate(results)
            ]
            assert [file.path.read_bytes() for file in await store.files(job.seq, "file")] == [b"in"]
            assert in_rows(folder) == on_disk(folder) == ids([*results, asked.files[0].blob])
            assert await store.files(job.seq, "mask") == []

    run(main())


def test_an_attempt_that_lost_leaves_no_row(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission())
            (job,) = await take(store)
            await store.cancel(asked.id, None)
            assert not await store.finish(job, completed(files=[await keep(store)]))
            assert in_rows(folder) == set()

    run(main())


def test_files_go_with_their_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=(hands := Hands()).clock) as store:
            collector = Collector(store, JobSettings())
            await add(store, *[await filed(store, b"one", b"two", ttl_seconds=10) for _ in range(3)], submission())
            jobs = await take(store, count=3)
            for job in jobs:
                await store.finish(job, completed(files=[await keep(store)]))
            assert len(on_disk(folder)) == 9
            assert await store.delete(jobs[0].id, None)
            assert store.freed.is_set()
            assert len(in_rows(folder)) == 6
            assert len(on_disk(folder)) == 9, "removed before the collector came"
            assert await collector.collect() == 3
            assert on_disk(folder) == in_rows(folder)
            hands.pass_(11)
            assert await store.sweep(100) == 2
            assert await collector.collect() == 6
            assert on_disk(folder) == in_rows(folder) == set()
            assert rows(folder / "coatcheck.db", "SELECT * FROM blob_gone") == []
            assert store.blobs.size_bytes == 0

    run(main())


def test_a_retry_shares_the_files_and_keeps_them_when_its_parent_goes(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            collector = Collector(store, JobSettings())
            await add(store, first := await filed(store, b"one", b"two"))
            (parent,) = await take(store)
            await store.finish(parent, failed(files=[await keep(store, b"of the parent alone")]))
            await add(store, child := submission()._replace(files_of=parent.seq, parent=parent.id))
            assert await store.delete(parent.id, None)
            await collector.collect()
            assert on_disk(folder) == in_rows(folder) == ids(file.blob for file in first.files)
            seq = (await found(store, child.id)).job.seq
            work = await store.work(seq)
            assert work is not None
            assert [(file.name, file.path.read_bytes()) for file in work.files["file"]] == [
                ("file-0.wav", b"one"), ("file-1.wav", b"two")
            ]  # fmt: skip
            await store.cancel(child.id, None)
            await store.delete(child.id, None)
            await collector.collect()
            assert on_disk(folder) == in_rows(folder) == set()

    run(main())


def test_a_retry_whose_files_are_gone_is_refused_and_its_neighbours_are_taken(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, parent := await filed(store, b"one"), plain := submission())
            await store.cancel(parent.id, None)
            await store.delete(parent.id, None)
            late = submission()._replace(files_of=1)
            never = submission()._replace(files_of=2)
            keyed = Repeat(owner=late.owner, key="k", fingerprint=b"", answer=b"")
            written = [
                await store.submit(late, "echo", keyed),
                await store.submit(neighbour := submission(), "echo"),
                await store.submit(never, "echo"),
            ]
            answers = await asyncio.gather(*written, return_exceptions=True)
            assert [type(answer) for answer in answers] == [JobNotFound, type(None), JobNotFound]
            assert "files, are gone" in str(answers[0])
            known = {id for (id,) in rows(folder / "coatcheck.db", "SELECT id FROM job")}
            assert known == {plain.id, neighbour.id}
            assert await store.repeated(late.owner, "k") is None, "the key of what was refused is used up"

    run(main())


def test_a_repeat_takes_no_files(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            key = Repeat(owner="key:alice", key="k", fingerprint=b"", answer=b"")
            first, second = await filed(store, b"one"), await filed(store, b"one")
            assert await (await store.submit(first, "echo", key)) is None
            earlier = await (await store.submit(second, "echo", key))
            assert earlier is not None
            assert earlier.job_id == first.id
            assert in_rows(folder) == ids(file.blob for file in first.files)

    run(main())


@pytest.mark.parametrize("keep_request", [True, False])
@pytest.mark.parametrize("end", ["finish", "cancel", "cancel_due", "overdue", "cancel_attended"])
def test_the_files_of_a_request_stay_as_long_as_the_request(
    end: str, keep_request: bool, folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            asked = (await filed(store, b"in", b"in too"))._replace(cancel_at=1, attended=True)
            shared = submission()._replace(files_of=1)
            await add(store, asked, await filed(store, b"another's"))
            await add(store, shared)
            (job,) = await take(store)
            match end:
                case "finish":
                    await store.finish(job, completed(files=[await keep(store, b"out")]), keep_request=keep_request)
                case "cancel":
                    await store.cancel(asked.id, None, keep_request=keep_request)
                case "cancel_due":
                    await store.cancel_due(keep_request=keep_request)
                case "cancel_attended":
                    await store.cancel_attended(keep_request=keep_request)
                case "overdue":
                    await store.release(job, back(job))
                    claimed_at = (await found(store, asked.id)).job.claimed_at
                    await store.overdue(claimed_at or 0, failed(), keep_request=keep_request)
            assert (await found(store, asked.id)).job.state.ended
            assert (await store.request(job.seq) is not None) is keep_request
            assert (len(await store.files(job.seq, "file")) == 2) is keep_request
            assert len(await store.files(job.seq)) == (end == "finish")
            # What another job uses stays in any case.
            work = await store.work((await found(store, shared.id)).job.seq)
            assert work is not None
            assert [file.path.read_bytes() for file in work.files["file"]] == [b"in", b"in too"]
            await store.cancel(shared.id, None, keep_request=False)
            assert len(in_rows(folder)) == 1 + (end == "finish") + 2 * keep_request

    run(main())


def test_a_file_may_be_used_twice_by_one_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            blob = await keep(store)
            twice = submission()._replace(files=(Attached("image", 0, blob), Attached("image", 1, blob)))
            await add(store, twice)
            work = await store.work(1)
            assert work is not None
            assert len(work.files["image"]) == 2
            await store.cancel(twice.id, None)
            await store.delete(twice.id, None)
            assert in_rows(folder) == set()
            assert await store.gone(10) == [blob.id]

    run(main())


def test_a_submit_that_the_store_refuses_leaves_no_row_of_its_files(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            asked = (await filed(store, b"one"))._replace(priority=8)
            with pytest.raises(CoatcheckError, match="CHECK constraint failed: priority"):
                await add(store, asked)
            assert in_rows(folder) == set()
            assert on_disk(folder) == ids(file.blob for file in asked.files), "who submits removes them"

    run(main())


def test_an_upload_keeps_its_file_and_frees_it(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := await filed(store, b"one"))
            blob = asked.files[0].blob.id
            with closing(sqlite3.connect(folder / "coatcheck.db")) as db, db:
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("INSERT INTO upload VALUES ('u', 'key:alice', ?, '', 1, 2, 'general')", [blob])
            await store.cancel(asked.id, None)
            await store.delete(asked.id, None)
            assert (in_rows(folder), await store.gone(1)) == ({blob}, [])
            with closing(sqlite3.connect(folder / "coatcheck.db")) as db, db:
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("DELETE FROM upload")
            assert (in_rows(folder), await store.gone(1)) == (set(), [blob])

    run(main())


def test_attended_jobs_that_have_not_ended_are_cancelled_and_no_others(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            running, waiting, done = (submission()._replace(attended=True) for _ in range(3))
            await add(store, done, running, waiting, other := submission())
            job, _ = await take(store, count=2)
            await store.finish(job, completed())
            assert await store.attended() == 2
            before = await store.cancel_attended()
            assert {one.id: one.state for one in before} == {
                running.id: State.PROCESSING, waiting.id: State.PENDING
            }  # fmt: skip
            assert (await found(store, done.id)).job.state is State.COMPLETED
            assert (await found(store, other.id)).job.state is State.PENDING
            assert await store.attended() == 0
            assert await store.cancel_attended() == []
            assert [event.data["reason"] for event in await told(store, waiting.id)] == ["client_gone"]

    run(main())
