"""`Prefer: wait`: answers that are held back until the job ends, and who wakes them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from coatcheck.engine.jobs import State
from coatcheck.handlers import tickets
from coatcheck.schemas.operations import OPERATIONS

from .clients import ECHO, Answer, Client, client, request
from .jobs import until
from .owners import owners
from .servers import Gate, Upstream, gateway

Run = Callable[[Awaitable[Any]], Any]

WAIT = {"Prefer": "wait=60"}
HANG = "echo/hang"


async def begun(c: Client, waiting: int) -> None:
    """Returns when so many clients are held back."""
    watchers, store = c.served.gateway.pool.watchers, c.served.gateway.store
    async with asyncio.timeout(30):
        while watchers.waiting != waiting:
            await store.alarms()


async def hold(c: Client, id: str, operation: str = "embeddings", **headers: str) -> asyncio.Task[Answer]:
    """A poll that waits, and is known to be waiting."""
    before = c.served.gateway.pool.watchers.waiting
    poll = asyncio.create_task(c.ask("GET", f"/v1/async/{operation}/{id}", headers={**WAIT, **headers}))
    await begun(c, before + 1)
    return poll


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_submit_that_waits_is_answered_with_the_outcome(folder: Path, run: Run, operation: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", f"/v1/async/{operation}", request(operation), {"Prefer": "wait=30"})
            assert (answer.status, answer.json["status"]) == (200, "completed")
            assert answer.headers["Preference-Applied"] == "wait=30"
            assert "Prefer" in answer.headers["Vary"]
            assert "Retry-After" not in answer.headers
            poll = await c.ask("GET", answer.headers["Location"])
            assert (poll.text, poll.headers["ETag"]) == (answer.text, answer.headers["ETag"])

    run(main())


def test_no_end_comes_between_the_submit_and_the_wait(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            asked = (c.ask("POST", "/v1/async/embeddings", request("embeddings"), WAIT) for _ in range(300))
            answers = await asyncio.gather(*asked)
            assert {(answer.status, answer.json["status"]) for answer in answers} == {(200, "completed")}
            assert c.served.gateway.pool.watchers.waiting == 0

    run(main())


def test_a_wait_that_runs_out_shows_the_present_state_and_the_job_goes_on(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", "/v1/async/embeddings", request("embeddings", HANG), {"Prefer": "wait=1"})
            assert (answer.status, answer.json["status"]) == (202, "processing")
            assert answer.headers["Preference-Applied"] == "wait=1"
            assert int(answer.headers["Retry-After"]) >= 1
            poll = await c.ask("GET", answer.headers["Location"], headers={"Prefer": "wait=1"})
            assert (poll.status, poll.json) == (202, answer.json)
            assert c.served.gateway.pool.running == 1

    run(main())


def test_a_wait_is_no_longer_than_the_server_grants(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, server={"max_wait_seconds": 1}) as c:
            id = await c.submit("embeddings", HANG)
            async with asyncio.timeout(20):
                answer = await c.ask("GET", f"/v1/async/jobs/{id}", headers=WAIT)
            assert (answer.status, answer.headers["Preference-Applied"]) == (202, "wait=1")

    run(main())


@pytest.mark.parametrize("status", [200, 400])
def test_a_waiter_is_woken_by_the_answer_of_the_upstream(folder: Path, run: Run, status: int) -> None:
    async def main() -> None:
        gate = Gate()

        async def answer(body: dict[str, Any]) -> web.StreamResponse:
            response = await gate.answer(body)
            return response if status == 200 else web.json_response({"error": {"message": "no"}}, status=status)

        async with Upstream(answer) as up, client(folder, providers={"up": kind(up)}) as c:
            id = await c.submit("chat/completions", "up/gpt")
            poll = await hold(c, id, "chat/completions")
            look = asyncio.create_task(c.ask("GET", f"/v1/async/jobs/{id}", headers=WAIT))
            await begun(c, 2)
            gate.let(1)
            for waiter in (poll, look):
                shown = await waiter
                assert (shown.status, shown.json["status_code"]) == (200, status)
                assert ("result" in shown.json, "error" in shown.json) == (status == 200, status != 200)

    run(main())


def kind(upstream: Upstream, **options: Any) -> dict[str, Any]:
    return {"kind": "openai", "base_url": upstream.url, **options}


def test_a_waiter_is_woken_by_a_cancel_of_a_running_job_and_of_a_waiting_one(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            running, waiting = [await c.submit("embeddings", HANG) for _ in range(2)]
            for id in (waiting, running):
                poll = await hold(c, id)
                await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
                answer = await poll
                assert (answer.status, answer.json["state"]) == (200, "cancelled")

    run(main())


def test_a_waiter_is_woken_when_a_job_is_overdue_where_it_waits(folder: Path, run: Run) -> None:
    async def main() -> None:
        providers = {"echo": {"kind": "echo", "retries": 0}, "slow": {"kind": "echo", "concurrency": 1}}
        async with client(folder, providers=providers, jobs={"timeout_seconds": 0.5}) as c:
            # The second of them takes the slot for longer than the job below has time.
            for _ in range(2):
                await c.submit("embeddings", "slow/hang")
            body = request("embeddings", "echo/status-503", fallbacks=["slow/echo"])
            answer = await c.ask("POST", "/v1/async/embeddings", body, WAIT)
            assert (answer.status, answer.json["status_code"]) == (200, 504)
            message = answer.json["error"]["error"]["message"]
            assert message == "the job did not end within 0.5 seconds of its first call"

    run(main())


def test_a_waiter_is_woken_by_cancel_after(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            headers = {**WAIT, "Cancel-After": "1"}
            answer = await c.ask("POST", "/v1/async/embeddings", request("embeddings", HANG), headers)
            assert (answer.status, answer.json["state"]) == (200, "cancelled")
            assert "by the time that Cancel-After gave it" in answer.json["error"]["error"]["message"]

    run(main())


def test_a_waiter_sleeps_through_retries_and_fallbacks(folder: Path, run: Run) -> None:
    async def main() -> None:
        providers = {"echo": {"kind": "echo", "retries": 0}}
        async with client(folder, providers=providers) as c:
            body = request("embeddings", "echo/status-500", fallbacks=["echo/status-503", "echo/wait-0.1"])
            answer = await c.ask("POST", "/v1/async/embeddings", body, WAIT)
            assert answer.json["result"]["extra_fields"]["original_model_requested"] == "wait-0.1"

    run(main())


def test_a_thousand_waiters_on_one_job_and_on_many_are_all_woken(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with Upstream(gate.answer) as up, client(folder, providers={"up": kind(up, concurrency=200)}) as c:
            one = await c.submit("chat/completions", "up/gpt")
            many = await asyncio.gather(*(c.submit("chat/completions", "up/gpt") for _ in range(100)))
            # Without HTTP: descriptors are few on some machines.
            watchers, woken = c.served.gateway.pool.watchers, []

            async def wait(id: str) -> None:
                with watchers.end_of(id) as bell:
                    assert await bell.rung(60)
                    ticket = await c.served.gateway.store.ticket(id, None)
                    assert ticket is not None
                    assert ticket.job.state.ended, "woken before the end was on disk"
                    woken.append(id)

            waiters = [asyncio.create_task(wait(id)) for id in [one] * 1000 + list(many) * 10]
            await begun(c, len(waiters))
            polls = [await hold(c, id, "chat/completions") for id in [one] * 20 + list(many[:20])]
            gate.let(101)
            await asyncio.gather(*waiters)
            assert {(await poll).status for poll in polls} == {200}
            assert (woken.count(one), len(woken)) == (1000, 2000)
            assert watchers.waiting == 0
            assert watchers._ends == {}, "bells are left behind"

    run(main())


def test_a_client_that_leaves_is_noticed(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "_LOOK_SECONDS", 0.02)

    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG)
            host, _, port = c.served.url.removeprefix("http://").partition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET /v1/async/jobs/{id} HTTP/1.1\r\nHost: {host}\r\nPrefer: wait=60\r\n\r\n".encode())
            await begun(c, 1)
            writer.close()
            await writer.wait_closed()
            await begun(c, 0)
            # Its job goes on.
            await until(c.served.gateway.store, id, lambda ticket: ticket.job.state is State.PROCESSING)

    run(main())


def test_a_stop_answers_those_who_wait_and_does_not_wait_for_them(folder: Path, run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession() as session:
            async with gateway(folder, providers=ECHO, jobs={"shutdown_grace_seconds": 0}) as served:
                c = Client(session, served, {})
                polls = [await hold(c, await c.submit("embeddings", HANG)) for _ in range(3)]
                while served.gateway.pool.running < 3:
                    await served.gateway.store.alarms()
                stopped = loop.time()
            for poll in polls:
                answer = await poll
                assert (answer.status, answer.json["status"]) == (202, "processing")
        assert loop.time() - stopped < 10

    run(main())


def test_a_wait_with_a_known_tag_ends_with_the_change_or_with_304(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG)
            while (known := await c.ask("GET", f"/v1/async/embeddings/{id}")).json["status"] != "processing":
                pass
            tag = {"If-None-Match": known.headers["ETag"]}
            same = await c.ask("GET", f"/v1/async/embeddings/{id}", headers={**tag, "Prefer": "wait=1"})
            assert (same.status, same.text, same.headers["Preference-Applied"]) == (304, b"", "wait=1")
            poll = await hold(c, id, **tag)
            await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
            assert (await poll).json["state"] == "cancelled"

    run(main())


def test_nobody_waits_for_a_job_of_another_owner(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with owners(folder) as by:
            id = await by.alice.submit("embeddings", HANG)
            for path in (f"/v1/async/embeddings/{id}", f"/v1/async/jobs/{id}"):
                answer = await by.bob.ask("GET", path, headers=WAIT)
                assert (answer.status, answer.code) == (404, "job_not_found")
            poll = asyncio.create_task(by.root.ask("GET", f"/v1/async/jobs/{id}", headers=WAIT))
            await begun(by.root, 1)
            await by.alice.ask("POST", f"/v1/async/jobs/{id}/cancel")
            assert (await poll).status == 200

    run(main())
