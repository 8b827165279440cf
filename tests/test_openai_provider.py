"""Kind `openai` against real servers on this machine: what is sent, what comes back, and what every failure means."""

import asyncio
from typing import Any

import orjson
import pytest
from aiohttp import web

from coatcheck.engine.errors import CallFailed, Interrupted, NotConnected, Refused, Unusable
from coatcheck.engine.retries import describe, retry_after
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider
from coatcheck.providers.upstream import redacted

from .clients import REQUESTS
from .upstreams import SECRET, Handle, answering, call, failed, raw_upstream, upstream


async def failure(handle: Handle, **options: Any) -> CallFailed:
    async with upstream(handle, **options) as provider:
        return await failed(provider, call())


@pytest.mark.parametrize("operation", ["chat/completions", "completions", "responses", "embeddings", "ocr"])
def test_a_call_is_one_post_with_the_providers_model_and_every_key_of_the_request(run: Any, operation: str) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def handle(request: web.Request) -> web.StreamResponse:
            seen.append((request.method, request.path, request.headers, await request.json()))
            return web.json_response({"model": "small-2026", "extra_fields": {"forged": 1}, "n": 1})

        options = {"organization": "org", "project": "proj", "headers": {"X-Team": "research"}}
        async with upstream(handle, **options) as provider:
            reply = await provider.execute(call(operation, x_mine=[1]))
        ((method, path, headers, body),) = seen
        assert (method, path) == ("POST", f"/api/v1/{operation}")
        assert body == {**REQUESTS[operation], "model": "small", "x_mine": [1]}
        assert headers["Authorization"] == f"Bearer {SECRET}"
        assert (headers["OpenAI-Organization"], headers["OpenAI-Project"]) == ("org", "proj")
        assert headers["X-Team"] == "research"
        assert headers["Accept-Encoding"] == "identity"
        assert reply.model == "small-2026"
        assert orjson.loads(reply.result) == {"model": "small-2026", "n": 1}

    run(main())


@pytest.mark.parametrize(
    ("given", "options", "sent"),
    [
        ({"max_completion_tokens": 5}, {}, {"max_completion_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_tokens_field": "max_tokens"}, {"max_tokens": 5}),
        ({"reasoning": {"effort": "low"}}, {}, {"reasoning_effort": "low"}),
        (
            {"reasoning": {"effort": "low", "max_tokens": 9}},
            {},
            {"reasoning_effort": "low"},
        ),
        (
            {"reasoning": {"max_tokens": 9000, "enabled": True, "display": "omitted"}},
            {},
            {"reasoning_effort": "medium"},
        ),
        ({"reasoning": {"max_tokens": 9}}, {"extras": True}, {"reasoning": {"max_tokens": 9}}),
        ({"cache_control": {}}, {}, {}),
        ({"cache_control": {}}, {"extras": True}, {"cache_control": {}}),
    ],
)
def test_a_chat_is_sent_in_the_words_that_the_server_knows(
    run: Any, given: dict[str, Any], options: dict[str, Any], sent: dict[str, Any]
) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def handle(request: web.Request) -> web.StreamResponse:
            seen.append(await request.json())
            return web.json_response({})

        async with upstream(handle, **options) as provider:
            await provider.execute(call(**given))
        assert seen == [{**REQUESTS["chat/completions"], "model": "small", **sent}]

    run(main())


def test_an_error_is_kept_with_its_status_and_words_and_without_secrets(run: Any) -> None:
    body = {
        "error": {
            "message": f"Incorrect key {SECRET} and sk-proj-abc***xyz",
            "type": "tokens",
            "code": "rate_limit_exceeded",
            "param": "messages",
        }
    }
    error = run(failure(answering(429, body, {"Retry-After": "7"})))
    assert (error.status, error.type, error.code, error.param) == (429, "tokens", "rate_limit_exceeded", "messages")
    assert error.retry_after == 7
    assert error.message == "provider up answered 429: Incorrect key [redacted] and [redacted]"
    assert error.upstream["status"] == 429
    assert error.upstream["body"]["error"]["code"] == "rate_limit_exceeded"
    assert SECRET not in repr(error.upstream)
    assert "abc***xyz" not in repr(error.upstream)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_our_credentials_is_not_the_clients(run: Any, status: int) -> None:
    error = run(failure(answering(status, {"error": {"message": "bad key"}})))
    assert (error.status, error.type) == (502, "provider_authentication_error")
    assert error.upstream["status"] == status


def test_an_account_without_money_is_refused_and_its_key_rests(run: Any) -> None:
    error = {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}

    async def main() -> None:
        async with upstream(answering(429, {"error": error})) as provider:
            failure = await failed(provider, call())
            (key,) = provider.door._keys._credentials
        assert isinstance(failure, Refused), "waiting would not help"
        assert (failure.status, failure.type, failure.code) == (429, "insufficient_quota", "insufficient_quota")
        assert key.refusals == 1

    run(main())


@pytest.mark.parametrize(
    ("body", "text"),
    [(b"<html>Bad gateway</html>", "<html>Bad gateway</html>"), (b"", "Internal Server Error"), (b'"no"', "no")],
)
def test_an_error_that_is_not_of_openais_shape_still_says_something(run: Any, body: bytes, text: str) -> None:
    error = run(failure(answering(500, body)))
    assert error.status == 500
    assert error.message == f"provider up answered 500: {text}"


def test_a_redirect_is_not_followed(run: Any) -> None:
    error = run(failure(answering(307, b"", {"Location": "http://127.0.0.1:9/"})))
    assert (error.status, error.code) == (502, "unexpected_status")


@pytest.mark.parametrize(
    ("handle", "reason"),
    [
        (answering(200, b"not json"), "something that is not JSON"),
        (answering(200, b"[1]"), "JSON that is not an object"),
        (answering(200, b"x" * 5000), "larger than 2048 bytes"),
        (answering(200, b"x", {"Content-Encoding": "gzip"}), "answered compressed"),
    ],
)
def test_an_answer_that_cannot_be_used_is_not_asked_for_again(run: Any, handle: Any, reason: str) -> None:
    error = run(failure(handle, max_answer_bytes=2048))
    assert isinstance(error, Unusable)
    assert reason in error.message


def test_what_a_server_refuses_is_not_asked_of_it_again(run: Any) -> None:
    for handle in (
        answering(401, {}),
        answering(302, b"", {"Location": "http://127.0.0.1:9/"}),
        answering(200, {"error": {"message": "no"}}),
    ):
        assert isinstance(run(failure(handle)), Refused)


TRACE = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "x=1"}


def test_a_trace_goes_along_and_nothing_else_with_it(run: Any) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def handle(request: web.Request) -> web.StreamResponse:
            seen.append(request.headers)
            return web.json_response({})

        headers = {"X-Team": "research", "Traceparent": "configured"}
        async with upstream(handle, headers=headers) as provider:
            await provider.execute(call(trace={**TRACE, "X-Team": "forged", "Authorization": "Bearer forged"}))
            await provider.execute(call())
        with_trace, without = seen
        assert with_trace.getall("traceparent") == [TRACE["traceparent"]]
        assert with_trace["tracestate"] == "x=1"
        assert (with_trace["X-Team"], with_trace["Authorization"]) == ("research", f"Bearer {SECRET}")
        assert without["traceparent"] == "configured"
        assert "tracestate" not in without

    run(main())


def test_secrets_in_headers_and_at_a_cut_are_redacted(run: Any) -> None:
    long = b"x" * 490 + SECRET.encode() + b"y" * 20_000
    error = run(failure(answering(500, long)))
    assert "0123" not in error.message
    assert "0123" not in repr(error.upstream)
    error = run(failure(answering(500, {"error": {"message": "bad my-own-token"}}), headers={"X-Key": "my-own-token"}))
    assert error.message == "provider up answered 500: bad [redacted]"


@pytest.mark.parametrize(
    "answered",
    [
        b"my-own-token\r\n\r\n",
        b"my-own-token " * 1000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nAuth orization: my-own-token\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: my-own-token" + b"x" * 10_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: my-own-token\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nmy-own-token\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: my-own-token\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 500 my-own-token\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n{"error": {"message": "bad my-own-token"}}',
    ],
)
def test_what_an_answer_repeats_of_the_headers_and_the_address_is_not_told(run: Any, answered: bytes) -> None:
    async def main() -> None:
        headers = {"X-Key": "my-own-token"}
        async with raw_upstream(answered, query="/v1?key=in-the-address", headers=headers) as provider:
            error = await failed(provider, call())
        assert error.message.startswith(("provider up ", "the provider answered compressed"))
        told = error.message + repr(describe(error))
        assert [secret for secret in ("my-own-token", "in-the-address") if secret in told] == []

    run(main())


def test_of_an_errors_body_no_more_is_read_than_is_looked_at(run: Any) -> None:
    async def main() -> None:
        rest = asyncio.Event()

        async def handle(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(status=500)
            await response.prepare(request)
            await response.write(b"too much of this " * 5000)
            await rest.wait()
            return response

        async with upstream(handle) as provider, asyncio.timeout(20):
            error = await failed(provider, call())
            rest.set()
        assert error.status == 500
        assert error.message.startswith("provider up answered 500: too much of this too much")

    run(main())


@pytest.mark.parametrize("depth", [250, 1000])
def test_an_error_that_nests_too_deeply_is_kept_as_text(run: Any, depth: int) -> None:
    error = run(failure(answering(503, b'{"error": ' + b"[" * depth + b"]" * depth + b"}")))
    assert error.status == 503
    kept = describe(error)["upstream"]
    assert isinstance(kept["body"] if isinstance(kept, dict) else kept, str)


def test_a_user_in_the_base_address_and_a_key_are_one_too_many() -> None:
    options = OpenAIOptions(base_url="http://me:word@127.0.0.1:9/v1", api_key_env="KEY")
    with pytest.raises(ValueError, match="there can be one of them"):
        OpenAIProvider("up", options, {"KEY": SECRET})


def test_a_query_in_the_base_address_is_kept(run: Any) -> None:
    provider = OpenAIProvider("up", OpenAIOptions(base_url="http://127.0.0.1:9/v1?api-version=2"), {})
    assert str(provider.door.url("responses")) == "http://127.0.0.1:9/v1/responses?api-version=2"


def test_an_error_in_a_200_is_an_error(run: Any) -> None:
    error = run(failure(answering(200, {"error": {"message": f"overloaded {SECRET}", "code": 529}})))
    assert (error.status, error.message) == (502, "provider up answered 200 with an error: overloaded [redacted]")


def test_a_server_that_is_not_there_was_never_connected(run: Any) -> None:
    async def main() -> None:
        probe = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
        port = probe.sockets[0].getsockname()[1]
        probe.close()
        await probe.wait_closed()
        provider = OpenAIProvider("up", OpenAIOptions(base_url=f"http://127.0.0.1:{port}/v1"), {})
        await provider.start()
        try:
            for ask in (provider.execute(call()), provider.ping()):
                with pytest.raises(NotConnected, match="provider up could not be reached"):
                    await ask
        finally:
            await provider.close()

    run(main())


async def raw_failure(answered: bytes) -> CallFailed:
    async with raw_upstream(answered) as provider:
        return await failed(provider, call())


@pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_a_connection_lost_after_sending_is_an_interruption(run: Any, answered: bytes) -> None:
    error = run(raw_failure(answered))
    assert isinstance(error, Interrupted)
    assert "was lost after sending" in error.message


def test_a_server_that_speaks_no_http_is_unusable(run: Any) -> None:
    error = run(raw_failure(b"SSH-2.0-OpenSSH\r\n\r\n"))
    assert isinstance(error, Unusable)
    assert "does not speak HTTP as expected" in error.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7),
        (" 7 ", 7),
        ("soon", None),
        ("-1", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_has_two_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


@pytest.mark.parametrize(
    "text", ["key sk-abcdef", "Bearer abcdefghij", "gsk_is not but gsk-12345 is", "xai-0000000", "pk-live.1234"]
)
def test_what_looks_like_a_key_is_redacted(text: str) -> None:
    assert "[redacted]" in redacted(text)
    assert redacted("an ordinary task-list sentence") == "an ordinary task-list sentence"
