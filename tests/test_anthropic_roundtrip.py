"""What comes by the gateway's own Messages route reaches Anthropic as it was, and so does the answer the client."""

from typing import Any

import pytest

from coatcheck.providers.anthropic.reply import completion
from coatcheck.providers.anthropic.request import messages_request
from coatcheck.schemas.conversations import chat_request
from coatcheck.schemas.message_answers import message

CACHED = {"cache_control": {"type": "ephemeral"}}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


HELLO = user(text("hello"))
SEARCHED = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    text("Found."),
]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_tokens": 0},
        {"system": [text("Be brief.", **CACHED)], "stop_sequences": ["END"], "metadata": {"user_id": "u"}},
        {"top_k": 5, "top_p": 0.5, "temperature": 0.2, "service_tier": "standard_only", **CACHED},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"mcp_servers": [{"type": "url", "url": "https://mcp.example.com", "name": "x"}], "inference_geo": "us"},
        {
            "tools": [
                {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True, **CACHED},
                {"type": "bash_20250124", "name": "bash"},
            ],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        },
        {
            "messages": [
                user(text("Look.", **CACHED), IMAGE, {"type": "document", "source": PDF, "title": "a.pdf"}),
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                        {"type": "redacted_thinking", "data": "ZW5j"},
                        text("Let me see."),
                        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}, **CACHED},
                    ],
                },
                user(
                    {
                        "type": "tool_result",
                        "tool_use_id": "a",
                        "content": [text("no"), IMAGE],
                        "is_error": True,
                        **CACHED,
                    },
                    text("Go on."),
                ),
            ]
        },
        {
            "messages": [
                user(
                    {"type": "document", "source": PDF, "citations": {"enabled": True}, "context": "c"},
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                        "title": "t",
                    },
                    {"type": "search_result", "source": "https://x", "title": "X", "content": [text("y")]},
                )
            ]
        },
        {"messages": [HELLO, {"role": "assistant", "content": SEARCHED}, user(text("Go on."))]},
    ],
)
def test_a_request_is_told_again_as_it_was(more: Any) -> None:
    body = {"model": "claude-opus-5", "max_tokens": 99, "messages": [HELLO], **more}
    assert messages_request(chat_request(body), "claude-opus-5", 16_384) == body


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([text("Hello!")], "end_turn"),
        ([{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, text("Hello!")], "max_tokens"),
        ([{"type": "redacted_thinking", "data": "ZW5j"}, text("x")], "refusal"),
        ([text("x"), {"type": "tool_use", "id": "a", "name": "f", "input": {"x": [1]}}], "tool_use"),
        (SEARCHED, "pause_turn"),
        (
            [
                text("As said, "),
                text(
                    "it is blue",
                    citations=[
                        {
                            "type": "page_location",
                            "cited_text": "Blue.",
                            "document_index": 0,
                            "start_page_number": 1,
                            "end_page_number": 2,
                        }
                    ],
                ),
            ],
            "end_turn",
        ),
    ],
)
def test_an_answer_is_told_again_as_it_was(content: Any, reason: str) -> None:
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 5,
            "output_tokens": 7,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 2,
            "service_tier": "standard",
        },
    }
    assert message(completion(answer), "job", "x") == answer
