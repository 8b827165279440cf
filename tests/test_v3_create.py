"""`POST /v3/universal-ai/async`: what is taken, and what is refused in whose words."""

import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from .clients import ECHO, client
from .jobs import MORNING, Hands
from .universal import JOB_KEYS, JOBS, create, embeddings, refused


def test_a_job_is_taken_with_and_without_a_slash_at_the_end(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, clock=Hands().clock) as c:
            for path in (JOBS, f"{JOBS}/"):
                answer = await c.ask("POST", path, embeddings("echo/hang"))
                job = answer.json
                assert answer.status == 202
                assert set(job) >= JOB_KEYS
                assert str(uuid.UUID(job["public_id"])) == job["public_id"]
                assert (job["status"], job["cost"], job["model"]) == ("processing", "0", "hang")
                assert (job["provider"], job["feature"], job["subfeature"]) == ("echo", "text", "embeddings")
                assert datetime.fromisoformat(job["created_at"]).timestamp() * 1e6 == MORNING
                assert job["created_at"].endswith("+00:00")
                assert answer.headers["Location"] == f"{JOBS}/{job['public_id']}"
                assert int(answer.headers["Retry-After"]) >= 1

    run(main())


def test_a_job_that_is_waited_for_is_answered_with_its_outcome_and_still_202(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", JOBS, embeddings(), {"Prefer": "wait=20"})
            assert answer.status == 202
            job = answer.json
            assert (job["status"], job["state"], job["model"]) == ("success", "completed", None)
            assert [len(item["embedding"]) for item in job["output"]["items"]] == [8, 8]
            assert "error" not in job
            assert answer.headers["Preference-Applied"] == "wait=20"

    run(main())


def test_the_model_is_split_at_its_first_three_slashes(folder: Path, run: Any) -> None:
    async def main() -> None:
        tables = {"providers": {"up": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"}}}
        async with client(folder, **tables) as c:
            job = await create(c, embeddings("up/T2V/I2V-01 Director"), wait=0)
            assert (job["provider"], job["model"]) == ("up", "T2V/I2V-01 Director")

    run(main())


def test_a_name_with_or_without_async_is_the_same_feature(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for name in ("speech_to_text", "speech_to_text_async"):
                body = {"model": f"audio/{name}/echo", "input": {"file": "data:text/plain;base64,aGVsbG8="}}
                job = await create(c, body)
                assert (job["feature"], job["subfeature"]) == ("audio", "speech_to_text_async")
                assert job["status"] == "success"
            read = await create(c, {"model": "ocr/ocr/echo", "input": {"file": "data:text/plain;base64,aGVsbG8="}})
            assert read["subfeature"] == "ocr"

    run(main())


def test_fallbacks_are_spelled_in_three_ways_and_serve_when_the_first_fails_late(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, providers={**ECHO, "other": {"kind": "echo"}}) as c:
            for spelled, model in (
                ("other", "echo"),
                ("other/wait-0", "wait-0"),
                ("text/embeddings/other/wait-0", "wait-0"),
                ("text/embeddings_async/other", "echo"),
            ):
                job = await create(c, embeddings("echo/status-400", fallbacks=[spelled]))
                assert (job["status"], job["provider"], job["model"]) == ("success", "other", model), spelled
                first, second = job["attempts"]
                assert (first["provider"], first["model"], first["status"]) == ("echo", "status-400", "fail")
                assert first["error"] == {"message": "echo was told to answer 400", "provider_status_code": 400}
                assert (second["provider"], second["status"]) == ("other", "success")
                assert first["started_at"] <= first["ended_at"] <= second["started_at"] <= second["ended_at"]
            listed_twice = await create(c, embeddings("echo/status-400", fallbacks=["echo/status-400", "echo"]))
            assert [attempt["status"] for attempt in listed_twice["attempts"]] == ["fail", "fail", "success"]

    run(main())


def test_keys_that_are_not_known_are_passed_over(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            job = await create(c, embeddings(nobody_knows=1, input={"texts": ["a"], "nor_this": [1]}))
            assert job["status"] == "success"

    run(main())


def test_parameters_for_providers_are_by_name_or_else_the_first_ones(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, providers={**ECHO, "other": {"kind": "echo"}}) as c:
            store = c.served.gateway.store
            for given, kept in (
                ({"seed": 1}, {"echo": {"seed": 1}}),
                ({"echo": {"seed": 1}, "other": {"seed": 2}}, {"echo": {"seed": 1}, "other": {"seed": 2}}),
                ({"echo": {"seed": 1}, "nobody": {}}, {"echo": {"echo": {"seed": 1}, "nobody": {}}}),
                ({"other": 5}, {"echo": {"other": 5}}),
                ({}, {}),
                (None, {}),
            ):
                job = await create(c, embeddings("echo/hang", fallbacks=["other"], provider_params=given), wait=0)
                ticket = await store.ticket(job["public_id"], None)
                assert ticket is not None
                request = orjson.loads(await store.request(ticket.job.seq) or b"")
                assert request == {
                    "input": {"texts": ["a coat", "a ticket"]},
                    "provider_params": kept,
                    "show_original_response": False,
                }

    run(main())


def test_tags_are_checked_and_come_back_in_the_metadata(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            asked = {"x-edenai-metadata": "enabled", "X-EdenAI-Tags": "Team=cloak-room, env=a.b:c/d"}
            answer = await c.ask("POST", JOBS, embeddings(), asked)
            metadata = answer.json["edenai_metadata"]
            assert metadata["tags"] == {"team": "cloak-room", "env": "a.b:c/d"}
            assert (metadata["mode"], metadata["requested"], metadata["attempts"]) == (
                "async",
                "text/embeddings/echo",
                [],
            )
            over = await c.ask("POST", JOBS, embeddings(tags={"KEY": "v"}), {**asked, "Prefer": "wait=20"})
            metadata = over.json["edenai_metadata"]
            assert metadata["tags"] == {"key": "v"}
            assert metadata["attempts"] == [{"provider": "echo", "model": "echo", "status": "success", "region": None}]
            seen = await c.ask("GET", f"{JOBS}/{over.json['public_id']}", headers=asked)
            assert "edenai_metadata" not in seen.json
            without = await c.ask("POST", JOBS, embeddings(tags={"key": "v"}), {"x-edenai-metadata": "no"})
            assert "edenai_metadata" not in without.json
            for tags, why in (
                ({"eden:x": "v"}, "what begins with eden: is reserved"),
                ({"Eden:x": "v"}, "what begins with eden: is reserved"),
                ({"": "v"}, "a key has 1 to 64"),
                ({"k" * 65: "v"}, "a key has 1 to 64"),
                ({"a b": "v"}, "a key has 1 to 64"),
                ({"a": ""}, "a value has 1 to 128"),
                ({"a": "v" * 129}, "a value has 1 to 128"),
                ({"a": "é"}, "a value has 1 to 128"),
                ({str(n): "v" for n in range(11)}, "at most 10 tags"),
            ):
                assert why in await refused(c, embeddings(tags=tags), 400)
            for header in ("a", "a=b,=c", "eden:a=b"):
                await refused(c, embeddings(), 400, headers={"X-EdenAI-Tags": header})

    run(main())


def test_a_repeat_finds_the_first_job_as_it_is(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            key = {"Idempotency-Key": "one"}
            first = await create(c, Idempotency_Key="one")
            again = await c.ask("POST", f"{JOBS}/", embeddings(), key)
            assert (again.status, again.headers["Idempotency-Replayed"]) == (202, "true")
            assert again.json["public_id"] == first["public_id"]
            assert (again.json["status"], again.json["output"]) == ("success", first["output"])
            # What means the same is the same.
            same = await c.ask("POST", JOBS, embeddings(tags={"a": "b"}, fallbacks=[]), key)
            assert same.json["public_id"] == first["public_id"]
            for other in (
                embeddings(input={"texts": ["another"]}),
                embeddings(fallbacks=["echo"]),
                embeddings("echo/echo"),
                embeddings(provider_params={"seed": 1}),
                embeddings(show_original_response=True),
                embeddings(webhook_receiver="https://hooks.example/"),
            ):
                fault = await refused(c, other, 422, headers=key)
                assert fault["loc"] == ["header", "Idempotency-Key"]
                assert fault["type"] == "idempotency_key_reused"
            # A file is what the client says it is.
            named = {"model": "ocr/ocr/echo", "input": {"file": "data:text/plain;base64,aGVsbG8="}}
            read = await create(c, named, Idempotency_Key="two")
            once_more = await c.ask("POST", JOBS, named, {"Idempotency-Key": "two"})
            assert once_more.json["public_id"] == read["public_id"]
            named["input"]["file"] = "data:text/plain;base64,aGVsbG8h"
            await refused(c, named, 422, headers={"Idempotency-Key": "two"})

    run(main())


def test_a_repeat_of_a_job_that_is_gone_is_answered_as_at_first(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            job = await create(c, Idempotency_Key="one")
            assert (await c.ask("DELETE", f"{JOBS}/{job['public_id']}")).status == 200
            again = await c.ask("POST", JOBS, embeddings(), {"Idempotency-Key": "one"})
            assert (again.status, again.json["public_id"]) == (202, job["public_id"])
            assert again.json["status"] == "processing"

    run(main())


def test_the_headers_of_a_submit_count_as_in_v1(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, clock=hands.clock) as c:
            store = c.served.gateway.store
            headers = {
                "Priority": "u=1",
                "Cancel-After": "1h",
                "x-bf-async-job-result-ttl": "77",
                "x-request-id": "mine",
                "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            }
            answer = await c.ask("POST", JOBS, embeddings("echo/hang"), headers)
            assert answer.headers["x-request-id"] == "mine"
            ticket = await store.ticket(answer.json["public_id"], None)
            assert ticket is not None
            found = ticket.job
            assert (found.priority, found.ttl_seconds, found.request_id, found.dialect) == (1, 77, "mine", "v3")
            assert found.cancel_at == hands.wall + 3600 * 1_000_000
            assert found.trace is not None
            assert "4bf92f3577b34da6a3ce929d0e0e4736" in found.trace
            fault = await refused(c, embeddings(), 422, headers={"Cancel-After": "soon"})
            assert fault["loc"] == ["header", "Cancel-After"]

    run(main())


def test_an_outcome_is_kept_for_a_week_unless_it_is_said_otherwise(folder: Path, run: Any) -> None:
    async def main() -> None:
        for name, jobs, kept in (
            ("a", {}, timedelta(days=7)),
            ("b", {"v3_result_ttl_seconds": 90}, timedelta(seconds=90)),
        ):
            (folder / name).mkdir()
            async with client(folder / name, jobs=jobs) as c:
                job = await create(c)
                finished, expires = (datetime.fromisoformat(job[key]) for key in ("finished_at", "expires_at"))
                assert expires - finished == kept

    run(main())
