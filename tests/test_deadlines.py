"""A job ends within `timeout_seconds` of its first call, wherever it waits; and what never called costs nothing."""

from pathlib import Path
from typing import Any

import orjson

from coatcheck.engine.calls import OnInterrupt
from coatcheck.engine.jobs import SECOND, State
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider

from .jobs import Hands, add, back, counted, echo, found, opened, pooled, submission, take, told, until
from .servers import Upstream, chat


def test_a_pending_job_past_its_time_is_failed_where_it_waits(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, asked := submission())
            (job,) = await take(store)
            assert await store.release(job, back(job, run_at=hands.clock.now() + 3600 * SECOND))
            hands.pass_(100)
            async with pooled(store, echo(), clock=hands.clock, timeout_seconds=60) as pool:
                ticket = await until(store, asked.id)
                assert (ticket.job.state, ticket.job.status_code, ticket.job.calls) == (State.FAILED, 504, 1)
                assert ticket.body is not None
                failure = orjson.loads(ticket.body)
                assert failure["message"] == "the job did not end within 60 seconds of its first call"
                assert [event.kind for event in await told(store, asked.id)] == ["claimed", "released", "failed"]
                await counted(pool, store, pending=0, running=0)

    run(main())


def test_a_job_whose_time_is_over_is_not_called_again(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with Upstream(chat) as upstream, opened(folder, clock=hands.clock) as store:
            await add(store, asked := submission("up/model"), lane="up")
            await take(store, lane="up")
            hands.pass_(100)
            provider = OpenAIProvider("up", OpenAIOptions(base_url=upstream.url), {})
            async with pooled(store, provider, clock=hands.clock, timeout_seconds=60):
                ticket = await until(store, asked.id)
            assert ticket.job.status_code == 504
            assert upstream.asked.empty(), "a call was made for a job that could only fail"

    run(main())


def test_a_stop_costs_nothing_to_jobs_that_have_not_called_yet(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            asked = [submission("hang") for _ in range(300)]
            await add(store, *asked)
            async with pooled(store, echo(), on_interrupt=OnInterrupt.FAIL):
                # Left at once: the pool is drained with no grace while its claims come in.
                pass
            for one in asked:
                job = (await found(store, one.id)).job
                if job.state is State.PENDING:
                    assert job.calls == 0, "a call was counted that nobody began"
                else:
                    assert (job.state, job.status_code) == (State.FAILED, 503)
            called = [event for one in asked for event in await told(store, one.id) if event.kind == "failed"]
            assert len(called) < len(asked)

    run(main())
