"""The pool: what runs when, where, for whom, and what it refuses."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from coatcheck.engine.calls import Call, CallPolicy, Reply
from coatcheck.engine.errors import JobNotFound
from coatcheck.engine.jobs import State

from .jobs import add, counted, echo, ended_once, found, opened, pooled, remote, rows, submission, told, until
from .servers import Gate, Upstream, never

Run = Callable[[Awaitable[Any]], Any]


def said(text: str) -> bytes:
    """A request that the upstream can tell from others."""
    return orjson.dumps({"messages": [{"role": "user", "content": text}]})


def text(request: dict[str, Any]) -> str:
    return str(request["messages"][0]["content"])


def test_a_job_runs_and_keeps_what_its_provider_answered(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo()) as pool:
            await pool.submit(asked := submission(request=said("good morning")))
            ticket = await until(store, asked.id)
            assert (ticket.job.state, ticket.job.status_code) == (State.COMPLETED, 200)
            assert ticket.body is not None
            assert orjson.loads(ticket.body)["choices"][0]["message"]["content"] == "good morning"
            await counted(pool, store, pending=0, running=0)
            assert [event.kind for event in await told(store, asked.id)] == ["claimed", "completed"]

    run(main())


def test_a_lane_that_stands_still_blocks_no_other(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            opened(folder) as store,
            pooled(store, echo("slow", concurrency=2), echo("fast", concurrency=1)) as pool,
        ):
            stuck = [submission("hang", provider="slow") for _ in range(10)]
            quick = [submission(provider="fast") for _ in range(10)]
            await asyncio.gather(*(pool.submit(one) for pair in zip(stuck, quick, strict=True) for one in pair))
            for one in quick:
                assert (await until(store, one.id)).job.state is State.COMPLETED
            states = [(await found(store, one.id)).job.state for one in stuck]
            assert sorted(states) == [State.PENDING] * 8 + [State.PROCESSING] * 2

    run(main())


def test_the_backlog_stays_on_disk_until_a_slot_is_free(folder: Path, run: Run) -> None:
    async def main() -> None:
        path, gate = folder / "coatcheck.db", Gate()
        async with (
            Upstream(gate.answer) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url, concurrency=3)) as pool,
        ):
            asked = [submission("gpt", provider="up") for _ in range(30)]
            await asyncio.gather(*(pool.submit(one) for one in asked))
            for begun in range(1, 31):
                await upstream.asked.get()
                claimed = rows(path, "SELECT COUNT(*) FROM job WHERE state = 'processing'")[0][0]
                assert claimed <= 3, "more is claimed than there are slots"
                assert pool.running <= 3
                if begun >= 3:
                    gate.let(1)
            gate.let(3)
            for one in asked:
                await until(store, one.id)
        ended_once(path, [one.id for one in asked])
        assert rows(path, "SELECT DISTINCT attempt FROM job") == [(1,)]

    run(main())


def test_a_noisy_owner_does_not_starve_a_quiet_one(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with (
            Upstream(gate.answer) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url, concurrency=1)) as pool,
        ):
            for number in range(50):
                owner = "key:quiet" if number >= 45 else "key:noisy"
                await pool.submit(submission("gpt", provider="up", owner=owner, request=said(owner)))
            order = []
            for _ in range(12):
                order.append(text(await upstream.asked.get()))
                gate.let(1)
            assert order.count("key:quiet") == 5, order

    run(main())


def test_an_owners_own_jobs_run_by_priority_then_age(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with (
            Upstream(gate.answer) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url, concurrency=1)) as pool,
        ):
            for name, priority in (("running", 3), ("last", 7), ("second", 3), ("third", 3), ("first", 0)):
                await pool.submit(submission("gpt", provider="up", priority=priority, request=said(name)))
            order = []
            for _ in range(5):
                order.append(text(await upstream.asked.get()))
                gate.let(1)
            assert order == ["running", "first", "second", "third", "last"]

    run(main())


def test_fallbacks_are_tried_in_their_order_and_the_story_tells_it(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo("one"), echo("two"), echo("three")) as pool:
            await pool.submit(asked := submission("one/status-404", "two/status-400", "three/echo"))
            job = (await until(store, asked.id)).job
            assert (job.state, job.at, job.lane) == (State.COMPLETED, asked.targets[2], "three")
            assert (job.attempt, job.calls, job.tries) == (3, 3, 1)
            story = [(event.kind, event.attempt, event.data) for event in await told(store, asked.id)]
            assert [(kind, attempt) for kind, attempt, _ in story] == [
                ("claimed", 1), ("released", 1), ("claimed", 2), ("released", 2), ("claimed", 3), ("completed", 3),
            ]  # fmt: skip
            assert [data["provider"] for kind, _, data in story if kind == "claimed"] == ["one", "two", "three"]
            released = [data for kind, _, data in story if kind == "released"]
            assert [data["reason"] for data in released] == ["fallback", "fallback"]
            assert [data["failure"]["message"] for data in released] == [
                "echo was told to answer 404",
                "echo was told to answer 400",
            ]

    run(main())


def test_a_retry_waits_and_then_succeeds(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo()) as pool:
            await pool.submit(asked := submission("flaky-1"))
            held = await until(store, asked.id, lambda ticket: ticket.job.run_at is not None)
            assert held.job.state is State.PENDING
            await counted(pool, store, pending=1, running=0)
            job = (await until(store, asked.id)).job
            assert (job.state, job.calls) == (State.COMPLETED, 2)
            claims = [event.at for event in await told(store, asked.id) if event.kind == "claimed"]
            assert held.job.run_at is not None
            assert claims[1] >= held.job.run_at

    run(main())


def test_a_job_of_a_provider_that_is_gone_falls_back(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission("gone/gpt", "echo/echo"), lane="gone")
            async with pooled(store, echo()):
                job = (await until(store, asked.id)).job
                assert (job.state, job.at) == (State.COMPLETED, asked.targets[1])
                assert job.calls == 1, "nothing was sent to the provider that is gone"

    run(main())


def test_a_job_of_a_provider_that_is_gone_fails_clearly(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission("gone/gpt"), lane="gone")
            async with pooled(store, echo()):
                ticket = await until(store, asked.id)
                assert (ticket.job.state, ticket.job.status_code) == (State.FAILED, 503)
                assert ticket.body is not None
                failure = orjson.loads(ticket.body)
                assert failure["message"] == "provider gone is no longer configured"
                assert failure["code"] == "provider_not_configured"

    run(main())


def test_a_call_that_takes_too_long_is_ended_and_falls_back(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(never) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url, timeout_seconds=0.05), echo()) as pool,
        ):
            await pool.submit(alone := submission("gpt", provider="up"))
            await pool.submit(backed := submission("up/gpt", "echo/echo"))
            ticket = await until(store, alone.id)
            assert (ticket.job.state, ticket.job.status_code, ticket.job.calls) == (State.FAILED, 504, 1)
            assert ticket.body is not None
            assert orjson.loads(ticket.body)["message"] == "provider up did not answer within 0.05 seconds"
            assert (await until(store, backed.id)).job.at == backed.targets[1]
            for _ in range(2):
                await upstream.lost.get()

    run(main())


def test_a_job_ends_when_its_own_time_is_over(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo(), timeout_seconds=0.05) as pool:
            await pool.submit(asked := submission("hang", "echo"))
            ticket = await until(store, asked.id)
            assert (ticket.job.state, ticket.job.status_code) == (State.FAILED, 504), "no time is left for a fallback"

    run(main())


class Careless:
    """A provider whose cost the database cannot keep."""

    policy = CallPolicy()
    lanes: ClassVar[Mapping[str, int]] = {"careless": 1}
    models = ("m",)

    def __init__(self, cost: int) -> None:
        self._cost = cost

    def lane(self, operation: str, model: str) -> str:
        return "careless"

    def check(self, operation: str, model: str) -> str | None:
        return None

    def default(self, operation: str) -> str | None:
        return None

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def execute(self, call: Call) -> Reply:
        return Reply(result=b"{}", cost=self._cost)


@pytest.mark.parametrize("cost", [-1, 1 << 70])
def test_an_outcome_that_cannot_be_kept_fails_the_job_and_does_not_lose_it(cost: int, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, Careless(cost)) as pool:
            await pool.submit(asked := submission("m", provider="careless"))
            await counted(pool, store, pending=0, running=0)
            ticket = await found(store, asked.id)
            assert (ticket.job.state, ticket.job.status_code) == (State.FAILED, 500)
            assert ticket.body is not None
            assert orjson.loads(ticket.body)["type"] == "internal_error"

    run(main())


def test_a_cancel_of_an_unknown_or_foreign_job_finds_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo(concurrency=1)) as pool:
            await pool.submit(asked := submission("hang"))
            for id, owner in ((submission().id, "key:alice"), (asked.id, "key:bob")):
                with pytest.raises(JobNotFound, match="job not found or expired"):
                    await pool.cancel(id, owner)
            assert not (await found(store, asked.id)).job.state.ended

    run(main())
