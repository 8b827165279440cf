"""`/healthz` and `/readyz`: whether the server answers, and whether a job would be accepted and kept."""

import asyncio
import resource
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from coatcheck.engine import pool
from coatcheck.engine.readiness import Readiness

from .clients import ECHO, client
from .jobs import echo, opened, pooled, rows
from .servers import ServerProcess, Upstream, never

READY = {"status": "ready"}

KEYS = {"required": True, "keys": [{"name": "root", "key": "sk-bf-admin", "admin": True}]}


def unavailable(reason: str) -> dict[str, str]:
    return {"status": "unavailable", "reason": reason}


def test_anyone_may_ask_whether_the_server_is_alive_and_ready(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS) as c:
            alive = await c.ask("GET", "/healthz")
            assert (alive.status, alive.json) == (200, {"status": "ok"})
            ready = await c.ask("GET", "/readyz")
            assert (ready.status, ready.json) == (200, READY)
            assert ready.headers["Content-Type"].startswith("application/json")
            assert rows(folder / "coatcheck.db", "SELECT COUNT(*) FROM pulse") == [(1,)], "it was written and committed"

    run(main())


def test_a_server_that_stops_is_alive_and_not_ready(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with (
            Upstream(never) as upstream,
            client(folder, providers={"up": {"kind": "openai", "base_url": upstream.url}}) as c,
        ):
            await c.submit("chat/completions", "up/gpt")
            await upstream.asked.get()
            draining = asyncio.create_task(c.served.gateway.pool.drain(60))
            await asyncio.sleep(0)
            ready = await c.ask("GET", "/readyz")
            assert ready.status == 503
            assert ready.json == unavailable("the server is stopping or has not started yet")
            assert (await c.ask("GET", "/healthz")).status == 200
            c.served.gateway.pool.hurry()
            await draining

    run(main())


def test_a_full_disk_is_not_ready_and_a_disk_with_room_is_again(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server, aiohttp.ClientSession(server.url) as session:

            async def ready(status: int) -> Any:
                """The first answer of that status: one of the last second may be given again."""
                async with asyncio.timeout(30):
                    while True:
                        async with session.get("/readyz") as response:
                            if response.status == status:
                                return await response.json()

            assert await ready(200) == READY
            size = (folder / "coatcheck.db-wal").stat().st_size
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            reason = "the job store cannot be used: disk I/O error (SQLITE_IOERR_WRITE)"
            assert await ready(503) == unavailable(reason)
            async with session.get("/healthz") as response:
                assert response.status == 200
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert await ready(200) == READY
            assert await server.terminate() == 0

    run(main())


def test_a_server_that_cannot_begin_what_waits_is_not_ready(
    folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_CLAIM_AGAIN_SECONDS", 0.01)

    def statement(sql: str) -> None:
        with closing(sqlite3.connect(folder / "coatcheck.db")) as db:
            db.execute(sql)

    async def main() -> None:
        async with client(folder) as c:

            async def ready(status: int) -> Any:
                async with asyncio.timeout(10):
                    while (answer := await c.ask("GET", "/readyz")).status != status:
                        pass
                return answer.json

            no = "CREATE TRIGGER no BEFORE UPDATE OF state ON job BEGIN SELECT RAISE(ABORT, 'no claims'); END"
            await asyncio.to_thread(statement, no)
            id = await c.submit()
            assert "no claims" in (await ready(503))["reason"]
            await asyncio.to_thread(statement, "DROP TRIGGER no")
            assert (await c.ended(id)).json["status"] == "completed"
            assert await ready(200) == READY

    run(main())


def test_a_database_that_was_removed_is_noticed_at_once(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            (folder / "coatcheck.db").unlink()
            ready = await c.ask("GET", "/readyz")
            assert ready.status == 503
            assert "was removed or replaced while the server runs" in ready.json["reason"]
            assert (await c.ask("POST", "/v1/async/embeddings", {"model": "echo/echo", "input": "x"})).status == 503

    run(main())


def test_whoever_asks_often_writes_seldom(folder: Path, run: Any) -> None:
    async def main() -> None:
        now = 100.0
        async with opened(folder) as store, pooled(store, echo()) as pool:
            readiness = Readiness(pool, store, now=lambda: now)
            for moment, commits in ((100.0, 1), (101.0, 1), (101.1, 2), (102.0, 2), (200.0, 3)):
                now = moment
                answers = await asyncio.gather(*(readiness.trouble() for _ in range(50)))
                assert answers == [None] * 50
                assert sum(store.meters.commits.values[()][:-1]) == commits, moment

    run(main())


def test_a_store_that_does_not_answer_is_not_waited_for(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, echo()) as pool:
            readiness = Readiness(pool, store, patience_seconds=0.01)
            with closing(sqlite3.connect(folder / "coatcheck.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                for _ in range(3):
                    assert await readiness.trouble() == "the job store has not answered for 0.01 seconds"
                other.execute("ROLLBACK")
            async with asyncio.timeout(30):
                while await readiness.trouble() is not None:
                    pass
            assert sum(store.meters.commits.values[()][:-1]) == 1, "all who asked waited for the same write"

    run(main())
