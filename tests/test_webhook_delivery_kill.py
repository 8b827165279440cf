"""`kill -9` of a real server between an outcome and its delivery: the next one delivers the same, by the same id."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from .receivers import Receiver
from .servers import Gate, ServerProcess, Upstream

Run = Callable[[Awaitable[Any]], Any]

TABLES = {"providers": {"echo": {"kind": "echo"}}, "webhooks": {"allow_private_networks": True}}
BODY = {"model": "echo/echo", "input": "hello"}


async def never(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def submitted(session: aiohttp.ClientSession, server: ServerProcess, url: str, **headers: str) -> str:
    headers = {"x-bf-async-webhook": url, **headers}
    async with session.post(f"{server.url}/v1/async/embeddings", json=BODY, headers=headers) as answer:
        assert answer.status == 202, await answer.text()
        return str((await answer.json())["id"])


async def ended(session: aiohttp.ClientSession, server: ServerProcess, id: str) -> None:
    path = f"{server.url}/v1/async/embeddings/{id}"
    async with session.get(path, headers={"Prefer": "wait=30"}) as answer:
        assert answer.status == 200


async def accepts(session: aiohttp.ClientSession, url: str | None) -> bool:
    """Whether the server says that it takes jobs."""
    async with session.get(f"{url}/readyz") as answer:
        return answer.status == 200


def test_a_server_that_is_killed_before_the_receiver_has_answered_delivers_after_its_start(
    folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with (
            Receiver(*[never] * 3) as receiver,
            aiohttp.ClientSession() as session,
            ServerProcess(folder, TABLES) as server,
        ):
            ids = {await submitted(session, server, f"{receiver.url}?{number}") for number in range(3)}
            # One is under way, and the others wait for it.
            before = await receiver.got()
            for id in ids:
                await ended(session, server, id)
            await server.kill9()
            receiver.answers.clear()
            await server.start()
            after = [await receiver.got() for _ in ids]
            assert {got.json["data"]["job_id"] for got in after} == ids
            (again,) = [got for got in after if got.headers["webhook-id"] == before.headers["webhook-id"]]
            assert again.body == before.body
            assert await server.terminate() == 0
            await server.start()
            # Whatever were still due would come before this one.
            last = await submitted(session, server, receiver.url)
            assert (await receiver.got()).json["data"]["job_id"] == last

    run(main())


def test_a_job_that_ends_while_the_server_stops_is_told_of_before_it_has_stopped(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with Upstream(gate.answer) as upstream, Receiver() as receiver, aiohttp.ClientSession() as session:
            providers = {"up": {"kind": "openai", "base_url": upstream.url}}
            async with ServerProcess(folder, {**TABLES, "providers": providers}) as server:
                body = {"model": "up/gpt", "messages": [{"role": "user", "content": "hello"}]}
                headers = {"x-bf-async-webhook": receiver.url}
                async with session.post(
                    f"{server.url}/v1/async/chat/completions", json=body, headers=headers
                ) as answer:
                    id = (await answer.json())["id"]
                await upstream.asked.get()
                url = server.url
                stopping = asyncio.create_task(server.terminate())
                while await accepts(session, url):
                    pass
                gate.let(1)
                assert await stopping == 0
                assert receiver.waiting == 1
                assert (await receiver.got()).json["data"]["job_id"] == id

    run(main())
