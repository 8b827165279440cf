"""Submitting in the v1 dialect: what is accepted, what is refused, and in which words."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.settings import JobSettings
from coatcheck.handlers.headers import priority, ttl_seconds
from coatcheck.schemas.operations import OPERATIONS

from .clients import FORMS, REQUESTS, Answer, client, request

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

operations = pytest.mark.parametrize("operation", OPERATIONS)


def test_every_operation_has_a_request_here() -> None:
    assert set(REQUESTS) | set(FORMS) == set(OPERATIONS)
    assert set(FORMS) == {name for name, operation in OPERATIONS.items() if operation.files}


@operations
def test_a_submit_is_answered_202_with_a_ticket_and_nothing_else(folder: Path, run: Any, operation: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", f"/v1/async/{operation}", request(operation), {"x-request-id": "mine-1"})
            assert answer.status == 202
            ticket = answer.json
            assert list(ticket) == ["id", "request_id", "status", "created_at"]
            assert UUID4.fullmatch(ticket["id"])
            assert ticket["request_id"] == "mine-1"
            assert ticket["status"] == "pending"
            assert MOMENT.fullmatch(ticket["created_at"])
            assert answer.headers["Location"] == f"/v1/async/{operation}/{ticket['id']}"
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["Content-Type"].startswith("application/json")
            assert answer.text.endswith(b"}\n")

    run(main())


def test_a_submit_without_a_request_id_is_given_one(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", "/v1/async/embeddings", request("embeddings"))
            assert UUID4.fullmatch(answer.json["request_id"])

    run(main())


def test_a_plain_curl_without_a_json_content_type_is_understood(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await c.ask("POST", "/v1/async/embeddings", request("embeddings"), headers)
            assert answer.status == 202

    run(main())


async def refused(folder: Path, operation: str, body: Any, **tables: Any) -> Answer:
    async with client(folder, **tables) as c:
        answer = await c.ask("POST", f"/v1/async/{operation}", body)
        assert await c.served.gateway.store.backlog() == [], "a refused submit left a job behind"
        return answer


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "invalid request format: "),
        (b"", "invalid request format: the body is empty"),
        (b"--b\r\n", "invalid request format: this is a form; send a JSON object"),
        (b'{"model": "\\ud800"}', "invalid request format: "),
        (b'{"model": NaN}', "invalid request format: "),
        (b"[" * 2000, "invalid request format: "),
        (b"[]", "invalid request format: expected a JSON object, got a list"),
        ({"model": 5}, "invalid request format: model: expected a string"),
    ],
)
def test_a_bad_body_is_a_400_that_says_why(folder: Path, run: Any, operation: str, body: Any, reason: str) -> None:
    answer = run(refused(folder, operation, body))
    assert answer.status == 400
    assert answer.message.startswith(reason)


@pytest.mark.parametrize("operation", sorted(REQUESTS.keys() - {"moderations"}))
@pytest.mark.parametrize("body", [{}, {"model": None}, {"model": ""}])
def test_a_model_is_asked_for(folder: Path, run: Any, operation: str, body: Any) -> None:
    answer = run(refused(folder, operation, body))
    assert (answer.status, answer.message) == (400, "model is required")


@pytest.mark.parametrize(
    ("operation", "field", "reason"),
    [
        ("chat/completions", "messages", "messages is required for chat completion"),
        ("completions", "prompt", "prompt is required for text completion"),
        ("responses", "input", "input is required for responses"),
        ("embeddings", "input", "input is required for embeddings"),
        ("audio/speech", "input", "input is required for speech completion"),
        ("audio/transcriptions", "file", "file is required"),
        ("images/generations", "prompt", "prompt cannot be empty"),
        ("images/edits", "image", "at least one image is required"),
        ("images/variations", "image", "at least one image is required"),
        ("rerank", "query", "query is required for rerank"),
        ("ocr", "document", "document type is required for ocr"),
        ("moderations", "input", "input is required for moderations"),
    ],
)
def test_a_missing_field_is_a_400_in_the_words_of_the_contract(
    folder: Path, run: Any, operation: str, field: str, reason: str
) -> None:
    answer = run(refused(folder, operation, {"model": "echo/echo", "user": "me"}))
    assert (answer.status, answer.message) == (400, reason)
    assert answer.json["error"]["param"] == field


@pytest.mark.parametrize(
    ("operation", "noun"),
    [("chat/completions", "chat completions"), ("completions", "text completions"), ("responses", "responses")],
)
def test_a_stream_is_refused(folder: Path, run: Any, operation: str, noun: str) -> None:
    answer = run(refused(folder, operation, request(operation, stream=True)))
    assert (answer.status, answer.message) == (400, f"stream is not supported for async {noun}")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("nobody/gpt-4", "'nobody' is not a configured provider; for embeddings use echo/echo"),
        ("ecko/echo", "'ecko' is not a configured provider, did you mean 'echo'?"),
        ("gpt-4", "no provider declares 'gpt-4'; for embeddings use echo/echo, second/echo or second/other"),
        ("echo", "'echo' is declared by echo/echo or second/echo"),
        ("echo/sing", "provider echo has no model 'sing'"),
        ("narrow/m", "provider narrow has no operation embeddings; it has responses; for embeddings use echo/echo"),
    ],
)
def test_a_model_that_nobody_has_is_a_400_that_names_what_would_do(
    folder: Path, run: Any, model: str, reason: str
) -> None:
    providers = {
        "echo": {"kind": "echo"},
        "second": {"kind": "echo", "models": ["echo", "other"]},
        "narrow": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "operations": ["responses"]},
    }
    answer = run(refused(folder, "embeddings", request("embeddings", model), providers=providers))
    assert answer.status == 400
    assert reason in answer.message
    assert answer.json["error"]["param"] == "model"
    if "/" not in model or model.startswith(("nobody", "ecko")):
        assert answer.message.startswith("provider is required in model field (format: provider/model)")


def test_a_bare_model_works_if_one_provider_declares_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            done = await c.ended(await c.submit("embeddings", "echo"), "embeddings")
            assert done.json["result"]["extra_fields"]["provider"] == "echo"

    run(main())


def test_an_unknown_fallback_is_a_400_that_names_it(folder: Path, run: Any) -> None:
    body = request("embeddings", fallbacks=["echo/echo", "nobody/x"])
    answer = run(refused(folder, "embeddings", body))
    assert answer.status == 400
    assert "'nobody' is not a configured provider" in answer.message
    assert answer.json["error"]["param"] == "fallbacks[1]"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"fallbacks": ["echo/echo"] * 17}, "at most 16 fallbacks, got 17"),
        ({"fallbacks": ["echo/" + "x" * 300]}, "a model's name has at most 256 characters"),
        ({"model": "x" * 300}, "a model's name has at most 256 characters"),
    ],
)
def test_what_every_row_would_keep_is_bounded(folder: Path, run: Any, more: Any, reason: str) -> None:
    answer = run(refused(folder, "embeddings", request("embeddings") | more))
    assert (answer.status, answer.message) == (400, reason)


def test_a_body_over_the_limit_is_a_413_with_and_without_a_length(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, server={"max_json_bytes": 1024}) as c:
            big = b'{"model": "echo/echo", "input": "' + b"x" * 2000 + b'"}'
            for body in (big, _chunks(big)):
                async with c._session.post(c.served.url + "/v1/async/embeddings", data=body) as response:
                    assert response.status == 413
                    error = await response.json()
                assert error["error"]["message"].startswith("the request's body is larger than 1024 bytes")
                assert error["error"]["code"] == "body_too_large"

    run(main())


async def _chunks(body: bytes) -> Any:
    yield body[:900]
    yield body[900:]


def test_a_compressed_body_is_refused(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", "/v1/async/embeddings", b"x", {"Content-Encoding": "gzip"})
            assert (answer.status, answer.code) == (415, "unsupported_encoding")

    run(main())


def test_a_large_body_is_taken_whole(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            text = "word " * 200_000
            done = await c.ended(await c.submit("completions", prompt=text), "completions")
            assert done.json["result"]["choices"][0]["text"] == text

    run(main())


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /v1/async/embeddings HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b'POST /v1/async/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{"model": "echo/echo"',
    ],
)
def test_a_body_that_breaks_off_is_never_a_fault_of_the_server(
    folder: Path, run: Any, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            host, _, port = c.served.url.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(raw)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            assert not answer or answer.split()[1] == b"400"
            await c.submit("embeddings")

    run(main())
    assert not [
        record for record in caplog.records if record.name.startswith("coatcheck") and record.levelname == "ERROR"
    ]


@pytest.mark.parametrize("depth", [200, 300, 1000])
def test_what_nests_deeply_is_taken_or_refused(folder: Path, run: Any, depth: int) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = b'{"model": "echo/echo", "input": "x", "x": ' + b"[" * depth + b"]" * depth + b"}"
            answer = await c.ask("POST", "/v1/async/embeddings", body)
            assert answer.status == (202 if depth < 250 else 400)
            if depth > 250:
                assert answer.message.endswith("nest less deeply")

    run(main())


def test_unknown_keys_reach_the_stored_request(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", x_mine={"deep": [1, None]})
            store = c.served.gateway.store
            ticket = await store.ticket(id, None)
            assert ticket is not None
            kept = await store.request(ticket.job.seq)
            assert kept is not None
            assert b'"x_mine":{"deep":[1,null]}' in kept

    run(main())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 3600), ("60", 60), ("+60", 60), ("0", 3600), ("-5", 3600), ("1.5", 3600), ("60s", 3600), (" 60", 3600),
        ("1_0", 3600), ("١٢", 3600), ("9" * 18, 1000), ("9" * 19, 3600), ("", 3600),
    ],
)  # fmt: skip
def test_the_ttl_header_is_never_an_error(header: str | None, seconds: int) -> None:
    settings = JobSettings(max_result_ttl_seconds=1000 if header == "9" * 18 else 10_000)
    assert ttl_seconds(header, settings) == seconds


@pytest.mark.parametrize(
    ("header", "urgency"),
    [(None, 3), ("u=0", 0), ("u=7", 7), ("i, u=1", 1), ("u=2, i", 2), ("u=8", 3), ("u=12", 3), ("urgent", 3)],
)
def test_the_priority_header_is_that_of_rfc_9218(header: str | None, urgency: int) -> None:
    assert priority(header) == urgency


def test_too_many_pending_jobs_are_a_429_before_the_ticket(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}, jobs={"max_pending": 2}) as c:
            running = await c.submit("embeddings", "echo/hang")
            while (await c.ask("GET", f"/v1/async/embeddings/{running}")).json["status"] != "processing":
                pass
            for _ in range(2):
                await c.submit("embeddings", "echo/hang")
            answer = await c.ask("POST", "/v1/async/embeddings", request("embeddings"))
            assert (answer.status, answer.code) == (429, "too_many_pending")
            assert int(answer.headers["Retry-After"]) >= 1
            assert "2 jobs are waiting" in answer.message

    run(main())
