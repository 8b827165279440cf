"""How streams end: whole, cut, with an error, or with something that cannot be used."""

import asyncio
from typing import Any

import orjson
import pytest
from aiohttp import web

from coatcheck.engine.errors import CallFailed, Interrupted, Refused, Unusable
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider

from .openai_streams import CHAT, CHAT_RESULT, DONE, WIRE, chunk, piece, said, sse
from .upstreams import SECRET, Handle, answering, call, failed, raw_upstream, streaming, upstream


def broken(handle: Handle, operation: str = "chat/completions", **options: Any) -> CallFailed:
    async def main() -> CallFailed:
        async with upstream(handle, stream=True, **options) as provider:
            return await failed(provider, call(operation))

    return asyncio.run(main())


def test_a_stream_whose_server_forgets_its_end_is_whole_once_each_choice_has_ended(run: Any) -> None:
    # Whatever becomes of the connection then: what has come in full is not paid for twice.
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000000\r\n\r\n"

    async def main() -> None:
        async with upstream(streaming(sse(*CHAT)), stream=True) as provider:
            assert orjson.loads((await provider.execute(call())).result) == CHAT_RESULT
        async with raw_upstream(head + sse(*CHAT), stream=True) as provider:
            assert orjson.loads((await provider.execute(call())).result) == CHAT_RESULT
        async with raw_upstream(head + sse(*CHAT[:6]), stream=True) as provider:
            error = await failed(provider, call())
        assert isinstance(error, Interrupted)
        assert "was lost after sending" in error.message

    run(main())


@pytest.mark.parametrize(
    ("operation", "stream"),
    [
        ("chat/completions", b""),
        ("chat/completions", sse(*CHAT[:-3])),
        ("chat/completions", sse(chunk(piece(finish_reason="stop"), piece(1, content="a")))),
        ("chat/completions", sse(chunk(piece(content="a"))) + b"data: [DONE]"),
        ("responses", said("response.created", response={}) + said("response.output_text.delta", delta="a")),
    ],
)
def test_a_stream_that_is_cut_is_an_interruption(operation: str, stream: bytes) -> None:
    error = broken(streaming(stream), operation)
    assert isinstance(error, Interrupted)
    assert error.message == "provider up cut its stream before the end"


def test_a_cancelled_stream_closes_its_connection(run: Any) -> None:
    async def main() -> None:
        heard, closed = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + sse(*CHAT[:6]))
            while await reader.read(65536):
                pass
            closed.set()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            provider = OpenAIProvider("up", OpenAIOptions(base_url=f"http://127.0.0.1:{port}", stream=True), {})
            await provider.start()
            task = asyncio.create_task(provider.execute(call(watch=lambda _: heard.set())))
            await heard.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(1):
                await closed.wait()
            await provider.close()

    run(main())


@pytest.mark.parametrize(
    ("error", "kind", "status", "text"),
    [
        ({"error": {"message": "slow down", "code": 429}}, CallFailed, 429, "slow down"),
        ({"error": {"message": "down", "code": "502", "metadata": {}}}, CallFailed, 502, "down"),
        ({"error": {"message": "oops", "type": "server_error", "code": None}}, CallFailed, 500, "oops"),
        ({"object": "error", "message": "long", "type": "BadRequestError", "code": 400}, CallFailed, 400, "long"),
        ({"error": {"message": f"bad {SECRET}", "code": 401}}, Refused, 502, "bad [redacted]"),
        ({"error": {"message": "no", "code": "content_filter"}}, Refused, 502, "no"),
        ({"error": "plainly not"}, Refused, 502, "plainly not"),
        ({**chunk(piece(finish_reason="error")), "error": {"message": "x", "code": 503}}, CallFailed, 503, "x"),
    ],
)  # fmt: skip
def test_an_error_in_mid_stream_is_the_calls(error: Any, kind: type[CallFailed], status: int, text: str) -> None:
    failure = broken(streaming(sse(*CHAT[:6], error) + DONE))
    assert (type(failure), failure.status) == (kind, status)
    assert failure.message == f"provider up ended its stream with an error: {text}"
    assert SECRET not in repr(failure.upstream)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "later", "param": None, "sequence_number": 3},
        {"type": "error", "error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "later"}},
    ],
)
def test_an_error_in_a_responses_stream_has_two_forms(event: dict[str, Any]) -> None:
    failure = broken(streaming(b"event: error\n" + sse(event)), "responses")
    assert (failure.status, failure.code) == (429, "rate_limit_exceeded")
    assert failure.message.endswith("an error: later")


@pytest.mark.parametrize(
    ("stream", "code", "reason"),
    [
        (b"data: " + b"x" * 5000, "result_too_large", "larger than 4096 bytes"),
        (b": keep alive\n\n" * 400, "result_too_large", "larger than 4096 bytes"),
        (b"data: {not json}\n\n", "unusable_answer", "in its stream that is not JSON"),
        (b"data: [1]\n\n", "unusable_answer", "in its stream that is not an object"),
        (b'data: {"x": ' + b"[" * 900 + b"]" * 900 + b"}\n\n" + sse(CHAT[1]) + DONE, "unusable_answer", "no JSON"),
        (DONE, "unusable_answer", "ended its stream without an answer"),
    ],
)  # fmt: skip
def test_a_stream_that_cannot_be_used_is_not_asked_for_again(stream: bytes, code: str, reason: str) -> None:
    error = broken(streaming(stream), max_answer_bytes=4096)
    assert isinstance(error, Unusable)
    assert error.code == code
    assert reason in error.message


def test_an_error_before_the_stream_is_as_without_one() -> None:
    error = broken(answering(429, {"error": {"message": "slow down"}}, {"Retry-After": "7"}))
    assert (error.status, error.retry_after) == (429, 7)
    error = broken(answering(200, {"error": {"message": "no"}}))
    assert isinstance(error, Refused)
    error = broken(answering(200, b"x", {"Content-Encoding": "gzip", "Content-Type": "text/event-stream"}))
    assert isinstance(error, Unusable)


def test_nothing_is_awaited_after_the_end(run: Any) -> None:
    async def main() -> None:
        hold = asyncio.Event()

        async def handle(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(
                said("response.completed", response={"id": "r1"}) if "responses" in request.path else WIRE
            )
            await hold.wait()
            return response

        async with upstream(handle, stream=True) as provider:
            assert orjson.loads((await provider.execute(call())).result) == CHAT_RESULT
            assert orjson.loads((await provider.execute(call("responses"))).result) == {"id": "r1"}

    run(main())
