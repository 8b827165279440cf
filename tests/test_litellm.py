"""Kind `litellm`, with the library itself: what it asks of a vendor, what becomes of the answer, and of its process."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.calls import Usage
from coatcheck.engine.errors import (
    CallFailed,
    Fault,
    Interrupted,
    NotConfigured,
    NotConnected,
    Refused,
    TimedOut,
    Unusable,
)
from coatcheck.providers.litellm.errors import TABLE
from coatcheck.providers.litellm.errors import failure as made
from coatcheck.providers.litellm.provider import LiteLLMOptions, LiteLLMProvider
from coatcheck.providers.prices import Price

from .clients import client
from .litellm_vendors import KEY, PYTHON, Vendors, asked, attached, chat, vendors
from .local_models import has_ended
from .servers import Upstream
from .vendors.vendor import Seen, saying

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
MESSAGE = {"role": "assistant", "content": "Hello!"}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 17,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}


@pytest.fixture(scope="module")
def library() -> Iterator[Vendors]:
    with vendors() as made:
        yield made


def done(library: Vendors, folder: Path, *call: Any, answer: Any, **more: Any) -> Any:
    library.answer = answer if callable(answer) else saying(answer)
    return library.run(library.carried_out(folder, *call, **more))


def failure(library: Vendors, call: Any, answer: Any, vendor: str = "openai") -> CallFailed:
    library.answer = answer
    error = library.run(library.failing(vendor, call))
    assert isinstance(error, CallFailed)
    return error


def test_a_chat_is_asked_once_and_answered_in_our_shape(library: Vendors, folder: Path) -> None:
    request = {"messages": [{"role": "user", "content": "hello"}], "max_completion_tokens": 5, "metadata": {"a": "b"}}
    got = done(library, folder, "openai", "chat/completions", "gpt-4o-mini", request, answer=CHAT)
    assert got.result == CHAT
    (seen,) = library.seen
    assert (seen.method, seen.raw_path) == ("POST", "/v1/chat/completions")
    assert seen.json == {"model": "gpt-4o-mini", "messages": request["messages"], "max_completion_tokens": 5}
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert got.reply.model == "gpt-4o-mini"
    assert (got.reply.usage.input_tokens, got.reply.usage.output_tokens) == (1000, 100)
    # 15 and 60 cents a million, by the library's table.
    assert got.reply.cost == 1000 * 150_000 + 100 * 600_000


def test_tool_calls_come_through(library: Vendors, folder: Path) -> None:
    called = {"id": "c-1", "type": "function", "function": {"name": "look", "arguments": '{"at":"it"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [called]}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    request = {"messages": [{"role": "user", "content": "hello"}], "tools": tools, "tool_choice": "auto"}
    answer = {**CHAT, "choices": [choice]}
    got = done(library, folder, "openai", "chat/completions", "gpt-4o-mini", request, answer=answer)
    assert got.result["choices"] == [choice]
    assert library.seen[0].json["tools"] == tools


def test_signed_thoughts_of_claude_come_and_go_back(library: Vendors, folder: Path) -> None:
    thought = {"type": "thinking", "thinking": "A greeting.", "signature": "c2lnbmVk"}
    hidden = {"type": "redacted_thinking", "data": "ZW5j"}
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-6",
        "content": [thought, hidden, {"type": "text", "text": "Hello!"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
    user = {"role": "user", "content": "hello"}
    request: dict[str, Any] = {
        "messages": [user],
        "max_completion_tokens": 4000,
        "cache_control": {"type": "ephemeral"},
    }
    call = ("anthropic", "chat/completions", "claude-opus-4-6")
    got = done(library, folder, *call, request, answer=answer)
    said = got.result["choices"][0]["message"]
    details = [
        {"type": "reasoning.text", "text": "A greeting.", "signature": "c2lnbmVk", "index": 0},
        {"type": "reasoning.encrypted", "data": "ZW5j", "index": 1},
    ]
    assert said["reasoning_details"] == details
    others = {"type": "reasoning.text", "text": "Hm.", "signature": "Z29vZ2xl", "format": "google-gemini-v1"}
    back = {"role": "assistant", "content": "Hello!", "reasoning_details": [others, *details], "content_blocks": []}
    done(library, folder, *call, {**request, "messages": [user, back, user]}, answer=answer)
    assert library.seen[0].json["messages"][1]["content"] == [thought, hidden, {"type": "text", "text": "Hello!"}]


def test_a_response_is_asked_for_as_a_chat(library: Vendors, folder: Path) -> None:
    request = {"input": "hello", "instructions": "Be short.", "max_output_tokens": 5}
    got = done(library, folder, "openai", "responses", "gpt-4o-mini", request, answer=CHAT)
    assert library.seen[0].json["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "hello"},
    ]
    assert got.result["object"] == "response"
    assert got.result["output"][0]["content"][0]["text"] == "Hello!"
    assert got.result["usage"]["output_tokens"] == 100


def test_a_completion_and_embeddings(library: Vendors, folder: Path) -> None:
    choice = {"index": 0, "text": "Hello!", "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    said = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    got = done(library, folder, "openai", "completions", "davinci-002", {"prompt": "hi"}, answer=said)
    assert library.seen[0].raw_path == "/v1/completions"
    assert got.result["choices"] == [choice]
    data = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    said = {"object": "list", "model": "text-embedding-3-small", "data": data, "usage": usage}
    request = {"input": ["hi"], "dimensions": 2}
    got = done(library, folder, "openai", "embeddings", "text-embedding-3-small", request, answer=said)
    assert library.seen[0].json.items() >= {"model": "text-embedding-3-small", **request}.items()
    assert got.result["data"] == data
    assert got.reply.cost == 3 * 20_000


def test_speech_is_a_file_and_is_asked_for_once(library: Vendors, folder: Path) -> None:
    sound = b"ID3" + bytes(range(256)) * 9000

    def answer(_seen: Seen) -> web.StreamResponse:
        return web.Response(body=sound, content_type="audio/mpeg")

    request = {"input": "hello", "voice": "alloy", "speed": 1.5}
    got = done(library, folder, "openai", "audio/speech", "tts-1", request, answer=answer)
    (seen,) = library.seen
    assert (seen.raw_path, seen.json) == ("/v1/audio/speech", {"model": "tts-1", **request})
    assert got.files == [sound]
    assert got.result == {"audio": got.reply.files[0].placeholder}
    assert got.reply.files[0].media_type == "audio/mpeg"
    # 15 dollars a million characters.
    assert (got.reply.usage, got.reply.cost) == (Usage(characters=5), 5 * 15_000_000)


def test_a_transcription_sends_its_file(library: Vendors, folder: Path) -> None:
    sound = attached(folder, "talk.mp3", "audio/mpeg", b"ID3" + bytes(500))
    request = {"language": "en", "response_format": "json"}
    got = done(
        *(library, folder, "openai", "audio/transcriptions", "whisper-1", request),
        answer={"text": "Hello."},
        files={"file": (sound,)},
    )
    (part,) = [part for part in library.seen[0].parts if part.name == "file"]
    assert (part.file_name, part.media_type, part.content) == ("talk.mp3", "audio/mpeg", b"ID3" + bytes(500))
    assert dict(library.seen[0].fields)["language"] == "en"
    assert got.result == {"text": "Hello."}


def test_images_are_files(library: Vendors, folder: Path) -> None:
    said = {"created": 1, "data": [{"b64_json": base64.b64encode(PNG).decode()}, {"url": "https://x.invalid/i.png"}]}
    request = {"prompt": "a cat", "n": 2, "size": "1024x1024"}
    got = done(library, folder, "openai", "images/generations", "gpt-image-1", request, answer=said)
    assert library.seen[0].json == {"model": "gpt-image-1", **request}
    first = got.reply.files[0]
    assert got.result["data"] == [
        {"index": 0, "b64_json": first.placeholder},
        {"index": 1, "url": "https://x.invalid/i.png"},
    ]
    assert (got.files, first.media_type, got.reply.usage) == ([PNG], "image/png", Usage(images=2))
    # What has no price costs nothing in the library's eyes.
    assert got.reply.cost is None
    files = {"image": (attached(folder, "cat.png", "image/png", PNG),)}
    got = done(
        *(library, folder, "openai", "images/edits", "gpt-image-1", {"prompt": "a hat"}), answer=said, files=files
    )
    (part,) = [part for part in library.seen[0].parts if part.name.startswith("image")]
    assert (part.media_type, part.content) == ("image/png", PNG)


def test_another_vendor_is_asked_in_its_own_format(library: Vendors, folder: Path) -> None:
    said = {
        "id": "r",
        "results": [{"index": 1, "relevance_score": 0.9}],
        "meta": {"billed_units": {"search_units": 1}},
    }
    documents = [{"text": "a"}, {"text": "b", "id": "7", "meta": {"page": 3}}]
    request = {"query": "q", "documents": documents, "top_n": 1, "return_documents": True}
    got = done(library, folder, "cohere", "rerank", "rerank-v3.5", request, answer=said)
    (seen,) = library.seen
    assert seen.raw_path == "/v2/rerank"
    assert seen.json == {"model": "rerank-v3.5", "query": "q", "documents": ["a", "b"], "top_n": 1}
    assert got.result["results"] == [{"index": 1, "relevance_score": 0.9, "document": documents[1]}]
    assert got.result["model"] == "rerank-v3.5"
    assert got.reply.cost == 2_000_000_000


def test_a_page_is_read(library: Vendors, folder: Path) -> None:
    page = {"index": 0, "markdown": "# Hi", "images": [], "dimensions": {"dpi": 200, "height": 1, "width": 1}}
    said = {"model": "mistral-ocr-latest", "pages": [page], "usage_info": {"pages_processed": 1, "doc_size_bytes": 3}}
    document = {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}
    got = done(library, folder, "mistral", "ocr", "mistral-ocr-latest", {"document": document}, answer=said)
    assert library.seen[0].json == {"model": "mistral-ocr-latest", "document": document}
    assert got.result["pages"] == [page]
    assert got.reply.usage == Usage(pages=1)


@pytest.mark.parametrize("status", [400, 402, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529])
def test_an_error_keeps_its_status_and_its_words_and_is_not_repeated(library: Vendors, status: int) -> None:
    said = {"error": {"message": f"it will not do {KEY}"}}
    error = failure(library, chat(), saying(said, status, {"Retry-After": "7"}))
    assert type(error) is CallFailed
    assert error.status == status
    assert "it will not do [redacted]" in error.message
    assert KEY not in repr(error.upstream)
    assert error.retry_after == 7
    assert len(library.seen) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_our_key_is_not_the_clients(library: Vendors, status: int) -> None:
    error = failure(library, chat(), saying({"error": {"message": "a bad key"}}, status))
    assert isinstance(error, Refused)
    assert (error.status, error.type) == (502, "provider_authentication_error")


def test_what_became_of_a_lost_call_is_unknown_and_nonsense_is_no_answer(library: Vendors) -> None:
    def html(_seen: Seen) -> web.StreamResponse:
        return web.Response(text="<html>", content_type="text/html")

    assert isinstance(failure(library, chat(), lambda _: None), Interrupted)
    assert isinstance(failure(library, chat(), html), Interrupted)
    ranking = asked("rerank", "rerank-v3.5", {"query": "q", "documents": ["a"]})
    assert isinstance(failure(library, ranking, html, "cohere"), Unusable)
    assert len(library.seen) == 1


def test_a_server_that_is_not_there_was_never_connected(library: Vendors) -> None:
    provider = library.provider("openai")
    there = provider._fixed["api_base"]
    provider._fixed["api_base"] = "http://127.0.0.1:9/v1"
    try:
        assert isinstance(failure(library, chat(), saying({})), NotConnected)
    finally:
        provider._fixed["api_base"] = there
    assert library.seen == []


def hanging() -> tuple[Callable[[Seen], Awaitable[web.StreamResponse]], asyncio.Event]:
    """An answer that never comes, and what is set once it is asked for."""
    asked_for = asyncio.Event()

    async def hang(_seen: Seen) -> web.StreamResponse:
        asked_for.set()
        await asyncio.Event().wait()
        raise AssertionError

    return hang, asked_for


def test_a_cancel_closes_the_connection_and_the_process_goes_on(library: Vendors, folder: Path) -> None:
    hang, asked_for = hanging()

    async def main() -> None:
        provider = library.provider("openai")
        library.answer = saying(CHAT)
        await provider.execute(chat())
        pid = provider.worker_pid()
        library.answer = hang
        task = asyncio.create_task(provider.execute(chat()))
        await asked_for.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await library.lost.wait()
        library.answer = saying(CHAT)
        await provider.execute(chat())
        assert provider.worker_pid() == pid

    library.run(main())


def test_a_call_that_the_library_cannot_stop_ends_with_its_process(library: Vendors) -> None:
    """Of some vendors the library waits for the answer in a thread."""
    hang, asked_for = hanging()

    async def main() -> None:
        provider = library.provider("petals")
        library.answer = hang
        library.lost.clear()
        task = asyncio.create_task(provider.execute(replace(chat(), model="llama")))
        await asked_for.wait()
        pid = provider.worker_pid()
        assert pid is not None
        pidfd = os.pidfd_open(pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await library.lost.wait()
        assert await asyncio.to_thread(has_ended, pidfd)

    library.run(main())


def test_a_process_that_has_to_end_lets_other_calls_have_their_answers(library: Vendors) -> None:
    asked_for: asyncio.Queue[str] = asyncio.Queue()
    let_go = asyncio.Event()

    async def answer(seen: Seen) -> web.StreamResponse:
        asked_for.put_nowait(seen.body.decode())
        await (let_go.wait() if b"good" in seen.body else asyncio.Event().wait())
        return web.json_response({"ok": True, "outputs": "Good."})

    async def main() -> None:
        provider = library.provider("petals")
        library.answer = answer
        good, bad = (
            asyncio.create_task(
                provider.execute(replace(chat(messages=[{"role": "user", "content": text}]), model="llama"))
            )
            for text in ("good", "bad")
        )
        for _ in range(2):
            await asked_for.get()
        pid = provider.worker_pid()
        assert pid is not None
        pidfd = os.pidfd_open(pid)
        bad.cancel()
        with pytest.raises(asyncio.CancelledError):
            await bad
        let_go.set()
        assert b"Good." in (await good).result
        assert await asyncio.to_thread(has_ended, pidfd)

    library.run(main())


def test_a_killed_process_leaves_its_call_in_doubt_and_is_replaced(library: Vendors) -> None:
    async def main() -> None:
        provider = library.provider("openai")
        library.answer = saying(CHAT)
        await provider.execute(chat())
        pid = provider.worker_pid()
        assert pid is not None

        async def die(_seen: Seen) -> web.StreamResponse:
            os.kill(pid, signal.SIGKILL)
            await asyncio.Event().wait()
            raise AssertionError

        library.answer = die
        with pytest.raises(Interrupted, match="provider up: The worker of the model up was ended by SIGKILL"):
            await provider.execute(chat())
        library.answer = saying(CHAT)
        await provider.execute(chat())
        assert provider.worker_pid() not in (None, pid)

    library.run(main())


def test_what_the_configuration_says_goes_along_and_its_prices_stand_above_the_librarys(library: Vendors) -> None:
    options = LiteLLMOptions(
        vendor="openai",
        base_url=f"{library.url}/v1",
        api_key_env="KEY",
        params={"organization": "org-1"},
        prices={"gpt-4o*": Price()},
        python=PYTHON,
    )
    provider = LiteLLMProvider("up", options, {"KEY": KEY})

    async def main() -> None:
        library.answer = saying(CHAT)
        library.seen.clear()
        try:
            reply = await provider.execute(chat())
        finally:
            await provider.close()
        assert library.seen[0].headers["OpenAI-Organization"] == "org-1"
        assert reply.cost is None
        assert reply.usage is not None

    library.run(main())


def test_an_answer_that_is_too_large_is_not_taken(library: Vendors) -> None:
    options = LiteLLMOptions(
        vendor="openai", base_url=f"{library.url}/v1", api_key_env="KEY", python=PYTHON, max_answer_bytes=1024
    )
    provider = LiteLLMProvider("up", options, {"KEY": KEY})
    huge = {**CHAT, "choices": [{"index": 0, "finish_reason": "stop", "message": {**MESSAGE, "content": "x" * 2000}}]}

    async def main() -> None:
        library.answer = saying(huge)
        try:
            with pytest.raises(Unusable, match="larger than 1024 bytes"):
                await provider.execute(chat())
        finally:
            await provider.close()

    library.run(main())


def test_a_vendor_that_the_library_does_not_know_is_not_configured(run: Any) -> None:
    async def main() -> None:
        provider = LiteLLMProvider("up", LiteLLMOptions(vendor="nobody", python=PYTHON), {})
        with pytest.raises(NotConfigured, match="LiteLLM knows no vendor 'nobody'"):
            await provider.execute(chat())
        await provider.close()

    run(main())


def in_library(code: str, **environ: str) -> str:
    """What the code prints in the library's environment."""
    done = subprocess.run(
        [PYTHON, "-P", "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_exception_of_the_library_is_in_the_table() -> None:
    code = (
        "import litellm.exceptions as e\n"
        "print(*(n for n, c in vars(e).items() if isinstance(c, type) and issubclass(c, Exception)\n"
        "        and c.__module__ == e.__name__))"
    )
    names = set(in_library(code, LITELLM_LOCAL_MODEL_COST_MAP="True").split())
    assert len(names) > 20
    assert names - set(TABLE) == set()


#: Loads the library as the worker does, and fails at the first attempt to reach anybody.
ALONE = """
import socket, sys
def connect(self, address):
    sys.exit(f"connects to {address}")
socket.socket.connect = socket.socket.connect_ex = connect
socket.getaddrinfo = lambda *a, **k: sys.exit(f"looks up {a}")
from coatcheck.providers.litellm.worker import Library
library = Library("openai", 1024)
litellm = library._litellm
hooks = litellm.callbacks + litellm.success_callback + litellm.failure_callback
print(len(litellm.model_cost) > 1000, hooks, "FROM_DOTENV" in __import__("os").environ)
"""


def test_the_library_is_loaded_without_a_word_to_anybody(folder: Path) -> None:
    (folder / ".env").write_text("FROM_DOTENV=1\n")
    before = Path.cwd()
    os.chdir(folder)
    try:
        said = in_library(ALONE, LITELLM_MODEL_COST_MAP_URL="http://127.0.0.1:9/")
    finally:
        os.chdir(before)
    assert said == "True [] False\n"


def test_the_gateway_does_not_load_the_library() -> None:
    code = (
        "import sys\n"
        "from coatcheck.app import create_app\n"
        "create_app({'providers': {'co': {'kind': 'litellm', 'vendor': 'cohere'}}})\n"
        "print('litellm' in sys.modules)"
    )
    assert in_library(code).strip() == "False"


def test_a_missing_package_is_named_with_its_cure(run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A package that stands in front of the real one and is not there in truth.
    (folder / "litellm.py").write_text("raise ModuleNotFoundError('no', name='litellm')")
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")

    async def main() -> None:
        provider = LiteLLMProvider("up", LiteLLMOptions(vendor="openai", python=sys.executable), {})
        with pytest.raises(NotConfigured, match=r"run `pip install 'coatcheck\[litellm\]'`"):
            await provider.execute(chat())
        await provider.close()

    run(main())


def test_an_interpreter_that_is_not_there_is_named(run: Any) -> None:
    async def main() -> None:
        provider = LiteLLMProvider("up", LiteLLMOptions(vendor="openai", python="/nowhere/python"), {})
        with pytest.raises(NotConfigured, match="There is no interpreter /nowhere/python"):
            await provider.ping()
        with pytest.raises(CallFailed, match="cannot be started") as caught:
            await provider.execute(chat())
        assert caught.value.status == 503
        there = LiteLLMProvider("up", LiteLLMOptions(vendor="openai", python=PYTHON), {})
        assert await there.ping() == f"has the interpreter {PYTHON}; openai itself is not asked"

    run(main())


def described(name: str, message: str, **more: Any) -> CallFailed:
    """The failure that an exception of the library becomes."""
    return made("up", {"names": [name, "Exception"], "message": message, **more}, ["my-own-token"])


def test_an_exception_becomes_what_it_says_happened() -> None:
    error = described("Timeout", "litellm.Timeout: Request timed out.")
    assert isinstance(error, TimedOut)
    assert error.message == "provider up: Request timed out."
    assert described("Timeout", "x", status=408, answered=504).status == 504
    error = described("AuthenticationError", "litellm.AuthenticationError: bad my-own-token", status=401)
    assert isinstance(error, Refused)
    assert (error.message, error.upstream["body"]) == ("provider up: bad [redacted]",) * 2
    assert isinstance(described("InternalServerError", "x", status=500), Interrupted)
    assert described("InternalServerError", "x", status=500, answered=500).status == 500
    assert isinstance(described("InternalServerError", "x", status=500, how="unsent"), NotConnected)
    assert isinstance(described("JSONSchemaValidationError", "x"), Unusable)
    error = described("ContextWindowExceededError", "x", status=400)
    assert (error.status, error.code) == (400, "context_length_exceeded")
    traced = 'no header\nTraceback (most recent call last):\n  File "/opt/litellm/main.py", line 687, in acompletion'
    assert described("APIConnectionError", traced).message == "provider up: no header"
    # A vendor's own, as the library's speech raises them.
    for status, kind, shown in (
        (429, CallFailed, 429),
        (401, Refused, 502),
        (500, Interrupted, 502),
        (200, Unusable, 502),
    ):
        error = made("up", {"names": ["ElevenLabsException", "BaseLLMException"], "message": "x", "status": status}, [])
        assert (type(error), error.status) == (kind, shown)
    error = described("AttributeError", "no such thing")
    assert isinstance(error, Fault)
    assert error.message == "provider up: no such thing (AttributeError)"


def test_a_job_goes_through_the_library(run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_TEST_VENDOR_KEY", KEY)

    async def main() -> None:
        async with Upstream(chat_answer) as upstream:
            table = {
                "kind": "litellm",
                "vendor": "openai",
                "base_url": upstream.url,
                "python": PYTHON,
                "api_key_env": "COATCHECK_TEST_VENDOR_KEY",
                "params": {"organization": "org-1"},
            }
            async with client(folder, providers={"lite": table}) as gateway:
                id = await gateway.submit("chat/completions", "lite/gpt-4o-mini")
                job = (await gateway.ended(id)).json
        assert job["result"]["choices"][0]["message"] == MESSAGE
        assert job["cost"] == "0.00021"

    run(main())


async def chat_answer(_request: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(CHAT)
