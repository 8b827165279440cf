"""Polling and cancelling in the v1 dialect."""

from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.jobs import SECOND
from coatcheck.schemas.operations import OPERATIONS

from .clients import client
from .jobs import Hands
from .servers import gateway

operations = pytest.mark.parametrize("operation", OPERATIONS)

UNKNOWN = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
NOT_FOUND = "job not found or expired"


@operations
def test_a_completed_job_is_shown_with_its_result(folder: Path, run: Any, operation: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit(operation, headers={"x-bf-async-job-result-ttl": "60"})
            answer = await c.ended(id, operation)
            assert answer.status == 200
            job = answer.json
            assert list(job) == [
                "id", "request_id", "status", "created_at", "completed_at", "expires_at", "status_code",
                "cost", "result",
            ]  # fmt: skip
            assert (job["status"], job["status_code"]) == ("completed", 200)
            ticket = await c.served.gateway.store.ticket(id, None)
            assert ticket is not None
            assert ticket.job.expires_at == (ticket.job.completed_at or 0) + 60 * SECOND
            extra = job["result"]["extra_fields"]
            assert isinstance(extra.pop("latency"), int)
            assert extra == {
                "request_type": OPERATIONS[operation].request_type,
                "provider": "echo",
                "original_model_requested": "echo",
                "resolved_model_used": "echo",
                "chunk_index": 0,
            }

    run(main())


def test_a_running_job_is_202_and_has_no_keys_of_an_end(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            first = await c.submit("embeddings", "echo/hang")
            second = await c.submit("embeddings", "echo/hang")
            seen = set()
            while "processing" not in seen:
                answer = await c.ask("GET", f"/v1/async/embeddings/{first}")
                seen.add(answer.json["status"])
            assert answer.status == 202
            assert list(answer.json) == ["id", "request_id", "status", "created_at"]
            assert int(answer.headers["Retry-After"]) >= 1
            waiting = await c.ask("GET", f"/v1/async/embeddings/{second}")
            assert (waiting.status, waiting.json["status"]) == (202, "pending")

    run(main())


def test_a_failed_job_is_200_with_the_real_status_inside(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ended(await c.submit("embeddings", "echo/status-418"), "embeddings")
            assert answer.status == 200
            job = answer.json
            assert (job["status"], job["status_code"]) == ("failed", 418)
            assert "result" not in job
            assert job["error"] == {
                "is_bifrost_error": False,
                "status_code": 418,
                "error": {"type": "provider_error", "message": "echo was told to answer 418"},
                "extra_fields": {
                    "provider": "echo",
                    "original_model_requested": "status-418",
                    "request_type": "embedding",
                    "raw_response": {"status": 418},
                },
            }

    run(main())


def test_a_time_out_is_a_504_of_the_gateway(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "timeout_seconds": 0.01}}) as c:
            job = (await c.ended(await c.submit("embeddings", "echo/hang"), "embeddings")).json
            assert job["status_code"] == 504
            assert job["error"]["is_bifrost_error"] is True
            assert job["error"]["error"]["type"] == "request_timed_out"
            assert "did not answer within 0.01 seconds" in job["error"]["error"]["message"]

    run(main())


@pytest.mark.parametrize(
    "id", [UNKNOWN, UNKNOWN.upper(), "{" + UNKNOWN + "}", "x", "3c90c3cc-0d44-1b50-8888-8dd25736052a", "%00", "a b"]
)
def test_an_unknown_id_is_404_whatever_it_looks_like(folder: Path, run: Any, id: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for path in (f"/v1/async/embeddings/{id}", f"/v1/async/jobs/{id}"):
                answer = await c.ask("GET", path)
                assert (answer.status, answer.message) == (404, NOT_FOUND)
            answer = await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
            assert (answer.status, answer.message) == (404, NOT_FOUND)

    run(main())


@operations
def test_an_empty_id_is_a_400(folder: Path, run: Any, operation: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("GET", f"/v1/async/{operation}/")
            assert (answer.status, answer.message) == (400, "job_id is required")

    run(main())


@operations
def test_a_job_is_unknown_on_the_path_of_another_operation(folder: Path, run: Any, operation: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit(operation)
            for other in OPERATIONS:
                answer = await c.ask("GET", f"/v1/async/{other}/{id}")
                assert (answer.status == 404) == (other != operation)
                if other != operation:
                    assert answer.message == NOT_FOUND

    run(main())


def test_an_expired_job_is_404_before_any_sweep(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with gateway(folder, clock=hands.clock, providers={"echo": {"kind": "echo"}}) as served:
            import aiohttp

            async with aiohttp.ClientSession(served.url) as session:
                async with session.post(
                    "/v1/async/embeddings",
                    json={"model": "echo/echo", "input": "x"},
                    headers={"x-bf-async-job-result-ttl": "10"},
                ) as response:
                    id = (await response.json())["id"]
                status = 202
                while status == 202:
                    async with session.get(f"/v1/async/embeddings/{id}") as response:
                        status = response.status
                assert status == 200
                hands.pass_(9.9)
                async with session.get(f"/v1/async/embeddings/{id}") as response:
                    assert response.status == 200
                hands.pass_(0.2)
                async with session.get(f"/v1/async/embeddings/{id}") as response:
                    assert response.status == 404
                    assert (await response.json())["error"]["message"] == NOT_FOUND

    run(main())


def test_fallbacks_are_tried_in_order_and_the_attempts_tell_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "retries": 0}}) as c:
            id = await c.submit("embeddings", "echo/status-500", fallbacks=["echo/status-404", "echo/echo"])
            assert (await c.ended(id, "embeddings")).json["result"]["extra_fields"]["resolved_model_used"] == "echo"
            job = (await c.ask("GET", f"/v1/async/jobs/{id}?include=attempts")).json
            assert job["operation"] == "embeddings"
            assert job["model"] == "echo/status-500"
            assert [(a["attempt"], a["model"], a["status"], a.get("reason")) for a in job["attempts"]] == [
                (1, "status-500", "released", "fallback"),
                (2, "status-404", "released", "fallback"),
                (3, "echo", "completed", None),
            ]
            assert job["attempts"][0]["failure"]["status_code"] == 500

    run(main())


def test_a_running_job_is_cancelled_and_asking_again_is_harmless(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", "echo/hang")
            for _ in range(2):
                answer = await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
                assert answer.status == 200
                job = answer.json
                assert (job["status"], job["state"], job["status_code"]) == ("failed", "cancelled", 499)
                assert job["error"]["error"] == {"message": "the job was cancelled", "code": "job_cancelled"}
            assert (await c.ask("GET", f"/v1/async/embeddings/{id}")).json["state"] == "cancelled"

    run(main())


def test_a_job_that_ended_cannot_be_cancelled(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings")
            await c.ended(id, "embeddings")
            answer = await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
            assert (answer.status, answer.code) == (409, "conflict")
            assert "already completed" in answer.message

    run(main())


def test_a_wrong_method_is_405_and_an_unknown_path_404_in_the_dialect(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("PUT", "/v1/async/embeddings")
            assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "method_not_allowed", "POST")
            assert "does not take PUT; it takes POST" in answer.message
            answer = await c.ask("GET", "/v1/async/songs/1")
            assert (answer.status, answer.message) == (404, "there is nothing at /v1/async/songs/1")

    run(main())
