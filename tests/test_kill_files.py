"""`kill -9` of a real server, between a file and its row too: no job loses a file, and no file stays without a job."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from .files import in_rows, on_disk
from .jobs import rows
from .servers import ServerProcess

Run = Callable[[Awaitable[Any]], Any]

SPEECH, TRANSCRIPTIONS = "/v1/async/audio/speech", "/v1/async/audio/transcriptions"
TABLES = {"jobs": {"shutdown_grace_seconds": 1}, "providers": {"echo": {"kind": "echo", "retries": 9}}}

ROUNDS, CLIENTS = 5, 6


def form(text: bytes) -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("model", "echo/echo")
    data.add_field("file", text, filename="spoken.txt", content_type="text/plain")
    return data


async def until(session: aiohttp.ClientSession, holds: Callable[[], bool]) -> None:
    """Asks the server for its health until that is so."""
    async with asyncio.timeout(30):
        while not holds():
            async with session.get("/healthz") as response:
                await response.read()


class Client:
    """Submits, collects and deletes, until its server is gone."""

    def __init__(self, session: aiohttp.ClientSession, chance: random.Random, jobs: dict[str, str]) -> None:
        self._session = session
        self._chance = chance
        #: The path of every job that was accepted and not deleted, with what its answer has to hold.
        self._jobs = jobs

    async def live(self) -> None:
        while True:
            try:
                await self._chance.choice((self._speak, self._listen, self._delete))()
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                return

    async def _speak(self) -> None:
        asked = {"model": "echo/echo", "input": "x" * self._chance.randrange(1, 200), "voice": "alloy"}
        async with self._session.post(SPEECH, json=asked) as response:
            assert response.status == 202, await response.text()
            self._jobs[f"{SPEECH}/{(await response.json())['id']}"] = '"audio":"UklGR'

    async def _listen(self) -> None:
        word = f"{self._chance.getrandbits(64):x}"
        async with self._session.post(TRANSCRIPTIONS, data=form(word.encode() * 1000)) as response:
            assert response.status == 202, await response.text()
            self._jobs[f"{TRANSCRIPTIONS}/{(await response.json())['id']}"] = word

    async def _delete(self) -> None:
        if not self._jobs:
            return
        path = self._chance.choice(list(self._jobs))
        holds = self._jobs.pop(path)
        try:
            async with self._session.delete(f"/v1/async/jobs/{path.rpartition('/')[2]}") as response:
                if response.status == 409:
                    self._jobs[path] = holds
        except aiohttp.ClientError:
            # It may be gone or not.
            return


async def ended(session: aiohttp.ClientSession, path: str) -> str:
    async with asyncio.timeout(30):
        while True:
            async with session.get(path) as response:
                text = await response.text()
                if response.status == 200:
                    return text
                assert response.status == 202, f"{path}: {text}"


def test_no_kill_parts_a_job_from_its_files(folder: Path, run: Run) -> None:
    async def main() -> None:
        seed = random.randrange(10**6)
        print(f"seed {seed}")
        chance, jobs = random.Random(seed), dict[str, str]()
        server = ServerProcess(folder, TABLES)
        for _ in range(ROUNDS):
            await server.start()
            async with aiohttp.ClientSession(base_url=server.url) as session:
                living = [asyncio.create_task(Client(session, chance, jobs).live()) for _ in range(CLIENTS)]
                # Not to wait for something: the moment of the kill is what is random.
                await asyncio.sleep(chance.uniform(0.05, 0.6))
                await server.kill9()
                await asyncio.gather(*living)
        async with server, aiohttp.ClientSession(base_url=server.url) as session:
            for path, holds in jobs.items():
                answer = await ended(session, path)
                assert '"status":"completed"' in answer
                assert holds in answer
            await until(session, lambda: on_disk(folder) == in_rows(folder))
            known = [id for (id,) in rows(folder / "coatcheck.db", "SELECT id FROM job")]
            for id in known:
                await ended(session, f"/v1/async/jobs/{id}")
                async with session.delete(f"/v1/async/jobs/{id}") as response:
                    assert response.status == 204
            await until(session, lambda: on_disk(folder) == in_rows(folder) == set())
        print(f"{len(jobs)} jobs accepted, {len(known)} found")
        assert jobs

    run(main())


def test_a_kill_in_an_upload_leaves_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with ServerProcess(folder, TABLES) as server, aiohttp.ClientSession(base_url=server.url) as session:
            assert server.url is not None
            host, _, port = server.url.removeprefix("http://").partition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"POST /v1/async/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + bytes(2_000_000)
            )
            await until(session, lambda: bool(on_disk(folder)))
            await server.kill9()
            assert len(on_disk(folder)) == 1
            writer.close()
            await server.start()
            assert on_disk(folder) == in_rows(folder) == set()

    run(main())
