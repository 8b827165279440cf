"""The `openai` package, unmodified, pointed at a gateway: its objects come back, its errors are raised."""

from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web

from coatcheck.schemas.operations import OPERATIONS

from .clients import ECHO, request
from .owners import AUTH
from .servers import Upstream
from .vendor_clients import PREFIXES, failing, openai_client, to_openai

HELLO: Any = [{"role": "user", "content": "hello"}]
#: Failures are not tried again.
ONCE = {"echo": {"kind": "echo", "retries": 0}}

#: What the package raises for an answer with that status.
RAISED = [
    (400, openai.BadRequestError, "invalid_request_error"),
    (401, openai.AuthenticationError, "invalid_request_error"),
    (403, openai.PermissionDeniedError, "permission_error"),
    (404, openai.NotFoundError, "invalid_request_error"),
    (409, openai.ConflictError, "invalid_request_error"),
    (422, openai.UnprocessableEntityError, "invalid_request_error"),
    (429, openai.RateLimitError, "rate_limit_error"),
    (500, openai.InternalServerError, "server_error"),
    (503, openai.InternalServerError, "server_error"),
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_text_operation_answers_with_the_packages_own_objects(folder: Path, run: Any, prefix: str) -> None:
    async def main() -> None:
        async with openai_client(folder, prefix=prefix) as (o, _):
            chat = await o.chat.completions.create(model="echo/echo", messages=HELLO)
            assert (chat.object, chat.choices[0].message.content) == ("chat.completion", "hello")
            assert chat.model_extra is None or "extra_fields" not in chat.model_extra
            text = await o.completions.create(model="echo/echo", prompt="hello")
            assert (text.object, text.choices[0].text) == ("text_completion", "hello")
            response = await o.responses.create(model="echo/echo", input="hello")
            assert (response.status, response.output_text) == ("completed", "hello")
            embeddings = await o.embeddings.create(model="echo/echo", input=["hello", "world"])
            assert len(embeddings.data) == 2
            assert all(isinstance(number, float) for number in embeddings.data[0].embedding)

    run(main())


@pytest.mark.parametrize("prefix", PREFIXES)
def test_speech_is_bytes_and_its_transcription_the_text(folder: Path, run: Any, prefix: str) -> None:
    async def main() -> None:
        async with openai_client(folder, prefix=prefix) as (o, _):
            spoken = await o.audio.speech.create(model="echo/echo", voice="alloy", input="hello", response_format="wav")
            audio = spoken.content
            assert (spoken.response.headers["content-type"], audio[:4]) == ("audio/wav", b"RIFF")
            file = ("hello.wav", audio)
            heard = await o.audio.transcriptions.create(model="echo/echo", file=file)
            assert heard.text
            for form in ("text", "srt", "vtt"):
                words: Any = await o.audio.transcriptions.create(model="echo/echo", file=file, response_format=form)
                assert isinstance(words, str)
                assert words
            raw = await o.audio.transcriptions.with_raw_response.create(
                model="echo/echo", file=file, response_format="vtt"
            )
            assert raw.headers["content-type"] == "text/plain; charset=utf-8"
            async with o.audio.speech.with_streaming_response.create(
                model="echo/echo", voice="alloy", input="hello", response_format="wav"
            ) as streamed:
                assert b"".join([part async for part in streamed.iter_bytes()]) == audio

    run(main())


def test_a_type_of_speech_that_is_none_is_not_told(folder: Path, run: Any) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"sound", headers={"Content-Type": "audio/<new>"})

    async def main() -> None:
        async with Upstream(answer) as upstream:
            providers = {"up": {"kind": "openai", "base_url": upstream.url}}
            async with openai_client(folder, providers=providers) as (o, _):
                spoken = await o.audio.speech.create(model="up/x", voice="alloy", input="hello")
                assert spoken.content == b"sound"
                assert spoken.response.headers["content-type"] == "application/octet-stream"

    run(main())


@pytest.mark.parametrize("prefix", PREFIXES)
def test_images_are_there_as_base64(folder: Path, run: Any, prefix: str) -> None:
    async def main() -> None:
        async with openai_client(folder, prefix=prefix) as (o, _):
            made = await o.images.generate(model="echo/echo", prompt="hello", n=2)
            edited = await o.images.edit(model="echo/echo", image=("a.png", b"png"), prompt="hello")
            # OpenAI itself has given them up.
            with pytest.warns(DeprecationWarning, match="deprecated"):
                varied = await o.images.create_variation(model="echo/echo", image=("a.png", b"png"))
            for images, count in ((made, 2), (edited, 1), (varied, 1)):
                assert images.data is not None
                assert len(images.data) == count
                assert (images.data[0].b64_json or "").startswith("iVBORw0KGgo"), "a PNG begins like this"

    run(main())


def test_rerank_and_ocr_answer_too(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder) as (_, c):
            body: Any = {"model": "echo/echo", "query": "hello", "documents": [{"text": "hello"}, {"text": "bye"}]}
            ranked = await c.ask("POST", "/v1/rerank", body)
            assert (ranked.status, len(ranked.json["results"])) == (200, 2)
            body = {"model": "echo/echo", "document": {"type": "document_url", "document_url": "data:text/plain,a"}}
            read = await c.ask("POST", "/openai/v1/ocr", body)
            assert (read.status, len(read.json["pages"])) == (200, 1)

    run(main())


@pytest.mark.parametrize(("status", "kind", "word"), RAISED)
def test_each_failure_of_a_job_is_raised_as_the_packages_own_error(
    folder: Path, run: Any, status: int, kind: type[openai.APIStatusError], word: str
) -> None:
    async def main() -> None:
        async with openai_client(folder, providers=ONCE) as (o, _):
            with pytest.raises(kind) as raised:
                await o.chat.completions.create(**failing(status))
            error = raised.value
            assert (error.status_code, error.type, error.param) == (status, word, None)
            assert f"echo was told to answer {status}" in error.message
            assert error.request_id == error.response.headers["x-request-id"]

    run(main())


def test_a_failure_is_not_repeated_by_the_package_since_retries_are_done(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder, providers=ONCE, retries=2) as (o, c):
            with pytest.raises(openai.InternalServerError) as raised:
                await o.chat.completions.create(**failing(503))
            assert raised.value.response.headers["x-should-retry"] == "false"
            jobs = await c.ask("GET", "/v1/async/jobs")
            assert len(jobs.json["data"]) == 1

    run(main())


def test_an_upstreams_words_are_passed_on_and_its_401_is_not_the_clients(folder: Path, run: Any) -> None:
    async def main() -> None:
        async def answer(body: Any) -> web.StreamResponse:
            said = {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}
            status = 401 if body["model"] == "locked" else 400
            return web.json_response({"error": {**said, "param": "messages"}}, status=status)

        async with Upstream(answer) as up:
            providers = {"up": {"kind": "openai", "base_url": up.url}}
            async with openai_client(folder, providers=providers) as (o, _):
                with pytest.raises(openai.BadRequestError) as bad:
                    await o.chat.completions.create(model="up/gpt", messages=HELLO)
                assert (bad.value.code, bad.value.param) == ("context_length_exceeded", "messages")
                with pytest.raises(openai.InternalServerError) as locked:
                    await o.chat.completions.create(model="up/locked", messages=HELLO)
                assert (locked.value.status_code, locked.value.type) == (502, "provider_authentication_error")

    run(main())


def test_a_key_is_asked_for_and_a_wrong_one_raises_an_authentication_error(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder, key="sk-bf-alice", auth=AUTH) as (o, c):
            assert (await o.chat.completions.create(model="echo/echo", messages=HELLO)).choices
            for key in ("sk-bf-wrong", "sk-of-another-vendor"):
                async with to_openai(c.served.url, key) as stranger:
                    with pytest.raises(openai.AuthenticationError) as raised:
                        await stranger.models.list()
                    assert raised.value.code == "invalid_api_key"
                    assert raised.value.response.headers["WWW-Authenticate"] == 'Bearer realm="coatcheck"'

    run(main())


def test_requests_that_are_refused_raise_the_packages_errors(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder) as (o, _):
            with pytest.raises(openai.BadRequestError) as wrong:
                await o.chat.completions.create(model="echo/echo", messages=HELLO, temperature=9)
            assert wrong.value.param == "temperature"
            for model in ("nobody/gpt", "gpt"):
                with pytest.raises(openai.NotFoundError) as unknown:
                    await o.chat.completions.create(model=model, messages=HELLO)
                assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
            with pytest.raises(openai.BadRequestError, match="model is required"):
                await o.chat.completions.create(model="", messages=HELLO)
            with pytest.raises(openai.NotFoundError) as nowhere:
                await o.files.list()
            assert nowhere.value.message.endswith("there is nothing at /v1/files")
            assert nowhere.value.type == "invalid_request_error"

    run(main())


def test_a_limit_raises_a_rate_limit_error_that_says_when_to_come_back(folder: Path, run: Any) -> None:
    async def main() -> None:
        auth = {"keys": [{"name": "alice", "key": "sk-bf-alice", "requests_per_minute": 1}]}
        async with openai_client(folder, key="sk-bf-alice", auth=auth) as (o, _):
            raw = await o.chat.completions.with_raw_response.create(model="echo/echo", messages=HELLO)
            assert raw.headers["RateLimit-Policy"] == '"submits";q=1;w=60'
            with pytest.raises(openai.RateLimitError) as raised:
                await o.chat.completions.create(model="echo/echo", messages=HELLO)
            assert (raised.value.code, raised.value.type) == ("rate_limit_exceeded", "rate_limit_error")
            assert int(raised.value.response.headers["Retry-After"]) >= 1
            assert "x-should-retry" not in raised.value.response.headers, "the package may come back"

    run(main())


@pytest.mark.parametrize("operation", [name for name, operation in OPERATIONS.items() if operation.stream_message])
def test_a_stream_is_refused_with_what_to_do_instead(folder: Path, run: Any, operation: str) -> None:
    async def main() -> None:
        async with openai_client(folder) as (_, c):
            streams = {"stream_format": "sse"} if operation == "audio/speech" else {"stream": True}
            answer = await c.ask("POST", f"/v1/{operation}", request(operation, **streams))
            assert answer.status == 400
            assert f"/v1/async/{operation}" in answer.json["error"]["message"]
            assert answer.json["error"]["param"] in ("stream", "stream_format")

    run(main())


def test_the_job_behind_an_answer_is_named_and_can_be_looked_at(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder) as (o, c):
            headers = {"x-request-id": "r-7", "Priority": "u=1"}
            raw = await o.chat.completions.with_raw_response.create(
                model="echo/echo", messages=HELLO, extra_headers=headers
            )
            assert raw.headers["x-request-id"] == "r-7"
            shown = await c.ask("GET", f"/v1/async/jobs/{raw.headers['x-bf-job-id']}?include=plan")
            assert (shown.json["status"], shown.json["request_id"]) == ("completed", "r-7")
            assert (shown.json["plan"]["ttl_seconds"], shown.json["plan"]["priority"]) == (60, 1)
            raw = await o.chat.completions.with_raw_response.create(
                model="echo/echo", messages=HELLO, extra_headers={"x-bf-async-job-result-ttl": "900"}
            )
            shown = await c.ask("GET", f"/v1/async/jobs/{raw.headers['x-bf-job-id']}?include=plan")
            assert shown.json["plan"]["ttl_seconds"] == 900

    run(main())


def test_a_repeat_with_the_same_key_waits_for_the_same_job(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder) as (o, c):
            again = {"Idempotency-Key": "k-1"}
            first, second = [
                await o.chat.completions.with_raw_response.create(
                    model="echo/echo", messages=HELLO, extra_headers=again
                )
                for _ in range(2)
            ]
            assert first.headers["x-bf-job-id"] == second.headers["x-bf-job-id"]
            assert second.headers["Idempotency-Replayed"] == "true"
            assert first.content == second.content
            with pytest.raises(openai.UnprocessableEntityError) as reused:
                await o.embeddings.create(model="echo/echo", input="other", extra_headers=again)
            assert reused.value.code == "idempotency_key_reused"
            assert len((await c.ask("GET", "/v1/async/jobs")).json["data"]) == 1

    run(main())


def test_a_job_that_is_cancelled_meanwhile_is_an_error_of_its_own(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder) as (o, _):
            with pytest.raises(openai.APIStatusError) as raised:
                await o.chat.completions.create(model="echo/hang", messages=HELLO, extra_headers={"Cancel-After": "1"})
            assert (raised.value.status_code, raised.value.code) == (499, "job_cancelled")

    run(main())


def test_the_providers_are_asked_as_for_any_job(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Upstream() as up:
            providers = {**ECHO, "up": {"kind": "openai", "base_url": up.url, "models": ["gpt"]}}
            async with openai_client(folder, providers=providers) as (o, _):
                chat = await o.chat.completions.create(
                    model="gpt", messages=HELLO, extra_body={"fallbacks": ["echo/echo"], "unheard_of": 1}
                )
                assert chat.choices[0].message.content == "Hello."
                assert up.asked.get_nowait() == {"model": "gpt", "messages": HELLO, "unheard_of": 1}

    run(main())
