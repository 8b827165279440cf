"""Idempotency-Key: a client's repeat makes no second job, whatever happens in between."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from .clients import ECHO, Answer, Client, client, request
from .jobs import rows
from .owners import owners
from .servers import ServerProcess

Run = Callable[[Awaitable[Any]], Any]

KEY = {"Idempotency-Key": "k-1"}
HANG = "echo/hang"


async def keyed(c: Client, body: Any = None, operation: str = "embeddings", **headers: str) -> Answer:
    """A submit with the key."""
    return await c.ask("POST", f"/v1/async/{operation}", body or request(operation), {**KEY, **headers})


def replays(answer: Answer, first: Answer) -> bool:
    """Whether this is the first one's answer, marked as what it is."""
    assert answer.status == 202
    assert "Idempotency-Replayed" not in first.headers
    assert int(answer.headers["Retry-After"]) >= 1
    replayed = answer.headers.get("Idempotency-Replayed") == "true"
    assert replayed == ((answer.text, answer.headers["Location"]) == (first.text, first.headers["Location"]))
    return replayed


def test_a_bad_key_is_a_400_and_no_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for bad in ("", "a b", "ключ", "x" * 4000):
                answer = await keyed(c, **{"Idempotency-Key": bad})
                assert (answer.status, answer.json["error"]["param"]) == (400, "Idempotency-Key")
                assert answer.message.startswith("Idempotency-Key: expected 1 to 255 printable ASCII characters")
            assert (await c.ask("GET", "/v1/async/jobs")).json == {"data": []}

    run(main())


def test_a_repeat_is_answered_as_the_first_was_and_makes_no_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            first = await keyed(c)
            assert first.status == 202
            for _ in range(3):
                assert replays(await keyed(c), first)
            await c.ended(first.json["id"], "embeddings")
            assert replays(await keyed(c), first), "also after the end"
            assert replays(await keyed(c, **{"Idempotency-Key": '"k-1"'}), first), "quoted it is the same key"
            assert not replays(await keyed(c, **{"Idempotency-Key": "K-1"}), first)
            assert len((await c.ask("GET", "/v1/async/jobs")).json["data"]) == 2

    run(main())


def test_what_means_the_same_is_the_same(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            first = await keyed(c, b'{"model": "echo/echo", "input": "x", "extra": {"a": 1, "b": [1, 2]}}')
            same = b'{ "extra":{"b":[1,2],"a":1},\n"input":"\\u0078", "model":"echo/echo"}'
            assert replays(await keyed(c, same, Priority="u=0", **{"x-bf-async-job-result-ttl": "60"}), first)

    run(main())


@pytest.mark.parametrize(
    "other",
    [
        b'{"model": "echo/echo", "input": "hello "}',
        b'{"model": "echo/wait-0", "input": "hello"}',
        b'{"model": "echo/echo", "input": ["hello"]}',
        b'{"model": "echo/echo", "input": "hello", "fallbacks": ["echo/echo"]}',
        b'{"model": "echo/echo", "input": "hello", "x": null}',
        b'{"model": "echo/echo", "input": "hello", "x": [2, 1]}',
    ],
)
def test_another_body_under_the_same_key_is_a_422(folder: Path, run: Run, other: bytes) -> None:
    async def main() -> None:
        async with client(folder) as c:
            first = await keyed(c)
            for headers in ({}, {"Prefer": "wait=5"}):
                answer = await keyed(c, other, **headers)
                assert (answer.status, answer.code) == (422, "idempotency_key_reused")
                assert answer.message.startswith("This Idempotency-Key was used for another request")
                assert answer.json["error"]["param"] == "Idempotency-Key"
            assert replays(await keyed(c), first)

    run(main())


def test_another_operation_under_the_same_key_is_a_422(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = {"model": "echo/echo", "input": "x"}
            assert (await keyed(c, body)).status == 202
            assert (await keyed(c, body, "responses")).code == "idempotency_key_reused"

    run(main())


@pytest.mark.parametrize("depth", [252, 253, 254])
def test_what_nests_deeply_is_the_same_with_a_key_and_without(folder: Path, run: Run, depth: int) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = b'{"model": "echo/echo", "input": "x", "x": ' + b"[" * depth + b"]" * depth + b"}"
            plain = await c.ask("POST", "/v1/async/embeddings", body)
            first, second = await keyed(c, body), await keyed(c, body)
            assert {plain.status, first.status, second.status} in ({202}, {400})
            if first.status == 202:
                assert replays(second, first)
            else:
                assert second.message == plain.message

    run(main())


def test_each_owner_has_its_own_keys(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with owners(folder) as by:
            answers = [
                await keyed(who, request("embeddings", x=number))
                for number, who in enumerate((by.alice, by.bob, by.root))
            ]
            assert {answer.status for answer in answers} == {202}
            assert not any("Idempotency-Replayed" in answer.headers for answer in answers)
            assert len({answer.json["id"] for answer in answers}) == 3

    run(main())


def test_of_many_equal_submits_at_once_one_makes_the_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answers = await asyncio.gather(*(keyed(c) for _ in range(200)))
            assert {answer.status for answer in answers} == {202}
            assert len({answer.text for answer in answers}) == 1
            firsts = [answer for answer in answers if "Idempotency-Replayed" not in answer.headers]
            assert len(firsts) == 1
            await c.ended(firsts[0].json["id"], "embeddings")
            pool = c.served.gateway.pool
            async with asyncio.timeout(30):
                while (pool.backlog.total, pool.running) != (0, 0):
                    await c.served.gateway.store.alarms()
        assert rows(folder / "coatcheck.db", "SELECT attempt FROM job") == [(1,)]

    run(main())


def test_of_many_different_submits_under_one_key_one_makes_the_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            bodies = [request("embeddings", x=number) for number in range(100)]
            answers = await asyncio.gather(*(keyed(c, body) for body in bodies))
            assert sorted(answer.status for answer in answers) == [202] + [422] * 99
            assert len((await c.ask("GET", "/v1/async/jobs")).json["data"]) == 1

    run(main())


def test_a_repeat_that_waits_is_answered_with_the_outcome(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = request("embeddings", "echo/wait-0.1")
            answers = await asyncio.gather(*(keyed(c, body, Prefer="wait=30") for _ in range(3)))
            first = answers[0].json
            for answer in answers:
                assert (answer.status, answer.json) == (200, first)
                assert answer.headers["Preference-Applied"] == "wait=30"
                assert answer.headers["Location"] == f"/v1/async/embeddings/{first['id']}"
            assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 2
            late = await keyed(c, body)
            assert (late.status, late.json["status"], late.json["id"]) == (202, "pending", first["id"])

    run(main())


def test_a_repeat_is_replayed_when_no_more_jobs_are_taken(folder: Path, run: Run) -> None:
    async def main() -> None:
        providers = {"echo": {"kind": "echo", "concurrency": 1}}
        async with client(folder, providers=providers, jobs={"max_pending": 1}) as c:
            await c.submit("embeddings", HANG)
            async with asyncio.timeout(30):
                while c.served.gateway.pool.running == 0:
                    await c.served.gateway.store.alarms()
            first = await keyed(c)
            refused = await keyed(c, **{"Idempotency-Key": "k-2"})
            assert (refused.status, refused.code) == (429, "too_many_pending")
            assert replays(await keyed(c), first)
            await c.ask("POST", f"/v1/async/jobs/{first.json['id']}/cancel")
            again = await keyed(c, **{"Idempotency-Key": "k-2"})
            assert (again.status, "Idempotency-Replayed" in again.headers) == (202, False), "a refusal keeps no key"

    run(main())


def test_a_repeat_after_the_job_was_deleted_makes_no_second_one(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            first = await keyed(c)
            id = first.json["id"]
            await c.ended(id, "embeddings")
            assert (await c.ask("DELETE", f"/v1/async/jobs/{id}")).status == 204
            for headers in ({}, {"Prefer": "wait=5"}):
                assert replays(await keyed(c, **headers), first)
            assert (await c.ask("GET", first.headers["Location"])).status == 404

    run(main())


def test_a_key_survives_a_kill(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server, aiohttp.ClientSession() as session:

            async def submit(text: str) -> tuple[int, Any, bool]:
                body = {"model": HANG, "input": text}
                async with session.post(f"{server.url}/v1/async/embeddings", json=body, headers=KEY) as response:
                    return response.status, await response.json(), "Idempotency-Replayed" in response.headers

            status, ticket, replayed = await submit("x")
            assert (status, replayed) == (202, False)
            for _ in range(2):
                await server.kill9()
                await server.start()
                assert await submit("x") == (202, ticket, True)
                assert (await submit("y"))[0] == 422

    run(main())
