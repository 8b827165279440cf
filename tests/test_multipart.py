"""Forms as they arrive: in pieces of any size, from any client, and not always in good faith."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
import requests
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st

from coatcheck.engine.errors import BodyTooLarge, InvalidRequest
from coatcheck.handlers.multipart import Parts

Run = Callable[[Any], Any]

#: What was read of a part: its name, the file's name, the type, the content.
Seen = tuple[str, str | None, str | None, bytes]

FORM = "multipart/form-data; boundary=b"
MANY = 10_000_000


#: What still feeds requests.
_feeding: set[asyncio.Task[None]] = set()


def asking(
    pieces: Sequence[bytes],
    content_type: str | None = FORM,
    length: int | None = None,
    *,
    broken: bool = False,
    stalled: bool = False,
) -> web.BaseRequest:
    """A request whose body arrives in these pieces, one after the other is taken; then it breaks off or stalls, if it
    is to."""
    protocol = BaseProtocol(asyncio.get_running_loop())
    stream = StreamReader(protocol, 2**16)
    headers = {} if content_type is None else {"Content-Type": content_type}
    if length is not None:
        headers["Content-Length"] = str(length)
    request = make_mocked_request("POST", "/", headers=headers, payload=stream)
    # A stream waits for no more than a connection brings.
    protocol.transport = request.transport

    async def feed() -> None:
        for piece in pieces:
            stream.feed_data(piece)
            for _ in range(5):
                await asyncio.sleep(0)
        if broken:
            stream.set_exception(ConnectionResetError("Connection lost"))
        elif not stalled:
            stream.feed_eof()

    task = asyncio.create_task(feed())
    _feeding.add(task)
    task.add_done_callback(_feeding.discard)
    return request


async def read(request: web.BaseRequest, most: int = MANY) -> list[Seen]:
    parts = Parts(request, most)
    seen: list[Seen] = []
    while (part := await parts.next()) is not None:
        content = b""
        while data := await parts.read():
            content += data
        seen.append((*part, content))
    return seen


def refused(run: Run, *pieces: bytes, content_type: str | None = FORM, **options: Any) -> str:
    async def main() -> list[Seen]:
        return await read(asking(pieces, content_type, **options))

    with pytest.raises(InvalidRequest) as caught:
        run(main())
    prefix = "failed to parse multipart form: "
    assert caught.value.message.startswith(prefix)
    return caught.value.message.removeprefix(prefix)


def part(disposition: str, content: bytes = b"x", *headers: str) -> bytes:
    lines = "\r\n".join(["--b", f"Content-Disposition: {disposition}", *headers])
    return lines.encode() + b"\r\n\r\n" + content + b"\r\n"


def named(run: Run, disposition: str) -> Seen:
    async def main() -> list[Seen]:
        return await read(asking([part(disposition), b"--b--\r\n"]))

    (seen,) = run(main())
    return seen  # type: ignore[no-any-return]


contents = st.lists(
    st.sampled_from([b"\r\n", b"--", b"b", b"-", b"\r", b"\n", b"\r\n--", b"\r\n--a", b"x" * 300, b"\0"]), max_size=8
).map(b"".join)


@given(files=st.lists(contents, max_size=4), size=st.integers(1, 300))
@settings(deadline=None, max_examples=100)
def test_parts_are_the_same_however_the_body_is_cut(files: list[bytes], size: int) -> None:
    files = [content for content in files if b"\r\n--b" not in b"\r\n" + content]
    body = b"".join(part(f'form-data; name="f{i}"; filename="a"', content) for i, content in enumerate(files))
    body += b"--b--\r\nwhat stands after it\r\n"

    async def main() -> list[Seen]:
        return await read(asking([body[at : at + size] for at in range(0, len(body), size)]))

    assert asyncio.run(main()) == [(f"f{i}", "a", None, content) for i, content in enumerate(files)]


@given(
    tokens=st.lists(
        st.sampled_from(
            [b"--b", b"\r\n", b"--", b"Content-Disposition: form-data", b'; name="a"', b": ", b"\xff", b"x"]
        )
        | st.binary(max_size=3),
        max_size=20,
    ),
    begun=st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_whatever_comes_is_a_form_or_refused(tokens: list[bytes], begun: bool) -> None:
    async def main() -> None:
        with suppress(InvalidRequest):
            await read(asking([b"--b\r\n" if begun else b"", *tokens]))

    asyncio.run(main())


def test_what_is_not_read_of_a_part_is_passed_over(run: Run) -> None:
    async def main() -> list[str]:
        parts = Parts(
            asking([part('form-data; name="a"', b"x" * 100_000), part('form-data; name="b"'), b"--b--"]), MANY
        )
        names = []
        while (found := await parts.next()) is not None:
            names.append(found.name)
        assert await parts.read() == b""
        return names

    assert run(main()) == ["a", "b"]


def test_a_form_of_requests_is_read(run: Run) -> None:
    prepared = requests.Request(
        "POST", "http://x/", data={"model": "a/b", "n": "2"}, files={"image": ("Füchse 1.png", b"\x89PNG", "image/png")}
    ).prepare()
    body = prepared.body
    assert isinstance(body, bytes)

    async def main() -> list[Seen]:
        return await read(asking([body], prepared.headers["Content-Type"]))

    assert run(main()) == [
        ("model", None, None, b"a/b"),
        ("n", None, None, b"2"),
        ("image", "Füchse 1.png", "image/png", b"\x89PNG"),
    ]


def test_a_form_of_aiohttp_is_read(run: Run) -> None:
    async def main() -> None:
        form = aiohttp.FormData({"model": "a/b"}, quote_fields=False)
        form.add_field("file", b"RIFF", filename='a "b" Ü.wav', content_type="audio/wav")
        payload = form()
        assert isinstance(payload, aiohttp.MultipartWriter)
        body = await payload.as_bytes()
        (model, file) = await read(asking([body], payload.content_type))
        assert (model[0], model[3]) == ("model", b"a/b")
        assert file == ("file", 'a "b" Ü.wav', "audio/wav", b"RIFF")

    run(main())


def test_a_part_may_be_empty(run: Run) -> None:
    async def main() -> list[Seen]:
        return await read(asking([part('form-data; name="a"', b""), b"--b--"]))

    assert run(main()) == [("a", None, None, b"")]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("last", [b"--b--", part('form-data; name="c"') + b"--b--"])
def test_a_part_without_the_line_of_its_content_is_refused(run: Run, size: int, last: bytes) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="b"\r\n\r\n' + last
    why = "the header of a part is followed by a boundary, not by a line of its own"
    assert refused(run, *[body[at : at + size] for at in range(0, len(body), size)]) == why


def test_an_empty_form_has_no_parts(run: Run) -> None:
    async def main() -> list[Seen]:
        return await read(asking([b"--b--\r\n"]))

    assert run(main()) == []


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="f"; filename="a.mp3"', "a.mp3"),
        ("form-data; name=f; filename=a.mp3", "a.mp3"),
        ('form-data; name="f"; filename=""', ""),
        (r'form-data; name="f"; filename="a \"b\" c.mp3"', 'a "b" c.mp3'),
        (r'form-data; name="f"; filename="C:\Users\me\a.mp3"', "a.mp3"),
        ('form-data; name="f"; filename="../../etc/passwd"', "passwd"),
        ('form-data; name="f"; filename=".."', ""),
        ('form-data; name="f"; filename="a\tb\x7f.mp3"', "ab.mp3"),
        ('form-data; name="f"; filename="a;b=c.mp3"', "a;b=c.mp3"),
        ('form-data; name="f"; filename="x"; filename*=UTF-8\'\'%C3%BC.mp3', "ü.mp3"),
        ("form-data; name=\"f\"; filename*=utf-8'en'..%2F%FF.mp3", "\ufffd.mp3"),
        ('form-data; name="f"; filename="x"; filename*=utf-99\'\'y', "x"),
        (f'form-data; name="f"; filename="{"a" * 300}.mp3"', "a" * 251 + ".mp3"),
        ('FORM-DATA; NAME="f"; FileName="a"; ', "a"),
    ],
)
def test_a_files_name_has_no_folders_and_nothing_unprintable(run: Run, disposition: str, name: str) -> None:
    assert named(run, disposition)[:2] == ("f", name)


@pytest.mark.parametrize(
    ("disposition", "why"),
    [
        ("form-data", "invalid Content-Disposition segment header: Missing name option"),
        ('form-data; name=""', "a part has no name"),
        ('attachment; name="f"', "invalid Content-Disposition segment header: Wrong type"),
        ('form-data; name="a"; name="b"', "a header has a parameter twice"),
        ('form-data; name="a', "invalid Content-Disposition segment header: Missing name option"),
        ("form-data; name", "invalid Content-Disposition segment header: Missing name option"),
        (f'form-data; name="{"a" * 101}"', "the name of a part is too long, or not printable"),
        ('form-data; name="a\x07"', "the name of a part is too long, or not printable"),
    ],
)
def test_a_part_that_cannot_be_named_is_refused(run: Run, disposition: str, why: str) -> None:
    assert refused(run, part(disposition), b"--b--") == why


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("Content-Transfer-Encoding: base64", "a part has a Content-Transfer-Encoding; send it as it is"),
        ("Content-Encoding: gzip", "a part is compressed; send it as it is"),
        ("no header", "malformed segment header"),
        ("Content-Disposition: form-data; name=b", "a part has a header twice"),
        (" folded: x", "unexpected segment header continuation"),
        ("X: " + "x" * 8200, "maximum segment header length exceeded"),
        ("X: \udcff", "segment header failed to decode"),
    ],
)
def test_a_header_that_is_none_or_says_too_much_is_refused(run: Run, header: str, why: str) -> None:
    body = part('form-data; name="a"', b"x", header.replace("\udcff", "?")).replace(b"X: ?", b"X: \xff")
    assert refused(run, body, b"--b--") == why


def test_a_header_of_many_lines_is_refused(run: Run) -> None:
    lines = [f"X-{i}: 1" for i in range(16)]
    assert refused(run, part('form-data; name="a"', b"x", *lines), b"--b--") == "maximum segment header count exceeded"


def test_very_many_parts_are_refused(run: Run) -> None:
    assert refused(run, *[part('form-data; name="a"')] * 257) == "maximum segment count exceeded"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it ends before its last boundary"),
        (b"--b", "it ends before its last boundary"),
        (b"what is said before\r\n--b--\r\n", "boundary not found in first chunk"),
        (b"--c\r\n", "boundary not found in first chunk"),
        (b"--bb\r\n\r\nx\r\n--b--", "unexpected byte after first boundary"),
        (part('form-data; name="a"'), "it ends before its last boundary"),
        (part('form-data; name="a"')[:-1], "it ends before its last boundary"),
        (b"--b\nContent-Disposition: form-data; name=a\n\nx\n--b--\n", "invalid line break after first boundary"),
    ],
)
def test_a_body_that_is_no_form_is_refused(run: Run, body: bytes, why: str) -> None:
    assert refused(run, body) == why


def test_a_line_without_an_end_is_not_kept(run: Run) -> None:
    why = "maximum segment header length exceeded"
    assert refused(run, b"--b\r\n", *[b"x" * 4096] * 10) == why


def test_a_body_that_breaks_off_is_told_as_such(run: Run) -> None:
    why = refused(run, part('form-data; name="a"')[:-5], broken=True)
    assert why == "it could not be read: Connection lost"


def test_a_body_that_does_not_go_on_is_given_up(run: Run) -> None:
    async def main() -> None:
        request = asking([part('form-data; name="a"')], stalled=True)
        parts = Parts(request, MANY, patience_seconds=0.001)
        await parts.next()
        # A part is passed over on the way to the next one.
        with pytest.raises(InvalidRequest, match=r"nothing came for 0\.001 seconds"):
            await parts.next()

    run(main())


@pytest.mark.parametrize(
    ("content_type", "why"),
    [
        (None, "there is no Content-Type"),
        ("application/json", "got application/json"),
        ("multipart/mixed; boundary=b", "got multipart/mixed"),
        ("multipart/form-data", "its Content-Type has no boundary, or none that is valid"),
        ("multipart/form-data; boundary=", "its Content-Type has no boundary, or none that is valid"),
        (f"multipart/form-data; boundary={'b' * 71}", "its Content-Type has no boundary, or none that is valid"),
        ('multipart/form-data; boundary="b\u00fc"', "its Content-Type has no boundary, or none that is valid"),
        ("multipart/form-data; boundary=a; boundary=b", "a header has a parameter twice"),
    ],
)
def test_a_content_type_that_is_no_forms_is_refused(run: Run, content_type: str | None, why: str) -> None:
    assert refused(run, b"--b--", content_type=content_type).endswith(why)


@pytest.mark.parametrize(
    "content_type", ['multipart/form-data; boundary="b"', "Multipart/Form-Data; charset=x; Boundary=b"]
)
def test_a_boundary_may_be_quoted(run: Run, content_type: str) -> None:
    async def main() -> list[Seen]:
        return await read(asking([b"--b--"], content_type))

    assert run(main()) == []


def test_a_form_that_is_too_large_is_refused_when_that_is_known(run: Run) -> None:
    async def main(length: int | None) -> list[Seen]:
        return await read(asking([part('form-data; name="a"'), b"x" * 1000], length=length), most=500)

    for length in (501, None):
        with pytest.raises(BodyTooLarge, match=r"larger than 500 bytes \(\[server\] max_form_bytes\)"):
            run(main(length))


def test_what_follows_the_last_boundary_counts_as_well(run: Run) -> None:
    async def main() -> list[Seen]:
        return await read(asking([b"--b--\r\n", *[b"x" * 100] * 10]), most=500)

    with pytest.raises(BodyTooLarge):
        run(main())
