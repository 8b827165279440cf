"""A job watched from its submit to its end: what comes, in which order, and what a reconnect brings."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from coatcheck.schemas.operations import OPERATIONS

from .clients import ECHO, Client, client, request
from .jobs import Hands
from .owners import owners
from .servers import Gate, ServerProcess, Upstream, gateway
from .streams import Sent, events, watching

Run = Callable[[Awaitable[Any]], Any]

UNKNOWN = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
HANG = "echo/hang"


def durable(sent: list[Sent]) -> list[tuple[int | None, str]]:
    """The story's events; progress comes and goes."""
    return [(one.id, one.kind) for one in sent if one.kind != "progress"]


async def quiet(c: Client) -> None:
    """Returns when nobody watches any more."""
    watchers, store = c.served.gateway.pool.watchers, c.served.gateway.store
    async with asyncio.timeout(30):
        while watchers.watching:
            await store.alarms()
    assert watchers._changes == {}, "bells are left behind"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_job_is_told_from_its_submit_to_its_outcome(folder: Path, run: Run, operation: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit(operation, headers={"x-request-id": "mine-1"})
            async with watching(c.served.url, id) as stream:
                assert stream.response.headers["Content-Type"] == "text/event-stream"
                assert stream.response.headers["Cache-Control"] == "no-store"
                sent = await stream.rest()
            assert durable(sent) == [(0, "submitted"), (1, "claimed"), (2, "completed")]
            shown = (await c.ask("GET", f"/v1/async/jobs/{id}?include=attempts")).json
            (attempt,) = shown.pop("attempts")
            assert sent[0].data == {
                "id": id, "request_id": "mine-1", "status": "pending", "created_at": shown["created_at"],
                "operation": operation, "model": "echo/echo",
            }  # fmt: skip
            assert sent[1].data == {"attempt": 1, "at": attempt["started_at"], "provider": "echo", "model": "echo"}
            if OPERATIONS[operation].answers_files:
                del shown["result"]
                shown["result_omitted"] = True
            assert sent[-1].data == shown
            await quiet(c)

    run(main())


def test_a_waiting_job_is_told_as_it_goes_on(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        providers = {"up": {"kind": "openai", "concurrency": 1}}
        async with Upstream(gate.answer) as up:
            providers["up"]["base_url"] = up.url
            async with client(folder, providers=providers) as c:
                _, id = [await c.submit("chat/completions", "up/gpt") for _ in range(2)]
                async with watching(c.served.url, id) as stream:
                    assert (await stream.until("submitted")).id == 0
                    assert c.served.gateway.pool.backlog.total == 1
                    gate.let(1)
                    assert (await stream.until("claimed")).id == 1
                    gate.let(1)
                    assert durable(await stream.rest()) == [(2, "completed")]

    run(main())


def test_retries_and_fallbacks_are_told_with_their_failures(folder: Path, run: Run) -> None:
    async def main() -> None:
        providers = {"echo": {"kind": "echo", "retries": 1}, "second": {"kind": "echo", "retries": 0}}
        async with client(folder, providers=providers) as c:
            id = await c.submit("embeddings", "echo/status-503", fallbacks=["second/status-404", "second/status-418"])
            sent = await events(c.served.url, id)
            assert durable(sent) == [
                (0, "submitted"), (1, "claimed"), (2, "released"), (3, "claimed"), (4, "released"), (5, "claimed"),
                (6, "released"), (7, "claimed"), (8, "failed"),
            ]  # fmt: skip
            released = [one.data for one in sent if one.kind == "released"]
            assert [(one["attempt"], one["reason"], one["failure"]["status_code"]) for one in released] == [
                (1, "retry", 503), (2, "fallback", 503), (3, "fallback", 404),
            ]  # fmt: skip
            assert released[0]["run_at"] > released[0]["at"]
            claimed = [one.data["provider"] + "/" + one.data["model"] for one in sent if one.kind == "claimed"]
            assert claimed == ["echo/status-503", "echo/status-503", "second/status-404", "second/status-418"]
            assert sent[-1].data["error"]["status_code"] == 418

    run(main())


def test_a_reconnect_brings_what_was_not_seen_and_nothing_twice(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "retries": 0}}) as c:
            id = await c.submit("embeddings", "echo/status-503", fallbacks=["echo/echo"])
            every = await events(c.served.url, id)
            assert len(every) == 5
            for seen in range(4):
                assert await events(c.served.url, id, after=seen) == every[seen + 1 :]
            for seen in (4, 5, 999_999_999):
                async with watching(c.served.url, id, after=seen) as stream:
                    assert (stream.status, await stream.response.read()) == (204, b"")
            for bogus in ("x", "-1", "1.5", "0x1", "9" * 30, "1a"):
                assert await events(c.served.url, id, after=bogus) == every

    run(main())


def test_an_id_that_no_event_has_yet_does_not_hide_those_that_come(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG)
            async with watching(c.served.url, id) as told:
                await told.until("claimed")
            async with watching(c.served.url, id, after=77) as stream:
                await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
                assert durable(await stream.rest()) == [(2, "cancelled")]

    run(main())


def test_a_cancel_ends_the_stream_of_a_running_job_and_of_a_waiting_one(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            running, waiting = [await c.submit("embeddings", HANG) for _ in range(2)]
            async with watching(c.served.url, running) as first, watching(c.served.url, waiting) as second:
                await first.until("claimed")
                await second.until("submitted")
                for id, stream, number in ((waiting, second, 1), (running, first, 2)):
                    shown = await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
                    assert await stream.rest() == [Sent("cancelled", number, shown.json)]
            await quiet(c)

    run(main())


@pytest.mark.parametrize("claimed", [True, False])
def test_the_stream_of_a_job_that_is_deleted_before_its_end_was_told_ends(
    folder: Path, run: Run, claimed: bool
) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            store = c.served.gateway.store
            id = [await c.submit("embeddings", HANG) for _ in range(1 if claimed else 2)][-1]
            async with watching(c.served.url, id) as stream:
                await stream.until("claimed" if claimed else "submitted")
                # Both in one commit: the stream finds neither job nor story.
                before, deleted = await asyncio.gather(store.cancel(id, None), store.delete(id, None))
                assert before is not None
                assert deleted
                c.served.gateway.pool.watchers.ended(id)
                assert await stream.rest() == []
            await quiet(c)

    run(main())


def test_only_those_who_may_see_a_job_may_watch_it(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with owners(folder) as by:
            id = await by.alice.submit("embeddings")
            for who, path in ((by.bob, id), (by.alice, UNKNOWN), (by.alice, "x"), (by.alice.with_key("sk-bf-no"), id)):
                answer = await who.ask("GET", f"/v1/async/jobs/{path}/events")
                assert (answer.status, answer.code) == (404, "job_not_found")
            url = by.alice.served.url
            assert await events(url, id, key="sk-bf-root") == await events(url, id, key="sk-bf-alice")

    run(main())


def test_an_expired_job_is_not_told_any_more(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, clock=hands.clock) as c:
            id = await c.submit("embeddings", headers={"x-bf-async-job-result-ttl": "10"})
            await events(c.served.url, id)
            hands.pass_(11)
            for headers in ({}, {"Last-Event-ID": "2"}):
                answer = await c.ask("GET", f"/v1/async/jobs/{id}/events", headers=headers)
                assert (answer.status, answer.code) == (404, "job_not_found")

    run(main())


def test_a_stream_has_no_head(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG)
            answer = await c.ask("HEAD", f"/v1/async/jobs/{id}/events")
            assert (answer.status, answer.headers["Allow"]) == (405, "GET")

    run(main())


@pytest.mark.parametrize(("words", "omitted"), [(1_000, False), (100_000, True)])
def test_a_large_result_is_left_out_and_is_had_by_a_poll(folder: Path, run: Run, words: int, omitted: bool) -> None:
    async def main() -> None:
        async with client(folder) as c:
            text = "word " * words
            id = await c.submit("completions", prompt=text)
            last = (await events(c.served.url, id))[-1].data
            shown = (await c.ask("GET", f"/v1/async/jobs/{id}")).json
            assert shown["result"]["choices"][0]["text"] == text
            if omitted:
                del shown["result"]
                shown["result_omitted"] = True
            assert last == shown

    run(main())


def test_a_long_text_is_told_in_pieces_so_that_a_reader_who_takes_none_costs_little(folder: Path, run: Run) -> None:
    async def main() -> None:
        text = "0123456789" * 50_000
        async with client(folder) as c:
            id = await c.submit("completions", "echo/wait-0.1+hang", prompt=text)
            told: list[Sent] = []
            async with watching(c.served.url, id) as stream:
                while sum(len(one.data.get("text", "")) for one in told) < len(text):
                    told.append(await stream.until("progress"))
            assert "".join(one.data.get("text", "") for one in told) == text
            assert max(len(one.data.get("text", "")) for one in told) == 32_768
            so_far = 0
            for one in told:
                assert one.data.get("offset", so_far) == so_far
                so_far += len(one.data.get("text", ""))

    run(main())


def test_a_stop_ends_the_streams_and_the_next_start_goes_on_with_them(folder: Path, run: Run) -> None:
    async def main() -> None:
        tables = {"providers": ECHO, "jobs": {"shutdown_grace_seconds": 0}}
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession() as session:
            async with gateway(folder, **tables) as served:
                id = await Client(session, served, {}).submit("embeddings", HANG)
                async with watching(served.url, id) as stream:
                    await stream.until("claimed")
                    rest = asyncio.create_task(stream.rest())
                    stopped = loop.time()
                    # Out of the server before out of the stream.
                    await served.app.shutdown()
                    assert await rest == []
            assert loop.time() - stopped < 10
        async with gateway(folder, **tables) as served, watching(served.url, id, after=1) as again:
            assert (await again.until("released")).data["reason"] == "stopped"
            assert (await again.until("claimed")).data["attempt"] == 2

    run(main())


def test_no_durable_event_is_lost_or_told_twice_over_kills(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server:
            assert server.url is not None
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{server.url}/v1/async/embeddings", json=request("embeddings", HANG)) as response,
            ):
                id = (await response.json())["id"]
            told: list[Sent] = []
            for attempt in (1, 2, 3):
                async with watching(server.url, id, after=told[-1].id if told else None) as stream:
                    while told[-1:] == [] or told[-1].data.get("attempt") != attempt or told[-1].kind != "claimed":
                        sent = await stream.next()
                        assert sent is not None
                        told.append(sent)
                    await server.kill9()
                await server.start()
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{server.url}/v1/async/jobs/{id}/cancel") as response,
            ):
                assert response.status == 200
            told += await events(server.url, id, after=told[-1].id)
            assert [one.id for one in told] == list(range(len(told)))
            kinds = [one.kind for one in told]
            assert kinds[:6] == ["submitted", "claimed", "released", "claimed", "released", "claimed"]
            assert kinds[6] == "released"
            assert kinds[-1] == "cancelled"
            assert await events(server.url, id) == told

    run(main())
