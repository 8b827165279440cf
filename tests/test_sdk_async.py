"""`x-bf-async` and `x-bf-async-id`: jobs on the vendors' own routes."""

from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from coatcheck.schemas.operations import OPERATIONS

from .clients import Client, client, request
from .owners import owners
from .vendor_clients import openai_client

HELLO: Any = [{"role": "user", "content": "hello"}]
YES = {"x-bf-async": "true"}
ONCE = {"echo": {"kind": "echo", "retries": 0}}
NOBODYS = "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de"


async def promised(c: Client, operation: str, model: str = "echo/echo", **headers: str) -> Any:
    """What stands for the result of a job that was submitted there."""
    answer = await c.ask("POST", f"/v1/{operation}", request(operation, model), {**YES, **headers})
    assert answer.status == 200, answer.text
    assert answer.json["id"] == answer.headers["x-bf-job-id"]
    assert answer.json["status"] == "pending"
    return answer.json


async def collect(c: Client, operation: str, id: str, **headers: str) -> Any:
    return await c.ask("POST", f"/v1/{operation}", b"{}", {"x-bf-async-id": id, **headers})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_route_promises_and_collects_and_shares_its_jobs_with_v1(folder: Path, run: Any, operation: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await promised(c, operation))["id"]
            polled = await c.ended(id, operation)
            assert polled.json["status"] == "completed"
            collected = await collect(c, operation, id)
            assert (collected.status, collected.headers["x-bf-job-id"]) == (200, id)
            result = polled.json["result"]
            if operation == "audio/speech":
                assert collected.text[:4] in (b"RIFF", b"ID3\x03", b"ID3\x04"), collected.text[:4]
            else:
                del result["extra_fields"]
                assert collected.json == result
            # The other way round.
            other = await c.submit(operation)
            await c.ended(other, operation)
            assert (await collect(c, operation, other)).status == 200

    run(main())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_stands_for_a_result_says_whether_the_job_waits_or_runs(folder: Path, run: Any, operation: str) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            running, waiting = [(await promised(c, operation, "echo/hang"))["id"] for _ in range(2)]
            while (await c.ask("GET", f"/v1/async/jobs/{running}")).json["status"] != "processing":
                pass
            for id, status in ((running, "processing"), (waiting, "pending")):
                answer = await collect(c, operation, id)
                assert (answer.status, answer.json["id"], answer.json["status"]) == (200, id, status)
                assert int(answer.headers["Retry-After"]) >= 1

    run(main())


def test_the_openai_package_reads_what_stands_for_a_result(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder) as (o, _):
            headers = {"extra_headers": YES}
            chat = await o.chat.completions.create(model="echo/hang", messages=HELLO, **headers)
            assert (chat.choices, chat.model_extra) == ([], {"status": "pending"})
            text = await o.completions.create(model="echo/hang", prompt="hello", **headers)
            assert text.choices == []
            response = await o.responses.create(model="echo/hang", input="hello", **headers)
            assert (response.status, response.output, response.output_text) == ("pending", [], "")
            vectors = await o.embeddings.create(model="echo/hang", input="a", encoding_format="float", **headers)
            assert vectors.data == []
            images = await o.images.generate(model="echo/hang", prompt="hello", **headers)
            assert images.data == []
            heard = await o.audio.transcriptions.create(model="echo/hang", file=("a.wav", b"a"), **headers)
            assert heard.text == ""
            spoken = await o.audio.speech.create(model="echo/hang", voice="alloy", input="hello", **headers)
            assert orjson.loads(spoken.content)["status"] == "pending"
            collected = await o.responses.create(
                model="", input="", extra_headers={"x-bf-async-id": response.id, "Prefer": "wait=1"}
            )
            assert (collected.id, collected.status) == (response.id, "processing")

    run(main())


@pytest.mark.parametrize("word", ["", "0", "false", "no", "off", "FALSE", " 0 "])
def test_no_means_no(folder: Path, run: Any, word: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            asked = request("embeddings")
            answer = await c.ask("POST", "/v1/embeddings", asked, {"x-bf-async": word, "x-bf-async-id": ""})
            assert (answer.status, len(answer.json["data"])) == (200, 1)

    run(main())


@pytest.mark.parametrize("word", ["1", "true", "yes", "anything"])
def test_any_other_word_means_yes(folder: Path, run: Any, word: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", "/openai/v1/embeddings", request("embeddings"), {"x-bf-async": word})
            assert (answer.status, answer.json["data"]) == (200, [])

    run(main())


def test_a_failed_job_is_collected_with_its_own_status_and_words(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder, providers=ONCE) as (o, c):
            id = (await promised(c, "chat/completions", "echo/status-404"))["id"]
            await c.ended(id)
            with pytest.raises(openai.NotFoundError, match="echo was told to answer 404") as raised:
                await o.chat.completions.create(model="", messages=[], extra_headers={"x-bf-async-id": id})
            assert raised.value.response.headers["x-bf-job-id"] == id
            hanging = (await promised(c, "chat/completions", "echo/hang"))["id"]
            await c.ask("POST", f"/v1/async/jobs/{hanging}/cancel")
            answer = await collect(c, "chat/completions", hanging)
            assert (answer.status, answer.json["error"]["code"]) == (499, "job_cancelled")

    run(main())


def test_a_collect_can_wait_and_so_can_a_promise(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            wait = {"Prefer": "wait=30"}
            id = (await promised(c, "embeddings", "echo/wait-0.2"))["id"]
            assert len((await collect(c, "embeddings", id, **wait)).json["data"]) == 1
            body = request("embeddings", "echo/wait-0.2")
            answer = await c.ask("POST", "/v1/embeddings", body, {**YES, **wait})
            assert len(answer.json["data"]) == 1
            short = await c.ask(
                "POST", "/v1/embeddings", request("embeddings", "echo/hang"), {**YES, "Prefer": "wait=1"}
            )
            assert (short.status, short.json["status"]) == (200, "processing")

    run(main())


def test_a_job_of_another_owner_or_operation_is_as_unknown_as_none(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with owners(folder) as by:
            id = (await promised(by.alice, "embeddings"))["id"]
            await by.alice.ended(id, "embeddings")
            for c, operation, asked in (
                (by.bob, "embeddings", id),
                (by.alice, "completions", id),
                (by.alice, "embeddings", NOBODYS),
                (by.alice, "embeddings", "not an id"),
            ):
                answer = await collect(c, operation, asked)
                assert (answer.status, answer.json["error"]["code"]) == (404, "job_not_found")
                assert answer.json["error"]["message"] == "job not found or expired"
            assert (await collect(by.root, "embeddings", id)).status == 200

    run(main())


def test_the_id_counts_before_anything_else(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await promised(c, "embeddings"))["id"]
            await c.ended(id, "embeddings")
            headers = {"x-bf-async-id": id, **YES, "x-bf-on-disconnect": "perhaps"}
            answer = await c.ask("POST", "/v1/embeddings", b"{not json", headers)
            assert (answer.status, len(answer.json["data"])) == (200, 1)
            assert len((await c.ask("GET", "/v1/async/jobs")).json["data"]) == 1

    run(main())


def test_a_promised_job_outlives_its_client_and_is_kept_as_long_as_any(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for headers, seconds in (({}, 3600), ({"x-bf-async-job-result-ttl": "90"}, 90)):
                id = (await promised(c, "embeddings", **headers))["id"]
                shown = await c.ask("GET", f"/v1/async/jobs/{id}?include=plan")
                assert shown.json["plan"]["ttl_seconds"] == seconds

    run(main())


def test_a_promise_that_is_repeated_is_the_same_job(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            key = {"Idempotency-Key": "k"}
            first = await c.ask("POST", "/v1/embeddings", request("embeddings", "echo/hang"), {**YES, **key})
            again = await c.ask("POST", "/v1/embeddings", request("embeddings", "echo/hang"), {**YES, **key})
            assert (first.json["id"], again.headers["Idempotency-Replayed"]) == (again.json["id"], "true")

    run(main())


def test_a_transcript_is_collected_in_the_form_that_was_asked_for(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = request("audio/transcriptions", response_format="srt")
            answer = await c.ask("POST", "/v1/audio/transcriptions", body, YES)
            await c.ended(answer.json["id"], "audio/transcriptions")
            collected = await collect_form(c, answer.json["id"])
            assert collected.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert b"-->" in collected.text

    run(main())


def test_a_transcript_whose_request_was_not_kept_is_json(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, jobs={"keep_requests": False}) as c:
            body = request("audio/transcriptions", response_format="text")
            direct = await c.ask("POST", "/v1/audio/transcriptions", body)
            assert direct.headers["Content-Type"] == "text/plain; charset=utf-8"
            answer = await c.ask("POST", "/v1/audio/transcriptions", body, YES)
            await c.ended(answer.json["id"], "audio/transcriptions")
            collected = await collect_form(c, answer.json["id"])
            assert collected.json["text"].encode() == direct.text

    run(main())


async def collect_form(c: Client, id: str) -> Any:
    return await c.ask("POST", "/v1/audio/transcriptions", b"", {"x-bf-async-id": id})
