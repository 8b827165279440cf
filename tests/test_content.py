"""Files of results: in polls as base64, and at /content as the bytes they are."""

import asyncio
import base64
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from aiohttp import web

from coatcheck.engine.jobs import ResultFile
from coatcheck.handlers import media_types
from coatcheck.handlers.pieces import spliced
from coatcheck.schemas import v1

from .clients import ECHO, Answer, Client, client
from .servers import Answer as Answering
from .servers import Upstream, listening
from .uploads import kept, none_kept, until

Run = Callable[[Awaitable[Any]], Any]

WAIT = {"Prefer": "wait=20"}

#: More than is read at once, and no multiple of three.
MUCH = bytes(range(256)) * 2000 + b"x"


def picture(content: bytes) -> dict[str, str]:
    return {"b64_json": base64.b64encode(content).decode()}


@asynccontextmanager
async def drawing(folder: Path, answer: Answering) -> AsyncIterator[Client]:
    """A client whose gateway has the provider `up`, at a server that answers like that."""
    async with Upstream(answer) as upstream:
        providers = {"up": {"kind": "openai", "base_url": upstream.url}}
        async with client(folder, providers={**ECHO, **providers}) as c:
            yield c


async def three(_request: Any) -> web.StreamResponse:
    """Two images that come along, and one that is elsewhere."""
    elsewhere = {"url": "https://img.example/1.png"}
    return web.json_response({"created": 17, "data": [picture(b"one"), elsewhere, picture(MUCH)]})


async def sound(_request: Any) -> web.StreamResponse:
    return web.Response(body=MUCH, content_type="audio/mpeg")


async def done(c: Client, operation: str = "audio/speech", model: str = "echo/echo", **more: Any) -> Answer:
    id = await c.submit(operation, model, **more)
    return await c.ended(id, operation)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 196_607, 196_608, 196_609, 500_000])
def test_a_file_takes_the_place_of_its_placeholder(folder: Path, run: Run, size: int) -> None:
    content = MUCH[:size]
    path = folder / "file"
    path.write_bytes(content)
    first, second = (
        ResultFile(blob=f"{i}-id", media_type="x/y", size_bytes=size, place=i, file_name="", path=path) for i in (0, 1)
    )
    result = {"a": 'no "blob:0-id" this', "b": ["blob:1-id", {"c": "blob:0-id"}], "d": "blob:2-id"}

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=spliced(orjson.dumps(result), (first, second)))

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/", handle)
        async with listening(app) as url, aiohttp.ClientSession() as session:
            for method in ("HEAD", "GET"):
                async with session.request(method, url) as response:
                    text, length = await response.read(), int(response.headers["Content-Length"])
                    assert len(text) == (length if method == "GET" else 0)
        encoded = base64.b64encode(content).decode() or None
        assert orjson.loads(text) == {**result, "b": [encoded, {"c": encoded}]}

    run(main())


def test_every_look_at_a_job_has_the_files_of_its_result(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with drawing(folder, sound) as c:
            polled = await done(c, model="up/small")
            id = polled.json["id"]
            waited = await c.ask("GET", f"/v1/async/audio/speech/{id}", headers=WAIT)
            viewed = await c.ask("GET", f"/v1/async/jobs/{id}?include=attempts")
            for answer in (polled, waited, viewed):
                result = answer.json["result"]
                assert base64.b64decode(result["audio"], validate=True) == MUCH
                assert result["extra_fields"]["request_type"] == "speech"
                assert int(answer.headers["Content-Length"]) == len(answer.text)
            head = await c.ask("HEAD", f"/v1/async/audio/speech/{id}")
            assert (head.status, head.text) == (200, b"")
            assert head.headers["Content-Length"] == polled.headers["Content-Length"]
            again = await c.ask(
                "GET", f"/v1/async/audio/speech/{id}", headers={"If-None-Match": polled.headers["ETag"]}
            )
            assert (again.status, again.text) == (304, b"")

    run(main())


def test_several_files_are_each_in_their_own_place(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with drawing(folder, three) as c:
            images = (await done(c, "images/generations", "up/small")).json["result"]["data"]
            assert [base64.b64decode(image.get("b64_json", "")) for image in images] == [b"one", b"", MUCH]
            assert images[1]["url"] == "https://img.example/1.png"

    run(main())


def test_a_submit_that_waits_is_answered_with_the_files(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = {"model": "echo/echo", "input": "Hello", "voice": "x", "response_format": "pcm"}
            answer = await c.ask("POST", "/v1/async/audio/speech", body, WAIT)
            assert len(base64.b64decode(answer.json["result"]["audio"])) == 4000

    run(main())


def test_the_last_event_leaves_files_out(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await done(c)).json["id"]
            events = (await c.ask("GET", f"/v1/async/jobs/{id}/events")).text.decode().strip().split("\n\n")
            last = orjson.loads(events[-1].partition("data: ")[2])
            assert last["result_omitted"] is True
            assert "result" not in last
            id = (await done(c, "images/generations", response_format="url")).json["id"]
            events = (await c.ask("GET", f"/v1/async/jobs/{id}/events")).text.decode().strip().split("\n\n")
            assert orjson.loads(events[-1].partition("data: ")[2])["result"]["data"][0]["url"].startswith("https://")

    run(main())


def test_content_is_the_bytes_with_a_name_and_no_script(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await done(c, "images/generations", n=2)).json["id"]
            images = (await c.ask("GET", f"/v1/async/images/generations/{id}")).json["result"]["data"]
            squares = [base64.b64decode(image["b64_json"]) for image in images]
            for path in (f"/v1/async/images/generations/{id}/content", f"/v1/async/jobs/{id}/content"):
                first, second = await c.ask("GET", path), await c.ask("GET", f"{path}?index=1")
                assert (first.status, first.text, second.text) == (200, *squares)
                assert first.headers["Content-Type"] == "image/png"
                assert first.headers["Content-Disposition"] == 'attachment; filename="image-0.png"'
                assert second.headers["Content-Disposition"] == 'attachment; filename="image-1.png"'
                assert first.headers["X-Content-Type-Options"] == "nosniff"
                assert first.headers["Content-Security-Policy"] == "sandbox"
                assert first.headers["ETag"] != second.headers["ETag"]
                same = await c.ask("GET", path, headers={"If-None-Match": first.headers["ETag"]})
                assert (same.status, same.text) == (304, b"")
                head = await c.ask("HEAD", f"{path}?index=1")
                assert (head.status, head.text) == (200, b"")
                assert int(head.headers["Content-Length"]) == len(squares[1])

    run(main())


def test_the_name_of_speech_says_what_it_is(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for form, name in (("wav", "speech.wav"), ("pcm", "speech.pcm")):
                id = (await done(c, response_format=form)).json["id"]
                answer = await c.ask("GET", f"/v1/async/audio/speech/{id}/content")
                assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'

    run(main())


@pytest.mark.parametrize(
    ("asked", "status", "range_"),
    [
        ("bytes=0-0", 206, (0, 1)),
        ("bytes=2-5", 206, (2, 6)),
        ("bytes=300000-", 206, (300_000, len(MUCH))),
        ("bytes=-3", 206, (len(MUCH) - 3, len(MUCH))),
        ("bytes=-9999999", 206, (0, len(MUCH))),
        ("bytes=5-9999999", 206, (5, len(MUCH))),
        (f"bytes={len(MUCH)}-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=5-2", 200, None),
        ("bytes=-", 200, None),
        ("bytes=0-1,4-5", 200, None),
        ("items=0-1", 200, None),
        ("bytes=a-b", 200, None),
    ],
)
def test_a_range_is_sent_where_one_is_asked_for(
    folder: Path, run: Run, asked: str, status: int, range_: tuple[int, int] | None
) -> None:
    async def main() -> None:
        async with drawing(folder, sound) as c:
            path = f"/v1/async/audio/speech/{(await done(c, model='up/small')).json['id']}/content"
            answer = await c.ask("GET", path, headers={"Range": asked})
            assert answer.status == status
            if range_ is not None:
                start, end = range_
                assert answer.text == MUCH[start:end]
                assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(MUCH)}"
            elif status == 416:
                assert answer.headers["Content-Range"] == f"bytes */{len(MUCH)}"
                assert (answer.code, answer.message) == ("range_not_satisfiable", f"the content has {len(MUCH)} bytes")
            else:
                assert answer.text == MUCH
            head = await c.ask("HEAD", path, headers={"Range": asked})
            assert (head.status, head.headers["Content-Length"]) == (200, str(len(MUCH)))

    run(main())


def test_a_range_counts_while_the_content_is_the_same(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            path = f"/v1/async/audio/speech/{(await done(c)).json['id']}/content"
            tag = (await c.ask("HEAD", path)).headers["ETag"]
            for known, status in ((tag, 206), ('"another"', 200), ("Sat, 21 Nov 2026 09:00:00 GMT", 200)):
                answer = await c.ask("GET", path, headers={"Range": "bytes=0-3", "If-Range": known})
                assert answer.status == status, known

    run(main())


@pytest.mark.parametrize(
    ("known", "shown", "end"),
    [
        ("audio/mpeg", "audio/mpeg", "mp3"),
        ("audio/L16; rate=24000; channels=1", "audio/L16; rate=24000; channels=1", "pcm"),
        ("image/x-new", "image/x-new", "bin"),
        ("", "application/octet-stream", "bin"),
        ("audio/wav\r\nSet-Cookie: a=b", "application/octet-stream", "bin"),
        ('image/png; a="b"', "application/octet-stream", "png"),
    ],
)
def test_a_type_that_is_none_is_not_told(known: str, shown: str, end: str) -> None:
    assert media_types.header(known) == shown
    assert media_types.end(known) == end


def test_content_that_is_not_there_is_told_why(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:

            async def told(id: str, query: str = "", operation: str = "jobs") -> tuple[int, str, str]:
                answer = await c.ask("GET", f"/v1/async/{operation}/{id}/content{query}")
                return answer.status, answer.code, answer.message

            id = await c.submit("audio/speech", "echo/hang")
            await until(lambda: c.served.gateway.pool.running)
            waiting = await c.ask("GET", f"/v1/async/audio/speech/{id}/content")
            assert (waiting.status, waiting.code) == (409, "conflict")
            assert waiting.message == "the job is processing; it has content when it has completed"
            assert int(waiting.headers["Retry-After"]) >= 1
            await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
            assert await told(id) == (404, "not_found", "the job was cancelled: it has no content")
            id = (await done(c)).json["id"]
            one = "the result has 1 file, counted from 0; there is no 1"
            assert await told(id, "?index=1") == (404, "not_found", one)
            assert (await told(id, "?index=x"))[:2] == (400, "invalid_request")
            assert (await told(id, operation="images/edits"))[:2] == (404, "job_not_found")
            id = (await done(c, "images/generations", response_format="url")).json["id"]
            status, _, message = await told(id)
            assert status == 404
            assert message.startswith(
                "the provider did not send this image, but said where it is: https://echo.invalid/"
            )
            id = (await done(c, "embeddings")).json["id"]
            assert await told(id) == (404, "not_found", "the result has no files; it is all in the job")
            id = await c.submit("audio/speech", "echo/status-400")
            await c.ended(id, "audio/speech")
            assert await told(id) == (404, "not_found", "the job has failed: it has no content")

    run(main())


def test_the_files_of_a_result_go_with_their_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await done(c)).json["id"]
            assert len(kept(folder)) == 1
            await c.ask("DELETE", f"/v1/async/jobs/{id}")
            await none_kept(folder)
            assert (await c.ask("GET", f"/v1/async/audio/speech/{id}/content")).status == 404

    run(main())


def test_an_answer_whose_file_is_gone_is_cut_off_and_said_in_the_log(
    folder: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await done(c)).json["id"]
            (path,) = kept(folder)
            path.write_bytes(path.read_bytes()[:100])
            for what in ("", "/content"):
                with pytest.raises(Exception, match=r"payload is not completed|Server disconnected"):
                    await c.ask("GET", f"/v1/async/audio/speech/{id}{what}")
            path.unlink()
            with pytest.raises(Exception, match=r"payload is not completed|Server disconnected"):
                await c.ask("GET", f"/v1/async/audio/speech/{id}")
            assert "an answer was cut off: a file of a result cannot be read" in caplog.text

    run(main())


@pytest.mark.parametrize(
    ("cost", "dollars"),
    [(0, "0"), (1, "0.000000000001"), (1_230_000_000, "0.00123"), (12 * 10**12, "12"), (10**13 + 5 * 10**11, "10.5")],
)
def test_a_cost_is_in_dollars_and_plain_notation(cost: int, dollars: str) -> None:
    assert v1.dollars(cost) == dollars


def test_what_a_job_cost_is_shown_where_it_is_known(folder: Path, run: Run) -> None:
    async def answer(_request: Any) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": [], "usage": {"prompt_tokens": 1000, "total_tokens": 1000}})

    async def main() -> None:
        async with Upstream(answer) as upstream:
            prices = {"small": {"input_tokens": 1.23}}
            up = {"kind": "openai", "base_url": upstream.url, "prices": prices}
            async with client(folder, providers={**ECHO, "up": up}) as c:
                answers = [await done(c, "embeddings", model) for model in ("echo/echo", "up/small", "up/other")]
                shown = [answer.json.get("cost") for answer in answers]
                assert shown == ["0", "0.00123", None]
                listed = (await c.ask("GET", "/v1/async/jobs")).json["data"]
                assert [job.get("cost") for job in listed] == shown[::-1]
                id = answers[1].json["id"]
                assert (await c.ask("GET", f"/v1/async/jobs/{id}?include=plan")).json["cost"] == "0.00123"

    run(main())


def test_a_reader_that_takes_nothing_holds_little_of_a_large_file(folder: Path, run: Run) -> None:
    async def large(_request: Any) -> web.StreamResponse:
        return web.Response(body=BytesIO(bytes(20_000_000)), content_type="audio/mpeg")

    async def main() -> None:
        async with drawing(folder, large) as c:
            id = (await done(c, model="up/small")).json["id"]
            parts = urlsplit(c.served.url)
            tracemalloc.start()
            try:
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=4096)
                writer.write(f"GET /v1/async/audio/speech/{id} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
                await reader.readuntil(b'"audio":"')
                for _ in range(20):
                    assert (await c.ask("GET", "/healthz")).status == 200
                assert tracemalloc.get_traced_memory()[1] < 3_000_000
                writer.transport.abort()
            finally:
                tracemalloc.stop()

    run(main())
