"""Progress in a job's events: text that adds up, what is told together, and readers that take nothing."""

import asyncio
import socket
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.attempt import Attempt
from coatcheck.engine.calls import Progress
from coatcheck.handlers import events as handler

from .clients import Client, client
from .servers import Gate, Upstream
from .streams import Sent, Stream, events, watching

Run = Callable[[Awaitable[Any]], Any]

HANG = "echo/hang"


async def running(c: Client, id: str) -> Attempt:
    """The attempt that runs of the job; waits for it."""
    gateway = c.served.gateway
    async with asyncio.timeout(30):
        while True:
            ticket = await gateway.store.ticket(id, None)
            assert ticket is not None
            attempt = gateway.pool.attempt(ticket.job)
            if attempt is not None:
                return attempt


class Call:
    """A call that hangs, and reports what it is told to."""

    def __init__(self, c: Client, attempt: Attempt) -> None:
        self._tell = c.served.gateway.pool.watchers.progressed
        self._attempt = attempt
        self.done = 0

    def say(self, delta: str) -> None:
        self.done += 1
        self._attempt.report(self._tell, Progress(done=self.done, delta=delta))


async def heard(stream: Stream, length: int) -> list[Sent]:
    """Reads progress until so many characters of text have come."""
    found: list[Sent] = []
    while sum(len(one.data.get("text", "")) for one in found) < length:
        found.append(await stream.until("progress"))
    return found


def rebuilt(sent: list[Sent]) -> str:
    """The text, after checking that each piece belongs where the one before ended."""
    text = ""
    for one in sent:
        assert one.id is None
        if "text" in one.data:
            assert one.data["offset"] == len(text)
            text += one.data["text"]
    return text


def test_the_pieces_of_text_add_up_and_start_over_after_a_reconnect(folder: Path, run: Run) -> None:
    words = ["Once ", "upøn ", "a\n\n", "time\r", "data: \u2028", "\U0001f642", "event: x", "\x00", "."]
    text = "".join(words)

    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG)
            call = Call(c, await running(c, id))
            sent: list[Sent] = []
            async with watching(c.served.url, id) as first:
                for word in words:
                    call.say(word)
                    sent += await heard(first, len(word))
            assert rebuilt(sent) == text
            assert {one.data["attempt"] for one in sent} == {1}
            assert sent[-1].data["done"] == len(words)
            async with watching(c.served.url, id, after=1) as second:
                again = await heard(second, len(text))
                assert len(again) == 1, "what was there already comes in one piece"
                assert rebuilt(again) == text

    run(main())


def test_an_answer_of_many_small_pieces_is_kept_in_few(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            attempt = await running(c, await c.submit("embeddings", HANG))
            call = Call(c, attempt)
            for number in range(1000):
                call.say(f"{number} ")
            assert len(attempt._said) < 300
            assert attempt.text == "".join(f"{number} " for number in range(1000))

    run(main())


def test_what_comes_quickly_is_told_together(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG)
            call = Call(c, await running(c, id))
            async with watching(c.served.url, id) as stream:
                await stream.until("claimed")
                loop = asyncio.get_running_loop()
                began = loop.time()
                for _ in range(5000):
                    call.say("word ")
                    await asyncio.sleep(0)
                sent = await heard(stream, 25_000)
                took = loop.time() - began
            assert rebuilt(sent) == "word " * 5000
            assert len(sent) <= took / 0.1 + 2, f"{len(sent)} events in {took:.2f} s"

    run(main())


def test_each_attempt_tells_its_own_text(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()

        async def refuse(body: dict[str, Any]) -> web.StreamResponse:
            await gate.answer(body)
            return web.json_response({}, status=503)

        async with Upstream(refuse) as up:
            providers = {"up": {"kind": "openai", "base_url": up.url, "retries": 0}, "echo": {"kind": "echo"}}
            async with client(folder, providers=providers) as c:
                id = await c.submit("chat/completions", "up/gpt", fallbacks=[HANG])
                await up.asked.get()
                async with watching(c.served.url, id) as stream:
                    for attempt, text in ((1, "nearly"), (2, "at last")):
                        assert (await stream.until("claimed")).data["attempt"] == attempt
                        Call(c, await running(c, id)).say(text)
                        sent = await heard(stream, len(text))
                        assert rebuilt(sent) == text
                        assert {one.data["attempt"] for one in sent} == {attempt}
                        gate.let(1)

    run(main())


def test_progress_comes_between_the_claim_and_the_end_of_its_attempt(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "retries": 0}}) as c:
            first, *fallbacks = "echo/wait-0.02+status-503", "echo/wait-0.02+fail", "echo/wait-0.02"
            ids = await asyncio.gather(*(c.submit("embeddings", first, fallbacks=fallbacks) for _ in range(40)))
            told = 0
            for sent in await asyncio.gather(*(events(c.served.url, id) for id in ids)):
                attempt = None
                for one in sent:
                    if one.kind == "progress":
                        assert one.data["attempt"] == attempt
                        assert (one.data["unit"], one.data["total"]) == ("percent", 100)
                        told += 1
                    else:
                        attempt = one.data["attempt"] if one.kind == "claimed" else None
                assert sent[-1].kind == "completed"
            assert told > 40

    run(main())


def test_a_look_at_a_running_job_shows_its_progress(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG)
            call = Call(c, await running(c, id))
            assert "progress" not in (await c.ask("GET", f"/v1/async/jobs/{id}")).json
            for _ in range(3):
                call.say("word")
            shown = (await c.ask("GET", f"/v1/async/jobs/{id}")).json
            assert shown["progress"] == {"done": 3, "unit": "tokens"}
            ended = (await c.ask("POST", f"/v1/async/jobs/{id}/cancel")).json
            assert "progress" not in ended

    run(main())


def test_a_silent_stream_has_a_heart_beat(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "_HEARTBEAT_SECONDS", 0.01)

    async def main() -> None:
        async with client(folder, providers={"echo": {"kind": "echo", "concurrency": 1}}) as c:
            running, waiting = [await c.submit("embeddings", HANG) for _ in range(2)]
            for id in (waiting, running):
                async with watching(c.served.url, id) as stream:
                    rest = asyncio.create_task(stream.rest())
                    while stream.comments < 5:
                        await c.ask("GET", f"/v1/async/jobs/{id}")
                    await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
                    assert (await rest)[-1].kind == "cancelled"

    run(main())


def test_a_client_that_leaves_is_noticed_by_the_next_heart_beat(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handler, "_HEARTBEAT_SECONDS", 0.01)

    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG)
            async with watching(c.served.url, id) as stream:
                await stream.until("claimed")
                assert c.served.gateway.pool.watchers.watching == 1
                stream.response.close()
            await left(c, 0)

    run(main())
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def left(c: Client, watching: int) -> None:
    """Returns when no more than so many streams are open."""
    async with asyncio.timeout(30):
        while c.served.gateway.pool.watchers.watching > watching:
            await c.served.gateway.store.alarms()


def test_readers_that_take_nothing_are_dropped_and_cost_no_memory(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handler, "_PROGRESS_SECONDS", 0)
    monkeypatch.setattr(handler, "_PATIENCE_SECONDS", 1.0)
    slow, piece = 10, "x" * 32_768

    async def main() -> None:
        async with client(folder) as c:
            loop = asyncio.get_running_loop()
            id = await c.submit("embeddings", HANG)
            call = Call(c, await running(c, id))
            host, _, port = c.served.url.removeprefix("http://").partition(":")
            sockets = [socket.socket() for _ in range(slow)]
            for one in sockets:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.setblocking(False)
                await loop.sock_connect(one, (host, int(port)))
                await loop.sock_sendall(
                    one, f"GET /v1/async/jobs/{id}/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
                )
            async with watching(c.served.url, id) as reader:
                await reader.until("claimed")
                caplog.set_level("INFO")
                tracemalloc.start()
                said = 0
                while c.served.gateway.pool.watchers.watching > 1:
                    call.say(piece)
                    said += len(piece)
                    # The pace is that of the one who reads.
                    await heard(reader, len(piece))
                _, peak = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                # The attempt has the text once, and joins it now and then.
                assert peak < 3 * said + slow * 16 * len(piece), f"{peak:,} bytes, of which {said:,} are the text"
                for one in sockets:
                    with one, suppress(ConnectionResetError):
                        while await loop.sock_recv(one, 2**20):
                            pass
                await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
                assert (await reader.until("cancelled")).id == 2

    run(main())
    assert sum("took nothing for 1 s" in record.message for record in caplog.records) == slow
