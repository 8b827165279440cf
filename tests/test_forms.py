"""Uploads: what is taken is on disk with its job, and what is not leaves nothing behind."""

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from coatcheck.app import create_app
from coatcheck.handlers.gateway import GATEWAY

from .clients import ECHO, Answer, Client, client, form, request
from .jobs import rows
from .servers import ServerProcess, listening
from .uploads import END, TRANSCRIBE, field, kept, none_kept, until, uploading

Run = Callable[[Awaitable[Any]], Any]

EDIT, VARY = "/v1/async/images/edits", "/v1/async/images/variations"

WAIT = {"Prefer": "wait=20"}


def filed(*files: tuple[str, bytes, str], **texts: str) -> aiohttp.FormData:
    """A form for the echo provider: the files by field, content and name."""
    data = aiohttp.FormData({"model": "echo/echo", **texts}, quote_fields=False, default_to_multipart=True)
    for name, content, file_name in files:
        data.add_field(name, content, filename=file_name)
    return data


def refused(answer: Answer) -> tuple[int, str, str | None]:
    return answer.status, answer.message, answer.json["error"].get("param")


def test_a_file_is_kept_with_its_job_and_goes_with_it(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", TRANSCRIBE, filed(("file", b"one two", "Ä.txt")), WAIT)
            assert answer.json["result"]["text"] == "one two"
            (path,) = kept(folder)
            assert path.read_bytes() == b"one two"
            used = rows(folder / "coatcheck.db", "SELECT role, place, file_name FROM blob_use")
            assert used == [("file", 0, "Ä.txt")]
            assert (await c.ask("DELETE", f"/v1/async/jobs/{answer.json['id']}")).status == 204
            await none_kept(folder)

    run(main())


@pytest.mark.parametrize(
    ("said", "name", "media_type"),
    [
        ("audio/X-Mine; rate=8", "a.wav", "audio/x-mine"),
        ("application/octet-stream", "a.WAV", "audio/wav"),
        ("no type", "a.mp3", "audio/mpeg"),
        ("application/octet-stream", "a", "application/octet-stream"),
    ],
)
def test_a_files_type_is_what_the_client_said_or_what_its_name_suggests(
    folder: Path, run: Run, said: str, name: str, media_type: str
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            data = aiohttp.FormData({"model": "echo/echo"})
            data.add_field("file", b"\0", filename=name, content_type=said)
            answer = await c.ask("POST", TRANSCRIBE, data, WAIT)
            assert answer.json["result"]["text"] == f"{name}: {media_type}, 1 bytes"

    run(main())


def test_a_file_that_is_an_empty_text_is_not_there(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            form = filed(("image", b"x", "a.png"), mask="", prompt="anew")
            answer = await c.ask("POST", "/v1/async/images/edits", form, WAIT)
            assert answer.json["status"] == "completed", answer.text
            assert refused(await c.ask("POST", TRANSCRIBE, filed(file="")))[1] == "file is required"

    run(main())


def test_a_request_without_a_form_is_told_how_to_send_one(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", TRANSCRIBE, b"{}", {"Content-Type": "application/json"})
            assert refused(answer) == (
                400,
                "failed to parse multipart form: expected multipart/form-data (curl: -F model=… -F file=@…), "
                "got application/json",
                None,
            )
            compressed = {"Content-Encoding": "gzip", "Content-Type": "multipart/form-data; boundary=b"}
            assert (await c.ask("POST", TRANSCRIBE, b"--b--", compressed)).status == 415

    run(main())


@pytest.mark.parametrize(
    ("data", "message", "param"),
    [
        (filed(("file", b"x", "a"), model="nobody/x"), "provider is required in model field", "model"),
        (filed(("file", b"x", "a"), temperature="x"), "invalid temperature value: expected a number", "temperature"),
        (filed(("file", b"x", "a"), stream="true"), "stream is not supported for async transcriptions", "stream"),
        (filed(("file", b"x", "a"), ("other", b"x", "b")), "other: expected a text, got a file; files go to", "other"),
        (filed(("language", b"en", "a")), "language: expected a text, got a file; files go to file", "language"),
        (filed(file="x"), "file: expected a file, got a text (curl: -F file=@…)", "file"),
        (filed(("file", b"", "a.wav")), "file: the file 'a.wav' is empty", "file"),
        (filed(("file", b"", "")), "file is required", "file"),
        (filed(), "file is required", "file"),
    ],
)
def test_a_form_that_is_refused_leaves_nothing(
    folder: Path, run: Run, data: aiohttp.FormData, message: str, param: str
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            status, told, where = refused(await c.ask("POST", TRANSCRIBE, data))
            assert (status, where) == (400, param)
            assert told.startswith(message)
            assert kept(folder) == []

    run(main())


def test_the_first_of_several_files_counts_where_one_is_taken(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            data = filed(("file", b"one", "a"), ("file", b"two" * 200_000, "b"))
            assert (await c.ask("POST", TRANSCRIBE, data, WAIT)).json["result"]["text"] == "one"
            assert len(kept(folder)) == 1

    run(main())


def test_images_in_brackets_go_before_those_without(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            images = [("image", b"no", "no"), ("image[]", b"one", "1"), ("image[]", b"two", "2"), ("mask", b"m", "m")]
            answer = await c.ask("POST", EDIT, filed(*images, prompt="x"))
            assert answer.status == 202, answer.text
            used = rows(folder / "coatcheck.db", "SELECT role, place, file_name FROM blob_use ORDER BY role, place")
            assert used[:3] == [("image", 0, "1"), ("image", 1, "2"), ("mask", 0, "m")]
            assert b"no" not in [path.read_bytes() for path in kept(folder)]
            many = filed(*[("image", b"x", str(i)) for i in range(17)])
            assert refused(await c.ask("POST", VARY, many)) == (400, "image: at most 16 files", "image")

    run(main())


def test_a_repeat_with_the_same_files_is_answered_as_the_first_and_keeps_none(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:

            async def ask(content: bytes, name: str = "a.txt", **texts: str) -> Answer:
                return await c.ask(
                    "POST", TRANSCRIBE, filed(("file", content, name), **texts), {"Idempotency-Key": "k"}
                )

            first = await ask(b"one")
            again = await ask(b"one")
            assert again.text == first.text
            assert again.headers["Idempotency-Replayed"] == "true"
            assert len(kept(folder)) == 1
            for other in (ask(b"two"), ask(b"one", "b.txt"), ask(b"one", language="de")):
                assert (await other).status == 422
            assert len(kept(folder)) == 1

    run(main())


def test_a_retry_has_the_files_of_the_first_job_also_when_that_is_gone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("audio/transcriptions", "echo/flaky-1+echo", file=b"one two")
            await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
            first = await c.ended(id, "audio/transcriptions")
            assert first.json["status"] == "failed", first.text
            retried = await c.ask("POST", f"/v1/async/jobs/{id}/retry")
            assert retried.status == 202, retried.text
            assert (await c.ask("DELETE", f"/v1/async/jobs/{id}")).status == 204
            ended = await c.ended(retried.json["id"], "audio/transcriptions")
            assert ended.json["result"]["text"] == "one two"
            await c.ask("DELETE", f"/v1/async/jobs/{retried.json['id']}")
            await none_kept(folder)

    run(main())


def test_a_file_or_a_form_that_is_too_large_is_refused_by_name(folder: Path, run: Run) -> None:
    async def main() -> None:
        server = {"max_upload_bytes": 400_000, "max_form_bytes": 1_000_000}
        async with client(folder, server=server) as c:
            answer = await c.ask("POST", TRANSCRIBE, filed(("file", b"x" * 400_001, "a")))
            assert refused(answer)[:2] == (413, "the file is larger than 400000 bytes ([server] max_upload_bytes)")
            too_much = "the form is larger than 1000000 bytes ([server] max_form_bytes)"
            three = filed(*[("image", b"x" * 400_000, "a")] * 3)
            assert refused(await c.ask("POST", VARY, three))[:2] == (413, too_much)
            assert kept(folder) == []
            assert (await c.ask("POST", TRANSCRIBE, filed(("file", b"x" * 400_000, "a")))).status == 202

    run(main())


def test_a_form_whose_length_is_too_much_is_refused_before_it_comes(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            async with uploading(c.served.url, 10**12) as upload:
                # Nothing of it is sent.
                status, body = await upload.answered()
                assert status == 413
                assert b"max_form_bytes" in body
            assert (await c.ask("GET", "/healthz")).status == 200

    run(main())


def test_texts_of_a_form_are_bounded_in_all(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            texts = {f"t{i}": "x" * 1_000_000 for i in range(5)}
            answer = await c.ask("POST", TRANSCRIBE, filed(("file", b"x", "a"), **texts))
            assert refused(answer)[:2] == (413, "the text fields of the form are larger than 4194304 bytes")
            assert kept(folder) == []

    run(main())


async def unread(c: Client, headers: Any = None) -> tuple[int, bytes]:
    """The answer to a form of which nothing but the headers is sent."""
    async with uploading(c.served.url, 1000, headers=headers) as upload:
        return await upload.answered()


def test_who_may_not_submit_is_refused_before_the_form_is_read(folder: Path, run: Run) -> None:
    async def main() -> None:
        keys = [{"name": "a", "key": "sk-bf-a", "requests_per_minute": 1}]
        async with client(folder, auth={"keys": keys}) as c:
            assert (await unread(c))[0] == 401
            key = {"x-bf-vk": "sk-bf-a"}
            answer = await c.ask("POST", TRANSCRIBE, filed(("file", b"x", "a")), key)
            assert answer.headers["RateLimit"].startswith('"submits";r=0')
            status, body = await unread(c, key)
            assert (status, b"rate_limited" in body) == (429, True)
            c.served.gateway.pool.accepting = False
            status, body = await unread(c, key)
            assert (status, b"the server is stopping" in body) == (503, True)

    run(main())


def test_an_upload_leaves_room_on_the_disk_for_what_waits(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**40, free=2**29))
            answer = await c.ask("POST", TRANSCRIBE, filed(("file", b"x", "a")))
            assert refused(answer) == (503, "files cannot be kept: the disk is almost full", None)
            assert kept(folder) == []
            spoken = await c.ask("POST", "/v1/async/audio/speech", request("audio/speech"), WAIT)
            assert spoken.json["status"] == "completed"

    run(main())


BEGUN = field("model", b"echo/echo") + field("file", b"x" * 2_000_000, file_name="a.wav")[:-1_000]


@pytest.mark.parametrize("length", [len(BEGUN) + 5_000, None])
def test_a_client_that_breaks_off_leaves_nothing(folder: Path, run: Run, length: int | None) -> None:
    async def main() -> None:
        async with client(folder) as c:
            async with uploading(c.served.url, length) as upload:
                await upload.send(BEGUN if length else b"%x\r\n%b\r\n" % (len(BEGUN), BEGUN))
                await until(lambda: kept(folder))
                upload.abort()
                await none_kept(folder)
            assert (await c.ask("GET", "/v1/async/jobs")).json == {"data": []}

    run(main())


def test_a_client_that_breaks_off_after_a_whole_file_leaves_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c, uploading(c.served.url, 10_000, EDIT) as upload:
            await upload.send(field("image", b"x", file_name="a") + field("image", b"y", file_name="b")[:-1])
            await until(lambda: any(path.parent.name != "incoming" for path in kept(folder)))
            upload.abort()
            await none_kept(folder)

    run(main())


def test_a_form_that_ends_too_early_is_refused(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c, uploading(c.served.url, len(BEGUN)) as upload:
            await upload.send(BEGUN)
            status, body = await upload.answered()
            assert (status, b"it ends before its last boundary" in body) == (400, True)
            assert kept(folder) == []

    run(main())


def test_an_application_that_cancels_its_handlers_leaves_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        app = create_app({"providers": ECHO}, data=folder)
        root = web.Application()
        root.add_subapp("/ai", app)
        async with listening(root, handler_cancellation=True) as url:
            async with uploading(url, len(BEGUN) + 5_000, "/ai" + TRANSCRIBE) as upload:
                await upload.send(BEGUN)
                await until(lambda: kept(folder))
                upload.abort()
                await none_kept(folder)
            assert rows(folder / "coatcheck.db", "SELECT 1 FROM job") == []

    run(main())


def test_a_submit_that_is_cancelled_while_it_is_written_keeps_its_file(folder: Path, run: Run) -> None:
    async def main() -> None:
        app = create_app({"providers": ECHO, "jobs": {"shutdown_grace_seconds": 0}}, data=folder)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            store, pool = app[GATEWAY].store, app[GATEWAY].pool
            whole = field("model", b"echo/hang") + field("file", b"x", file_name="a.wav") + END
            go_on = asyncio.Event()
            # The store is busy until then.
            busy = asyncio.create_task(store._writes.alone(lambda _db: go_on.wait()))
            async with uploading(url, len(whole)) as upload:
                await upload.send(whole)
                await until(lambda: pool.backlog.total)
                upload.abort()
                await until(lambda: not (runner.server and runner.server.connections))
            go_on.set()
            await busy
            await until(lambda: pool.running)
            assert len(kept(folder)) == 1
            assert len(rows(folder / "coatcheck.db", "SELECT 1 FROM blob_use")) == 1
        finally:
            await runner.cleanup()

    run(main())


def test_a_submit_that_the_backlog_refuses_keeps_no_file(folder: Path, run: Run) -> None:
    async def main() -> None:
        slow = {"kind": "echo", "concurrency": 1}
        async with client(folder, providers={"slow": slow}, jobs={"max_pending": 1}) as c:
            await c.submit("embeddings", "slow/hang")
            await until(lambda: c.served.gateway.pool.running)
            await c.submit("embeddings", "slow/echo")
            answer = await c.ask("POST", TRANSCRIBE, form(request("audio/transcriptions", "slow/echo")))
            assert (answer.status, answer.code) == (429, "too_many_pending")
            assert kept(folder) == []

    run(main())


def most_bytes(pid: int) -> int:
    """The most memory that a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_many_large_uploads_at_once_are_not_in_memory(folder: Path, run: Run) -> None:
    piece, pieces, uploads = bytes(1_000_000), 10, 20
    begin = field("model", b"echo/echo") + field("file", b"", file_name="a.wav").removesuffix(b"\r\n")
    end = b"\r\n" + END

    async def upload(url: str) -> int:
        async with uploading(url, len(begin) + pieces * len(piece) + len(end)) as form:
            await form.send(begin)
            for _ in range(pieces):
                await form.send(piece)
            await form.send(end)
            return (await form.answered())[0]

    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server:
            assert server.url is not None
            assert await upload(server.url) == 202
            before = most_bytes(server.pid)
            answers = await asyncio.gather(*[upload(server.url) for _ in range(uploads)])
            assert answers == [202] * uploads
            assert most_bytes(server.pid) - before < 100_000_000

    run(main())
