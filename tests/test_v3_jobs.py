"""Jobs of the v3 dialect, looked at, cancelled and deleted."""

import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from .clients import client, request
from .jobs import Hands
from .universal import JOB_KEYS, JOBS, NOBODYS, create, detail, embeddings

KEYS = {"keys": [{"name": "alice", "key": "sk-bf-alice"}, {"name": "bob", "key": "sk-bf-bob"}]}


def test_a_job_is_answered_with_200_whatever_became_of_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            running = (await create(c, embeddings("echo/hang"), wait=0))["public_id"]
            done = (await create(c))["public_id"]
            failed = (await create(c, embeddings("echo/status-418")))["public_id"]
            for id, status in ((running, "processing"), (done, "success"), (failed, "fail")):
                for path in (f"{JOBS}/{id}", f"{JOBS}/{id}/", f"{JOBS}/{id.upper()}"):
                    answer = await c.ask("GET", path)
                    assert (answer.status, answer.json["status"], answer.json["public_id"]) == (200, status, id)
                    assert set(answer.json) >= JOB_KEYS
                    assert re.fullmatch(r"(?!^[-+.]*$)[+-]?0*\d*\.?\d*", answer.json["cost"])
                    assert ("output" in answer.json) == (status != "processing")
                    assert ("finished_at" in answer.json) == (status != "processing")
                    assert ("Retry-After" in answer.headers) == (status == "processing")

    run(main())


def test_a_job_tells_its_state_and_its_attempts(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, clock=hands.clock, providers={"one": {"kind": "echo", "concurrency": 1}}) as c:
            first = (await create(c, embeddings("one/hang"), wait=0))["public_id"]
            second = (await create(c, embeddings("one/hang"), wait=0))["public_id"]
            while (shown := (await c.ask("GET", f"{JOBS}/{first}")).json)["state"] != "processing":
                pass
            (attempt,) = shown["attempts"]
            assert attempt == {
                "provider": "one", "model": "hang", "status": "processing", "started_at": shown["created_at"],
            }  # fmt: skip
            waiting = (await c.ask("GET", f"{JOBS}/{second}")).json
            assert (waiting["status"], waiting["state"], waiting["attempts"]) == ("processing", "pending", [])
            hands.pass_(5)
            cancelled = (await c.ask("POST", f"{JOBS}/{first}/cancel")).json
            assert (cancelled["status"], cancelled["state"]) == ("fail", "cancelled")
            assert (cancelled["output"], cancelled["error"]) == (None, {"message": "cancelled"})
            (attempt,) = cancelled["attempts"]
            assert attempt["status"] == "cancelled"
            began, ended = datetime.fromisoformat(attempt["started_at"]), datetime.fromisoformat(attempt["ended_at"])
            assert ended - began == timedelta(seconds=5)
            assert cancelled["finished_at"] == attempt["ended_at"]

    run(main())


def test_a_failure_is_told_with_the_status_of_the_provider(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            job = await create(c, embeddings("echo/status-418"))
            assert job["error"] == {"message": "echo was told to answer 418", "provider_status_code": 418}
            assert (job["output"], job["cost"], job["cost_known"]) == (None, "0", False)
            assert [attempt["error"] for attempt in job["attempts"]] == [job["error"]]
            other = await create(c, embeddings("echo/fail"))
            assert other["error"] == {"message": "echo was told to fail"}
            done = await create(c)
            assert done["cost"] == "0"
            assert "cost_known" not in done

    run(main())


def test_a_look_may_wait_for_the_end(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await create(c, embeddings("echo/hang"), wait=0))["public_id"]
            looking = asyncio.ensure_future(c.ask("GET", f"{JOBS}/{id}", headers={"Prefer": "wait=20"}))
            while c.served.gateway.pool.watchers.waiting != 1:
                await c.served.gateway.store.alarms()
            assert not looking.done()
            assert (await c.ask("POST", f"{JOBS}/{id}/cancel/")).status == 200
            answer = await looking
            assert (answer.json["status"], answer.headers["Preference-Applied"]) == ("fail", "wait=20")

    run(main())


def test_what_has_not_changed_is_not_sent_again(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await create(c, embeddings("echo/hang"), wait=0))["public_id"]
            while (first := await c.ask("GET", f"{JOBS}/{id}")).json["state"] != "processing":
                pass
            same = {"If-None-Match": first.headers["ETag"]}
            assert (await c.ask("GET", f"{JOBS}/{id}", headers=same)).status == 304
            await c.ask("POST", f"{JOBS}/{id}/cancel")
            assert (await c.ask("GET", f"{JOBS}/{id}", headers=same)).status == 200

    run(main())


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_job_that_is_not_there_is_a_404_and_an_id_that_is_none_a_422(folder: Path, run: Any, method: str) -> None:
    async def main() -> None:
        end = "/cancel" if method == "POST" else ""
        async with client(folder, auth=KEYS) as c:
            alice, bob = c.with_key("sk-bf-alice"), c.with_key("sk-bf-bob")
            hers = (await create(alice, embeddings("echo/echo")))["public_id"]
            other = (await alice.ask("POST", "/v1/async/embeddings", request("embeddings"))).json["id"]
            for c_, id in (
                (alice, NOBODYS),
                (bob, hers),
                (alice, other),
                (alice, "c9bf9e57-1685-1c89-bafb-ff5af830be8a"),
                (alice, "00000000-0000-0000-0000-000000000000"),
            ):
                answer = await c_.ask(method, f"{JOBS}/{id}{end}")
                assert (answer.status, detail(answer)) == (404, "Job not found"), id
            for id in ("abc", hers[:-1], f"{hers}0", f"{{{hers}}}", "x" * 500):
                answer = await alice.ask(method, f"{JOBS}/{id}{end}")
                assert answer.status == 422
                fault = detail(answer)
                assert fault["loc"] == ["path", "job_id"]
                assert fault["msg"].startswith("expected a UUID, got '")
                assert len(fault["msg"]) < 80
            assert (await alice.ask("GET", f"{JOBS}/{hers}")).status == 200

    run(main())


def test_a_job_that_has_expired_is_gone(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, clock=hands.clock) as c:
            id = (await create(c))["public_id"]
            hands.pass_(7 * 86_400 - 1)
            assert (await c.ask("GET", f"{JOBS}/{id}")).status == 200
            hands.pass_(1)
            answer = await c.ask("GET", f"{JOBS}/{id}")
            assert (answer.status, detail(answer)) == (404, "Job not found")

    run(main())


def test_a_job_is_deleted_when_it_has_ended_and_not_before(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for path, body in (("", embeddings()), ("/", embeddings("echo/status-418"))):
                id = (await create(c, body))["public_id"]
                answer = await c.ask("DELETE", f"{JOBS}/{id}{path}")
                assert (answer.status, answer.json) == (200, {"deleted": True, "public_id": id})
                assert (await c.ask("GET", f"{JOBS}/{id}")).status == 404
                assert (await c.ask("DELETE", f"{JOBS}/{id}")).status == 404
            running = (await create(c, embeddings("echo/hang"), wait=0))["public_id"]
            answer = await c.ask("DELETE", f"{JOBS}/{running}")
            assert answer.status == 409
            assert detail(answer).startswith("the job is processing")
            assert (await c.ask("GET", f"{JOBS}/{running}")).json["status"] == "processing"

    run(main())


def test_a_job_is_cancelled_once_and_again_but_not_when_it_ended_otherwise(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            running = (await create(c, embeddings("echo/hang"), wait=0))["public_id"]
            for _ in range(2):
                answer = await c.ask("POST", f"{JOBS}/{running}/cancel")
                assert (answer.status, answer.json["state"]) == (200, "cancelled")
            done = (await create(c))["public_id"]
            answer = await c.ask("POST", f"{JOBS}/{done}/cancel")
            assert (answer.status, detail(answer)) == (
                409,
                "the job has already completed; what has ended cannot be cancelled",
            )

    run(main())


def test_the_vendors_own_answer_is_shown_where_it_was_asked_for(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            job = await create(c, embeddings(show_original_response=True))
            assert job["original_response"]["object"] == "list"
            assert len(job["original_response"]["data"]) == 2
            assert (await c.ask("GET", f"{JOBS}/{job['public_id']}")).json["original_response"] == job[
                "original_response"
            ]
            assert "original_response" not in await create(c, embeddings(show_original_response=False))

    run(main())
