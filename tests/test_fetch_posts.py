"""What is sent to an address, how its answer is taken, and whose certificates are trusted."""

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.fetch import Answer, FetchFailed

from .fetching import Names, Origin, answer, fetching

Run = Callable[[Awaitable[Any]], Any]


def test_what_is_sent_arrives_as_it_is(run: Run) -> None:
    async def main() -> None:
        async with fetching() as fetch, Origin(answer(Set_Cookie="session=1")) as origin:
            headers = {"Content-Type": "application/json", "User-Agent": "Mine", "webhook-id": "msg_1"}
            for _ in range(2):
                told = await fetch.post(f"{origin.url}/hook?a=b", headers=headers, body=b'{"a":1}', timeout_seconds=20)
                assert told == Answer(200, None)
            first, second = origin.heads
            assert first == second, "a cookie was kept"
            assert first.startswith("POST /hook?a=b HTTP/1.1\r\n")
            for line in (
                "Content-Type: application/json",
                "User-Agent: Mine",
                "webhook-id: msg_1",
                "Content-Length: 7",
            ):
                assert f"{line}\r\n" in first

    run(main())


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_of_a_post_is_an_answer(status: str, run: Run) -> None:
    async def main() -> None:
        async with fetching() as fetch, Origin(answer()) as other:
            async with Origin(answer(status=status, Location=other.url)) as origin:
                told = await fetch.post(origin.url, headers={}, body=b"{}", timeout_seconds=20)
            assert told.status == int(status[:3])
            assert other.heads == []

    run(main())


def test_retry_after_is_read_in_either_form(run: Run) -> None:
    async def main() -> None:
        later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
        said = [("7", 7.0), (later, pytest.approx(99, abs=2)), ("soon", None), ("-1", None)]
        async with fetching() as fetch:
            for header, seconds in said:
                async with Origin(answer(status="503 Busy", Retry_After=header)) as origin:
                    told = await fetch.post(origin.url, headers={}, body=b"{}", timeout_seconds=20)
                assert told == (503, seconds)

    run(main())


@pytest.mark.parametrize("said", [answer(b"x" * 1_000_000), answer(b"x" * 100_000, Content_Length="10000000")])
def test_of_an_answer_little_is_read(said: bytes, run: Run) -> None:
    async def main() -> None:
        async with fetching() as fetch, Origin(said, holds=True) as origin:
            told = await fetch.post(origin.url, headers={}, body=b"{}", timeout_seconds=20)
            assert told.status == 200
            # It was left without waiting for more, which never comes.
            await origin.left.wait()

    run(main())


@pytest.mark.parametrize("said", [answer(b"few", Content_Length="50"), answer(b"broken", Content_Encoding="gzip")])
@pytest.mark.parametrize("holds", [True, False])
def test_a_status_counts_whatever_becomes_of_the_rest(said: bytes, holds: bool, run: Run) -> None:
    async def main() -> None:
        async with fetching() as fetch, Origin(said, holds=holds) as origin:
            told = await fetch.post(origin.url, headers={}, body=b"{}", timeout_seconds=0.5)
            assert told == Answer(200, None)

    run(main())


def test_who_does_not_answer_has_not(run: Run) -> None:
    async def main() -> None:
        async with fetching() as fetch:
            async with Origin(b"HTTP/1.1 200", holds=True) as origin:
                with pytest.raises(FetchFailed, match=r"did not answer within 0\.05 seconds"):
                    await fetch.post(origin.url, headers={}, body=b"{}", timeout_seconds=0.05)
            async with Origin(b"") as origin:
                with pytest.raises(FetchFailed, match="broke off"):
                    await fetch.post(origin.url, headers={}, body=b"{}", timeout_seconds=20)

    run(main())


def test_a_look_up_that_does_not_end_counts_as_time(run: Run) -> None:
    class Never(Names):
        async def resolve(self, *_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

    async def main() -> None:
        async with fetching(resolver=Never({})) as fetch:
            with pytest.raises(FetchFailed, match=r"did not answer within 0\.05 seconds"):
                await fetch.post("http://slow.test/", headers={}, body=b"{}", timeout_seconds=0.05)

    run(main())


def certified(folder: Path, name: str) -> ssl.SSLContext:
    """What a server of that name proves it with; `folder` has the certificate."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_a_certificate_must_be_trusted_and_be_for_the_name(folder: Path, run: Run) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer())
            await writer.drain()
            writer.close()

        heads: list[bytes] = []
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certified(folder, "right.test"))
        port = server.sockets[0].getsockname()[1]
        names = Names({"right.test": ["127.0.0.1"], "wrong.test": ["127.0.0.1"]})
        trusting = ssl.create_default_context(cafile=folder / "certificate.pem")
        try:
            for host, tls in (("right.test", None), ("wrong.test", trusting)):
                async with fetching(resolver=names, tls=tls) as fetch:
                    with pytest.raises(FetchFailed, match="has no TLS that can be trusted"):
                        await fetch.post(f"https://{host}:{port}/", headers={}, body=b"{}", timeout_seconds=20)
            assert heads == []
            async with fetching(resolver=names, tls=trusting) as fetch:
                told = await fetch.post(f"https://right.test:{port}/", headers={}, body=b"{}", timeout_seconds=20)
            assert told.status == 200
            async with fetching(allow_private=False, resolver=names, tls=trusting) as fetch:
                with pytest.raises(FetchFailed, match="is this machine's own"):
                    await fetch.post(f"https://right.test:{port}/", headers={}, body=b"{}", timeout_seconds=20)
            assert len(heads) == 1
        finally:
            server.close()
            await server.wait_closed()

    run(main())
