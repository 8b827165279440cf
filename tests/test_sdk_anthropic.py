"""The `anthropic` package, unmodified, pointed at a gateway."""

from pathlib import Path
from typing import Any

import anthropic
import pytest
from aiohttp import web

from coatcheck.schemas.messages import MessagesRequest

from .clients import request
from .owners import AUTH
from .servers import Upstream
from .vendor_clients import anthropic_client

HELLO: Any = [{"role": "user", "content": "hello"}]
ONCE = {"echo": {"kind": "echo", "retries": 0}}

#: What the package raises for an answer with that status.
RAISED = [
    (400, anthropic.BadRequestError, "invalid_request_error"),
    (401, anthropic.AuthenticationError, "authentication_error"),
    (403, anthropic.PermissionDeniedError, "permission_error"),
    (404, anthropic.NotFoundError, "not_found_error"),
    (409, anthropic.ConflictError, "invalid_request_error"),
    (413, anthropic.RequestTooLargeError, "request_too_large"),
    (422, anthropic.UnprocessableEntityError, "invalid_request_error"),
    (429, anthropic.RateLimitError, "rate_limit_error"),
    (500, anthropic.InternalServerError, "api_error"),
    (503, anthropic.InternalServerError, "overloaded_error"),
    (504, anthropic.InternalServerError, "timeout_error"),
    (529, anthropic.InternalServerError, "overloaded_error"),
]


def test_a_message_is_answered_with_a_message(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with anthropic_client(folder) as (a, c):
            message = await a.messages.create(model="echo/echo", max_tokens=10, messages=HELLO, system="Be brief.")
            assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
            assert [(block.type, getattr(block, "text", "")) for block in message.content] == [("text", "hello")]
            assert (message.usage.input_tokens, message.usage.output_tokens) == (1, 1)
            assert message._request_id
            bare = await a.messages.create(model="echo", max_tokens=10, messages=HELLO)
            assert bare.model == "echo"
            jobs = (await c.ask("GET", "/v1/async/jobs")).json["data"]
            assert [(job["operation"], job["model"]) for job in jobs] == [
                ("chat/completions", "echo"),
                ("chat/completions", "echo/echo"),
            ]

    run(main())


@pytest.mark.parametrize("title", MessagesRequest.examples)
def test_the_examples_of_the_document_run(folder: Path, run: Any, title: str) -> None:
    async def main() -> None:
        async with anthropic_client(folder) as (a, _):
            message = await a.messages.create(**MessagesRequest.examples[title])  # type: ignore[call-overload]
            assert message.content

    run(main())


def test_a_conversation_with_tools_goes_through_an_upstream_that_knows_only_chats(folder: Path, run: Any) -> None:
    async def main() -> None:
        async def answer(body: Any) -> web.StreamResponse:
            call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"town":"Paris"}'}}
            said: Any = {"role": "assistant", "content": None, "tool_calls": [call]}
            reason = "tool_calls"
            if body["messages"][-1]["role"] == "tool":
                said, reason = {"role": "assistant", "content": "It rains."}, "stop"
            return web.json_response(
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "model": "gpt",
                    "choices": [{"index": 0, "finish_reason": reason, "message": said}],
                    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
                }
            )

        tools: Any = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
        async with Upstream(answer) as up:
            providers = {"up": {"kind": "openai", "base_url": up.url}}
            async with anthropic_client(folder, providers=providers) as (a, _):
                asked: list[Any] = [{"role": "user", "content": "Is it raining in Paris?"}]
                first = await a.messages.create(model="up/gpt", max_tokens=99, messages=asked, tools=tools)
                assert first.stop_reason == "tool_use"
                (block,) = first.content
                assert isinstance(block, anthropic.types.ToolUseBlock)
                assert (block.name, block.input) == ("weather", {"town": "Paris"})
                asked.append({"role": "assistant", "content": first.content})
                result = {"type": "tool_result", "tool_use_id": block.id, "content": "rain"}
                asked.append({"role": "user", "content": [result]})
                second = await a.messages.create(
                    model="up/gpt", max_tokens=99, messages=asked, tools=tools, tool_choice={"type": "auto"}
                )
                assert second.stop_reason == "end_turn"
                await up.asked.get()
                told = await up.asked.get()
                assert [message["role"] for message in told["messages"]] == ["user", "assistant", "tool"]
                assert told["messages"][1]["tool_calls"][0]["function"] == {
                    "name": "weather",
                    "arguments": '{"town":"Paris"}',
                }
                assert told["tools"][0]["function"]["name"] == "weather"
                assert (told["tool_choice"], told["max_completion_tokens"]) == ("auto", 99)

    run(main())


def test_an_upstream_that_knows_only_chats_is_not_told_what_it_would_refuse(folder: Path, run: Any) -> None:
    async def main() -> None:
        marked: Any = {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}
        asked: Any = [
            {"role": "user", "content": [marked]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, marked]},
            {"role": "user", "content": "And now?"},
        ]
        async with Upstream() as up:
            providers = {
                "up": {"kind": "openai", "base_url": up.url},
                "router": {"kind": "openrouter", "base_url": up.url, "api_key_env": "PATH"},
            }
            async with anthropic_client(folder, providers=providers) as (a, _):
                for model in ("up/gpt", "router/claude"):
                    await a.messages.create(
                        model=model, max_tokens=9, messages=asked, thinking={"type": "enabled", "budget_tokens": 2000}
                    )
                plain, whole = [await up.asked.get() for _ in range(2)]
                assert plain["messages"][0]["content"] == [{"type": "text", "text": "hello"}]
                assert plain["messages"][1] == {"role": "assistant", "content": [{"type": "text", "text": "hello"}]}
                assert (plain["reasoning_effort"], "reasoning" in plain) == ("low", False)
                assert whole["messages"][0]["content"] == [marked]
                assert whole["messages"][1]["reasoning_details"][0]["signature"] == "c2ln"
                assert whole["reasoning"] == {"max_tokens": 2000}

    run(main())


@pytest.mark.parametrize(("status", "kind", "word"), RAISED)
def test_each_failure_of_a_job_is_raised_as_the_packages_own_error(
    folder: Path, run: Any, status: int, kind: type[anthropic.APIStatusError], word: str
) -> None:
    async def main() -> None:
        async with anthropic_client(folder, providers=ONCE) as (a, _):
            with pytest.raises(kind) as raised:
                await a.messages.create(model=f"echo/status-{status}", max_tokens=10, messages=HELLO)
            error = raised.value
            assert (error.status_code, error.type) == (status, word)
            assert f"echo was told to answer {status}" in (error.api_message or "")
            assert error.request_id == error.response.json()["request_id"]
            assert error.response.headers["x-should-retry"] == "false"

    run(main())


def test_requests_that_are_refused_raise_the_packages_errors(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with anthropic_client(folder) as (a, _):
            with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]\.source"):
                await a.messages.create(
                    model="echo/echo",
                    max_tokens=9,
                    messages=[{"role": "user", "content": [{"type": "image"}]}],  # type: ignore[typeddict-item]
                )
            with pytest.raises(anthropic.BadRequestError, match="thinking: expected an object"):
                await a.messages.create(model="echo/echo", max_tokens=9, messages=HELLO, thinking="on")  # type: ignore[arg-type]
            with pytest.raises(anthropic.NotFoundError, match="not a configured provider"):
                await a.messages.create(model="nobody/claude", max_tokens=9, messages=HELLO)
            with pytest.raises(anthropic.BadRequestError, match="streams are not offered here"):
                await a.messages.create(model="echo/echo", max_tokens=9, messages=HELLO, stream=True)
            with pytest.raises(anthropic.NotFoundError, match="tokens are not counted here") as raised:
                await a.messages.count_tokens(model="echo/echo", messages=HELLO)
            assert raised.value.type == "not_found_error"

    run(main())


def test_the_key_is_the_one_that_the_package_sends(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with anthropic_client(folder, key="sk-bf-alice", auth=AUTH) as (a, c):
            assert (await a.messages.create(model="echo/echo", max_tokens=9, messages=HELLO)).content
            for key in ("sk-bf-wrong", "sk-ant-other"):
                stranger = a.with_options(api_key=key)
                with pytest.raises(anthropic.AuthenticationError) as raised:
                    await stranger.messages.create(model="echo/echo", max_tokens=9, messages=HELLO)
                assert raised.value.type == "authentication_error"
            nobody = await c.ask("POST", "/anthropic/v1/messages", {})
            assert (nobody.status, nobody.json["error"]["type"]) == (401, "authentication_error")

    run(main())


def test_a_job_that_was_promised_is_collected_as_a_message(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with anthropic_client(folder) as (a, c):
            promised = await a.messages.create(
                model="echo/echo", max_tokens=9, messages=HELLO, extra_headers={"x-bf-async": "true"}
            )
            assert (promised.content, promised.stop_reason, promised.model_extra) == ([], None, {"status": "pending"})
            # The same job is a chat completion.
            await c.ended(promised.id)
            collected = await a.messages.create(
                model="", max_tokens=9, messages=[], extra_headers={"x-bf-async-id": promised.id}
            )
            assert [getattr(block, "text", "") for block in collected.content] == ["hello"]
            assert collected.id != promised.id, "it is the provider's own"
            chat = await c.ask("POST", "/v1/chat/completions", {}, {"x-bf-async-id": promised.id})
            assert chat.json["choices"][0]["message"]["content"] == "hello"
            id = await c.submit("embeddings")
            with pytest.raises(anthropic.NotFoundError, match="job not found or expired"):
                await a.messages.create(model="", max_tokens=9, messages=[], extra_headers={"x-bf-async-id": id})

    run(main())


def test_an_answer_that_is_no_chat_completion_is_said_to_be_none(folder: Path, run: Any) -> None:
    async def main() -> None:
        async def answer(_: Any) -> web.StreamResponse:
            return web.json_response({"choices": [{"message": "Hello."}]})

        async with Upstream(answer) as up:
            providers = {"up": {"kind": "openai", "base_url": up.url}}
            async with anthropic_client(folder, providers=providers) as (a, _):
                with pytest.raises(anthropic.InternalServerError, match="no chat completion") as raised:
                    await a.messages.create(model="up/gpt", max_tokens=9, messages=HELLO)
                assert (raised.value.status_code, raised.value.type) == (502, "api_error")

    run(main())


def test_fallbacks_and_other_headers_count_as_on_any_route(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with anthropic_client(folder, providers=ONCE) as (a, _):
            message = await a.messages.create(
                model="echo/status-500", max_tokens=9, messages=HELLO, extra_body={"fallbacks": ["echo/echo"]}
            )
            assert message.model == "echo"
            raw = await a.messages.with_raw_response.create(
                model="echo/echo", max_tokens=9, messages=HELLO, extra_headers={"Idempotency-Key": "k"}
            )
            again = await a.messages.with_raw_response.create(
                model="echo/echo", max_tokens=9, messages=HELLO, extra_headers={"Idempotency-Key": "k"}
            )
            assert raw.headers["x-bf-job-id"] == again.headers["x-bf-job-id"]
            assert again.headers["Idempotency-Replayed"] == "true"

    run(main())


def test_a_fallback_is_told_what_it_can_read_and_the_first_what_was_sent(
    folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-0123456789")
    marked = {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}
    plain = {"type": "text", "text": "hello"}

    async def main() -> None:
        seen: list[Any] = []

        async def answer(body: Any) -> web.StreamResponse:
            seen.append(body["messages"][0]["content"])
            if body["model"] == "opus":
                return web.json_response({"error": {"type": "invalid_request_error"}}, status=400)
            return web.json_response({"choices": [{"message": {"role": "assistant", "content": "Hi."}}]})

        async with Upstream(answer) as up:
            providers = {
                "claude": {"kind": "anthropic", "base_url": up.url},
                "gpt": {"kind": "openai", "base_url": up.url},
            }
            async with anthropic_client(folder, providers=providers) as (a, _):
                for first, then in (("claude/opus", "gpt/gpt"), ("gpt/gpt", "claude/opus")):
                    await a.messages.create(
                        model=first,
                        max_tokens=9,
                        messages=[{"role": "user", "content": [marked]}],  # type: ignore[list-item]
                        extra_body={"fallbacks": [then]},
                    )
        assert seen == [[marked], [plain], [plain]]

    run(main())


def test_the_same_key_for_a_chat_and_for_the_message_that_it_is_means_the_same_job(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with anthropic_client(folder) as (_, c):
            key = {"Idempotency-Key": "k"}
            chat = await c.ask("POST", "/v1/chat/completions", request("chat/completions"), key)
            body = {"model": "echo/echo", "messages": HELLO}
            message = await c.ask("POST", "/anthropic/v1/messages", body, key)
            assert message.headers["x-bf-job-id"] == chat.headers["x-bf-job-id"]
            assert message.json["content"] == [{"type": "text", "text": "hello"}]

    run(main())
