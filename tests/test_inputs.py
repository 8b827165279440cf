"""Files that a request names: an upload, a file at another address, a data: URI; fetched before there is a ticket."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.errors import Unacceptable, Unprocessable, UploadNotFound
from coatcheck.engine.jobs import Attached, Borrowed
from coatcheck.engine.keys import Caller
from coatcheck.handlers.inputs import Source, check, gather

from .clients import Answer, Client, client, embedded
from .fetching import Names, Origin, answer, fetching
from .jobs import rows
from .test_upload_routes import uploaded
from .uploads import kept, none_kept, until, uploading

Run = Callable[[Awaitable[Any]], Any]

CREATE = "/v3/universal-ai/async"
#: Sources on this machine are fetched.
NEAR = {"webhooks": {"allow_private_networks": True}}

ANYONE = Caller("anon")


def hear(file: str) -> dict[str, Any]:
    return {"model": "audio/speech_to_text_async/echo/echo", "input": {"file": file}}


async def asked(c: Client, file: str, headers: Mapping[str, str] | None = None) -> Answer:
    return await c.ask("POST", CREATE, hear(file), headers)


def used(folder: Path) -> list[tuple[Any, ...]]:
    """The files of jobs: role, place, name, type, size."""
    return rows(
        folder / "coatcheck.db",
        "SELECT role, place, file_name, media_type, size_bytes FROM blob_use JOIN blob ON blob.id = blob ORDER BY 1, 2",
    )


def no_job(folder: Path) -> bool:
    return rows(folder / "coatcheck.db", "SELECT id FROM job") == []


DATA = [
    ("data:audio/wav;base64," + base64.b64encode(b"\x00\xff" * 50).decode(), "audio/wav", 100),
    ("DATA:Audio/WAV;rate=8;BASE64,YWJj", "audio/wav", 3),
    ("data:;base64,YWJj", "text/plain", 3),
    ("data:text/plain;charset=utf-8,%C3%A4%20b+c", "text/plain", 6),
    ("data:,a", "text/plain", 1),
    ("data:image/png;base64,YWI%3D", "image/png", 2),
]


@pytest.mark.parametrize(("uri", "media_type", "size"), DATA)
def test_a_data_uri_is_a_file_of_the_job(uri: str, media_type: str, size: int, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            told = await asked(c, uri)
            assert told.status == 202, told.text
            assert used(folder) == [("file", 0, "", media_type, size)]

    run(main())


def test_an_upload_is_a_file_of_the_job_and_may_go(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await uploaded(c, b"said", "Ä.wav")
            for _ in range(2):
                told = await asked(c, id.upper(), {"Prefer": "wait=20"})
                assert told.json["output"]["text"] == "said", told.text
            assert used(folder) == [("file", 0, "Ä.wav", "audio/wav", 4)] * 2
            await c.ask("DELETE", "/v3/upload")
            assert len(kept(folder)) == 1
            again = await asked(c, id)
            assert (again.status, again.json) == (404, {"detail": "file not found or expired: input.file"})
            for (job,) in rows(folder / "coatcheck.db", "SELECT id FROM job"):
                assert (await c.ask("DELETE", f"{CREATE}/{job}")).status == 200
            await none_kept(folder)

    run(main())


FOUND: list[tuple[str, dict[str, str], str, str]] = [
    ("/a/one.wav", {"Content_Type": "audio/mpeg; x=y"}, "one.wav", "audio/mpeg"),
    ("/a/one.wav", {"Content_Type": "application/octet-stream"}, "one.wav", "audio/wav"),
    ("/a/one.wav?name=two.mp3", {}, "one.wav", "audio/wav"),
    ("/a/one.wav", {"Content_Type": "<script>"}, "one.wav", "audio/wav"),
    ("/", {}, "", "application/octet-stream"),
    ("/x", {"Content_Disposition": 'attachment; filename="../../etc/pass.pdf"'}, "pass.pdf", "application/pdf"),
    ("/x", {"Content_Disposition": "attachment; filename*=UTF-8''%E2%82%AC%00%0A.png"}, "€.png", "image/png"),
    ("/x.wav", {"Content_Disposition": "attachment; filename="}, "x.wav", "audio/wav"),
    ("/x.wav", {"Content_Disposition": ';;;"'}, "x.wav", "audio/wav"),
    ("/x", {"Content_Disposition": 'attachment; filename="\udcff\udc80.pdf"'}, "\ufffd\ufffd.pdf", "application/pdf"),
    ("/" + "y" * 300 + ".pdf", {}, "y" * 251 + ".pdf", "application/pdf"),
    ("/%2e%2e%2fb.pdf", {}, "b.pdf", "application/pdf"),
]


@pytest.mark.parametrize(("path", "headers", "name", "media_type"), FOUND, ids=range(len(FOUND)))
def test_a_file_at_an_address_is_one_of_the_job(
    path: str, headers: dict[str, str], name: str, media_type: str, folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with client(folder, **NEAR) as c, Origin(answer(**headers)) as origin:
            told = await asked(c, origin.url + path)
            assert told.status == 202, told.text
            assert used(folder) == [("file", 0, name, media_type, 6)]

    run(main())


REFUSED = [
    ("abc123", 422, "input.file: expected the id of an upload, an http(s) URL or a data: URI, got 'abc123'"),
    ("x" * 5000, 422, f"input.file: expected the id of an upload, an http(s) URL or a data: URI, got '{'x' * 40}…'"),
    ("{7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de}", 422, "input.file: expected the id of an upload"),
    ("ftp://host/a.wav", 422, "input.file: expected the id of an upload"),
    ("/etc/passwd", 422, "input.file: expected the id of an upload"),
    ("http://", 422, "input.file: the address is no URL: it has no host, or none that can be"),
    ("https://a b/", 422, "input.file: the address is no URL"),
    ("http://host/" + "x" * 2083, 422, "input.file: the address is not of 1 to 2083 characters"),
    ("data:no comma", 422, "input.file: expected the id of an upload"),
    ("data:audio/wav;base64,a b", 422, "input.file: the data: URI is not base64"),
    ("data:audio/wav;base64,ä", 422, "input.file: the data: URI is not base64"),
    ("data:audio/wav;base64,", 422, "input.file: the data: URI holds nothing"),
    ("data:," + "x" * 1025, 422, "input.file: the data: URI holds more than 1024 bytes ([server] max_upload_bytes)"),
    ("7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de", 404, "file not found or expired: input.file"),
    ("http://127.0.0.1/", 400, "input.file: the address is refused: what it leads to is this machine's own"),
    ("http://localhost/", 400, "input.file: the address is refused: what it leads to is this machine's own"),
    ("http://169.254.169.254/latest", 400, "input.file: the address is refused: what it leads to is where a cloud"),
    ("http://nowhere.invalid/", 400, "input.file: the address has a name that is not known"),
]


@pytest.mark.parametrize(("file", "status", "why"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_had_is_refused_by_its_name(file: str, status: int, why: str, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, server={"max_upload_bytes": 1024}) as c:
            told = await asked(c, file)
            assert told.status == status, told.text
            detail = told.json["detail"]
            if status == 422:
                (fault,) = detail
                assert fault["loc"] == ["body", "input", "file"]
                detail = fault["msg"]
            assert detail.startswith(why)
            assert no_job(folder)
            assert kept(folder) == []

    run(main())


@pytest.mark.parametrize(
    ("said", "holds", "why"),
    [
        (answer(status="404 Not Found"), False, "answered 404"),
        (answer(status="503 Busy"), False, "answered 503"),
        (answer(b"x" * 1025), False, "holds more than 1024 bytes"),
        (answer(b"x" * 500, Content_Length="1000"), True, "did not answer within 0.2 seconds"),
        (answer(b"x", Content_Encoding="br"), False, "answered with compressed content, which it was asked not to"),
        (answer(status="302 Found", Location="ftp://x/"), False, "redirects to what is no http or https address"),
    ],
)
def test_a_source_that_fails_makes_no_job(said: bytes, holds: bool, why: str, folder: Path, run: Run) -> None:
    async def main() -> None:
        limits = {"webhooks": {"allow_private_networks": True, "fetch_timeout_seconds": 0.2}}
        async with (
            client(folder, server={"max_upload_bytes": 1024}, **limits) as c,
            Origin(said, holds=holds) as origin,
        ):
            told = await asked(c, f"{origin.url}/secret?key=1")
            assert (told.status, told.json) == (400, {"detail": f"input.file: the address {why}"})
            assert no_job(folder)
            assert kept(folder) == []

    run(main())


def test_an_upload_of_another_owner_is_not_there(folder: Path, run: Run) -> None:
    async def main() -> None:
        keys = {"keys": [{"name": name, "key": f"sk-bf-{name}", "admin": name == "root"} for name in ("alice", "root")]}
        async with client(folder, auth=keys) as c:
            id = await uploaded(c.with_key("sk-bf-alice"))
            # Not even an admin uses what is another's.
            assert (await asked(c.with_key("sk-bf-root"), id)).status == 404
            assert (await asked(c.with_key("sk-bf-alice"), id)).status == 202

    run(main())


def test_a_name_that_changes_its_mind_is_refused_at_the_submit(folder: Path, run: Run) -> None:
    async def main() -> None:
        names = Names({"rebinds.test": ["93.184.216.34", "127.0.0.1"]})
        async with client(folder) as c, Origin(answer()) as origin, fetching(allow_private=False, resolver=names) as f:
            c.served.gateway.fetch = f
            await names.resolve("rebinds.test")
            told = await asked(c, f"http://rebinds.test:{origin.port}/a.wav")
            assert told.status == 400
            assert "127" not in told.json["detail"]
            assert (origin.heads, no_job(folder)) == ([], True)

    run(main())


def test_an_idempotent_replay_fetches_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        key = {"Idempotency-Key": "once"}
        async with client(folder, **NEAR) as c:
            async with Origin(answer(status="500 Not yet"), answer()) as origin:
                url = f"{origin.url}/a.wav"
                assert (await asked(c, url, key)).status == 400
                first = await asked(c, url, key)
                assert first.status == 202, "the key was used up by a submit that failed"
                again = await asked(c, url, key)
                assert len(origin.heads) == 2
                other = await asked(c, f"{url}?other", key)
                assert (other.status, len(origin.heads)) == (422, 2)
            assert (again.status, again.headers["Idempotency-Replayed"]) == (202, "true")
            assert again.json["public_id"] == first.json["public_id"]
            assert len(kept(folder)) == 1

    run(main())


def test_of_two_with_one_key_at_once_one_keeps_its_file(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, **NEAR) as c, Origin(answer()) as origin:
            told = await asyncio.gather(*(asked(c, origin.url, {"Idempotency-Key": "k"}) for _ in range(4)))
            assert [one.status for one in told] == [202] * 4
            assert len({one.json["public_id"] for one in told}) == 1
            assert len(kept(folder)) == 1

    run(main())


def test_who_may_not_submit_has_nothing_fetched(folder: Path, run: Run) -> None:
    async def main() -> None:
        keys = {"keys": [{"name": "alice", "key": "sk-bf-alice", "requests_per_minute": 1}]}
        async with Origin(answer()) as origin:
            async with client(folder / "rate", auth=keys, **NEAR) as c:
                alice = c.with_key("sk-bf-alice")
                assert (await asked(alice, origin.url)).status == 202
                told = await asked(alice, origin.url)
                assert (told.status, "a minute" in told.json["detail"]) == (429, True)
            slow = {"echo": {"kind": "echo", "concurrency": 1}}
            async with client(folder / "full", providers=slow, jobs={"max_pending": 1}, **NEAR) as c:
                await c.submit("embeddings", "echo/hang")
                await until(lambda: c.served.gateway.pool.running)
                await c.submit("embeddings")
                told = await asked(c, origin.url)
                assert (told.status, "jobs are waiting" in told.json["detail"]) == (429, True)
            async with client(folder / "stops", **NEAR) as c:
                c.served.gateway.pool.accepting = False
                assert (await asked(c, origin.url)).status == 503
            assert len(origin.heads) == 1

    run(main())


def test_a_job_that_the_store_refuses_leaves_no_file(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, **NEAR) as c, Origin(answer()) as origin:
            c.served.gateway.store._writes.refuse("the disk is gone")
            assert (await asked(c, origin.url)).status == 503
            assert len(origin.heads) == 1
            assert kept(folder) == []

    run(main())


def test_a_client_that_goes_ends_the_fetching(folder: Path, run: Run) -> None:
    async def main() -> None:
        part = answer(b"x" * 300_000, Content_Length="400000")
        patient = {"allow_private_networks": True, "fetch_timeout_seconds": 3600}
        async with client(folder, webhooks=patient) as c, Origin(part, holds=True) as origin:
            body = b'{"model":"audio/speech_to_text_async/echo/echo","input":{"file":"%b"}}' % origin.url.encode()
            headers = {"Content-Type": "application/json"}
            async with uploading(c.served.url, len(body), CREATE, headers) as request:
                await request.send(body)
                await until(lambda: kept(folder))
                request.abort()
                async with asyncio.timeout(20):
                    await origin.left.wait()
                await none_kept(folder)
            assert no_job(folder)

    run(main())


@pytest.mark.parametrize("busy", [True, False])
def test_a_handler_that_is_cancelled_leaves_a_job_with_its_file_or_neither(busy: bool, folder: Path, run: Run) -> None:
    async def main() -> None:
        part = answer(b"x" * 300_000, Content_Length="400000")
        async with embedded(folder, handler_cancellation=True) as c, Origin(part, holds=True) as origin:
            gateway, go_on = c.served.gateway, asyncio.Event()
            # The job is being written, or a file is on its way.
            writing = asyncio.create_task(gateway.store._writes.alone(lambda _db: go_on.wait()))
            async with fetching() as near:
                gateway.fetch = near
                body = orjson.dumps(hear("data:audio/wav,x" if busy else origin.url))
                async with uploading(c.served.url, len(body), CREATE, {"Content-Type": "application/json"}) as request:
                    await request.send(body)
                    await until(lambda: gateway.pool.backlog.total if busy else kept(folder))
                    request.abort()
                    if not busy:
                        await origin.left.wait()
                        await none_kept(folder)
                go_on.set()
                await writing
                if busy:
                    await until(lambda: used(folder))
                assert len(kept(folder)) == len(used(folder)) == int(busy)
                assert no_job(folder) is not busy

    run(main())


def sources(*values: str) -> list[Source]:
    return [
        Source("reference_images", place, value, f"input.reference_images[{place}]")
        for place, value in enumerate(values)
    ]


def test_several_sources_are_fetched_at_once_and_keep_their_order(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, **NEAR) as c, Origin(answer(b"held"), holds=True) as first:
            gateway = c.served.gateway
            id = await uploaded(c)
            async with Origin(answer(b"2", Content_Length="")) as second:
                given = sources(second.url, id, "data:,3", f"{second.url}/b", f"{first.url}/a")
                files, borrowed = await gather(gateway, ANYONE, given)
            assert [(file.role, file.place) for file in files] == [("reference_images", n) for n in (0, 2, 3, 4)]
            read = [gateway.store.blobs.path(file.blob.id).read_bytes() for file in files]
            assert read == [b"2", b"3", b"2", b"held"]
            assert borrowed == (Borrowed("reference_images", 1, id),)
            await gateway.store.blobs.discard(*(file.blob for file in files))

    run(main())


def test_origins_that_do_not_answer_hold_up_their_own_owner_alone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, **NEAR) as c, Origin(b"", holds=True) as slow, Origin(answer()) as quick:
            gateway = c.served.gateway
            hanging = [
                asyncio.create_task(gather(gateway, Caller("key:alice"), sources(slow.url, slow.url)))
                for _ in range(20)
            ]
            await until(lambda: len(slow.heads) == 16)
            (file,), _ = await gather(gateway, Caller("key:bob"), sources(quick.url))
            await gateway.store.blobs.discard(file.blob)
            assert len(slow.heads) == 16
            for one in hanging:
                one.cancel()
            await asyncio.wait(hanging)
            (file,), _ = await gather(gateway, Caller("key:alice"), sources(quick.url))
            await gateway.store.blobs.discard(file.blob)
            del hanging, one
            assert not gateway.fetching

    run(main())


def test_where_one_source_fails_no_file_stays(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, **NEAR) as c:
            part = answer(b"x" * 300_000, Content_Length="400000")
            async with (
                Origin(answer()) as good,
                Origin(part, holds=True) as slow,
                Origin(answer(status="404 No")) as bad,
            ):
                given = sources(good.url, slow.url, "data:,here", bad.url)
                with pytest.raises(Unacceptable) as caught:
                    async with asyncio.timeout(20):
                        await gather(c.served.gateway, ANYONE, given)
                message = "input.reference_images[3]: the address answered 404"
                assert (caught.value.message, caught.value.param) == (message, "input.reference_images[3]")
                # The one that is still on its way was broken off.
                if slow.heads:
                    await slow.left.wait()
                assert kept(folder) == []
                with pytest.raises(UploadNotFound):
                    await gather(c.served.gateway, ANYONE, sources(good.url, "0" * 8 + "-0000-4000-8000-" + "0" * 12))
                assert len(good.heads) <= 1, "a file was fetched although an upload is not there"

    run(main())


@pytest.mark.parametrize("value", ["7F0C2D5E-4b1a-1e0f-0c39-51c0a7a3f1de", "HTTP://host", "https://host/a", "data:,"])
def test_what_may_be_a_source_passes(value: str) -> None:
    check(value, "input.file")


def test_a_wrong_source_is_named_by_its_own_field() -> None:
    with pytest.raises(Unprocessable) as caught:
        check("nonsense", "input.reference_images[2]")
    assert caught.value.param == "input.reference_images[2]"
    assert caught.value.message.startswith("input.reference_images[2]: expected")


def test_an_attached_file_has_its_field(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            ((file,), _) = await gather(c.served.gateway, ANYONE, [Source("mask", 0, "data:,m", "input.mask")])
            assert file == Attached("mask", 0, file.blob, "")
            await c.served.gateway.store.blobs.discard(file.blob)

    run(main())
