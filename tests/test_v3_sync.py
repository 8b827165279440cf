"""`POST /v3/universal-ai`: a feature asked for on an open connection."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from .clients import client
from .servers import Upstream, never
from .test_sdk_leaving import Caller, waiting
from .universal import ANSWER_KEYS, JOBS, PATH, create, embeddings, refused


def test_the_answer_is_the_outcome_without_the_job(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for path in (PATH, f"{PATH}/"):
                answer = await c.ask("POST", path, embeddings("echo/echo"))
                assert answer.status == 200
                assert set(answer.json) == ANSWER_KEYS
                assert (answer.json["status"], answer.json["cost"]) == ("success", "0")
                assert len(answer.json["output"]["items"]) == 2
            asked = await c.ask("POST", PATH, embeddings(show_original_response=True))
            assert len(asked.json["original_response"]["data"]) == 2

    run(main())


def test_a_provider_that_fails_is_a_200_with_the_status_fail(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", PATH, embeddings("echo/status-418", fallbacks=["echo/status-409"]))
            assert answer.status == 200
            assert answer.json == {
                "status": "fail", "cost": "0", "cost_known": False, "provider": "echo", "feature": "text",
                "subfeature": "embeddings", "output": None,
                "error": {"message": "echo was told to answer 409", "provider_status_code": 409},
            }  # fmt: skip
            saved = await c.ask("POST", PATH, embeddings("echo/status-418", fallbacks=["echo"]))
            assert saved.json["status"] == "success"

    run(main())


def test_a_feature_that_is_usually_a_job_is_run_and_waited_for(folder: Path, run: Any) -> None:
    async def main() -> None:
        heard = {"model": "audio/speech_to_text_async/echo", "input": {"file": "data:text/plain;base64,aGVsbG8="}}
        async with client(folder) as c:
            answer = await c.ask("POST", PATH, heard)
            assert (answer.status, answer.json["subfeature"]) == (200, "speech_to_text_async")
            assert answer.json["output"]["text"] == "hello"

    run(main())


def test_the_metadata_tells_the_attempts_of_the_answer(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = embeddings("echo/status-418", fallbacks=["echo"], tags={"team": "a"})
            answer = await c.ask("POST", PATH, body, {"x-edenai-metadata": "Enabled"})
            assert answer.json["edenai_metadata"] == {
                "requested": "text/embeddings/echo/status-418",
                "region": None,
                "summary": "echo/echo: success",
                "attempt": 2,
                "is_byok": True,
                "attempts": [
                    {"provider": "echo", "model": "status-418", "status": "fail", "region": None},
                    {"provider": "echo", "model": "echo", "status": "success", "region": None},
                ],
                "tags": {"team": "a"},
                "mode": "sync",
            }

    run(main())


def test_the_job_behind_it_is_kept_for_a_minute_and_longer_where_its_files_have_addresses(
    folder: Path, run: Any
) -> None:
    async def main() -> None:
        spoken = {"model": "audio/tts/echo", "input": {"text": "hello"}}
        async with client(folder) as c:
            for body, kept in ((embeddings(), timedelta(minutes=1)), (spoken, timedelta(days=7))):
                answer = await c.ask("POST", PATH, body)
                job = (await c.ask("GET", f"{JOBS}/{answer.headers['x-bf-job-id']}")).json
                finished, expires = (datetime.fromisoformat(job[key]) for key in ("finished_at", "expires_at"))
                assert expires - finished == kept

    run(main())


def test_a_repeat_is_answered_with_the_same_outcome(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            job = await create(c, Idempotency_Key="one")
            answer = await c.ask("POST", PATH, embeddings(), {"Idempotency-Key": "one"})
            assert answer.json["output"] == job["output"]
            assert answer.headers["x-bf-job-id"] == job["public_id"]
            assert answer.headers["Idempotency-Replayed"] == "true"

    run(main())


def test_what_is_refused_is_refused_in_the_same_words(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            assert (await refused(c, embeddings(fallbacks=["echo"] * 4), 422, PATH))["loc"] == ["body", "fallbacks"]
            assert "no subfeature" in await refused(c, {"model": "text/x/echo", "input": {}}, 400, PATH)
            fault = await refused(c, embeddings(), 422, PATH, {"x-bf-on-disconnect": "later"})
            assert fault["loc"] == ["header", "x-bf-on-disconnect"]
            # Who waits has no receiver.
            answer = await c.ask("POST", PATH, embeddings(webhook_receiver="no address"))
            assert answer.status == 200

    run(main())


@pytest.mark.parametrize(("headers", "state"), [({}, "cancelled"), ({"x-bf-on-disconnect": "continue"}, "processing")])
def test_a_client_that_goes_takes_its_job_with_it_unless_it_says_otherwise(
    folder: Path, run: Any, headers: dict[str, str], state: str
) -> None:
    async def main() -> None:
        async with Upstream(never) as up, client(folder, providers={"up": {"kind": "openai", "base_url": up.url}}) as c:
            asked = Caller(c.served.url, PATH, "text/embeddings/up/gpt", headers, input={"texts": ["a"]})
            await up.asked.get()
            await waiting(c, 1)
            asked.close()
            await waiting(c, 0)
            (item,) = (await c.ask("GET", JOBS)).json["items"]
            if state == "cancelled":
                await up.lost.get()
            assert (await c.ask("GET", f"{JOBS}/{item['public_id']}", headers={"Prefer": "wait=0"})).json[
                "state"
            ] == state

    run(main())
