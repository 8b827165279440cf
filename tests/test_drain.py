"""How a pool stops and starts: what ends within the grace, what waits for the next start, and what was cut off."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.attempts import Attempts
from coatcheck.engine.calls import OnInterrupt
from coatcheck.engine.clock import Clock
from coatcheck.engine.errors import StoreUnavailable, Unavailable
from coatcheck.engine.jobs import State
from coatcheck.engine.settings import JobSettings

from .jobs import add, counted, echo, ended_once, found, opened, pooled, remote, submission, take, told, until
from .servers import Gate, Upstream, chat, never

Run = Callable[[Awaitable[Any]], Any]

#: A grace that no test waits out.
HOUR = 3600.0


def test_a_running_job_ends_within_the_grace_and_a_waiting_one_at_the_next_start(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with Upstream(gate.answer) as upstream, opened(folder) as store:
            provider = remote("up", upstream.url, concurrency=1)
            async with pooled(store, provider) as pool:
                await pool.submit(running := submission("gpt", provider="up"))
                await pool.submit(waiting := submission("gpt", provider="up"))
                await upstream.asked.get()
                drain = asyncio.create_task(pool.drain(HOUR))
                await asyncio.wait([drain], timeout=0)
                with pytest.raises(Unavailable, match="the server is stopping or has not started yet"):
                    await pool.submit(submission("gpt", provider="up"))
                gate.let(1)
                await drain
                assert (await found(store, running.id)).job.state is State.COMPLETED
                assert (await found(store, waiting.id)).job.state is State.PENDING
                assert upstream.asked.empty(), "nothing new begins during the grace"
            async with pooled(store, provider):
                gate.let(1)
                assert (await until(store, waiting.id)).job.state is State.COMPLETED
        ended_once(folder / "coatcheck.db", [running.id, waiting.id])

    run(main())


def test_a_job_that_outlasts_the_grace_is_released_and_goes_on_at_the_next_start(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(never) as upstream, opened(folder) as store:
            provider = remote("up", upstream.url, concurrency=4)
            asked = [submission("gpt", provider="up") for _ in range(4)]
            async with pooled(store, provider) as pool:
                await asyncio.gather(*(pool.submit(one) for one in asked))
                for _ in asked:
                    await upstream.asked.get()
                await pool.drain(0)
                for _ in asked:
                    await upstream.lost.get()
                for one in asked:
                    job = (await found(store, one.id)).job
                    assert (job.state, job.run_at, job.tries) == (State.PENDING, None, 0)
                    event = (await told(store, one.id))[-1]
                    assert (event.kind, event.data["reason"]) == ("released", "stopped")
            upstream.answer = chat
            async with pooled(store, provider):
                for one in asked:
                    job = (await until(store, one.id)).job
                    assert (job.state, job.calls) == (State.COMPLETED, 2)
        ended_once(folder / "coatcheck.db", [one.id for one in asked])

    run(main())


def test_with_on_interrupt_fail_a_job_that_outlasts_the_grace_ends(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(never) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url), on_interrupt=OnInterrupt.FAIL) as pool,
        ):
            await pool.submit(asked := submission("up/gpt", "up/other"))
            await upstream.asked.get()
            await pool.drain(0)
            ticket = await found(store, asked.id)
            assert (ticket.job.state, ticket.job.status_code) == (State.FAILED, 503)
            assert ticket.body is not None
            assert orjson.loads(ticket.body)["code"] == "server_stopped"

    run(main())


def test_hurry_ends_the_grace(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(never) as upstream, opened(folder) as store:
            async with pooled(store, remote("up", upstream.url)) as pool:
                await pool.submit(asked := submission("gpt", provider="up"))
                await upstream.asked.get()
                drain = asyncio.create_task(pool.drain(HOUR))
                await asyncio.wait([drain], timeout=0)
                assert not drain.done()
                pool.hurry()
                await drain
            assert (await found(store, asked.id)).job.state is State.PENDING

    run(main())


def test_a_drain_ends_though_the_last_claim_brought_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo(concurrency=1)) as pool:
            await pool.submit(running := submission("hang"))
            await until(store, running.id, lambda ticket: ticket.job.state is State.PROCESSING)
            await pool.submit(gone := submission())
            await pool.submit(last := submission(owner="key:bob"))
            # Behind the pool's back: it goes on to plan a turn for a job that no claim will bring.
            await store.cancel(gone.id, None)
            await pool.cancel(running.id, None)
            assert (await until(store, last.id)).job.state is State.COMPLETED
            await counted(pool, store, pending=1, running=0)
            async with asyncio.timeout(10):
                await pool.drain(HOUR)
            assert pool.running == 0

    run(main())


def test_a_drain_ends_while_nothing_can_be_claimed(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, waiting := submission())
            await store._writer.execute("PRAGMA busy_timeout = 0")
            async with locked(folder), pooled(store, echo()) as pool:
                with heard("coatcheck.engine.pool", "nothing could be claimed") as refused:
                    await refused.wait()
                async with asyncio.timeout(10):
                    await pool.drain(HOUR)
            assert (await found(store, waiting.id)).job.state is State.PENDING

    run(main())


def test_a_drain_of_an_idle_pool_ends_at_once_and_may_be_repeated(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo()) as pool:
            async with asyncio.timeout(10):
                await pool.drain(HOUR)
                await pool.drain(HOUR)

    run(main())


@pytest.mark.parametrize("on_interrupt", list(OnInterrupt))
def test_a_call_that_a_kill_cut_off_follows_on_interrupt(on_interrupt: OnInterrupt, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission())
            await take(store)
            async with pooled(store, echo(), on_interrupt=on_interrupt):
                ticket = await until(store, asked.id)
                kinds = [event.kind for event in await told(store, asked.id)]
            if on_interrupt is OnInterrupt.RETRY:
                assert kinds == ["claimed", "released", "claimed", "completed"]
                assert ticket.job.calls == 2
            else:
                assert kinds == ["claimed", "failed"]
                assert ticket.body is not None
                assert orjson.loads(ticket.body)["message"] == "the server was stopped or killed during the call"

    run(main())


def test_a_job_that_kills_keep_cutting_off_ends_at_max_attempts(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission())
            attempts = Attempts(store, {"echo": echo()}, JobSettings(max_attempts=3), Clock(), lambda _id: None)
            for _ in range(3):
                (job,) = await take(store)
                await attempts.recover(job, goes_on=False)
            ticket = await found(store, asked.id)
            assert (ticket.job.state, ticket.job.calls) == (State.FAILED, 3)
            kinds = [event.kind for event in await told(store, asked.id)]
            assert kinds == ["claimed", "released", "claimed", "released", "claimed", "failed"]

    run(main())


@asynccontextmanager
async def locked(folder: Path) -> AsyncIterator[None]:
    """Another program holds the write lock of the database."""
    with closing(sqlite3.connect(folder / "coatcheck.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


@contextmanager
def heard(logger: str, text: str) -> Iterator[asyncio.Event]:
    """Set by the first log record that contains the text."""
    event = asyncio.Event()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage():
                event.set()

    logging.getLogger(logger).addHandler(ear := Ear())
    try:
        yield event
    finally:
        logging.getLogger(logger).removeHandler(ear)


def test_an_outcome_that_cannot_be_written_is_written_later(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with (
            Upstream(gate.answer) as upstream,
            opened(folder) as store,
            pooled(store, remote("up", upstream.url), echo()) as pool,
        ):
            await pool.submit(asked := submission("gpt", provider="up"))
            await upstream.asked.get()
            await store._writer.execute("PRAGMA busy_timeout = 0")
            async with locked(folder):
                with heard("coatcheck.engine.batches", "cannot be used: database is locked") as refused:
                    gate.let(1)
                    await refused.wait()
                with pytest.raises(StoreUnavailable, match="database is locked"):
                    await pool.submit(submission())
                assert (await found(store, asked.id)).job.state is State.PROCESSING
            assert (await until(store, asked.id)).job.state is State.COMPLETED
            assert upstream.asked.empty(), "the call was not made again"
            await counted(pool, store, pending=0, running=0)
        ended_once(folder / "coatcheck.db", [asked.id])

    run(main())


def test_an_outcome_that_cannot_be_written_does_not_hold_up_a_stop(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with Upstream(gate.answer) as upstream, opened(folder) as store:
            async with pooled(store, remote("up", upstream.url)) as pool:
                await pool.submit(asked := submission("gpt", provider="up"))
                await upstream.asked.get()
                await store._writer.execute("PRAGMA busy_timeout = 0")
                async with locked(folder):
                    gate.let(1)
                    async with asyncio.timeout(10):
                        await pool.drain(HOUR)
            assert (await found(store, asked.id)).job.state is State.PROCESSING, "the next start settles it"
            gate.let(1)
            async with pooled(store, remote("up", upstream.url)):
                assert (await until(store, asked.id)).job.state is State.COMPLETED
        ended_once(folder / "coatcheck.db", [asked.id])

    run(main())
