"""Clients of the vendors' routes that go before the answer, and servers that do."""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import openai
import orjson
import pytest

from .clients import Client, client, embedded, request
from .servers import ServerProcess, Upstream, gateway, never
from .vendor_clients import to_openai

HELLO: Any = [{"role": "user", "content": "hello"}]
CHAT, MESSAGES = "/v1/chat/completions", "/anthropic/v1/messages"
GOES_ON = {"x-bf-on-disconnect": "continue"}


class Caller:
    """A client on a connection of its own, which it can close as it likes."""

    def __init__(self, url: str, path: str, model: str, headers: dict[str, str], **more: Any) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        body = orjson.dumps({"model": model, "max_tokens": 9, "messages": HELLO, **more})
        lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._socket = socket.create_connection((host, int(port)))
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def close(self) -> None:
        self._socket.close()

    def close_half(self) -> None:
        """Says that it sends no more; it would still read."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Breaks off, as a process that is killed."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self._socket.close()


async def waiting(c: Client, count: int) -> None:
    """Returns when so many clients wait for a job of theirs."""
    while c.served.gateway.pool.watchers.waiting != count:
        await c.served.gateway.store.alarms()


async def jobs(c: Client) -> list[Any]:
    found: list[Any] = (await c.ask("GET", "/v1/async/jobs")).json["data"]
    return found


@asynccontextmanager
async def waiting_at(folder: Path, path: str = CHAT, **headers: str) -> AsyncIterator[tuple[Upstream, Client, Caller]]:
    """A client that waits for an upstream which never answers."""
    async with Upstream(never) as up, client(folder, providers={"up": {"kind": "openai", "base_url": up.url}}) as c:
        caller = Caller(c.served.url, path, "up/gpt", headers)
        await up.asked.get()
        await waiting(c, 1)
        yield up, c, caller


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("leave", [Caller.close, Caller.close_half, Caller.reset])
def test_a_client_that_goes_takes_its_job_with_it_and_the_upstream_is_let_go(
    folder: Path, run: Any, path: str, leave: Any
) -> None:
    async def main() -> None:
        async with waiting_at(folder, path) as (up, c, caller):
            loop = asyncio.get_running_loop()
            left = loop.time()
            leave(caller)
            await up.lost.get()
            assert loop.time() - left < 2
            (job,) = await jobs(c)
            assert job["state"] == "cancelled"
            assert c.served.gateway.attendance._attending == {}
            caller.close()

    run(main())


def test_a_client_that_goes_while_its_job_waits_takes_it_too(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            await c.submit("embeddings", "echo/hang")
            caller = Caller(c.served.url, CHAT, "echo/echo", {})
            await waiting(c, 1)
            caller.close()
            await waiting(c, 0)
            while (await jobs(c))[0].get("state") != "cancelled":
                pass

    run(main())


def test_a_job_goes_on_without_its_client_where_that_was_asked_for(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with waiting_at(folder, **GOES_ON) as (_, c, caller):
            caller.close()
            await waiting(c, 0)
            (job,) = await jobs(c)
            assert job["status"] == "processing"
            plan = (await c.ask("GET", f"/v1/async/jobs/{job['id']}?include=plan")).json["plan"]
            assert plan["ttl_seconds"] == 3600, "it is to be collected"

    run(main())


def test_a_word_that_says_neither_is_refused_before_the_body_is_read(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", CHAT, b"{", {"x-bf-on-disconnect": "perhaps"})
            assert (answer.status, answer.json["error"]["param"]) == (400, "x-bf-on-disconnect")
            assert "expected cancel or continue, got 'perhaps'" in answer.json["error"]["message"]

    run(main())


def test_the_job_of_two_who_wait_goes_with_the_last_of_them(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with waiting_at(folder, **{"Idempotency-Key": "k"}) as (up, c, first):
            second = Caller(c.served.url, CHAT, "up/gpt", {"Idempotency-Key": "k"})
            await waiting(c, 2)
            first.close()
            await waiting(c, 1)
            # What is written after the first has gone is written after whatever its going has written.
            other = await c.submit("chat/completions", "up/gpt")
            assert [(job["id"] == other, job.get("state")) for job in await jobs(c)] == [(True, None), (False, None)]
            assert (await c.ask("POST", f"/v1/async/jobs/{other}/cancel")).status == 200
            await up.lost.get()
            second.close()
            await up.lost.get()
            assert {job["state"] for job in await jobs(c)} == {"cancelled"}

    run(main())


@pytest.mark.parametrize("more", [None, {"x-bf-async": "true"}, GOES_ON])
def test_a_job_that_is_promised_to_a_repeat_goes_on_without_who_waited_first(
    folder: Path, run: Any, more: dict[str, str] | None
) -> None:
    async def main() -> None:
        key = {"Idempotency-Key": "k"}
        async with waiting_at(folder, **key) as (_, c, first):
            if more is GOES_ON:
                second = Caller(c.served.url, CHAT, "up/gpt", {**key, **GOES_ON})
                await waiting(c, 2)
                second.close()
                await waiting(c, 1)
            else:
                body = {"model": "up/gpt", "max_tokens": 9, "messages": HELLO}
                path = CHAT if more else "/v1/async/chat/completions"
                promised = await c.ask("POST", path, body, {**key, **(more or {})})
                assert promised.headers["Idempotency-Replayed"] == "true"
            # Nor does it go with a server that is killed.
            assert await c.served.gateway.store.attended() == 0
            first.close()
            await waiting(c, 0)
            # What is written now is written after whatever the going of the first has written.
            other = await c.submit("chat/completions", "up/gpt")
            job = next(job for job in await jobs(c) if job["id"] != other)
            assert job["status"] == "processing"
            plan = (await c.ask("GET", f"/v1/async/jobs/{job['id']}?include=plan")).json["plan"]
            assert plan["ttl_seconds"] == 3600, "it is to be collected"

    run(main())


def test_who_joins_a_job_that_nobody_waited_for_does_not_take_it_along(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Upstream(never) as up, client(folder, providers={"up": {"kind": "openai", "base_url": up.url}}) as c:
            key = {"Idempotency-Key": "k"}
            body = {"model": "up/gpt", "max_tokens": 9, "messages": HELLO}
            ticket = await c.ask("POST", "/v1/async/chat/completions", body, key)
            assert ticket.status == 202
            await up.asked.get()
            joined = Caller(c.served.url, CHAT, "up/gpt", key)
            await waiting(c, 1)
            joined.close()
            await waiting(c, 0)
            (job,) = await jobs(c)
            assert (job["id"], job["status"]) == (ticket.json["id"], "processing")

    run(main())


def test_a_client_that_goes_while_it_uploads_leaves_no_job(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            host, _, port = c.served.url.removeprefix("http://").partition(":")
            with closing(socket.create_connection((host, int(port)))) as s:
                head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9999\r\n"
                s.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n")
            answer = await c.ask("POST", CHAT, request("chat/completions"))
            assert answer.status == 200
            assert [job["operation"] for job in await jobs(c)] == ["chat/completions"]

    run(main())


def cancelling(folder: Path, up: Upstream) -> AbstractAsyncContextManager[Client]:
    """A client of an application whose server cancels handlers when their client goes."""
    return embedded(folder, providers={"up": {"kind": "openai", "base_url": up.url}}, handler_cancellation=True)


def test_an_application_that_cancels_handlers_cancels_the_job(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Upstream(never) as up, cancelling(folder, up) as c:
            caller = Caller(c.served.url, CHAT, "up/gpt", {})
            await up.asked.get()
            caller.close()
            await up.lost.get()
            (job,) = await jobs(c)
            assert job["state"] == "cancelled"

    run(main())


async def locked(other: sqlite3.Connection, c: Client) -> None:
    """Returns when nothing else can be written any more."""
    while not other.in_transaction:
        with suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
        await c.served.gateway.store.alarms()


def test_a_job_is_given_up_that_is_not_even_there_when_its_handler_is_cancelled(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Upstream(never) as up, cancelling(folder, up) as c:
            gateway = c.served.gateway
            with closing(sqlite3.connect(folder / "coatcheck.db", isolation_level=None, timeout=0)) as other:
                await locked(other, c)
                caller = Caller(c.served.url, CHAT, "up/gpt", {})
                while not gateway.pool.backlog.total:
                    await gateway.store.alarms()
                caller.close()
                while not gateway.attendance._giving_up:
                    await gateway.store.alarms()
                other.execute("ROLLBACK")
            while (found := await jobs(c)) == [] or not found[0].get("state"):
                pass
            assert found[0]["state"] == "cancelled"

    run(main())


def test_a_server_that_stops_tells_its_clients_and_cancels_their_jobs(folder: Path, run: Any) -> None:
    async def main() -> None:
        kept: list[str] = []
        async with Upstream(never) as up:
            tables = {
                "providers": {"up": {"kind": "openai", "base_url": up.url}},
                "jobs": {"shutdown_grace_seconds": 0},
            }
            async with aiohttp.ClientSession() as session:
                async with gateway(folder, **tables) as served:
                    c = Client(session, served, {})
                    body = {"model": "up/gpt", "messages": HELLO}
                    asked = [
                        asyncio.create_task(c.ask("POST", path, body, headers))
                        for path, headers in ((CHAT, {}), (MESSAGES, {}), (CHAT, GOES_ON))
                    ]
                    await waiting(c, 3)
                answers = [await task for task in asked]
            for answer in answers:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
                kept.append(answer.headers["x-bf-job-id"])
            assert "the job was cancelled" in answers[0].json["error"]["message"]
            assert answers[1].json["error"]["type"] == "overloaded_error"
            assert "collect the job with x-bf-async-id" in answers[2].json["error"]["message"]
            async with aiohttp.ClientSession() as session, gateway(folder, **tables) as served:
                c = Client(session, served, {})
                shown = [(await c.ask("GET", f"/v1/async/jobs/{id}")).json for id in kept]
                assert [job.get("state") for job in shown] == ["cancelled", "cancelled", None]
                assert shown[2]["status"] in ("pending", "processing")

    run(main())


def test_a_killed_server_cancels_at_its_start_what_its_clients_waited_for(folder: Path, run: Any) -> None:
    async def main(up: Upstream, session: aiohttp.ClientSession) -> None:
        tables = {"providers": {"up": {"kind": "openai", "base_url": up.url}}}
        async with ServerProcess(folder, tables) as server:
            assert server.url is not None
            callers = [Caller(server.url, path, "up/gpt", {}) for path in (CHAT, MESSAGES)]
            callers.append(Caller(server.url, CHAT, "up/gpt", GOES_ON))
            for _ in callers:
                await up.asked.get()
            await server.kill9()
            for caller in callers:
                await up.lost.get()
                caller.close()
            await server.start()
            async with session.get(f"{server.url}/v1/async/jobs") as response:
                found = orjson.loads(await response.read())["data"]
            assert sorted(job.get("state", "") for job in found) == ["", "cancelled", "cancelled"]
            # Nobody is asked again for those that were given up.
            await up.asked.get()
            assert up.asked.empty()

    async def with_upstream() -> None:
        async with Upstream(never) as up, aiohttp.ClientSession() as session:
            await main(up, session)

    run(with_upstream())


def test_of_hundreds_who_wait_nothing_is_left_behind(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = request("chat/completions", "echo/wait-0.2")
            answers = await asyncio.gather(*(c.ask("POST", CHAT, body) for _ in range(300)))
            assert {answer.status for answer in answers} == {200}
            assert len({answer.headers["x-bf-job-id"] for answer in answers}) == 300
            attendance = c.served.gateway.attendance
            assert (attendance._watched, attendance._attending, attendance._giving_up) == ({}, {}, set())
            assert c.served.gateway.pool.watchers.waiting == 0

    run(main())


def test_the_packages_own_time_limit_ends_the_job(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Upstream(never) as up, client(folder, providers={"up": {"kind": "openai", "base_url": up.url}}) as c:
            async with to_openai(c.served.url) as o:
                with pytest.raises(openai.APITimeoutError):
                    await o.chat.completions.create(model="up/gpt", messages=HELLO, timeout=0.5)
            await up.lost.get()
            (job,) = await jobs(c)
            assert job["state"] == "cancelled"

    run(main())
