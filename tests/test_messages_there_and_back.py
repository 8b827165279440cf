"""Messages through a chat: to a provider of Anthropic's they come as they were sent, to others as a plain chat."""

from typing import Any

import orjson
import pytest

from coatcheck.providers.anthropic.reply import completion
from coatcheck.providers.anthropic.request import messages_request
from coatcheck.providers.openai.chats import effort, plain
from coatcheck.schemas.conversations import MESSAGES
from coatcheck.schemas.message_answers import message

CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}

ASKED: dict[str, Any] = {
    "model": "claude-opus-4-6",
    "max_tokens": 4000,
    "system": [{"type": "text", "text": "Be brief.", **CACHED}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look at these.", **CACHED},
                {"type": "image", "source": PNG},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {"type": "document", "source": PDF, "title": "a.pdf"},
                {"type": "document", "source": PDF, "citations": {"enabled": True}, "context": "old"},
                {"type": "search_result", "source": "https://example.com", "title": "A", "content": []},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Two images.", "signature": "c2lnbmVk"},
                {"type": "redacted_thinking", "data": "ZW5j"},
                {"type": "text", "text": "I will look it up."},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "a.png"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "none"}],
                    "is_error": True,
                },
                {"type": "text", "text": "And now?"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "a"}},
                {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
                {"type": "text", "text": "Nothing."},
            ],
        },
        {"role": "user", "content": [{"type": "text", "text": "Go on."}]},
    ],
    "tools": [
        {
            "name": "look",
            "description": "Looks",
            "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}},
            "strict": True,
            "defer_loading": True,
            **CACHED,
        },
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
    ],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "thinking": {"type": "adaptive", "display": "summarized"},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "stop_sequences": ["END"],
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 4,
    "metadata": {"user_id": "u-1"},
    "service_tier": "standard_only",
    **CACHED,
}


def chat() -> dict[str, Any]:
    return MESSAGES.load(orjson.loads(orjson.dumps(ASKED))).body


def test_a_request_comes_to_a_provider_of_anthropics_as_it_was_sent() -> None:
    assert messages_request(chat(), "claude-opus-4-6", 1) == ASKED


@pytest.mark.parametrize(
    "thinking", [{"type": "disabled"}, {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}]
)
@pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "none"}, {"type": "tool", "name": "look"}])
def test_so_does_every_way_to_think_and_to_choose(thinking: Any, choice: Any) -> None:
    asked = {**ASKED, "thinking": thinking, "output_config": {}, "tool_choice": choice}
    sent = messages_request(MESSAGES.load(orjson.loads(orjson.dumps(asked))).body, "claude-opus-4-6", 1)
    assert (sent["thinking"], sent["tool_choice"]) == (thinking, choice)


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Hello."}],
        [
            {"type": "thinking", "thinking": "A greeting.", "signature": "c2lnbmVk"},
            {"type": "redacted_thinking", "data": "ZW5j"},
            {"type": "text", "text": "Hello."},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "a.png"}},
        ],
        [
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "a"}},
            {"type": "text", "text": "Nothing.", "citations": [{"type": "web_search_result_location", "url": "u"}]},
        ],
        [
            {"type": "text", "text": "It "},
            {
                "type": "text",
                "text": "rains",
                "citations": [
                    {"type": "char_location", "cited_text": "rain", "document_index": 0, "start_char_index": 1}
                ],
            },
            {"type": "text", "text": "."},
        ],
    ],
)
@pytest.mark.parametrize("reason", ["end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence"])
def test_an_answer_of_anthropics_comes_back_as_it_was_given(content: Any, reason: str) -> None:
    sequence = "END" if reason == "stop_sequence" else None
    counts = {
        "input_tokens": 9,
        "output_tokens": 5,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15},
        "service_tier": "standard",
    }
    given = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-6",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": counts,
    }
    found = message(completion(given), "job", "model")
    if reason == "end_turn" and any(block["type"] == "tool_use" for block in content):
        # A chat that calls a tool has ended for that.
        given["stop_reason"] = "tool_use"
    assert found == given


def test_others_are_given_a_plain_chat() -> None:
    text = orjson.dumps(plain(chat())).decode()
    for word in ("cache_control", "is_error", "reasoning_details", "content_blocks", "signature", "defer_loading"):
        assert word not in text
    found = plain(chat())
    assert [message["role"] for message in found["messages"]] == [
        *("system", "user", "assistant", "tool", "user", "assistant", "user")
    ]
    assert found["messages"][2]["tool_calls"][0]["function"]["name"] == "look"
    assert found["messages"][5] == {"role": "assistant", "content": "Nothing."}
    assert found["tools"][0].keys() == {"type", "function"}
    assert (found["top_k"], found["user"], found["parallel_tool_calls"]) == (4, "u-1", False)


@pytest.mark.parametrize(
    ("reasoning", "wanted"),
    [
        ({"max_tokens": 1024}, "minimal"),
        ({"max_tokens": 2000}, "low"),
        ({"max_tokens": 5000, "display": "omitted"}, "medium"),
        ({"max_tokens": 32_000}, "high"),
        ({"effort": "max", "enabled": True}, "max"),
        ({"effort": "low", "max_tokens": 32_000}, "low"),
        ({"enabled": True}, None),
        ({"enabled": False}, None),
        ({"max_tokens": -1}, None),
    ],
)
def test_a_budget_for_thinking_is_an_effort_in_a_plain_chat(reasoning: Any, wanted: str | None) -> None:
    assert effort(reasoning) == wanted


def test_what_tools_show_is_shown_by_the_user_once_all_have_answered() -> None:
    image = {"type": "image", "source": PNG}
    results = [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "a map"}, image]},
        {"type": "tool_result", "tool_use_id": "t2", "content": [image]},
    ]
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    for more in ([], [{"type": "text", "text": "Go on."}]):
        asked = {"model": "m", "messages": [{"role": "user", "content": [*results, *more]}]}
        found = plain(MESSAGES.load(asked).body)["messages"]
        assert found[:3] == [
            {"role": "tool", "tool_call_id": "t1", "content": [{"type": "text", "text": "a map"}]},
            {"role": "tool", "tool_call_id": "t2", "content": ""},
            {"role": "user", "content": [shown, shown]},
        ]
        assert found[3:] == ([{"role": "user", "content": more}] if more else [])


def test_a_chat_of_few_words_stays_as_it_is() -> None:
    said = {"messages": [{"role": "assistant"}, {"role": "user", "content": None, "tool_calls": None}], "tools": None}
    assert plain(said) == said


def test_a_way_to_think_that_chats_have_no_word_for_comes_to_a_provider_of_anthropics() -> None:
    asked = {**ASKED, "thinking": {"type": "between_tools"}}
    assert messages_request(MESSAGES.load(orjson.loads(orjson.dumps(asked))).body, "claude-opus-4-6", 1) == asked
