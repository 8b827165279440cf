"""Kind `anthropic` at a server of its format: what it refuses before a call, and what it makes of odd answers."""

from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.errors import CallFailed, Refused, Unusable
from coatcheck.engine.retries import describe

from .vendors.anthropic import MESSAGE, VENDOR
from .vendors.vendor import KEY, KEY_ENV, Case, calling, carried_out, failing, saying, served

CHAT = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


async def failed(operation: str, request: Any, body: Any, folder: Path) -> tuple[CallFailed, int]:
    """How it fails, and how many requests the vendor saw."""
    asked = Case(operation=operation, request=request, answer=saying(body), check=lambda _seen, _done: None)
    async with served(VENDOR, asked.answer) as (provider, seen, _):
        return await failing(provider, folder, asked), len(seen)


@pytest.mark.parametrize(
    ("operation", "request_", "param"),
    [
        ("chat/completions", {**CHAT, "n": 2}, "n"),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages[0].content[0]",
        ),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0]"),
        ("responses", {"instructions": "x", "input": [{"content": "a"}, {"type": "computer_call"}]}, "input[1]"),
        ("responses", {"input": "x", "previous_response_id": "resp_1"}, "previous_response_id"),
        ("responses", {"input": "x", "text": {"format": {"type": "json_object"}}}, "text.format"),
        ("responses", {"input": "x", "tools": [{"type": "file_search"}]}, "tools[0]"),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_a_call_by_the_clients_own_name(
    operation: str, request_: Any, param: str, run: Any, folder: Path
) -> None:
    error, calls = run(failed(operation, request_, MESSAGE, folder))
    assert (error.status, error.type, error.param, calls) == (400, "invalid_request_error", param, 0)


@pytest.mark.parametrize(
    "body",
    [{}, {"content": None}, {"content": "x"}, {"content": [1]}, {**MESSAGE, "usage": "x"}, {**MESSAGE, "content": {}}],
)
def test_what_is_no_message_is_unusable(body: Any, run: Any, folder: Path) -> None:
    for operation, request in (("chat/completions", CHAT), ("responses", {"input": "x"})):
        error, _ = run(failed(operation, request, body, folder))
        assert isinstance(error, Unusable)
        assert "not a message" in error.message


def test_an_error_in_a_200_is_an_error(run: Any, folder: Path) -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": f"Overloaded {KEY}"}}
    error, _ = run(failed("chat/completions", CHAT, body, folder))
    assert isinstance(error, Refused)
    assert error.message == "provider up answered 200 with an error: Overloaded [redacted]"
    assert KEY not in repr(describe(error))


def test_a_conversation_of_responses_reaches_anthropic_whole(run: Any, folder: Path) -> None:
    request = {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "How warm is it?"}]},
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm.", "signature": "c2ln"}]},
            {"type": "function_call", "call_id": "a", "name": "warmth", "arguments": '{"in": "Rome"}'},
            {"type": "function_call_output", "call_id": "a", "output": "20 degrees"},
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.com/a.png"}]},
        ],
        "tools": [{"type": "function", "name": "warmth", "parameters": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "function", "name": "warmth"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "background": True,
    }
    asked = Case(
        operation="responses",
        request=request,
        answer=saying(MESSAGE),
        check=lambda _seen, _done: None,
        model="claude-opus-5",
    )

    async def main() -> Any:
        async with served(VENDOR, asked.answer) as (provider, seen, _), calling(folder, asked) as (call, blobs):
            await carried_out(provider, call, blobs)
        return seen[0].json

    assert run(main()) == {
        "model": "claude-opus-5",
        "max_tokens": 16384,
        "stream": True,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "How warm is it?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                    {"type": "tool_use", "id": "a", "name": "warmth", "input": {"in": "Rome"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "20 degrees"}]},
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                ],
            },
        ],
        "tools": [{"name": "warmth", "input_schema": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "tool", "name": "warmth"},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    }
