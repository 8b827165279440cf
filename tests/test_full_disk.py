"""A disk that is full for a while: a real server whose files may not grow."""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from .files import in_rows, on_disk
from .jobs import ended_once
from .servers import ServerProcess, Upstream, chat

Run = Callable[[Awaitable[Any]], Any]

CHATS = "/v1/async/chat/completions"


async def submit(session: aiohttp.ClientSession, model: str) -> tuple[int, dict[str, Any]]:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    async with session.post(CHATS, json=body) as response:
        return response.status, await response.json()


async def poll(session: aiohttp.ClientSession, id: str) -> tuple[int, dict[str, Any]]:
    async with session.get(f"{CHATS}/{id}") as response:
        return response.status, await response.json()


async def finished(session: aiohttp.ClientSession, id: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while (answer := await poll(session, id))[0] == 202:
            pass
    return answer[1]


def test_a_full_disk_refuses_jobs_keeps_answering_and_loses_no_outcome(folder: Path, run: Run) -> None:
    async def main() -> None:
        answered = asyncio.Event()

        async def patient(request: dict[str, Any]) -> web.StreamResponse:
            await answered.wait()
            return await chat(request)

        async with Upstream(patient) as upstream, AsyncExitStack() as stack:
            providers = {"echo": {"kind": "echo"}, "up": {"kind": "openai", "base_url": upstream.url}}
            server = await stack.enter_async_context(ServerProcess(folder, {"providers": providers}))
            session = await stack.enter_async_context(aiohttp.ClientSession(base_url=server.url))
            done = [(await submit(session, "echo/echo"))[1]["id"] for _ in range(10)]
            for id in done:
                assert (await finished(session, id))["status"] == "completed"
            running = [(await submit(session, "up/gpt"))[1]["id"] for _ in range(3)]
            for _ in running:
                await upstream.asked.get()

            # No file of the server grows beyond the log of changes, to which every commit must append.
            size = (folder / "coatcheck.db-wal").stat().st_size
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

            status, refusal = await submit(session, "echo/echo")
            assert status == 503
            assert refusal["error"]["message"] == "the job store cannot be used: disk I/O error (SQLITE_IOERR_WRITE)"
            assert refusal["error"]["code"] == "store_unavailable"
            answered.set()
            for _ in range(20):
                assert (await submit(session, "echo/echo"))[0] == 503
                assert (await poll(session, done[0]))[0] == 200
                for id in running:
                    status, ticket = await poll(session, id)
                    assert (status, ticket["status"]) == (202, "processing"), "its outcome cannot be written yet"

            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            status, late = await submit(session, "echo/echo")
            assert status == 202
            for id in (*running, late["id"]):
                assert (await finished(session, id))["status"] == "completed"
            assert upstream.asked.empty(), "no call was made again, since no outcome was lost"
            assert await server.terminate() == 0
        ended_once(folder / "coatcheck.db", [*done, *running, late["id"]])
        assert "disk I/O error" in server.log.read_text()

    run(main())


def test_a_full_disk_refuses_an_upload_and_keeps_nothing_of_it(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            ServerProcess(folder, {"providers": {"echo": {"kind": "echo"}}}) as server,
            aiohttp.ClientSession(base_url=server.url) as session,
        ):

            async def upload() -> tuple[int, dict[str, Any]]:
                form = aiohttp.FormData({"model": "echo/echo"})
                form.add_field("file", BytesIO(b"spoken " * 1_000_000), filename="a.txt", content_type="text/plain")
                async with session.post("/v1/async/audio/transcriptions", data=form) as response:
                    return response.status, await response.json()

            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
            status, refusal = await upload()
            assert (status, refusal["error"]["code"]) == (503, "store_unavailable")
            assert refusal["error"]["message"] == "files cannot be kept: File too large"
            assert on_disk(folder) == in_rows(folder) == set()

            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            status, _ = await upload()
            assert status == 202
            assert len(on_disk(folder)) == len(in_rows(folder)) == 1

    run(main())
