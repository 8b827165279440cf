"""Files at other addresses: what is dialled, how much is read, and what is said of a failure."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.fetch import AddressRefused, FetchFailed, check_url

from .fetching import Names, Origin, answer, fetching, files, got
from .uploads import kept, until

Run = Callable[[Awaitable[Any]], Any]


def test_a_file_is_fetched_with_its_type_and_name(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with fetching() as fetch, files(folder) as blobs:
            async with Origin(answer(b"x" * 300_000, Content_Type="audio/wav; rate=8")) as origin:
                body, found = await got(fetch, blobs, f"{origin.url}/a/speech%20one.wav?sig=1#part")
                assert (body, found.media_type, found.file_name) == (
                    b"x" * 300_000,
                    "audio/wav; rate=8",
                    "speech one.wav",
                )
                (head,) = origin.heads
                assert head.startswith("GET /a/speech%20one.wav?sig=1 HTTP/1.1\r\n")
                assert "Accept-Encoding: identity\r\n" in head
                assert "User-Agent: Coatcheck\r\n" in head
            async with Origin(answer(Content_Disposition="attachment; filename*=UTF-8''%C3%BC.pdf")) as origin:
                _, found = await got(fetch, blobs, origin.url)
                assert (found.media_type, found.file_name) == (None, "ü.pdf")
            async with Origin(answer(Content_Disposition="attachment; filename*=undefined''a.pdf")) as origin:
                _, found = await got(fetch, blobs, f"{origin.url}/b.pdf")
                assert found.file_name == "b.pdf"

    run(main())


REFUSED = [
    ("http://127.0.0.1:{port}/", "is refused: what it leads to is this machine's own", True),
    ("http://user:secret@127.0.0.1:{port}/", "is refused: what it leads to is this machine's own", True),
    ("http://1.1.1.1@127.0.0.1:{port}/", "is refused: what it leads to is this machine's own", True),
    ("http://[::ffff:127.0.0.1]:{port}/", "is refused: what it leads to stands for another address", True),
    ("http://①②⑦.0.0.1:{port}/", "is refused: what it leads to is this machine's own", True),
    ("http://127。0。0。1:{port}/", "is refused: what it leads to is this machine's own", True),
    ("http://[fe80::1%25lo]:{port}/", "is refused: what it leads to is link-local", True),
    ("http://localhost:{port}/", "is refused: what it leads to is this machine's own", False),
    ("http://0x7f000001:{port}/", "is refused: what it leads to is this machine's own", False),
    ("http://127.1:{port}/", "is no URL", True),
    ("http://2130706433:{port}/", "is no URL", True),
    ("http://0177.0.0.1:{port}/", "is no URL", True),
]


@pytest.mark.parametrize(("url", "why", "final"), REFUSED)
def test_no_spelling_of_a_private_address_is_dialled(url: str, why: str, final: bool, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with fetching(allow_private=False) as fetch, files(folder) as blobs, Origin(answer()) as origin:
            with pytest.raises(AddressRefused) as caught:
                await got(fetch, blobs, url.format(port=origin.port))
            assert (caught.value.message, caught.value.final) == (why, final)
            with pytest.raises(AddressRefused, match=why):
                await fetch.post(url.format(port=origin.port), headers={}, body=b"{}", timeout_seconds=20)
            assert origin.heads == []
            assert kept(folder) == []

    run(main())


def test_a_name_that_changes_its_mind_gains_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        names = Names({"rebinds.test": ["93.184.216.34", "127.0.0.1"]})
        (seen,) = await names.resolve("rebinds.test")
        assert seen["host"] == "93.184.216.34", "what a check beforehand would have seen"
        guarded = fetching(allow_private=False, resolver=names)
        async with guarded as fetch, files(folder) as blobs, Origin(answer()) as origin:
            with pytest.raises(AddressRefused, match="is this machine's own") as caught:
                await got(fetch, blobs, f"http://rebinds.test:{origin.port}/")
            assert not caught.value.final, "the name may lead elsewhere later"
            assert "127" not in caught.value.message
            assert origin.heads == []

    run(main())


def test_of_several_addresses_only_those_that_may_be_are_dialled(folder: Path, run: Run) -> None:
    async def main() -> None:
        names = Names({"many.test": [["169.254.169.254", "fe80::1", "127.0.0.1", "::ffff:127.0.0.1"]]})
        async with Origin(answer()) as origin, files(folder) as blobs:
            url = f"http://many.test:{origin.port}/"
            async with fetching(allow_private=False, resolver=names) as fetch:
                with pytest.raises(AddressRefused):
                    await got(fetch, blobs, url)
            assert origin.heads == []
            async with fetching(allow_private=True, resolver=names) as fetch:
                assert (await got(fetch, blobs, url))[0] == b"a file"
            # Each request looks the name up anew.
            assert names.asked == ["many.test", "many.test"]

    run(main())


def test_one_request_may_be_allowed_what_others_are_not(run: Run) -> None:
    async def main() -> None:
        async with fetching(allow_private=False) as fetch, Origin(answer(b"", status="204 No Content")) as origin:
            told = await fetch.post(origin.url, headers={}, body=b"{}", timeout_seconds=20, allow_private=True)
            assert told.status == 204
            with pytest.raises(AddressRefused):
                await fetch.post(origin.url, headers={}, body=b"{}", timeout_seconds=20)
        async with fetching(allow_private=True) as fetch, Origin(answer()) as origin:
            with pytest.raises(AddressRefused):
                await fetch.post(origin.url, headers={}, body=b"{}", timeout_seconds=20, allow_private=False)
            assert origin.heads == []

    run(main())


def test_proxies_of_the_environment_are_not_asked(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Origin(answer(b"proxied")) as proxy, Origin(answer(b"direct")) as origin:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            async with fetching() as fetch, files(folder) as blobs:
                assert (await got(fetch, blobs, origin.url))[0] == b"direct"
            assert proxy.heads == []

    run(main())


def test_up_to_three_redirects_are_followed(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with fetching() as fetch, files(folder) as blobs:
            hops = [answer(status=f"{code} Moved", Location="../next/file.pdf") for code in (301, 302, 303, 307, 308)]
            async with Origin(*hops[:3], answer(Set_Cookie="a=b")) as origin:
                body, found = await got(fetch, blobs, f"{origin.url}/first/one")
                assert (body, found.file_name) == (b"a file", "file.pdf")
                paths = [head.split()[1] for head in origin.heads]
                assert paths == ["/first/one", "/next/file.pdf", "/next/file.pdf", "/next/file.pdf"]
            async with Origin(*hops[1:], answer()) as origin:
                with pytest.raises(FetchFailed, match="redirects more than 3 times"):
                    await got(fetch, blobs, origin.url)
                assert len(origin.heads) == 4
            async with Origin(answer(status="302 Found")) as origin:
                with pytest.raises(FetchFailed, match="answered 302"):
                    await got(fetch, blobs, origin.url)

    run(main())


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://169.254.169.254/latest/meta-data", "is refused: what it leads to is where a cloud keeps"),
        ("//[::ffff:10.0.0.1]/", "is refused: what it leads to stands for another address"),
        ("http://hidden.test/", "is refused: what it leads to is link-local"),
        ("file:///etc/passwd", "redirects to what is no http or https address"),
        ("gopher://127.0.0.1:70/", "redirects to what is no http or https address"),
        ("http://a b/", "redirects to what is no URL"),
        ("http://[/", "redirects to what is no URL"),
        ("http://[a]b@/", "redirects to what is no URL"),
    ],
)
def test_where_a_redirect_leads_is_judged_as_well(location: str, why: str, folder: Path, run: Run) -> None:
    async def main() -> None:
        names = Names({"hidden.test": ["169.254.0.1"]})
        async with Origin(answer(status="302 Found", Location=location)) as origin, files(folder) as blobs:
            async with fetching(resolver=names) as fetch:
                with pytest.raises(AddressRefused) as caught:
                    await got(fetch, blobs, origin.url)
            assert caught.value.message.startswith(why)
            assert len(origin.heads) == 1
            assert kept(folder) == []

    run(main())


BOMB = gzip.compress(b"0" * 10_000_000)

FAILURES = [
    (answer(status="404 Not Found"), "answered 404", 404),
    (answer(status="500 Oops"), "answered 500", 500),
    (answer(b"", status="204 No Content"), "answered 204", 204),
    (answer(b"x" * 2_001), "holds more than 2000 bytes", 200),
    (answer(b"", Content_Length="1000000000000"), "holds more than 2000 bytes", 200),
    (answer(b"x" * 2_001, Content_Length=""), "holds more than 2000 bytes", 200),
    (answer(BOMB[:1_000], Content_Encoding="gzip"), "answered with compressed content", 200),
    (answer(b"", status="200 OK"), "answered with an empty file", 200),
    (answer(b"short", Content_Length="50"), "broke off", None),
    (answer(b"four and more", Content_Length="4"), "answers with what is no HTTP", None),
    (answer(b"zz\r\n", Content_Length="", Transfer_Encoding="chunked"), "", None),
    (b"", "broke off", None),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "answers with what is no HTTP", None),
    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "answers with what is no HTTP", None),
]


@pytest.mark.parametrize(("said", "why", "status"), FAILURES, ids=range(len(FAILURES)))
def test_a_failure_says_what_the_address_did_and_leaves_nothing(
    said: bytes, why: str, status: int | None, folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with Origin(said) as origin, fetching() as fetch, files(folder) as blobs:
            with pytest.raises(FetchFailed) as caught:
                await got(fetch, blobs, origin.url, most=2_000)
            assert caught.value.message.startswith(why)
            assert caught.value.status == status
            assert "127.0.0.1" not in caught.value.message
            assert kept(folder) == []
            assert blobs.size_bytes == 0

    run(main())


@pytest.mark.parametrize("length", ["", "2000"])
def test_a_file_may_be_as_large_as_the_limit(length: str, folder: Path, run: Run) -> None:
    async def main() -> None:
        exact = answer(b"x" * 2_000, Content_Length=length)
        async with fetching() as fetch, files(folder) as blobs, Origin(exact) as origin:
            assert (await got(fetch, blobs, origin.url, most=2_000))[0] == b"x" * 2_000

    run(main())


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", answer(b"a part", Content_Length="100")])
def test_who_answers_slowly_is_given_up(said: bytes, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Origin(said, holds=True) as origin, fetching() as fetch, files(folder) as blobs:
            with pytest.raises(FetchFailed, match=r"did not answer within 0\.05 seconds"):
                await got(fetch, blobs, origin.url, timeout_seconds=0.05)
            await origin.left.wait()
            assert kept(folder) == []

    run(main())


def test_who_is_cancelled_leaves_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Origin(answer(b"x" * 400_000, Content_Length="500000"), holds=True) as origin:
            async with fetching() as fetch, files(folder) as blobs:
                task = asyncio.create_task(got(fetch, blobs, origin.url))
                await until(lambda: kept(folder))
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert kept(folder) == []
            await origin.left.wait()

    run(main())


def test_what_is_not_there_is_said_so(run: Run) -> None:
    async def main() -> None:
        async with Origin(answer()) as origin:
            closed = origin.url
        names = Names({"long.test": ["127.0.0.1"]})
        async with fetching(resolver=names) as fetch:
            for url, why in ((closed, "cannot be reached"), ("http://unknown.test/", "has a name that is not known")):
                with pytest.raises(FetchFailed) as caught:
                    await fetch.post(url, headers={}, body=b"", timeout_seconds=20)
                assert (caught.value.message, type(caught.value)) == (why, FetchFailed)
        # The machine's own look-up.
        async with fetching() as fetch, Origin(answer()) as origin:
            told = await fetch.post(f"http://localhost:{origin.port}", headers={}, body=b"", timeout_seconds=20)
            assert told.status == 200
            for host in ("nowhere.invalid", "a" * 64 + ".invalid"):
                with pytest.raises(FetchFailed, match="has a name that is not known"):
                    await fetch.post(f"http://{host}/", headers={}, body=b"", timeout_seconds=20)

    run(main())


URLS = [
    ("", "is not of 1 to 2083 characters"),
    ("http://a/" + "x" * 2_075, "is not of 1 to 2083 characters"),
    ("abc123", "is no http or https address"),
    ("//host/x", "is no http or https address"),
    ("ftp://host/", "is no http or https address"),
    ("file:///etc/passwd", "is no http or https address"),
    ("javascript:alert(1)", "is no http or https address"),
    ("http:", "is no URL"),
    ("http:///x", "is no URL"),
    ("http://", "is no URL"),
    ("http://:80/", "is no URL"),
    ("http://a:0/", "is no URL"),
    ("http://a:99999/", "is no URL"),
    ("http://a:x/", "is no URL"),
    ("http://a:+80/", "is no URL"),
    ("http://a:8_0/", "is no URL"),
    ("http://a:٣/", "is no URL"),
    ("http://[:]/", "is no URL"),
    ("http://[a]b@/", "is no URL"),
    ("http://[::1/", "is no URL"),
    ("http://xn--/", "is no URL"),
    ("http://a b/", "is no URL"),
    ("http://a\\@b/", "is no URL"),
    ("http://a/\\..", "is no URL"),
    ("http://a/\nb", "is no URL"),
    ("http://a\t/", "is no URL"),
    ("http://a/\x00", "is no URL"),
    ("http://a/\udc80", "is no URL"),
]


@pytest.mark.parametrize(("url", "why"), URLS)
def test_what_is_no_http_address_is_told_before_anything_is_looked_up(url: str, why: str, run: Run) -> None:
    found = check_url(url)
    assert found is not None
    assert found.startswith(why)

    async def main() -> None:
        names = Names({})
        async with fetching(resolver=names) as fetch:
            with pytest.raises(AddressRefused) as caught:
                await fetch.post(url, headers={}, body=b"", timeout_seconds=20)
            assert (caught.value.message, caught.value.final) == (found, True)
        assert names.asked == []

    run(main())


@pytest.mark.parametrize(
    "url",
    [
        "http://a/" + "x" * 2_074,
        "HTTPS://Example.com",
        "http://bücher.example/ü",
        "http://u:p@h:8080/x?y#z",
        "http://[::1]/",
    ],
)
def test_an_http_address_is_one_wherever_it_leads(url: str) -> None:
    assert check_url(url) is None
