"""Log lines: what they are about, how they are written, and what is never in them."""

import asyncio
import io
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from coatcheck.engine.logs import ABOUT, About, Context, JsonFormatter, TextFormatter

from .clients import ECHO, client, request
from .jobs import echo, opened, pooled, submission, until
from .servers import ServerProcess, Upstream

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

#: What no line may hold: a key, and what a client or an upstream says in a body or a query.
SECRETS = ("sk-bf-admin", "sk-bf-wrong", "the-clients-words", "the-upstreams-words", "in-the-query")
KEYS = {"keys": [{"name": "root", "key": "sk-bf-admin", "admin": True}]}


@contextmanager
def written(formatter: logging.Formatter, level: int = logging.DEBUG) -> Iterator[io.StringIO]:
    """What our loggers write, as an application that embeds the gateway would set them up."""
    stream, ours = io.StringIO(), logging.getLogger("coatcheck")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(Context())
    before = ours.level
    ours.addHandler(handler)
    ours.setLevel(level)
    try:
        yield stream
    finally:
        ours.removeHandler(handler)
        ours.setLevel(before)


def objects(text: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in text.splitlines()]


def record(message: str, *args: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("coatcheck.engine.pool", logging.WARNING, __file__, 1, message, args, more.get("exc_info"))
    Context().filter(made)
    return made


def test_each_line_of_a_request_and_of_its_job_says_which(folder: Path, run: Any) -> None:
    async def main() -> None:
        headers = {"x-request-id": "mine-1", "traceparent": PARENT}
        with written(JsonFormatter()) as stream:
            async with client(folder) as c:
                id = await c.submit("chat/completions", "echo/fail", headers=headers)
                assert (await c.ended(id)).json["status"] == "failed"
        lines = objects(stream.getvalue())
        assert all(re.fullmatch(TIME, line["time"]) for line in lines)
        assert all(line["logger"].startswith("coatcheck.") for line in lines)
        mine = [line for line in lines if line.get("request_id") == "mine-1"]
        assert {line["trace_id"] for line in mine} == {TRACE}
        of_job = [line for line in mine if line.get("job_id") == id]
        assert [(line["level"], line["message"].partition(" ")[0]) for line in mine if line not in of_job] == [
            ("debug", "POST")
        ]
        said = " / ".join(f"{line['level']} {line['message']}" for line in of_job)
        said = re.sub(r"\d\.\d{3} s", "N s", said.replace(id, "J"))
        failed = "job J: attempt {} at provider echo failed after N s with 500 (provider_error); what follows: {}"
        assert said.startswith(
            "debug job J: accepted / debug job J: attempt 1 at provider echo begins / info " + failed.format(1, "retry")
        )
        assert said.endswith(f"warning {failed.format(3, 'the job has failed')} / debug job J: failed with 500")
        polls = [line for line in lines if line["message"].startswith("GET")]
        assert polls
        assert len({line["request_id"] for line in polls}) == len(polls), "each request has an id of its own"

    run(main())


def test_every_answer_carries_the_id_of_its_request(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for path, status in (("/healthz", 200), ("/v1/nowhere", 404), ("/v1/async/chat/completions", 405)):
                answer = await c.ask("GET", path, None, {"x-request-id": "mine-1"})
                assert (answer.status, answer.headers["x-request-id"]) == (status, "mine-1")
            for given in ("no spaces", "x" * 201, "é"):
                answer = await c.ask("POST", "/v1/async/embeddings", request("embeddings"), {"x-request-id": given})
                assert answer.headers["x-request-id"] == answer.json["request_id"] != given

    run(main())


def test_neither_keys_nor_bodies_nor_queries_are_in_the_log(folder: Path, run: Any) -> None:
    async def main() -> None:
        async def refuse(body: dict[str, Any]) -> web.StreamResponse:
            assert "the-clients-words" in str(body)
            words = dict.fromkeys(("message", "code", "type"), "the-upstreams-words")
            return web.json_response({"error": words}, status=400)

        async with Upstream(refuse) as upstream:
            tables = {
                "server": {"log_format": "json", "log_level": "debug"},
                "providers": {**ECHO, "up": {"kind": "openai", "base_url": upstream.url}},
                "auth": KEYS,
            }
            async with ServerProcess(folder, tables) as server, aiohttp.ClientSession(server.url) as session:
                body = {"model": "up/gpt", "messages": [{"role": "user", "content": "the-clients-words"}]}
                for key, status in (("sk-bf-admin", 202), ("sk-bf-wrong", 400)):
                    async with session.post(
                        "/v1/async/chat/completions?secret=in-the-query", json=body, headers={"x-bf-vk": key}
                    ) as response:
                        assert response.status == status
                        if status == 202:
                            id = (await response.json())["id"]
                async with asyncio.timeout(30):
                    shown = {"status": "pending"}
                    while shown["status"] != "failed":
                        async with session.get(
                            f"/v1/async/jobs/{id}?secret=in-the-query", headers={"Authorization": "Bearer sk-bf-admin"}
                        ) as response:
                            shown = await response.json()
                assert "the-upstreams-words" in str(shown), "its owner is told"
                assert await server.terminate() == 0
        text = server.log.read_text()
        lines = objects(text)
        assert any(f"job {id}: attempt 1 at provider up failed" in line["message"] for line in lines)
        assert any(line["message"].startswith("POST /v1/async/chat/completions answered 400") for line in lines)
        assert any(line["message"] == "stopping: no new jobs are taken" for line in lines)
        assert [secret for secret in SECRETS if secret in text] == []

    run(main())


def test_without_being_asked_the_server_says_little_and_in_text(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server, aiohttp.ClientSession(server.url) as session:
            async with session.get("/v1/nowhere") as response:
                assert response.status == 404
            assert await server.terminate() == 0
        (line,) = server.log.read_text().splitlines()
        assert re.fullmatch(TIME + " INFO coatcheck: stopping: no new jobs are taken", line)

    run(main())


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_request_that_is_no_http_is_one_line_without_what_was_sent(folder: Path, run: Any, log_format: str) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"server": {"log_format": log_format}, "providers": ECHO}) as server:
            assert server.url is not None
            port = int(server.url.rpartition(":")[2])
            for header in (
                b"x-api-key: sk-bf-wrong\x01",
                b"Authorization : Bearer sk-bf-wrong",
                b"x: sk-bf-wrong\n" * 500,
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /v1/async/jobs HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
                assert (await reader.readline()).split()[1] == b"400"
                writer.close()
            assert await server.terminate() == 0
        lines = server.log.read_text().splitlines()
        assert len(lines) == 4, "three, and the stop"
        assert "sk-bf-wrong" not in str(lines)
        assert "Error handling request from 127.0.0.1: BadHttpMessage" in lines[0]
        assert "ERROR" not in str(lines).replace("Error handling", "")
        assert '"error"' not in str(lines)

    run(main())


def test_what_an_error_quotes_begins_no_line_of_the_log() -> None:
    try:
        raise ValueError("quoted:\n2026-11-21T09:00:00.000Z INFO coatcheck: forged\r\x1b[2J")
    except ValueError:
        first, *rest = TextFormatter().format(record("a fault", exc_info=sys.exc_info())).split("\n")
    assert first.endswith("a fault")
    assert "  ValueError: quoted:" in rest
    assert "  2026-11-21T09:00:00.000Z INFO coatcheck: forged" in rest
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


def test_a_fault_is_one_line_of_json_with_its_traceback() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        shown = orjson.loads(JsonFormatter().format(record("job %s: a fault", "j-1", exc_info=sys.exc_info())))
    assert shown["level"] == "warning"
    assert shown["message"] == "job j-1: a fault"
    assert shown["exception"].startswith("Traceback (most recent call last):\n")
    assert shown["exception"].endswith("ValueError: two\nlines")
    assert "request_id" not in shown, "what is not known is not there"


@pytest.mark.parametrize("text", ["a\nb", "\ud800", 'quotes " and \\', "\x1b[31m", "\u2028", "\u202eb"])
def test_whatever_a_line_is_given_it_stays_one_line(text: str) -> None:
    for formatter in (JsonFormatter(), TextFormatter()):
        line = formatter.format(record("about %s", text))
        assert "\n" not in line
        assert "\x1b" not in line
    message = orjson.loads(JsonFormatter().format(record("%s", text)))["message"]
    assert message == ("\\ud800" if text == "\ud800" else text)


def test_text_says_what_it_is_about_at_the_end() -> None:
    token = ABOUT.set(About("r-1", "j-1", PARENT))
    try:
        line = TextFormatter().format(record("a message"))
    finally:
        ABOUT.reset(token)
    known = f"request_id=r-1 job_id=j-1 trace_id={TRACE}"
    assert re.fullmatch(rf"{TIME} WARNING coatcheck.engine.pool: a message \[{known}\]", line)


def test_what_a_line_names_itself_counts_first() -> None:
    made = logging.makeLogRecord({"msg": "cancelled", "job_id": "other"})
    token = ABOUT.set(About("r-1", "j-1"))
    try:
        Context().filter(made)
    finally:
        ABOUT.reset(token)
    assert (made.job_id, made.request_id, made.trace_id) == ("other", "r-1", None)


def test_a_lane_that_a_request_opens_is_not_about_that_request(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo()) as pool:
            begun: dict[asyncio.Task[Any], Any] = {}

            def remember(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
                task = asyncio.Task(work, loop=loop, **more)
                begun[task] = more.get("context", copy_context())
                return task

            asyncio.get_running_loop().set_task_factory(remember)
            ABOUT.set(About("r-1"))
            await pool.submit(one := submission("x", provider="gone"))
            await until(store, one.id)
            abouts = {task.get_name(): context.get(ABOUT) for task, context in begun.items()}
            assert abouts["coatcheck lane gone"] is None

    run(main())
