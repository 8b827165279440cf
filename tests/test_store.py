"""Every arrow of a job in the store, and everything that an arrow refuses."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.jobs import SECOND, Job, State
from coatcheck.engine.store import Store

from .jobs import (
    MORNING,
    REQUEST,
    Hands,
    add,
    back,
    completed,
    ended_once,
    failed,
    found,
    opened,
    submission,
    take,
    told,
)

Run = Callable[[Awaitable[Any]], Any]


def test_a_submitted_job_is_pending_with_all_that_its_submission_said(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=Hands().clock) as store:
            asked = submission("echo", "other/gpt", priority=5, ttl_seconds=77)
            await add(store, asked, lane="fast")
            ticket = await found(store, asked.id, asked.owner)
            job = ticket.job
            assert ticket.body is None
            assert (job.state, job.attempt, job.calls, job.tries) == (State.PENDING, 0, 0, 0)
            assert (job.lane, job.target, job.at, job.targets) == ("fast", 0, asked.targets[0], asked.targets)
            for name in ("id", "dialect", "operation", "owner", "model", "priority", "request_id", "ttl_seconds"):
                assert getattr(job, name) == getattr(asked, name), name
            assert job.created_at == MORNING
            for name in ("claimed_at", "started_at", "run_at", "completed_at", "expires_at", "status_code", "cost"):
                assert getattr(job, name) is None, name
            assert await store.request(job.seq) == REQUEST

    run(main())


def test_a_claim_takes_the_owners_ready_jobs_of_this_lane_by_priority_then_age(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=Hands().clock) as store:
            late, first, second, urgent = (submission(priority=p) for p in (7, 3, 3, 0))
            await add(store, late, first, second, urgent)
            await add(store, foreign := submission(owner="key:bob"))
            await add(store, aside := submission(), lane="slow")
            assert [job.id for job in await take(store, count=3)] == [urgent.id, first.id, second.id]
            assert [job.id for job in await take(store, count=3)] == [late.id]
            assert await take(store, count=3) == []
            assert (await found(store, foreign.id)).job.state is State.PENDING
            assert (await found(store, aside.id)).job.state is State.PENDING

    run(main())


def test_a_claim_for_hundreds_of_owners_takes_each_ones_share(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            owners = [f"key:{number}" for number in range(300)]
            await add(store, *(submission(owner=owner) for owner in owners for _ in range(2)))
            jobs = await store.claim("echo", dict.fromkeys(owners, 1))
            assert sorted(job.owner for job in jobs) == sorted(owners)

    run(main())


def test_a_claim_begins_an_attempt_and_a_call(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, asked := submission())
            hands.pass_(1)
            (job,) = await take(store)
            assert (job.state, job.attempt, job.calls, job.tries) == (State.PROCESSING, 1, 1, 1)
            assert job.claimed_at == job.started_at == MORNING + SECOND
            assert await store.processing() == [job]
            (event,) = await told(store, asked.id)
            assert (event.kind, event.attempt, event.at) == ("claimed", 1, MORNING + SECOND)
            assert event.data == {"provider": "echo", "model": "echo"}

    run(main())


def test_a_finish_writes_the_outcome_and_its_time_to_live(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, *(asked := [submission(ttl_seconds=9), submission(ttl_seconds=9)]))
            good, bad = await take(store, count=2)
            hands.pass_(2)
            assert await store.finish(good, completed(b'{"a":1}'))
            assert await store.finish(bad, failed(b'{"message":"no"}'), keep_request=False)
            ticket = await found(store, asked[0].id)
            assert ticket.body == b'{"a":1}'
            assert (ticket.job.state, ticket.job.status_code) == (State.COMPLETED, 200)
            assert (ticket.job.resolved_model, ticket.job.cost) == ("echo", 7)
            assert ticket.job.completed_at == MORNING + 2 * SECOND
            assert ticket.job.expires_at == MORNING + 11 * SECOND
            ticket = await found(store, asked[1].id)
            assert (ticket.job.state, ticket.job.status_code, ticket.body) == (
                State.FAILED,
                502,
                b'{"message":"no"}',
            )
            assert await store.request(good.seq) == REQUEST
            assert await store.request(bad.seq) is None, "keep_request=False"
        ended_once(folder / "coatcheck.db", [one.id for one in asked])

    run(main())


def test_a_released_job_waits_again_where_its_release_says(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, asked := submission("echo", "other/gpt"))
            (job,) = await take(store)
            moment = MORNING + 30 * SECOND
            assert await store.release(job, back(job, lane="slow", target=1, tries=0, run_at=moment))
            job = (await found(store, asked.id)).job
            assert (job.state, job.lane, job.target, job.tries) == (State.PENDING, "slow", 1, 0)
            assert (job.attempt, job.calls, job.started_at, job.run_at) == (1, 1, None, moment)
            assert job.claimed_at == MORNING, "the time of the first claim stays"
            assert await take(store, lane="slow") == [], "it is held until run_at"
            assert (await store.alarms())[0] == moment
            assert (await store.backlog()) == [("slow", "key:alice", True, 1)]
            assert await store.promote(3600) == []
            hands.pass_(30)
            assert await store.promote(3600) == [("slow", "key:alice")]
            assert (await store.alarms())[0] is None
            (job,) = await take(store, lane="slow")
            assert (job.attempt, job.calls, job.tries, job.at) == (2, 2, 1, asked.targets[1])
            assert job.claimed_at == MORNING
            assert job.started_at == moment

    run(main())


def test_a_refund_takes_the_call_back_but_not_the_attempt(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, submission())
            (job,) = await take(store)
            assert await store.release(job, back(job, refund=1))
            (job,) = await take(store)
            assert (job.attempt, job.calls) == (2, 1)

    run(main())


def test_a_release_keeps_its_reason_in_the_story(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission())
            (job,) = await take(store)
            await store.release(job, back(job, reason="fallback", failure={"message": "busy"}))
            event = (await told(store, asked.id))[-1]
            assert (event.kind, event.attempt) == ("released", 1)
            assert event.data == {"reason": "fallback", "run_at": None, "failure": {"message": "busy"}}

    run(main())


def test_a_hold_from_before_the_clock_went_back_is_promoted(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, submission())
            (job,) = await take(store)
            await store.release(job, back(job, run_at=MORNING + SECOND))
            hands.jump(-48 * 3600)
            assert await store.promote(3600) == [("echo", "key:alice")]

    run(main())


def test_a_stale_attempt_can_neither_finish_nor_release_the_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission())
            (stale,) = await take(store)
            await store.release(stale, back(stale))
            assert not await store.finish(stale, completed()), "the job waits again"
            (present,) = await take(store)
            before = await found(store, asked.id)
            assert not await store.finish(stale, completed())
            assert not await store.release(stale, back(stale))
            assert await found(store, asked.id) == before
            assert await store.finish(present, completed(b"{}"))
            assert not await store.finish(present, failed())
            assert not await store.release(present, back(present))
            assert (await found(store, asked.id)).body == b"{}"
        ended_once(folder / "coatcheck.db", [asked.id])

    run(main())


async def held(store: Store, job: Job) -> None:
    await store.release(job, back(job, run_at=2 * MORNING))


async def ready(store: Store, job: Job) -> None:
    await store.release(job, back(job))


async def runs(store: Store, job: Job) -> None:
    """As it was claimed."""


async def has_completed(store: Store, job: Job) -> None:
    await store.finish(job, completed())


async def was_cancelled(store: Store, job: Job) -> None:
    await store.cancel(job.id, None)


@pytest.mark.parametrize("move", [held, ready, runs])
def test_a_job_that_has_not_ended_can_be_cancelled(move: Any, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder, clock=Hands().clock) as store:
            await add(store, asked := submission(ttl_seconds=5))
            (claimed,) = await take(store)
            await move(store, claimed)
            before = (await found(store, asked.id)).job
            assert await store.cancel(asked.id, asked.owner) == before, "the answer is the job as it was"
            ticket = await found(store, asked.id)
            assert (ticket.job.state, ticket.job.status_code, ticket.body) == (State.CANCELLED, 499, None)
            assert (ticket.job.completed_at, ticket.job.expires_at) == (MORNING, MORNING + 5 * SECOND)
            assert ticket.job.run_at is None
            assert not await store.finish(claimed, completed())
            assert not await store.release(claimed, back(claimed))
            assert await take(store) == []
            assert await store.backlog() == []
            assert await found(store, asked.id) == ticket
        ended_once(folder / "coatcheck.db", [asked.id])

    run(main())


@pytest.mark.parametrize("move", [has_completed, was_cancelled])
def test_a_job_that_has_ended_cannot_be_cancelled(move: Any, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission())
            await move(store, (await take(store))[0])
            before = await found(store, asked.id)
            assert await store.cancel(asked.id, asked.owner) is None
            assert await found(store, asked.id) == before
        ended_once(folder / "coatcheck.db", [asked.id])

    run(main())


def test_a_foreign_job_is_as_unknown_as_none(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission(owner="key:alice"))
            for id, owner in ((asked.id, "key:bob"), (submission().id, "key:alice")):
                assert await store.ticket(id, owner) is None
                assert await store.cancel(id, owner) is None
            assert (await found(store, asked.id, None)).job.state is State.PENDING, "an admin sees it"
            assert await store.cancel(asked.id, None) is not None

    run(main())


def test_a_stranger_who_cancels_at_the_same_moment_as_the_owner_learns_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission(owner="key:alice"))
            owners = ["key:bob", "key:alice", "key:alice", None]
            answers = await asyncio.gather(*(store.cancel(asked.id, owner) for owner in owners))
            assert [answer is not None for answer in answers] == [False, True, False, False]

    run(main())
