"""A server that speaks Anthropic's Messages API."""

from typing import Any

from coatcheck.engine.calls import Usage

from ..clients import REQUESTS
from .vendor import Case, Done, Seen, Vendor, body_model, saying

#: As https://platform.claude.com/docs/en/api/messages shows one, with a thought before it.
MESSAGE = {
    "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
    "type": "message",
    "role": "assistant",
    "model": "small-2026",
    "content": [
        {"type": "thinking", "thinking": "A greeting.", "signature": "c2lnbmVk"},
        {"type": "text", "text": "Hi! My name is Claude."},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 3,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 7},
        "service_tier": "standard",
    },
}
USAGE = Usage(input_tokens=123, cached_input_tokens=3, cache_write_tokens=20, output_tokens=50, tier="standard")


def check_sent(asked: Seen) -> None:
    assert (asked.method, asked.raw_path) == ("POST", "/api/v1/messages")
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert asked.headers["anthropic-beta"] == "one,two"
    assert "Authorization" not in asked.headers


def check_chat(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    check_sent(asked)
    assert asked.json == {
        "model": "small",
        "max_tokens": 16384,
        "stream": True,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }
    (choice,) = done.result["choices"]
    assert choice["message"]["content"] == "Hi! My name is Claude."
    assert choice["message"]["reasoning"] == "A greeting."
    assert choice["finish_reason"] == "stop"
    assert done.result["usage"] == {
        "prompt_tokens": 123,
        "prompt_tokens_details": {"cached_tokens": 23, "cached_read_tokens": 3, "cached_write_tokens": 20},
        "completion_tokens": 50,
        "completion_tokens_details": {"reasoning_tokens": 7},
        "total_tokens": 173,
    }
    assert (done.reply.model, done.reply.usage, done.reply.cost) == ("small-2026", USAGE, None)


def check_responses(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    check_sent(asked)
    assert asked.json == {
        "model": "small",
        "max_tokens": 40,
        "stream": True,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }
    thought, said = done.result["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "A greeting.", "signature": "c2lnbmVk"}]
    assert said["content"][0]["text"] == "Hi! My name is Claude."
    assert done.result["status"] == "completed"
    assert done.result["usage"]["input_tokens"] == 123
    assert (done.reply.model, done.reply.usage) == ("small-2026", USAGE)


def error(message: str) -> Any:
    return {"type": "error", "error": {"type": "some_error", "message": message}, "request_id": "req_1"}


VENDOR = Vendor(
    kind="anthropic",
    cases=(
        Case(
            operation="chat/completions",
            request=REQUESTS["chat/completions"],
            answer=saying(MESSAGE),
            check=check_chat,
        ),
        Case(
            operation="responses",
            request={"instructions": "Be brief.", "input": "hello", "max_output_tokens": 40, "store": False},
            answer=saying(MESSAGE),
            check=check_responses,
        ),
    ),
    error=error,
    model=body_model,
    key=lambda seen: seen.headers.get("x-api-key"),
    options={"betas": ("one", "two")},
    models=(
        {
            "data": [
                {"type": "model", "id": "claude-opus-5", "display_name": "Claude Opus 5", "created_at": "2026-02-04"},
                {"type": "model", "id": "claude-2.1", "lifecycle": "retired"},
                {"type": "model", "id": "claude-haiku-5-5", "created_at": "2026-10-01T00:00:00Z"},
            ],
            "has_more": False,
        },
        ["claude-opus-5", "claude-haiku-5-5"],
    ),
)
