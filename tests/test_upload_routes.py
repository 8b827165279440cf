"""`/v3/upload`: files for later jobs, as clients send and see them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from coatcheck.handlers.gateway import GATEWAY

from .clients import ECHO, Answer, Client, client
from .jobs import Hands, rows
from .servers import ServerProcess, gateway
from .uploads import END, field, kept, none_kept, until, uploading

Run = Callable[[Awaitable[Any]], Any]

UPLOAD = "/v3/upload"

KEYS = {"keys": [{"name": name, "key": f"sk-bf-{name}"} for name in ("alice", "bob")]}

FIELDS = ["file_id", "file_name", "file_size", "file_mimetype", "purpose", "metadata", "created_at", "expires_at"]


def form(
    content: bytes = b"a file", name: str = "a.pdf", media_type: str | None = None, **texts: str
) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for text, value in texts.items():
        data.add_field(text, value)
    data.add_field("file", content, filename=name, content_type=media_type)
    return data


async def uploaded(c: Client, *args: Any, **texts: str) -> str:
    answer = await c.ask("POST", UPLOAD, form(*args, **texts))
    assert answer.status == 200, answer.text
    return str(answer.json["file_id"])


def fault(answer: Answer) -> tuple[int, list[Any], str]:
    """The status of a refusal, where it is, and what is wrong there."""
    (one,) = answer.json["detail"]
    assert set(one) == {"loc", "msg", "type"}
    return answer.status, one["loc"], one["msg"]


def test_an_upload_is_shown_as_it_was_sent(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", UPLOAD, form(b"12345", "Ä b.pdf"))
            assert answer.status == 200
            shown = answer.json
            assert list(shown) == FIELDS
            assert (shown["file_name"], shown["file_size"], shown["file_mimetype"]) == ("Ä b.pdf", 5, "application/pdf")
            assert (shown["purpose"], shown["metadata"]) == ("general", {})
            made, ends = (datetime.fromisoformat(shown[name]) for name in ("created_at", "expires_at"))
            assert ends - made == timedelta(days=30)
            (path,) = kept(folder)
            assert path.read_bytes() == b"12345"
            listed = await c.ask("GET", UPLOAD)
            assert listed.json == {"items": [shown], "total": 1, "page": 1, "limit": 100, "total_pages": 1}

    run(main())


def test_a_form_may_say_how_long_and_what_for(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask(
                "POST", f"{UPLOAD}/", form(expires_in_days="1", purpose="é" * 50, unknown="passed over")
            )
            made, ends = (datetime.fromisoformat(answer.json[name]) for name in ("created_at", "expires_at"))
            assert (ends - made, answer.json["purpose"]) == (timedelta(days=1), "é" * 50)
            # What says nothing is absent.
            answer = await c.ask("POST", UPLOAD, form(media_type="Image/PNG", expires_in_days="", purpose=""))
            assert (answer.json["purpose"], answer.json["file_mimetype"]) == ("general", "image/png")
            # The file may come first.
            data = form()
            data.add_field("purpose", "ocr")
            assert (await c.ask("POST", UPLOAD, data)).json["purpose"] == "ocr"

    run(main())


@pytest.mark.parametrize(
    ("texts", "name", "message"),
    [
        ({"expires_in_days": "0"}, "expires_in_days", "expected an integer from 1 to 30, got '0'"),
        ({"expires_in_days": "31"}, "expires_in_days", "expected an integer from 1 to 30, got '31'"),
        ({"expires_in_days": "٣"}, "expires_in_days", "expected an integer from 1 to 30, got '٣'"),
        ({"expires_in_days": "7.0"}, "expires_in_days", "expected an integer from 1 to 30, got '7.0'"),
        ({"expires_in_days": "9" * 5000}, "expires_in_days", "expected an integer from 1 to 30"),
        ({"purpose": "x" * 51}, "purpose", "expected 1 to 50 characters, got 51"),
    ],
)
def test_a_form_that_says_what_cannot_be_leaves_nothing(
    texts: dict[str, str], name: str, message: str, folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            status, where, why = fault(await c.ask("POST", UPLOAD, form(**texts)))
            assert (status, where) == (422, ["body", name])
            assert why.startswith(message)
            assert len(why) < 120
            assert kept(folder) == []
            assert rows(folder / "coatcheck.db", "SELECT * FROM upload") == []

    run(main())


def test_a_form_without_a_file_is_refused(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            empty = aiohttp.FormData({"purpose": "ocr"}, default_to_multipart=True)
            assert fault(await c.ask("POST", UPLOAD, empty))[:2] == (422, ["body", "file"])
            text = aiohttp.FormData({"file": "not a file"}, default_to_multipart=True)
            assert fault(await c.ask("POST", UPLOAD, text)) == (
                422, ["body", "file"], "file: expected a file, got a text (curl: -F file=@…)"
            )  # fmt: skip
            assert "is empty" in fault(await c.ask("POST", UPLOAD, form(b"")))[2]
            other = form()
            other.add_field("file2", b"another", filename="b.pdf")
            assert fault(await c.ask("POST", UPLOAD, other))[:2] == (422, ["body", "file2"])
            assert kept(folder) == []

    run(main())


def test_what_is_no_form_is_a_wrong_type(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for body, headers in (
                ({"file": "x"}, {"Content-Type": "application/json"}),
                (b"bytes", {"Content-Type": "application/pdf"}),
                (b"bytes", {}),
                (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}),
            ):
                answer = await c.ask("POST", UPLOAD, body, headers)
                assert answer.status == 415
                assert answer.json["detail"] == "send the file in a form, as multipart/form-data (curl: -F file=@…)"
            answer = await c.ask("POST", UPLOAD, b"--x\r\n", {"Content-Type": "multipart/form-data; boundary=x"})
            assert answer.status == 422
            assert "failed to parse multipart form" in fault(answer)[2]

    run(main())


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, server={"max_upload_bytes": 1024, "max_form_bytes": 4096}) as c:
            assert await uploaded(c, b"x" * 1024)
            for size in (1025, 5000):
                answer = await c.ask("POST", UPLOAD, form(b"x" * size))
                assert answer.status == 413
                assert "is larger than" in answer.json["detail"]
            assert len(kept(folder)) == 1

    run(main())


def test_what_one_owner_keeps_is_bounded(folder: Path, run: Run) -> None:
    async def main() -> None:
        limits = {"max_stored_upload_bytes": 2048}
        async with client(folder, server=limits, auth=KEYS) as c:
            alice, bob = c.with_key("sk-bf-alice"), c.with_key("sk-bf-bob")
            first = await uploaded(alice, b"a" * 1500)
            refused = await alice.ask("POST", UPLOAD, form(b"b" * 400))
            assert refused.status == 413
            assert "your uploads have 1500 bytes, and may have 2048 together" in refused.json["detail"]
            assert "max_stored_upload_bytes" in refused.json["detail"]
            await uploaded(bob, b"b" * 400)
            assert (await alice.ask("POST", f"{UPLOAD}/delete", {"file_ids": [first]})).json == {"deleted_count": 1}
            await uploaded(alice, b"b" * 400)

    run(main())


def test_pages_are_bounded_and_filtered(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            ids = [await uploaded(c, b"x", purpose="ocr" if n % 2 else "general") for n in range(5)]
            page = (await c.ask("GET", f"{UPLOAD}/?limit=2&page=2")).json
            assert [item["file_id"] for item in page["items"]] == ids[2:0:-1]
            assert {name: page[name] for name in ("total", "page", "limit", "total_pages")} == {
                "total": 5, "page": 2, "limit": 2, "total_pages": 3
            }  # fmt: skip
            found = (await c.ask("GET", f"{UPLOAD}?purpose=ocr&unknown=1&page=")).json
            assert [item["file_id"] for item in found["items"]] == [ids[3], ids[1]]
            assert (await c.ask("GET", f"{UPLOAD}?purpose=none")).json["total_pages"] == 0
            for query, name in (
                ("page=0", "page"), ("page=-1", "page"), ("page=x", "page"), ("page=1002&limit=100", "page"),
                ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=%D9%A1", "limit"),
                (f"purpose={'x' * 51}", "purpose"),
            ):  # fmt: skip
                status, where, _ = fault(await c.ask("GET", f"{UPLOAD}?{query}"))
                assert (status, where) == (422, ["query", name]), query

    run(main())


def test_several_or_all_uploads_are_deleted(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            first, second, _ = [await uploaded(c) for _ in range(3)]
            asked = {"file_ids": [first.upper(), second, second, "00000000-0000-4000-8000-000000000000", "none"]}
            answer = await c.ask("POST", f"{UPLOAD}/delete", asked)
            assert (answer.status, answer.json) == (200, {"deleted_count": 2})
            assert (await c.ask("GET", UPLOAD)).json["total"] == 1
            answer = await c.ask("DELETE", f"{UPLOAD}/")
            assert (answer.status, answer.json) == (200, {"deleted_count": 1})
            assert (await c.ask("DELETE", UPLOAD)).json == {"deleted_count": 0}
            await none_kept(folder)

    run(main())


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["body", "file_ids"]),
        ({"file_ids": []}, ["body", "file_ids"]),
        ({"file_ids": ["x"] * 101}, ["body", "file_ids"]),
        ({"file_ids": "x"}, ["body", "file_ids"]),
        ({"file_ids": ["x", 1]}, ["body", "file_ids", 1]),
        (["x"], ["body"]),
        (b"not JSON", ["body"]),
    ],
)
def test_what_names_no_uploads_deletes_none(body: Any, where: list[Any], folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            await uploaded(c)
            status, place, _ = fault(await c.ask("POST", f"{UPLOAD}/delete", body))
            assert (status, place) == (422, where)
            assert (await c.ask("GET", UPLOAD)).json["total"] == 1

    run(main())


def test_uploads_are_their_owners_alone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS) as c:
            alice, bob = c.with_key("sk-bf-alice"), c.with_key("sk-bf-bob")
            mine, theirs = await uploaded(alice), await uploaded(bob)
            listed = (await alice.ask("GET", UPLOAD)).json
            assert [item["file_id"] for item in listed["items"]] == [mine]
            assert (await alice.ask("POST", f"{UPLOAD}/delete", {"file_ids": [theirs]})).json == {"deleted_count": 0}
            assert (await alice.ask("DELETE", UPLOAD)).json == {"deleted_count": 1}
            assert (await bob.ask("GET", UPLOAD)).json["total"] == 1
            for method, path in (("POST", UPLOAD), ("GET", UPLOAD), ("DELETE", UPLOAD), ("POST", f"{UPLOAD}/delete")):
                answer = await c.ask(method, path)
                assert (answer.status, answer.json) == (403, {"detail": "Not authenticated"})
            assert len(kept(folder)) <= 2

    run(main())


def test_an_upload_is_gone_when_its_time_is_over(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with gateway(folder, clock=hands.clock, providers=ECHO) as served, aiohttp.ClientSession() as session:
            c = Client(session, served, {})
            await uploaded(c, expires_in_days="1")
            hands.pass_(86_399)
            assert (await c.ask("GET", UPLOAD)).json["total"] == 1
            hands.pass_(1)
            assert (await c.ask("GET", UPLOAD)).json["items"] == []

    run(main())


def test_an_upload_that_breaks_off_leaves_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            async with uploading(c.served.url, 10_000_000, UPLOAD) as upload:
                await upload.send(field("file", b"x" * 700_000, file_name="a.pdf"))
                await until(lambda: kept(folder))
                upload.abort()
                await none_kept(folder)
            assert (await c.ask("GET", UPLOAD)).json["total"] == 0

    run(main())


def test_a_crash_between_a_file_and_its_row_leaves_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server, aiohttp.ClientSession() as session:
            assert server.url is not None
            async with session.post(server.url + UPLOAD, data=form(b"stays")) as response:
                assert response.status == 200
            async with uploading(server.url, 10_000_000, UPLOAD) as upload:
                await upload.send(field("file", b"x" * 700_000, file_name="a.pdf"))
                await until(lambda: len(kept(folder)) == 2)
                await server.kill9()
            # As if the kill had come between the rename and the commit.
            orphan = folder / "blobs" / "ab" / "abababab-abab-4bab-abab-abababababab"
            orphan.parent.mkdir(exist_ok=True)
            orphan.write_bytes(b"without a row")
            await server.start()
            await until(lambda: len(kept(folder)) == 1)
            assert [path.read_bytes() for path in kept(folder)] == [b"stays"]
            assert len(rows(folder / "coatcheck.db", "SELECT * FROM upload")) == 1

    run(main())


def test_uploads_are_not_counted_as_submits(folder: Path, run: Run) -> None:
    async def main() -> None:
        keys = {"keys": [{"name": "alice", "key": "sk-bf-alice", "requests_per_minute": 1}]}
        async with client(folder, auth=keys) as c:
            alice = c.with_key("sk-bf-alice")
            for _ in range(3):
                await uploaded(alice)
            assert await alice.submit()

    run(main())


def test_many_large_uploads_at_once_take_little_memory(folder: Path, run: Run) -> None:
    async def main() -> None:
        size, piece = 30_000_000, b"x" * 1_000_000

        async def send(url: str) -> tuple[int, bytes]:
            head = field("file", b"", file_name="a.bin")[:-2]
            length = len(head) + size + 2 + len(END)
            async with uploading(url, length, UPLOAD) as upload:
                await upload.send(head)
                for _ in range(size // len(piece)):
                    await upload.send(piece)
                await upload.send(b"\r\n" + END)
                return await upload.answered()

        async with ServerProcess(folder, {"providers": ECHO}) as server:
            assert server.url is not None
            process = psutil.Process(server.pid)
            before = process.memory_info().rss
            sending = [asyncio.create_task(send(server.url)) for _ in range(8)]
            most = before
            while any(not task.done() for task in sending):
                most = max(most, process.memory_info().rss)
                await asyncio.wait(sending, timeout=0.02)
            assert [task.result()[0] for task in sending] == [200] * 8
            assert most - before < size, "as much as one file"

    run(main())


def test_an_upload_whose_row_cannot_be_written_leaves_no_file(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            c.served.app[GATEWAY].store._writes.refuse("the disk is gone")
            answer = await c.ask("POST", UPLOAD, form())
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "5"
            assert kept(folder) == []

    run(main())
