"""Cancel-After: a job that has not ended by then is cancelled, wherever it is."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from coatcheck.engine.calls import OnInterrupt
from coatcheck.engine.clock import Clock
from coatcheck.engine.errors import InvalidRequest
from coatcheck.engine.jobs import SECOND, State, Submission
from coatcheck.handlers.headers import cancel_at

from .clients import ECHO, client, request
from .jobs import (
    Hands,
    add,
    back,
    counted,
    echo,
    ended_once,
    found,
    opened,
    pooled,
    remote,
    submission,
    take,
    told,
    until,
)
from .servers import Gate, ServerProcess, Upstream

Run = Callable[[Awaitable[Any]], Any]

NOW = 1_000_000_007
HANG = "echo/hang"


def due(seconds: float, *models: str, **more: Any) -> Submission:
    """A submission that is to be cancelled after so long."""
    asked = submission(*models, **more)
    return asked._replace(cancel_at=asked.created_at + int(seconds * SECOND))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("90", 90), ("90s", 90), ("1m30s", 90), ("1m30", 90), ("1h", 3600), ("1h1m1s", 3661), ("1h1s", 3601),
        ("2m", 120), (" 5 ", 5), ("0h0m1s", 1), ("007", 7), ("8760h", 31_536_000), ("31536000", 31_536_000),
    ],
)  # fmt: skip
def test_a_duration_is_counted_from_now(header: str, seconds: int) -> None:
    assert cancel_at(header, NOW) == NOW + seconds * SECOND


def test_without_the_header_a_job_is_never_cancelled() -> None:
    assert cancel_at(None, NOW) is None


@pytest.mark.parametrize(
    "header",
    [
        "", " ", "0", "0s", "0h0m0s", "-1", "+1", "1.5", "1e3", "s", "m", "1 m", "1s1m", "1m1h", "1d", "90S", "1h1h",
        "٩٠", "31536001", "8761h", "9" * 30, "soon", "2026-11-21T12:00:00Z", "Sat, 21 Nov 2026 12:00:00 GMT", "1\x00",
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest, match="expected a time from now, as 90, 90s, 1m30s or 1h, got ") as caught:
        cancel_at(header, NOW)
    assert caught.value.param == "Cancel-After"
    assert len(caught.value.message) < 150


def test_a_bad_duration_is_a_400_and_no_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for bad in ("soon", "", "0", "x" * 4000):
                answer = await c.ask("POST", "/v1/async/embeddings", request("embeddings"), {"Cancel-After": bad})
                assert (answer.status, answer.json["error"]["param"]) == (400, "Cancel-After")
            assert (await c.ask("GET", "/v1/async/jobs")).json == {"data": []}

    run(main())


def test_a_job_shows_when_it_will_be_cancelled_and_then_that_it_was(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG, headers={"Cancel-After": "1"})
            ticket = await found(c.served.gateway.store, id)
            shown = (await c.ask("GET", f"/v1/async/jobs/{id}")).json
            assert ticket.job.cancel_at == ticket.job.created_at + SECOND
            assert shown["cancel_at"] > shown["created_at"]
            ended = (await c.ask("GET", f"/v1/async/jobs/{id}?include=attempts", headers={"Prefer": "wait=30"})).json
            assert (ended["status"], ended["state"], ended["status_code"]) == ("failed", "cancelled", 499)
            assert ended["completed_at"] >= shown["cancel_at"]
            assert "cancel_at" not in ended
            assert ended["error"]["error"] == {
                "message": "the job was cancelled: it had not ended by the time that Cancel-After gave it",
                "code": "job_cancelled",
            }
            assert (ended["attempts"][0]["status"], ended["attempts"][0]["reason"]) == ("cancelled", "cancel_after")

    run(main())


def test_a_job_that_is_cancelled_before_says_so_itself(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG, headers={"Cancel-After": "1h"})
            ended = (await c.ask("POST", f"/v1/async/jobs/{id}/cancel")).json
            assert ended["error"]["error"]["message"] == "the job was cancelled"

    run(main())


def test_a_job_that_ends_in_time_stays_as_it_ended(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, asked := due(10))
            async with pooled(store, echo(), clock=hands.clock) as pool:
                ended = await until(store, asked.id)
                assert ended.job.state is State.COMPLETED
                hands.pass_(20)
                # Another that was due before wakes the alarm, which sleeps by the real clock.
                await pool.submit(second := due(5, "hang"))
                await until(store, second.id)
                assert await found(store, asked.id) == ended
        ended_once(folder / "coatcheck.db", [asked.id, second.id])

    run(main())


@pytest.mark.parametrize("stage", ["pending", "processing", "held"])
def test_a_job_is_cancelled_wherever_it_is(folder: Path, run: Run, stage: str) -> None:
    async def main() -> None:
        hands, gate = Hands(), Gate()
        async with Upstream(gate.answer) as up, opened(folder, clock=hands.clock) as store:
            provider = remote("up", up.url, concurrency=1)
            asked = due(100, "gpt", provider="up")
            if stage == "held":
                await add(store, asked, lane="up")
                (job,) = await take(store, lane="up")
                assert await store.release(job, back(job, run_at=hands.wall + 3600 * SECOND))
            async with pooled(store, provider, clock=hands.clock) as pool:
                if stage != "held":
                    if stage == "pending":
                        await pool.submit(submission("gpt", provider="up"))
                        await up.asked.get()
                    await pool.submit(asked)
                    if stage == "processing":
                        await up.asked.get()
                assert (await found(store, asked.id)).job.state == ("pending" if stage == "held" else stage)
                hands.pass_(100)
                # The alarm sleeps by the real clock; a submit that is due at once wakes it.
                await pool.submit(due(1, "gpt", provider="up"))
                job = (await until(store, asked.id)).job
                assert (job.state, job.status_code, job.completed_at) == (State.CANCELLED, 499, asked.cancel_at)
                if stage == "processing":
                    assert await up.lost.get(), "the call is ended with it"
                await counted(pool, store, pending=0, running=1 if stage == "pending" else 0)
        ended_once(folder / "coatcheck.db", [asked.id])

    run(main())


def test_a_job_that_was_due_while_no_server_ran_is_not_called_any_more(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with Upstream() as up, opened(folder, clock=hands.clock) as store:
            waiting, interrupted, later = [due(seconds, "gpt", provider="up") for seconds in (60, 60, 6000)]
            await add(store, interrupted, lane="up")
            await take(store, lane="up")
            await add(store, waiting, later, lane="up")
            hands.pass_(100)
            async with pooled(store, remote("up", up.url), clock=hands.clock, on_interrupt=OnInterrupt.RETRY) as pool:
                for one in (waiting, interrupted):
                    assert (await until(store, one.id)).job.state is State.CANCELLED
                assert (await until(store, later.id)).job.state is State.COMPLETED
                await counted(pool, store, pending=0, running=0)
            assert up.asked.qsize() == 1, "a call was made for a job that was to be cancelled"
            story = [event.kind for event in await told(store, interrupted.id)]
            assert (story.count("claimed"), story[-1]) == (1, "cancelled")
        ended_once(folder / "coatcheck.db", [waiting.id, interrupted.id, later.id])

    run(main())


def test_more_jobs_than_one_statement_takes_are_all_cancelled(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            asked = [due(60, "hang") for _ in range(2300)]
            await add(store, *asked)
            hands.pass_(60)
            async with pooled(store, echo(concurrency=1), clock=hands.clock) as pool:
                await until(store, asked[-1].id)
                await counted(pool, store, pending=0, running=0)
        ended_once(folder / "coatcheck.db", [one.id for one in asked])

    run(main())


def test_the_request_is_forgotten_with_the_job_where_requests_are_not_kept(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            asked = [due(60, "hang"), submission("hang")]
            await add(store, *asked)
            hands.pass_(60)
            assert [job.id for job in await store.cancel_due(keep_request=False)] == [asked[0].id]
            kept = [await store.request((await found(store, one.id)).job.seq) for one in asked]
            assert kept == [None, asked[1].request]

    run(main())


def test_a_job_is_cancelled_in_the_grace_time_of_a_stop_too(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo()) as pool:
            asked = due(0.3, "hang", created_at=Clock().now())
            await pool.submit(asked)
            await until(store, asked.id, lambda ticket: ticket.job.state is State.PROCESSING)
            async with asyncio.timeout(30):
                await pool.drain(60)
            assert (await found(store, asked.id)).job.state is State.CANCELLED
            assert (await told(store, asked.id))[-1].data["reason"] == "cancel_after"

    run(main())


def test_a_wall_clock_that_jumps_back_cancels_nothing_early(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, due(60, "hang"))
            hands.jump(-3600)
            hands.pass_(60)
            assert await store.cancel_due() == []
            hands.jump(3600)
            assert len(await store.cancel_due()) == 1

    run(main())


def test_the_time_goes_on_while_the_server_is_dead(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server, aiohttp.ClientSession() as session:
            async with session.post(
                f"{server.url}/v1/async/embeddings",
                json=request("embeddings", HANG),
                headers={"Cancel-After": "2"},
            ) as response:
                id = (await response.json())["id"]
            await server.kill9()
            await server.start()
            headers = {"Prefer": "wait=30"}
            async with session.get(f"{server.url}/v1/async/jobs/{id}", headers=headers) as response:
                assert (await response.json())["state"] == "cancelled"

    run(main())
