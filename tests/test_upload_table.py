"""Uploads in the store: seen by their owner alone, lent to jobs, and gone in time."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.collector import Collector
from coatcheck.engine.errors import UploadNotFound
from coatcheck.engine.ids import new_id
from coatcheck.engine.jobs import SECOND, Borrowed
from coatcheck.engine.settings import JobSettings
from coatcheck.engine.store import Store
from coatcheck.engine.sweeper import Sweeper
from coatcheck.engine.upload_table import Upload

from .files import in_rows, keep, on_disk
from .jobs import MORNING, Hands, add, found, opened, rows, submission

Run = Callable[[Awaitable[Any]], Any]

ALICE, BOB = "key:alice", "key:bob"


async def upload(
    store: Store, *, owner: str = ALICE, purpose: str = "general", at: int = 0, lasts: int = 100
) -> Upload:
    """An upload that is on disk; `at` and `lasts` are seconds."""
    made = MORNING + at * SECOND
    one = Upload(
        id=new_id(),
        owner=owner,
        purpose=purpose,
        file_name="a.wav",
        created_at=made,
        expires_at=made + lasts * SECOND,
        blob=await keep(store),
    )
    await store.uploads.add(one)
    return one


def test_a_page_has_the_owners_uploads_newest_first(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=(hands := Hands()).clock) as store:
            mine = [
                await upload(store, at=at, lasts=50 + at, purpose="even" if at % 2 == 0 else "odd") for at in range(5)
            ]
            await upload(store, owner=BOB)
            newest = mine[::-1]
            assert await store.uploads.page(ALICE, None, 1, 10) == (newest, 5)
            assert await store.uploads.page(ALICE, None, 2, 2) == (newest[2:4], 5)
            assert await store.uploads.page(ALICE, None, 4, 2) == ([], 5)
            assert await store.uploads.page(ALICE, "odd", 1, 10) == ([mine[3], mine[1]], 2)
            assert await store.uploads.page("key:carol", None, 1, 10) == ([], 0)
            hands.pass_(52)
            assert await store.uploads.page(ALICE, None, 1, 10) == (newest[:3], 3), "two have expired by then"

    run(main())


def test_an_upload_is_found_by_its_owner_until_it_expires(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=(hands := Hands()).clock) as store:
            one, other = await upload(store), await upload(store, owner=BOB)
            answers = await asyncio.gather(
                store.uploads.find(one.id, ALICE),
                store.uploads.find(other.id, ALICE),
                store.uploads.find(other.id, BOB),
                store.uploads.find(new_id(), ALICE),
            )
            assert answers == [one, None, other, None]
            hands.pass_(99)
            assert await store.uploads.find(one.id, ALICE) == one
            hands.pass_(1)
            assert await store.uploads.find(one.id, ALICE) is None

    run(main())


def test_removing_takes_the_owners_own_and_counts_them(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=(hands := Hands()).clock) as store:
            mine = [await upload(store) for _ in range(4)]
            theirs = await upload(store, owner=BOB)
            assert await store.uploads.remove(ALICE, [mine[0].id, mine[0].id, theirs.id, new_id()]) == 1
            assert store.freed.is_set()
            await upload(store, lasts=10)
            hands.pass_(20)
            assert await store.uploads.remove(ALICE, None) == 3, "one that had expired was counted"
            assert await store.uploads.remove(ALICE, None) == 0
            assert await store.uploads.find(theirs.id, BOB) == theirs

    run(main())


def test_many_are_removed_in_several_statements(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=Hands().clock) as store:
            one = await upload(store)
            await asyncio.gather(*(store.uploads.add(one._replace(id=new_id())) for _ in range(600)))
            assert (await store.uploads.page(ALICE, None, 1, 1))[1] == 601
            assert await store.uploads.remove(ALICE, None) == 601
            assert in_rows(folder) == set()

    run(main())


def test_files_go_with_their_uploads(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=(hands := Hands()).clock) as store:
            collector, sweeper = Collector(store, JobSettings()), Sweeper(store, JobSettings(), hands.clock)
            removed, _expired, stays = await upload(store), await upload(store, lasts=10), await upload(store, lasts=11)
            await store.uploads.remove(ALICE, [removed.id])
            hands.pass_(10)
            await sweeper.sweep()
            assert in_rows(folder) == {stays.blob.id}
            await collector.collect()
            assert on_disk(folder) == {stays.blob.id}
            assert rows(folder / "coatcheck.db", "SELECT id FROM upload") == [(stays.id,)]

    run(main())


def test_a_clock_that_jumps_expires_no_upload(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=(hands := Hands()).clock) as store:
            sweeper = Sweeper(store, JobSettings(), hands.clock)
            one = await upload(store, lasts=1000)
            hands.jump(5000)
            await sweeper.sweep()
            assert await store.uploads.find(one.id, ALICE) == one
            assert await store.uploads.page(ALICE, None, 1, 10) == ([one], 1)

    run(main())


def test_many_expire_in_one_sweep(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=(hands := Hands()).clock) as store:
            one = await upload(store, lasts=10)
            await asyncio.gather(*(store.uploads.add(one._replace(id=new_id())) for _ in range(200)))
            hands.pass_(11)
            await Sweeper(store, JobSettings(), hands.clock).sweep()
            assert rows(folder / "coatcheck.db", "SELECT id FROM upload") == []

    run(main())


@pytest.mark.parametrize("end", ["removed", "expired"])
def test_a_job_keeps_the_upload_that_it_uses(end: str, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=(hands := Hands()).clock) as store:
            collector, sweeper = Collector(store, JobSettings()), Sweeper(store, JobSettings(), hands.clock)
            one, other = await upload(store), await upload(store)
            lent = (Borrowed("image", 0, other.id), Borrowed("image", 1, one.id), Borrowed("mask", 0, one.id))
            await add(store, asked := submission()._replace(borrowed=lent))
            if end == "removed":
                assert await store.uploads.remove(ALICE, None) == 2
            else:
                hands.pass_(101)
                await sweeper.sweep()
            await collector.collect()
            assert rows(folder / "coatcheck.db", "SELECT id FROM upload") == []
            work = await store.work((await found(store, asked.id)).job.seq)
            assert work is not None
            assert {role: [file.path.name for file in files] for role, files in work.files.items()} == {
                "image": [other.blob.id, one.blob.id], "mask": [one.blob.id]
            }  # fmt: skip
            assert on_disk(folder) == {one.blob.id, other.blob.id}
            await store.cancel(asked.id, None)
            await store.delete(asked.id, None)
            await collector.collect()
            assert on_disk(folder) == set()

    run(main())


def test_an_upload_that_is_gone_or_anothers_is_lent_to_no_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=Hands().clock) as store:
            one, theirs = await upload(store), await upload(store, owner=BOB)
            expired = await upload(store, lasts=0)
            for id in (theirs.id, expired.id, new_id()):
                lent = (Borrowed("file", 0, one.id), Borrowed("mask", 0, id))
                with pytest.raises(UploadNotFound) as caught:
                    await add(store, submission()._replace(borrowed=lent))
                assert caught.value.param == "input.mask"
            assert rows(folder / "coatcheck.db", "SELECT id FROM job") == []
            assert rows(folder / "coatcheck.db", "SELECT blob FROM blob_use") == []

    run(main())


def test_a_list_of_many_uploads_reads_the_index_alone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=Hands().clock) as store:
            await upload(store)
        counted = (
            "SELECT COUNT(*) FROM upload WHERE owner = 'a' AND expires_at > 1 AND (NULL IS NULL OR purpose = NULL)"
        )
        plan = rows(folder / "coatcheck.db", f"EXPLAIN QUERY PLAN {counted}")
        assert "COVERING INDEX upload_of_owner (owner=?)" in plan[0][-1]

    run(main())
