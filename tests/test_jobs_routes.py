"""Deleting jobs, and doing them again."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.jobs import Ticket

from .clients import ECHO, Answer, Client, client, request
from .jobs import rows
from .owners import owners
from .servers import Upstream

Run = Callable[[Awaitable[Any]], Any]

JOBS = "/v1/async/jobs"
UNKNOWN = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
HANG = "echo/hang"
FAIL = "echo/status-418"


async def failed(c: Client, model: str = FAIL, **more: Any) -> str:
    """The id of a job that has failed."""
    id = await c.submit("embeddings", model, **more)
    assert (await c.ended(id, "embeddings")).json["status"] == "failed"
    return id


async def retry(c: Client, id: str, **headers: str) -> Answer:
    return await c.ask("POST", f"{JOBS}/{id}/retry", headers=headers)


async def kept(c: Client, id: str) -> Ticket:
    ticket = await c.served.gateway.store.ticket(id, None)
    assert ticket is not None
    return ticket


@pytest.mark.parametrize("model", ["echo/echo", FAIL, HANG])
def test_a_job_that_has_ended_is_deleted_with_all_that_was_its(folder: Path, run: Run, model: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", model)
            if model == HANG:
                await c.ask("POST", f"{JOBS}/{id}/cancel")
            await c.ended(id, "embeddings")
            answer = await c.ask("DELETE", f"{JOBS}/{id}")
            assert (answer.status, answer.text) == (204, b"")
            for method, path in (
                ("DELETE", f"{JOBS}/{id}"), ("GET", f"{JOBS}/{id}"), ("GET", f"/v1/async/embeddings/{id}"),
                ("GET", f"{JOBS}/{id}/events"), ("POST", f"{JOBS}/{id}/retry"), ("POST", f"{JOBS}/{id}/cancel"),
            ):  # fmt: skip
                answer = await c.ask(method, path)
                assert (answer.status, answer.message) == (404, "job not found or expired"), path
            assert (await c.ask("GET", JOBS)).json == {"data": []}
        for table in ("job", "body", "event"):
            assert rows(folder / "coatcheck.db", f"SELECT * FROM {table}") == []

    run(main())


def test_a_job_that_has_not_ended_is_not_deleted(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            running, waiting = [await c.submit("embeddings", HANG) for _ in range(2)]
            while (await c.ask("GET", f"{JOBS}/{running}")).json["status"] != "processing":
                pass
            for id, state in ((running, "processing"), (waiting, "pending")):
                answer = await c.ask("DELETE", f"{JOBS}/{id}")
                assert (answer.status, answer.code) == (409, "conflict")
                assert answer.message.startswith(f"the job is {state}; cancel it")
                assert (await c.ask("GET", f"{JOBS}/{id}")).json["status"] == state

    run(main())


def test_of_deletes_cancels_and_retries_at_once_each_is_answered_and_nothing_breaks(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for _ in range(30):
                id = await c.submit("embeddings", HANG)
                asked = [("POST", "/cancel"), ("DELETE", ""), ("POST", "/retry"), ("GET", "/events"), ("GET", "")] * 2
                answers = await asyncio.gather(*(c.ask(method, f"{JOBS}/{id}{path}") for method, path in asked))
                for (method, path), answer in zip(asked, answers, strict=True):
                    allowed = {"/cancel": {200, 404}, "/retry": {202, 404, 409}, "/events": {200, 204, 404}}
                    usual = {204, 404, 409} if method == "DELETE" else {200, 202, 404}
                    assert answer.status in allowed.get(path, usual), (method, path, answer.text)
            assert c.served.gateway.pool.watchers.watching == 0

    run(main())


def test_a_failed_job_is_done_again_as_a_new_one_that_names_its_parent(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await failed(c, x_mine=[1])
            answer = await retry(c, id, **{"x-request-id": "mine-2"})
            assert answer.status == 202
            ticket = answer.json
            assert list(ticket) == ["id", "request_id", "status", "created_at", "parent"]
            assert (ticket["request_id"], ticket["status"], ticket["parent"]) == ("mine-2", "pending", id)
            assert ticket["id"] != id
            assert answer.headers["Location"] == f"/v1/async/embeddings/{ticket['id']}"
            assert int(answer.headers["Retry-After"]) >= 1
            await c.ended(ticket["id"], "embeddings")
            new = (await c.ask("GET", f"{JOBS}/{ticket['id']}")).json
            assert (new["parent"], new["operation"], new["model"]) == (id, "embeddings", FAIL)
            store = c.served.gateway.store
            requests = [await store.request((await kept(c, one)).job.seq) for one in (id, ticket["id"])]
            assert requests[0] == requests[1]
            assert (await c.ask("GET", f"{JOBS}/{id}")).json["status"] == "failed", "the old one stays as it ended"
            listed = (await c.ask("GET", JOBS)).json["data"]
            assert [job.get("parent") for job in listed] == [id, None]

    run(main())


def test_a_cancelled_job_is_done_again_and_waited_for(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            running, id = await c.submit("embeddings", HANG), await c.submit("embeddings", "echo/wait-0.01")
            for one in (id, running):
                await c.ask("POST", f"{JOBS}/{one}/cancel")
            answer = await retry(c, id, Prefer="wait=30")
            assert (answer.status, answer.json["status"]) == (200, "completed")
            assert answer.headers["Preference-Applied"] == "wait=30"
            assert answer.json["id"] in answer.headers["Location"]

    run(main())


def test_what_has_completed_or_not_ended_is_not_done_again(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            done = await c.submit("embeddings")
            await c.ended(done, "embeddings")
            running, waiting = [await c.submit("embeddings", HANG) for _ in range(2)]
            while (await c.ask("GET", f"{JOBS}/{running}")).json["status"] != "processing":
                pass
            for id, what in ((done, "has completed"), (running, "is processing"), (waiting, "is pending")):
                answer = await retry(c, id)
                assert (answer.status, answer.code) == (409, "conflict")
                assert answer.message.startswith(f"the job {what}; only one that has failed or was cancelled")
            assert (await retry(c, UNKNOWN)).code == "job_not_found"
            assert len((await c.ask("GET", JOBS)).json["data"]) == 3

    run(main())


def test_what_the_headers_do_not_say_is_as_it_was(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "retries": 0}}) as c:
            headers = {"Priority": "u=1", "x-bf-async-job-result-ttl": "77", "Cancel-After": "1h", "traceparent": "x"}
            id = await failed(c, fallbacks=["echo/status-404", FAIL], headers=headers)
            old = (await kept(c, id)).job
            again = (await kept(c, (await retry(c, id)).json["id"])).job
            assert (again.targets, again.model, again.target, again.calls) == (old.targets, old.model, 0, 0)
            assert (again.ttl_seconds, again.priority, again.cancel_at) == (77, 1, None)
            other = await retry(c, id, **{"Priority": "u=6", "x-bf-async-job-result-ttl": "5", "Cancel-After": "9"})
            job = (await kept(c, other.json["id"])).job
            assert (job.ttl_seconds, job.priority, job.cancel_at) == (5, 6, job.created_at + 9_000_000)

    run(main())


def test_a_retry_of_a_retry_names_the_retry(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id, parents = await failed(c), []
            for _ in range(3):
                parents.append(id)
                ticket = (await retry(c, id)).json
                assert ticket["parent"] == id
                id = ticket["id"]
                await c.ended(id, "embeddings")
            for parent in parents:
                assert (await c.ask("DELETE", f"{JOBS}/{parent}")).status == 204
            assert (await c.ask("GET", f"{JOBS}/{id}")).json["parent"] == parents[-1], "also when that is gone"

    run(main())


def test_an_admins_retry_keeps_the_owner_and_nobody_else_may(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with owners(folder) as by:
            id = await failed(by.alice)
            for answer in (await retry(by.bob, id), await by.bob.ask("DELETE", f"{JOBS}/{id}")):
                assert (answer.status, answer.code) == (404, "job_not_found")
            ticket = (await retry(by.root, id)).json
            assert (await kept(by.root, ticket["id"])).job.owner == "key:config/alice"
            await by.alice.ended(ticket["id"], "embeddings")
            assert (await by.bob.ask("GET", f"{JOBS}/{ticket['id']}")).status == 404
            assert (await by.root.ask("DELETE", f"{JOBS}/{id}")).status == 204

    run(main())


def test_a_repeated_retry_makes_one_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id, other = await failed(c), await failed(c)
            key = {"Idempotency-Key": "again"}
            answers = await asyncio.gather(*(retry(c, id, **key) for _ in range(20)))
            assert {answer.status for answer in answers} == {202}
            assert len({answer.text for answer in answers}) == 1
            assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
            assert (await retry(c, other, **key)).code == "idempotency_key_reused"
            submit = await c.ask("POST", "/v1/async/embeddings", request("embeddings", FAIL), key)
            assert submit.code == "idempotency_key_reused"
            assert len((await c.ask("GET", JOBS)).json["data"]) == 3

    run(main())


def test_a_job_whose_provider_is_gone_cannot_be_done_again(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={**ECHO, "second": {"kind": "echo", "retries": 0}}) as c:
            ids = [await failed(c, "second/status-418"), await failed(c, fallbacks=["second/status-418"])]
        async with client(folder) as c:
            for id in ids:
                answer = await retry(c, id)
                assert (answer.status, answer.code) == (400, "invalid_request")
                assert "'second' is not a configured provider" in answer.message
            assert len((await c.ask("GET", JOBS)).json["data"]) == 2

    run(main())


def test_a_job_whose_request_was_not_kept_cannot_be_done_again(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, jobs={"keep_requests": False}) as c:
            cancelled = await c.submit("embeddings", HANG)
            await c.ask("POST", f"{JOBS}/{cancelled}/cancel")
            for id in (await failed(c), cancelled):
                answer = await retry(c, id)
                assert (answer.status, answer.code) == (409, "conflict")
                assert "keep_requests = false" in answer.message

    run(main())


def test_the_upstream_is_asked_the_same_again(folder: Path, run: Run) -> None:
    async def refuse(body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({}, status=400)

    async def main() -> None:
        async with Upstream(refuse) as up:
            providers = {"up": {"kind": "openai", "base_url": up.url}}
            async with client(folder, providers=providers) as c:
                id = await c.submit("chat/completions", "up/gpt", x_mine={"a": [1]})
                await c.ended(id)
                answer = await retry(c, id, Prefer="wait=30")
                assert answer.json["status_code"] == 400
                first, second = up.asked.get_nowait(), up.asked.get_nowait()
                assert first == second
                assert first["x_mine"] == {"a": [1]}

    run(main())
