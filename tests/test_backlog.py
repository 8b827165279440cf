"""How many jobs may wait, in all and for each owner."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.errors import Overloaded
from coatcheck.engine.jobs import State

from .jobs import counted, echo, opened, pooled, remote, rows, submission, until
from .servers import Gate, Upstream

Run = Callable[[Awaitable[Any]], Any]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_pending": 2}, "2 jobs are waiting, which is the most this server takes"),
        ({"max_pending_per_owner": 2}, "2 of your jobs are waiting, which is the most an owner may have"),
    ],
)
def test_too_many_jobs_are_refused_before_anything_is_written(
    limits: dict[str, Any], reason: str, folder: Path, run: Run
) -> None:
    async def main() -> None:
        gate = Gate()
        async with (
            Upstream(gate.answer) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url, concurrency=1), **limits) as pool,
        ):
            await pool.submit(submission("gpt", provider="up"))
            await upstream.asked.get()
            await asyncio.gather(*(pool.submit(submission("gpt", provider="up")) for _ in range(2)))
            refused = submission("gpt", provider="up")
            with pytest.raises(Overloaded) as caught:
                await pool.submit(refused)
            assert caught.value.message == reason
            assert caught.value.retry_after == 5
            assert await store.ticket(refused.id, None) is None
            other = submission("gpt", provider="up", owner="key:bob")
            if "max_pending" in limits:
                with pytest.raises(Overloaded):
                    await pool.submit(other)
            else:
                await pool.submit(other)
            gate.let(1)
            await upstream.asked.get()
            await pool.submit(refused)
            gate.let(10)
            assert (await until(store, refused.id)).job.state is State.COMPLETED

    run(main())


def test_of_many_submits_at_once_no_more_are_taken_than_there_is_room_for(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo(concurrency=1), max_pending=20) as pool:
            await pool.submit(submission("hang"))
            await counted(pool, store, pending=0, running=1)
            answers = await asyncio.gather(*(pool.submit(submission()) for _ in range(50)), return_exceptions=True)
            assert sum(answer is None for answer in answers) == 20
            assert sum(isinstance(answer, Overloaded) for answer in answers) == 30
            assert rows(folder / "coatcheck.db", "SELECT COUNT(*) FROM job") == [(21,)]

    run(main())


def test_a_cancelled_job_makes_room(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo(concurrency=1), max_pending=1) as pool:
            await pool.submit(running := submission("hang"))
            await counted(pool, store, pending=0, running=1)
            await pool.submit(waiting := submission())
            with pytest.raises(Overloaded):
                await pool.submit(submission())
            await pool.cancel(waiting.id, waiting.owner)
            await pool.submit(waiting := submission())
            await pool.cancel(running.id, running.owner)
            assert (await until(store, waiting.id)).job.state is State.COMPLETED

    run(main())
