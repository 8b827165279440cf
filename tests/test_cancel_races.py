"""A cancel and an outcome at the same moment: one of them comes first, and everyone is told the same."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.jobs import Job, State, Ticket
from coatcheck.engine.pool import Pool
from coatcheck.engine.store import Store

from .jobs import add, back, completed, counted, ended_once, found, opened, pooled, remote, submission, take, until
from .servers import Gate, Upstream, never

Run = Callable[[Awaitable[Any]], Any]

RACES = 2000
AT_ONCE = 50


@pytest.mark.parametrize("cancel_first", [True, False])
def test_a_cancel_and_a_finish_in_one_commit_agree_on_the_outcome(cancel_first: bool, folder: Path, run: Run) -> None:
    async def race(store: Store, job: Job) -> None:
        finish, cancel = store.finish(job, completed()), store.cancel(job.id, job.owner)
        if cancel_first:
            before, won = await asyncio.gather(cancel, finish)
        else:
            won, before = await asyncio.gather(finish, cancel)
        assert won == (before is None), "both or neither think that they ended the job"
        ticket = await found(store, job.id)
        assert ticket.job.state is (State.COMPLETED if won else State.CANCELLED)
        assert ticket.body == (b'{"answer":1}' if won else None)

    async def main() -> None:
        ids = []
        async with opened(folder) as store:
            for _ in range(RACES // AT_ONCE):
                await add(store, *(asked := [submission() for _ in range(AT_ONCE)]))
                await asyncio.gather(*(race(store, job) for job in await take(store, count=AT_ONCE)))
                ids += [one.id for one in asked]
        ended_once(folder / "coatcheck.db", ids)

    run(main())


def test_a_cancel_a_release_and_a_claim_in_one_commit_agree(folder: Path, run: Run) -> None:
    async def race(store: Store, job: Job, order: list[int]) -> None:
        moves: list[Any] = [store.cancel(job.id, job.owner), store.release(job, back(job)), take(store)]
        answers = await asyncio.gather(*(moves[at] for at in order))
        before, _, claimed = (answers[order.index(at)] for at in range(3))
        assert before is not None, "whatever came first, the job had not ended"
        assert (await found(store, job.id)).job.state is State.CANCELLED
        for attempt in (job, *claimed):
            assert not await store.finish(attempt, completed())

    async def main() -> None:
        chance = random.Random(7)
        ids = []
        async with opened(folder) as store:
            for _ in range(200):
                await add(store, asked := submission())
                (job,) = await take(store)
                await race(store, job, chance.sample(range(3), 3))
                ids.append(asked.id)
        ended_once(folder / "coatcheck.db", ids)

    run(main())


def test_the_cancel_of_a_running_job_closes_the_connection_to_its_upstream(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(never) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url, concurrency=AT_ONCE)) as pool,
        ):
            asked = {f"gpt-{number}": submission(f"gpt-{number}", provider="up") for number in range(200)}
            await asyncio.gather(*map(pool.submit, asked.values()))
            for _ in asked:
                model = (await upstream.asked.get())["model"]
                ticket = await pool.cancel(asked[model].id, asked[model].owner)
                assert ticket.job.state is State.CANCELLED
                assert (await upstream.lost.get())["model"] == model
            await counted(pool, store, pending=0, running=0)
            assert upstream.asked.empty()
            assert upstream.lost.empty()
        ended_once(folder / "coatcheck.db", [one.id for one in asked.values()])

    run(main())


async def told_the_same(pool: Pool, store: Store, id: str, owner: str) -> Ticket:
    """Cancels the job; what the answer says is what stays."""
    answer = await pool.cancel(id, owner)
    assert answer.job.state in (State.CANCELLED, State.COMPLETED), answer.job.state
    assert await found(store, id) == answer, "the cancel's answer was not the outcome"
    again = await pool.cancel(id, owner)
    assert again == answer, "a second cancel changed the outcome"
    return answer


def test_a_cancel_and_the_upstreams_answer_at_once_make_one_outcome(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate, chance = Gate(), random.Random(11)
        outcomes = {State.CANCELLED: 0, State.COMPLETED: 0}

        async with (
            Upstream(gate.answer) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url, concurrency=AT_ONCE)) as pool,
        ):
            asked = [submission("gpt", provider="up") for _ in range(RACES)]
            for first in range(0, len(asked), AT_ONCE):
                crowd = asked[first : first + AT_ONCE]
                await asyncio.gather(*map(pool.submit, crowd))
                for _ in crowd:
                    await upstream.asked.get()
                gate.let(AT_ONCE)
                # An answer takes some turns of the loop to come; the cancels come in the midst of them.
                for _ in range(chance.randrange(40)):
                    await asyncio.sleep(0)
                answers = await asyncio.gather(*(told_the_same(pool, store, one.id, one.owner) for one in crowd))
                for answer in answers:
                    outcomes[answer.job.state] += 1
                    assert (answer.body is None) == (answer.job.state is State.CANCELLED)
                gate.reset()
            final = [(await found(store, one.id)).job for one in asked]
            assert {job.attempt for job in final} == {1}
            await counted(pool, store, pending=0, running=0)
        assert min(outcomes.values()) > 0, f"these were no races: {outcomes}"
        ended_once(folder / "coatcheck.db", [one.id for one in asked])

    run(main())


def test_jobs_that_are_cancelled_at_every_stage_leave_no_trace_in_the_counters(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate, chance = Gate(), random.Random(13)
        async with (
            Upstream(gate.answer) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url, concurrency=3), max_pending=100) as pool,
        ):
            asked = [submission("gpt", provider="up", owner=f"key:{number % 7}") for number in range(300)]

            async def come_and_go(number: int) -> None:
                one = asked[number]
                await pool.submit(one)
                for _ in range(chance.randrange(60)):
                    await asyncio.sleep(0)
                if chance.random() < 0.8:
                    await pool.cancel(one.id, one.owner)

            for first in range(0, 300, 60):
                await asyncio.gather(*map(come_and_go, range(first, first + 60)))
                gate.let(60)
                for one in asked[first : first + 60]:
                    await until(store, one.id)
                gate.reset()
            await counted(pool, store, pending=0, running=0)
            gate.let(100)
            late = [submission("gpt", provider="up", owner=f"key:{number % 7}") for number in range(100)]
            await asyncio.gather(*map(pool.submit, late))
            for one in late:
                ticket = await until(store, one.id)
                assert ticket.job.state is State.COMPLETED, "a job of later is still served"
                assert ticket.body is not None
                assert orjson.loads(ticket.body)["object"] == "chat.completion"
        ended_once(folder / "coatcheck.db", [one.id for one in (*asked, *late)])

    run(main())
