"""When a job is gone: by a clock that two clocks agree on, and with all that belonged to it."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.clock import MAX_DISAGREEMENT
from coatcheck.engine.jobs import SECOND, Submission
from coatcheck.engine.settings import JobSettings
from coatcheck.engine.store import Store
from coatcheck.engine.sweeper import Sweeper

from .jobs import Hands, add, back, completed, opened, rows, submission, take

Run = Callable[[Awaitable[Any]], Any]

DAY = 86_400.0

#: The longest that an outcome may be kept, and so the patience after a jump.
SETTINGS = JobSettings(result_ttl_seconds=60, max_result_ttl_seconds=600)


async def end(store: Store, *submissions: Submission) -> None:
    """Submits, claims and completes these jobs."""
    await add(store, *submissions)
    for job in await take(store, count=len(submissions)):
        assert await store.finish(job, completed())


def test_the_clocks_agree_while_time_passes() -> None:
    hands = Hands()
    for _ in range(1000):
        hands.pass_(3600)
        assert hands.clock.agree(1)
        assert hands.clock.expiry() == hands.clock.now() == hands.wall


def test_a_wall_clock_that_drifts_is_followed() -> None:
    hands = Hands()
    for _ in range(100):
        hands.pass_(60)
        hands.jump(MAX_DISAGREEMENT / SECOND / 2)
        assert hands.clock.agree(600)
    assert hands.clock.expiry() == hands.wall


def test_a_jump_ahead_expires_nothing_that_is_young() -> None:
    hands = Hands()
    before = hands.wall
    hands.jump(365 * DAY)
    hands.pass_(10)
    assert hands.clock.expiry() == before + 10 * SECOND, "only the time that passed counts"
    assert not hands.clock.agree(600)


def test_a_jump_back_expires_nothing_either() -> None:
    hands = Hands()
    hands.jump(-DAY)
    assert hands.clock.expiry() == hands.wall
    assert not hands.clock.agree(600)


@pytest.mark.parametrize("seconds", [DAY, -DAY])
def test_the_clocks_agree_again_when_the_wall_clock_comes_back(seconds: float) -> None:
    hands = Hands()
    hands.jump(seconds)
    assert not hands.clock.agree(600)
    hands.pass_(300)
    hands.jump(-seconds)
    assert hands.clock.agree(600)
    hands.jump(seconds)
    hands.pass_(400)
    assert not hands.clock.agree(600), "the patience starts anew with each jump"


@pytest.mark.parametrize("seconds", [DAY, -DAY])
def test_a_new_wall_time_is_adopted_after_the_patience(seconds: float) -> None:
    hands = Hands()
    hands.jump(seconds)
    assert not hands.clock.agree(600)
    hands.pass_(599)
    assert not hands.clock.agree(600)
    hands.pass_(1)
    assert hands.clock.agree(600)
    assert hands.clock.expiry() == hands.wall


def test_the_time_to_live_runs_from_the_end_of_the_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, asked := submission(ttl_seconds=60))
            hands.pass_(DAY)
            (job,) = await take(store)
            hands.pass_(DAY)
            await store.finish(job, completed())
            hands.pass_(59.999999)
            assert await store.ticket(asked.id, None) is not None
            assert await store.sweep(10) == 0
            hands.pass_(0.000001)
            assert await store.ticket(asked.id, None) is None, "it is gone, though not swept yet"
            assert rows(folder / "coatcheck.db", "SELECT COUNT(*) FROM job") == [(1,)]
            assert await store.sweep(10) == 1

    run(main())


def test_a_job_that_has_not_ended_never_expires(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            asked = [submission(ttl_seconds=1) for _ in range(3)]
            await add(store, *asked)
            first, _ = await take(store, count=2)
            await store.release(first, back(first, run_at=hands.wall + 1))
            hands.pass_(DAY)
            assert await store.sweep(10) == 0
            for one in asked:
                assert await store.ticket(one.id, one.owner) is not None

    run(main())


def test_a_sweep_removes_an_expired_job_with_all_that_was_its(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await end(store, *(submission(ttl_seconds=10) for _ in range(5)))
            await end(store, kept := submission(ttl_seconds=100))
            hands.pass_(10)
            assert [await store.sweep(2) for _ in range(4)] == [2, 2, 1, 0], "no more at once than asked for"
            assert await store.ticket(kept.id, None) is not None
        path = folder / "coatcheck.db"
        assert rows(path, "SELECT id FROM job") == [(kept.id,)]
        for table in ("body", "event"):
            assert rows(path, f"SELECT DISTINCT job.id FROM {table} LEFT JOIN job USING (seq)") == [(kept.id,)]

    run(main())


def test_a_sweep_takes_what_expired_first(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            last, first, middle = (submission(ttl_seconds=ttl) for ttl in (30, 10, 20))
            await end(store, last, first, middle)
            hands.pass_(40)
            for gone in (first, middle, last):
                left = {id for (id,) in rows(folder / "coatcheck.db", "SELECT id FROM job")}
                assert gone.id in left
                await store.sweep(1)
                assert gone.id not in {id for (id,) in rows(folder / "coatcheck.db", "SELECT id FROM job")}

    run(main())


def test_the_sweeper_removes_everything_that_has_expired_and_the_file_shrinks(folder: Path, run: Run) -> None:
    path = folder / "coatcheck.db"

    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await end(store, *(submission(ttl_seconds=1, request=b"x" * 20_000) for _ in range(300)))
            await end(store, kept := submission(ttl_seconds=100))
        full = path.stat().st_size
        assert full > 300 * 20_000
        async with opened(folder, clock=hands.clock) as store:
            hands.pass_(2)
            assert await Sweeper(store, SETTINGS, hands.clock).sweep() == 300
            assert await store.ticket(kept.id, None) is not None
        assert path.stat().st_size < full / 3
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    run(main())


def test_the_sweeper_stands_still_while_the_clocks_disagree(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            sweeper = Sweeper(store, SETTINGS, hands.clock)
            await end(store, old := submission(ttl_seconds=1), young := submission(ttl_seconds=60))
            hands.pass_(2)
            hands.jump(DAY)
            assert await sweeper.sweep() == 0
            assert await store.ticket(old.id, None) is None, "it had its time before the jump"
            assert await store.ticket(young.id, None) is not None
            hands.jump(-DAY)
            assert await sweeper.sweep() == 1, "they agree again"
            assert await store.ticket(young.id, None) is not None
            hands.pass_(60)
            assert await store.ticket(young.id, None) is None
            assert await sweeper.sweep() == 1

    run(main())


def test_a_job_that_ends_after_a_jump_ahead_has_its_whole_time_to_live(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            sweeper = Sweeper(store, SETTINGS, hands.clock)
            hands.jump(DAY)
            assert await sweeper.sweep() == 0
            hands.pass_(590)
            await end(store, young := submission(ttl_seconds=60))
            hands.pass_(10)
            assert await sweeper.sweep() == 0, "the new time is right now, and nothing has expired by it"
            assert await store.ticket(young.id, None) is not None
            hands.pass_(50)
            assert await store.ticket(young.id, None) is None
            assert await sweeper.sweep() == 1

    run(main())


def test_a_job_that_ended_before_a_jump_ahead_has_its_whole_time_to_live(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            sweeper = Sweeper(store, SETTINGS, hands.clock)
            await end(store, young := submission(ttl_seconds=600))
            hands.jump(DAY)
            for passed in range(0, 600, 60):
                await sweeper.sweep()
                assert await store.ticket(young.id, None) is not None, f"gone after {passed} seconds of 600"
                hands.pass_(60)
            await sweeper.sweep()
            assert await store.ticket(young.id, None) is None

    run(main())
