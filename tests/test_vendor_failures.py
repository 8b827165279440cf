"""Every provider that speaks HTTP, when its vendor refuses, makes no sense, breaks off or is slow; and cancels."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.errors import CallFailed, Interrupted, NotConnected, Refused, Unusable
from coatcheck.engine.retries import describe

from .vendor_cases import each_operation
from .vendors.vendor import KEY, KEY_ENV, Case, Seen, Vendor, calling, failing, left_in, made, saying, served


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


async def failure(vendor: Vendor, case: Case, answer: Any, folder: Path, **options: Any) -> CallFailed:
    async with served(vendor, answer, **options) as (provider, _, _):
        return await failing(provider, folder, case)


@each_operation
@pytest.mark.parametrize("status", [400, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529])
def test_an_error_keeps_its_status_and_its_words(
    vendor: Vendor, case: Case, status: int, run: Any, folder: Path
) -> None:
    answer = saying(vendor.error("it will not do"), status, {"Retry-After": "7"} if status == 429 else None)
    error = run(failure(vendor, case, answer, folder))
    assert type(error) is CallFailed
    assert error.status == status
    assert error.message == f"provider up answered {status}: it will not do"
    assert error.upstream["status"] == status
    assert error.retry_after == (7 if status == 429 else None)


@each_operation
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_our_key_is_not_the_clients(
    vendor: Vendor, case: Case, status: int, run: Any, folder: Path
) -> None:
    error = run(failure(vendor, case, saying(vendor.error("a bad key"), status), folder))
    assert isinstance(error, Refused)
    assert (error.status, error.type) == (502, "provider_authentication_error")
    assert error.message == f"provider up answered {status}: a bad key"


@each_operation
@pytest.mark.parametrize(
    ("body", "headers", "text"),
    [
        (b"<html>", {"Content-Type": "text/html"}, "<html>"),
        (b"", {}, "Service Unavailable"),
        (b"garbage", {"Content-Encoding": "gzip"}, "Service Unavailable"),
    ],
)
def test_an_error_without_the_vendors_shape_is_judged_by_its_status(
    vendor: Vendor, case: Case, body: bytes, headers: Any, text: str, run: Any, folder: Path
) -> None:
    error = run(failure(vendor, case, saying(body, 503, headers), folder))
    assert type(error) is CallFailed
    assert (error.status, error.message) == (503, f"provider up answered 503: {text}")


@each_operation
def test_an_error_that_breaks_off_is_judged_by_its_status(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    async def handle(request: web.Request, _seen: Seen) -> web.StreamResponse:
        return await broken_off(request, 400, "application/json", b"it will n")

    error = run(failure(vendor, case, handle, folder))
    assert type(error) is CallFailed
    assert (error.status, error.message) == (400, "provider up answered 400: it will n")


async def broken_off(request: web.Request, status: int, media_type: str, begun: bytes) -> web.StreamResponse:
    """An answer of which no more comes than its beginning."""
    response = web.StreamResponse(status=status, headers={"Content-Type": media_type, "Content-Length": "9999"})
    await response.prepare(request)
    await response.write(begun)
    assert request.transport is not None
    request.transport.close()
    return response


@each_operation
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (saying(b"not json"), "is not JSON"),
        (saying(b'{"a": '), "is not JSON"),
        (saying(b""), "is not JSON"),
        (saying(b"[1]"), "JSON that is not an object"),
        (saying(b"{" + b" " * 5000 + b"}"), "larger than 2048 bytes"),
        (saying(b"{}", headers={"Content-Encoding": "gzip"}), "answered compressed"),
    ],
)
def test_an_answer_that_cannot_be_used_ends_the_job(
    vendor: Vendor, case: Case, answer: Any, reason: str, run: Any, folder: Path
) -> None:
    error = run(failure(vendor, case, answer, folder, max_answer_bytes=2048))
    assert isinstance(error, Unusable), error.message
    assert reason in error.message


@each_operation
def test_a_redirect_is_not_followed(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    async def main() -> None:
        answer = saying(b"", 307, {"Location": "/elsewhere"})
        async with served(vendor, answer) as (provider, seen, _):
            error = await failing(provider, folder, case)
        assert isinstance(error, Refused)
        assert error.code == "unexpected_status"
        assert len(seen) == 1

    run(main())


@each_operation
def test_an_answer_that_breaks_off_is_an_interruption(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    async def handle(request: web.Request, seen: Seen) -> web.StreamResponse:
        return await broken_off(request, 200, case.answer(seen).headers["Content-Type"], b'{"')

    error = run(failure(vendor, case, handle, folder))
    assert isinstance(error, NotConnected if vendor.uploads_first else Interrupted), error.message
    assert "was lost after sending" in error.message


@each_operation
def test_a_server_that_is_not_there_was_never_connected(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        async with made(vendor, f"http://127.0.0.1:{port}{vendor.path}") as provider:
            error = await failing(provider, folder, case)
        assert isinstance(error, NotConnected)
        assert "provider up could not be reached" in error.message

    run(main())


@each_operation
@pytest.mark.parametrize("begun", [False, True])
def test_a_cancel_closes_the_connection_at_once_and_leaves_nothing(
    vendor: Vendor, case: Case, begun: bool, run: Any, folder: Path
) -> None:
    async def main() -> None:
        asked, closed = asyncio.Event(), asyncio.Event()

        async def handle(request: web.Request, seen: Seen) -> web.StreamResponse:
            whole = case.answer(seen)
            response = web.StreamResponse(headers={"Content-Type": whole.headers["Content-Type"]})
            if begun:
                await response.prepare(request)
                await response.write(b'{"')
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                closed.set()
            return response

        async with served(vendor, handle) as (provider, _, _), calling(folder, case) as (call, _), asyncio.timeout(20):
            task = asyncio.create_task(provider.execute(call))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await closed.wait()
        assert left_in(folder) == []

    run(main())


@each_operation
def test_a_time_limit_that_is_over_ends_the_call(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def handle(_request: web.Request, _seen: Seen) -> web.StreamResponse:
            try:
                await asyncio.Event().wait()
            finally:
                closed.set()
            raise AssertionError

        async with served(vendor, handle) as (provider, seen, _), calling(folder, case) as (call, _):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await provider.execute(call)
            if seen:
                await closed.wait()

    run(main())


@each_operation
def test_secrets_in_an_error_are_redacted(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    for body in (vendor.error(f"bad key {KEY}"), f"bad key {KEY}".encode(), b"x" * 490 + KEY.encode()):
        error = run(failure(vendor, case, saying(body, 500), folder))
        assert "0123" not in repr(describe(error)) + str(error)
        assert "[redacted]" in repr(describe(error))
