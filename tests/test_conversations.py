"""Requests in the shape of Anthropic's Messages, as the chat completions that they become."""

from typing import Any

import orjson
import pytest

from coatcheck.engine.errors import InvalidRequest
from coatcheck.schemas.conversations import MESSAGES

CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    """The chat request for these messages."""
    asked = {"model": "echo/echo", "max_tokens": 100, "messages": list(messages), **more}
    return MESSAGES.load(orjson.loads(orjson.dumps(asked))).body


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


HELLO = {"role": "user", "content": "hello"}


def test_a_text_is_a_text_and_the_limits_have_their_names_in_a_chat() -> None:
    assert chat(
        HELLO, temperature=0.5, top_p=0.9, top_k=4, stop_sequences=["END"], metadata={"user_id": "u-1", "team": "x"}
    ) == {
        "model": "echo/echo",
        "messages": [HELLO],
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "stop": ["END"],
        "user": "u-1",
        "metadata": {"team": "x"},
    }


def test_the_system_prompt_is_the_first_message_and_keeps_its_cache_marks() -> None:
    assert chat(HELLO, system="Be brief.")["messages"] == [{"role": "system", "content": "Be brief."}, HELLO]
    blocks = [text("Be brief.", **CACHED)]
    assert chat(HELLO, system=blocks)["messages"][0] == {"role": "system", "content": blocks}
    assert chat(HELLO, system="")["messages"] == [HELLO]


def test_blocks_of_the_user_become_the_parts_that_a_chat_has_for_them() -> None:
    (message,) = chat(
        user(
            text("look", **CACHED),
            {"type": "image", "source": PNG, **CACHED},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                "title": "a.pdf",
            },
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a text"}},
        )
    )["messages"]
    assert message == user(
        text("look", **CACHED),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}, **CACHED},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_url": "https://example.com/a.pdf"}},
        {"type": "file", "file": {"file_id": "file_1"}},
        text("a text"),
    )


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "text", "data": "a"}, "citations": {"enabled": True}},
        {"type": "document", "source": PNG, "context": "from the archive"},
        {"type": "document", "source": {"type": "content", "content": "a"}},
        {"type": "search_result", "source": "https://example.com", "title": "A", "content": [text("a")]},
        {"type": "container_upload", "file_id": "file_1"},
    ],
)
def test_a_block_that_a_chat_has_no_part_for_goes_on_as_it_is(block: dict[str, Any]) -> None:
    assert chat(user(block))["messages"] == [user(block)]


def test_results_of_tools_are_messages_of_their_own_before_what_the_user_says() -> None:
    asked = user(
        {"type": "tool_result", "tool_use_id": "t1", "content": "14 degrees"},
        {
            "type": "tool_result",
            "tool_use_id": "t2",
            "content": [text("a map"), {"type": "image", "source": PNG}],
            **CACHED,
        },
        {"type": "tool_result", "tool_use_id": "t3", "content": "no such town", "is_error": True},
        {"type": "tool_result", "tool_use_id": "t4"},
        text("and now?"),
    )
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    assert chat(asked)["messages"] == [
        {"role": "tool", "tool_call_id": "t1", "content": "14 degrees"},
        {"role": "tool", "tool_call_id": "t2", "content": [text("a map"), image], **CACHED},
        {"role": "tool", "tool_call_id": "t3", "content": "no such town", "is_error": True},
        {"role": "tool", "tool_call_id": "t4", "content": ""},
        user(text("and now?")),
    ]
    assert chat(user({"type": "tool_result", "tool_use_id": "t1"}))["messages"] == [
        {"role": "tool", "tool_call_id": "t1", "content": ""}
    ]


def test_what_the_model_said_before_is_told_with_its_thoughts_and_calls() -> None:
    said = assistant(
        {"type": "thinking", "thinking": "a town", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "thinking", "thinking": "not signed", "signature": ""},
        text("I will "),
        text("look."),
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"town": "Paris"}, **CACHED},
    )
    assert chat(HELLO, said)["messages"][1] == {
        "role": "assistant",
        "content": "I will look.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "a town", "signature": "c2ln", "index": 0},
            {"type": "reasoning.encrypted", "data": "ZW5j", "index": 1},
            {"type": "reasoning.text", "text": "not signed", "index": 2},
        ],
        "tool_calls": [
            {
                "id": "t1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"town":"Paris"}'},
                **CACHED,
            }
        ],
    }
    only_a_call = assistant({"type": "tool_use", "id": "t1", "name": "now", "input": {}})
    assert chat(HELLO, only_a_call)["messages"][1]["content"] is None
    marked = assistant(text("a", **CACHED), text("b"))
    assert chat(HELLO, marked)["messages"][1] == marked


def test_blocks_of_the_model_that_only_one_vendor_knows_are_kept_as_they_are_beside_the_rest() -> None:
    blocks = [
        text("I search."),
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "rain"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
    ]
    assert chat(HELLO, assistant(*blocks))["messages"][1] == {
        "role": "assistant",
        "content": "I search.",
        "content_blocks": blocks,
    }


def test_tools_of_the_client_are_functions_and_those_of_the_provider_go_on_as_they_are() -> None:
    schema = {"type": "object", "properties": {"town": {"type": "string"}}}
    own = {"name": "weather", "description": "The weather", "input_schema": schema, "strict": True, **CACHED}
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    asked = chat(HELLO, tools=[own, {"type": "custom", "name": "now"}, search])
    assert asked["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "The weather", "parameters": schema, "strict": True},
            **CACHED,
        },
        {"type": "function", "function": {"name": "now"}},
        search,
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_the_choice_of_a_tool_has_its_word_in_a_chat(choice: dict[str, Any], expected: Any) -> None:
    asked = chat(HELLO, tool_choice=choice)
    assert asked["tool_choice"] == expected
    assert "parallel_tool_calls" not in asked
    assert chat(HELLO, tool_choice={**choice, "disable_parallel_tool_use": True})["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"max_tokens": 2000}),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"enabled": True, "display": "omitted"}),
        ({"thinking": {"type": "disabled"}}, {"enabled": False}),
        ({"output_config": {"effort": "low"}}, {"effort": "low"}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"enabled": True, "effort": "max"}),
    ],
)
def test_thinking_and_effort_are_the_reasoning_of_a_chat(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    assert chat(HELLO, **asked)["reasoning"] == expected


def test_a_service_tier_has_its_word_in_a_chat() -> None:
    assert [chat(HELLO, service_tier=tier)["service_tier"] for tier in ("auto", "standard_only")] == ["auto", "default"]


def test_a_form_of_the_answer_is_a_response_format() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    expected = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True}}
    assert chat(HELLO, output_config={"format": form})["response_format"] == expected
    assert chat(HELLO, output_format=form)["response_format"] == expected
    assert "response_format" not in chat(HELLO)


def test_what_is_not_known_goes_on() -> None:
    asked = chat(HELLO, speed="fast", mcp_servers=[{"type": "url"}], diagnostics={"a": 1}, **CACHED)
    assert {key: asked[key] for key in ("speed", "mcp_servers", "diagnostics", "cache_control")} == {
        "speed": "fast",
        "mcp_servers": [{"type": "url"}],
        "diagnostics": {"a": 1},
        **CACHED,
    }


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"messages": [user({"type": "text"})]}, "messages[0].content[0].text"),
        ({"messages": [HELLO, user({"type": "image"})]}, "messages[1].content[0].source"),
        (
            {"messages": [user({"type": "image", "source": {"type": "base64", "data": "a"}})]},
            "messages[0].content[0].source.media_type",
        ),
        ({"messages": [user({"type": "image", "source": {"type": "smoke"}})]}, "messages[0].content[0].source.type"),
        ({"messages": [user({"type": "image", "source": "a.png"})]}, "messages[0].content[0].source"),
        ({"messages": [user({"type": "document"})]}, "messages[0].content[0].source"),
        ({"messages": [user({"type": "tool_result", "content": "a"})]}, "messages[0].content[0].tool_use_id"),
        (
            {"messages": [user({"type": "tool_result", "tool_use_id": "t", "content": [{"text": "a"}]})]},
            "messages[0].content[0].content[0].type",
        ),
        ({"messages": [assistant({"type": "tool_use", "id": "t", "name": "n"})]}, "messages[0].content[0].input"),
        ({"messages": [assistant({"type": "redacted_thinking"})]}, "messages[0].content[0].data"),
        ({"messages": [user({"text": "a"})]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "model", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": []}, "messages"),
        ({"system": [{"type": "text"}]}, "system[0].text"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"tools": [{"description": "a"}]}, "tools[0].name"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "perhaps"}}, "tool_choice.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ],
)
def test_a_refusal_names_the_field_of_the_request_that_was_sent(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        MESSAGES.load({"model": "echo/echo", "max_tokens": 10, "messages": [HELLO], **asked})
    assert refused.value.param == param
    assert param in refused.value.message


def test_the_request_that_was_sent_is_left_as_it_is() -> None:
    asked = {
        "model": "echo/echo",
        "messages": [assistant(text("a"), {"type": "tool_use", "id": "t", "name": "n", "input": {}})],
        "tools": [{"name": "n", "input_schema": {}}],
        "metadata": {"user_id": "u"},
    }
    before = orjson.dumps(asked)
    MESSAGES.load(asked)
    assert orjson.dumps(asked) == before
