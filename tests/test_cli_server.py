"""How the commands meet a server: one that is away, that refuses, that is another, that goes for a while."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.app import create_app

from .clients import ECHO
from .servers import ServerProcess, render_toml
from .shells import Shell, answering, shell

ID = "7f0c1a2b-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9", "no server answers at http://127.0.0.1:9 (Connection refused): is COATCHECK_URL right"),
        ("http://nowhere.invalid", "no server answers at http://nowhere.invalid ("),
        ("localhost:8080", "COATCHECK_URL: 'localhost:8080' is not an http or https address"),
        ("http://[::1", "COATCHECK_URL: 'http://[::1' is not an http or https address"),
    ],
)
def test_a_server_that_is_not_there_is_one_line_with_the_cure(folder: Path, run: Any, url: str, reason: str) -> None:
    async def main() -> None:
        for command in (["jobs"], ["submit", "completions", "-m", "a/b", "x"], ["wait", ID]):
            done = await Shell(folder, url)(*command)
            assert (done.code, done.out) == (1, "")
            assert done.err.startswith(f"coatcheck: {reason}")
            assert len(done.err.splitlines()) == 1
            assert "may have been taken" not in done.err

    run(main())


def test_something_else_that_answers_is_not_taken_for_a_server(folder: Path, run: Any) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPPermanentRedirect("https://jobs.example.com/")

    async def silent(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def main() -> None:
        for handler, reason in (
            (page, "is no Coatcheck server (status 200): is COATCHECK_URL right"),
            (elsewhere, "leads to https://jobs.example.com/: set COATCHECK_URL to that"),
            (silent, "The job may have been taken: see `coatcheck jobs`."),
        ):
            async with answering(handler) as url:
                done = await Shell(folder, url)("submit", "completions", "-m", "a/b", "x")
                assert (done.code, done.out) == (1, "")
                assert reason in done.err

    run(main())


def test_a_refusal_names_its_reason_and_the_cure(folder: Path, run: Any) -> None:
    async def main() -> None:
        auth = {"keys": [{"name": "me", "key": "sk-bf-" + "x" * 43}], "required": True}
        async with shell(folder, auth=auth) as (sh, _):
            ask = ("submit", "completions", "-m", "echo/echo", "x")
            without = await sh(*ask)
            assert without.err == (
                f"coatcheck: {sh.url} refused: virtual key is required; set COATCHECK_KEY to a key\n"
            )
            wrong = await sh.having(COATCHECK_KEY="sk-bf-wrong")(*ask)
            assert "COATCHECK_KEY is not valid here (any more)" in wrong.err
            assert (
                "or the key in COATCHECK_KEY may not see it"
                in (await sh.having(COATCHECK_KEY="sk-bf-wrong")("get", ID)).err
            )
            assert "COATCHECK_KEY holds characters" in (await sh.having(COATCHECK_KEY="kéy")(*ask)).err
            assert (await sh.having(COATCHECK_KEY="sk-bf-" + "x" * 43 + "\n")(*ask)).code == 0

    run(main())


def test_a_refusal_for_a_while_says_how_long(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder, jobs={"max_pending": 1}, providers={"echo": {"kind": "echo", "concurrency": 1}}) as (
            sh, _,
        ):  # fmt: skip
            for _ in range(2):
                await sh("submit", "completions", "-m", "echo/hang", "x")
            done = await sh("submit", "completions", "-m", "echo/hang", "x")
            assert done.code == 1
            assert re.search(r"1 jobs are waiting, which is the most this server takes; try again in \d+ s\n", done.err)

    run(main())


def test_the_address_comes_from_the_configuration_where_nothing_else_says_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server:
            port = (server.url or "").rpartition(":")[2]
            here = folder / "here"
            here.mkdir()
            sh = Shell(here, "")
            (here / "config.toml").write_text(render_toml({"server": {"host": "0.0.0.0", "port": int(port)}}))
            assert (await sh("jobs")).err == "There are no jobs.\n"
            (here / "config.toml").write_text("not = [toml")
            assert (await sh.having(COATCHECK_SERVER_PORT=port)("jobs")).err == "There are no jobs.\n"
            assert (
                "no server answers at http://127.0.0.1:9 " in (await sh.having(COATCHECK_SERVER_PORT="9")("jobs")).err
            )

    run(main())


def test_a_server_under_a_prefix_is_asked_there(folder: Path, run: Any) -> None:
    async def main() -> None:
        asked = []

        async def listing(request: web.Request) -> web.Response:
            asked.append((request.path, request.headers["Authorization"]))
            return web.json_response({"data": []})

        async with answering(listing) as url:
            await Shell(folder, f"{url}/ai/", {"COATCHECK_KEY": "sk-bf-1"})("jobs")
        assert asked == [("/ai/v1/async/jobs", "Bearer sk-bf-1")]

    run(main())


def test_a_job_is_watched_on_where_the_connection_broke(folder: Path, run: Any) -> None:
    """And what the server said before is not said again."""
    seen: list[str | None] = []
    job = {"id": ID, "status": "completed", "created_at": "2026-01-01T00:00:00.000000Z", "operation": "completions",
           "completed_at": "2026-01-01T00:00:02.000000Z", "expires_at": "2026-01-01T01:00:00.000000Z",
           "model": "echo/echo", "status_code": 200, "result": {"choices": [{"text": "at last"}]}}  # fmt: skip

    async def handler(request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/events"):
            return web.json_response(job if len(seen) > 1 else {**job, "status": "processing"})
        seen.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if len(seen) == 1:
            claimed = {"attempt": 1, "provider": "echo", "model": "echo"}
            await response.write(b": hello\n\nid: 0\nevent: submitted\ndata: {}\n\n")
            await response.write(b"id:1\r\nevent:claimed\r\ndata:%b\r\n\r\n" % json.dumps(claimed).encode())
            await response.write(b'event: progress\ndata: {"cut')
            assert request.transport is not None
            request.transport.abort()
        else:
            await response.write(b"id: 2\nevent: completed\ndata: {}\n\n")
        return response

    async def main() -> None:
        async with answering(handler) as url:
            done = await Shell(folder, url, {"TZ": "UTC"})("wait", ID)
            assert (done.code, done.out) == (0, "at last\n")
            assert seen == [None, "1"]
            lines = done.err.splitlines()
            assert lines[:2] == [f"{ID[:8]} pending", f"{ID[:8]} processing echo/echo"]
            assert lines[-2:] == [
                f"{ID[:8]} completed echo/echo",
                f"✓ {ID[:8]} completed  took 2.0 s  completions at echo/echo  kept until 2026-01-01 01:00:00",
            ]

    run(main())


def test_a_server_that_is_away_for_a_moment_is_asked_again(folder: Path, run: Any) -> None:
    tables = {"providers": ECHO, "jobs": {"shutdown_grace_seconds": 0}}

    async def main() -> None:
        async with ServerProcess(folder, tables) as server:
            port = (server.url or "").rpartition(":")[2]
            process = await Shell(folder, server.url or "").start(
                "submit", "completions", "-m", "echo/wait-1", "x", "--wait",
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert process.stderr is not None
            while b"processing" not in await process.stderr.readline():
                pass
            await server.kill9()
            while b"the server is away" not in await process.stderr.readline():
                pass
        runner = web.AppRunner(create_app(tables, data=folder), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", int(port)).start()
            out, _ = await process.communicate()
        finally:
            await runner.cleanup()
        assert (process.returncode, out) == (0, b"x\n")

    run(main())


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(folder: Path, run: Any) -> None:
    async def many(request: web.Request) -> web.Response:
        job = {"id": ID, "status": "pending", "created_at": "2026-01-01T00:00:00Z", "operation": "x", "model": "y"}
        return web.json_response({"data": [job] * 100, "next": "1"})

    async def main() -> None:
        async with answering(many) as url:
            process = await Shell(folder, url).start(
                "jobs", "--all", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            assert process.stderr is not None
            await process.stdout.readline()
            process.stdout._transport.close()  # type: ignore[attr-defined]
            assert await process.stderr.read() == b""
            assert await process.wait() == 1

    run(main())
