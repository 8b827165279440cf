"""Headers that no well-behaved client sends: each is answered, and none is a fault of the server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from .clients import Client, client, request

Run = Callable[[Awaitable[Any]], Any]

NAMES = (
    "Prefer", "Idempotency-Key", "Cancel-After", "Priority", "If-None-Match", "Last-Event-ID", "traceparent",
    "tracestate", "x-request-id", "x-bf-async-job-result-ttl",
)  # fmt: skip
VALUES = (
    b"", b"\xff\xfe", "é٣🙂".encode(), b'"', b"\\", b",", b"=", b";", b"\t", b"wait", b"wait=\xff",
    b"99999999999999999999", b"-1", b"1e400", b'"\xc3"', b"W/", b"00-" + b"0" * 32, b"x" * 8000, b"," * 8000,
    b"%s%n{}\x7f",
)  # fmt: skip


async def raw(c: Client, method: str, path: str, body: bytes, *headers: tuple[str, bytes]) -> tuple[int, bytes]:
    """Status and body of an answer to a request whose headers are bytes."""
    host, _, port = c.served.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", f"Content-Length: {len(body)}"]
    head = "\r\n".join(lines).encode() + b"".join(b"\r\n%b: %b" % (name.encode(), value) for name, value in headers)
    writer.write(head + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    status, _, rest = answer.partition(b"\r\n")
    return int(status.split()[1]), rest.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("name", NAMES)
def test_no_value_of_a_header_is_a_fault_of_the_server(
    folder: Path, run: Run, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = orjson.dumps(request("embeddings"))
            id = await c.submit("embeddings")
            await c.ended(id, "embeddings")
            failed = await c.submit("embeddings", "echo/status-418")
            await c.ended(failed, "embeddings")
            for value in VALUES:
                for method, path, sent in (
                    ("POST", "/v1/async/embeddings", body),
                    ("POST", f"/v1/async/jobs/{failed}/retry", b""),
                    ("GET", f"/v1/async/embeddings/{id}", b""),
                    ("GET", f"/v1/async/jobs/{id}", b""),
                    ("GET", f"/v1/async/jobs/{id}/events", b""),
                    ("GET", "/v1/async/jobs", b""),
                ):
                    status, answer = await raw(c, method, path, sent, (name, value), (name, value))
                    # 422: the submit and the retry have the same Idempotency-Key.
                    assert status in (200, 202, 204, 304, 400, 422), (path, value, status)
                    assert answer.strip() or status in (204, 304), (path, value)

    run(main())
    assert not [
        record for record in caplog.records if record.name.startswith("coatcheck") and record.levelname == "ERROR"
    ]


def test_a_header_that_is_too_long_is_a_400(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for name in NAMES:
                status, _ = await raw(c, "GET", "/v1/async/jobs", b"", (name, b"x" * 100_000))
                assert status == 400

    run(main())
