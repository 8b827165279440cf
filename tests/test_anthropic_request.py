"""Chats as Anthropic's Messages API takes them, held against the types of Anthropic's own client."""

from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import TypeAdapter

from coatcheck.engine.errors import CallFailed
from coatcheck.providers.anthropic.request import messages_request

PARAMS = TypeAdapter(MessageCreateParamsNonStreaming)
#: A pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HELLO = {"role": "user", "content": "hello"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def walked(value: Any) -> None:
    """Iterables are checked as they are walked through."""
    if isinstance(value, dict):
        for each in value.values():
            walked(each)
    elif hasattr(value, "__iter__") and not isinstance(value, str | bytes):
        for each in value:
            walked(each)


def asked(model: str = "claude-opus-5", **request: Any) -> dict[str, Any]:
    """What Anthropic is asked, which its own client could have asked."""
    body = messages_request({"model": "up/x", "messages": [HELLO], **request}, model, 16_384)
    walked(PARAMS.validate_python(body))
    return body


def refused(**request: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        asked(**request)
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    return caught.value


def turns(*messages: Any) -> Any:
    return asked(messages=list(messages))["messages"]


def blocks(*content: Any) -> Any:
    return turns({"role": "user", "content": list(content)})[0]["content"]


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def test_system_and_developer_messages_become_the_system_prompt() -> None:
    cached = {"type": "text", "text": "Know this.", "cache_control": {"type": "ephemeral"}}
    body = asked(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [cached]},
            HELLO,
            {"role": "system", "content": "And kind."},
        ]
    )
    assert body["system"] == [text("Be brief."), cached, text("And kind.")]
    assert body["messages"] == [{"role": "user", "content": [text("hello")]}]


def test_turns_alternate() -> None:
    assert turns(
        HELLO,
        {"role": "user", "content": "again"},
        {"role": "assistant", "content": "Hi."},
        {"role": "assistant", "content": "What is it?"},
        {"role": "user", "content": "This."},
    ) == [
        {"role": "user", "content": [text("hello"), text("again")]},
        {"role": "assistant", "content": [text("Hi."), text("What is it?")]},
        {"role": "user", "content": [text("This.")]},
    ]


def test_a_text_without_a_letter_is_left_out() -> None:
    assert turns(
        HELLO, {"role": "assistant", "content": ""}, {"role": "user", "content": [text(" \n"), text("x")]}
    ) == [{"role": "user", "content": [text("hello"), text("x")]}]


def test_images_are_sent_as_they_came() -> None:
    inline = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"}}
    misnamed = {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}}
    linked = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert blocks(inline, misnamed, linked) == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]


def test_files_become_documents() -> None:
    def file(**file: Any) -> Any:
        (block,) = blocks({"type": "file", "file": file})
        return block

    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    for given in (
        {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
        {"file_data": "JVBERi0=", "filename": "a.pdf"},
        {"file_data": "JVBERi0=", "filename": "a.pdf", "file_type": "application/pdf"},
    ):
        assert file(**given) == {"type": "document", "source": pdf, "title": "a.pdf"}
    assert file(file_data="data:text/markdown;base64,R3LDvMOfZQ==") == {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
    }
    assert file(file_data="R3LDvMOfZQ==", filename="a.txt")["source"]["data"] == "Grüße"
    assert file(file_data="data:,a%20b")["source"]["data"] == "a b"
    assert file(file_url="https://example.com/a.pdf")["source"] == {"type": "url", "url": "https://example.com/a.pdf"}
    assert file(file_id="file_1")["source"] == {"type": "file", "file_id": "file_1"}
    assert file(file_data=f"data:image/png;base64,{PNG}")["type"] == "image"


def test_a_document_keeps_its_citations_and_its_mark_of_the_cache() -> None:
    block = {
        "type": "file",
        "file": {"file_id": "file_1"},
        "citations": {"enabled": True},
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    assert blocks(block) == [
        {
            "type": "document",
            "source": {"type": "file", "file_id": "file_1"},
            "citations": {"enabled": True},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        }
    ]


@pytest.mark.parametrize(
    ("block", "code", "param", "words"),
    [
        (
            {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
            "unsupported_content",
            "",
            "input_audio",
        ),
        ({"type": "video_url", "video_url": {"url": "https://x/y"}}, "unsupported_content", "", "video_url"),
        (
            {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,eA=="}},
            "unsupported_content",
            ".image_url",
            "tiff",
        ),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "invalid_value", ".image_url", "https://"),
        (
            {"type": "file", "file": {"file_data": "data:application/zip;base64,eA=="}},
            "unsupported_content",
            ".file",
            "zip",
        ),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,???"}}, "invalid_value", ".file", "base64"),
        ({"type": "file", "file": {}}, "invalid_value", ".file", "file_data, file_url or file_id"),
    ],
)
def test_what_claude_does_not_read_is_refused_by_its_place(block: Any, code: str, param: str, words: str) -> None:
    error = refused(messages=[HELLO, {"role": "user", "content": [text("look"), block]}])
    assert (error.code, error.param) == (code, f"messages[1].content[1]{param}")
    assert words in error.message


def test_a_conversation_with_tools_and_thoughts_goes_back_as_it_came() -> None:
    assert turns(
        {"role": "user", "content": "How is the weather in Rome and in Bonn?"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "reasoning": "Two cities.",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "Two cities.", "signature": "c2ln", "format": "anthropic-claude-v1"},
                {"type": "reasoning.encrypted", "data": "ZW5j"},
                {"type": "reasoning.encrypted", "data": "b3RoZXI=", "format": "google-gemini-v1"},
                {"type": "reasoning.text", "text": "unsigned"},
            ],
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}},
                {"id": "b", "type": "function", "function": {"name": "get_weather", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "Sunny."},
        {"role": "tool", "tool_call_id": "b", "content": [text("Which city?")], "is_error": True},
        {"role": "user", "content": "Go on."},
    ) == [
        {"role": "user", "content": [text("How is the weather in Rome and in Bonn?")]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Two cities.", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "ZW5j"},
                text("Let me see."),
                {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "b", "name": "get_weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("Sunny.")]},
                {"type": "tool_result", "tool_use_id": "b", "content": [text("Which city?")], "is_error": True},
                text("Go on."),
            ],
        },
    ]


def test_a_tool_may_answer_with_an_image_or_with_nothing() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    _, _, answers = turns(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "b"}]},
        {"role": "tool", "tool_call_id": "a", "content": [image]},
        {"role": "tool", "tool_call_id": "b", "content": ""},
    )
    seen, silent = answers["content"]
    assert seen["content"][0]["type"] == "image"
    assert silent == {"type": "tool_result", "tool_use_id": "b"}


@pytest.mark.parametrize("arguments", ["{", "[]", "null", '"x"'])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    error = refused(messages=[HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}])
    assert error.param == "messages[1].tool_calls[0].function.arguments"


def test_blocks_that_only_anthropic_has_go_back_whole() -> None:
    own = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [{"type": "web_search_result", "url": "https://x", "title": "X", "encrypted_content": "ZW5j"}],
        },
        text("Found."),
    ]
    assert turns(HELLO, {"role": "assistant", "content": "Found.", "content_blocks": own})[1]["content"] == own


def test_functions_become_tools() -> None:
    strict = {
        "type": "function",
        "function": {"name": "now", "strict": True},
        "cache_control": {"type": "ephemeral"},
    }
    assert asked(tools=[WEATHER, strict])["tools"] == [
        {
            "name": "get_weather",
            "description": "The weather in a city.",
            "input_schema": WEATHER["function"]["parameters"],  # type: ignore[index]
        },
        {
            "name": "now",
            "input_schema": {"type": "object", "properties": {}},
            "strict": True,
            "cache_control": {"type": "ephemeral"},
        },
    ]


def test_anthropics_own_tools_are_passed_on_and_others_refused() -> None:
    bash = {"type": "bash_20250124", "name": "bash"}
    assert asked(tools=[bash])["tools"] == [bash]
    error = refused(tools=[WEATHER, {"type": "custom", "custom": {"name": "x"}}])
    assert (error.code, error.param) == ("unsupported_parameter", "tools[1]")


def test_a_search_of_the_web_is_anthropics() -> None:
    place = {"type": "approximate", "city": "Rome", "country": "IT"}
    search = {"type": "web_search_20250305", "name": "web_search", "user_location": place}
    options = {"user_location": {"type": "approximate", "approximate": {"city": "Rome", "country": "IT"}}}
    assert asked(web_search_options=options)["tools"] == [search]
    tool = {"type": "web_search", "user_location": place, "filters": {"allowed_domains": ["a.it"]}}
    assert asked(tools=[tool])["tools"] == [{**search, "allowed_domains": ["a.it"]}]
    assert asked(web_search_options={})["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
            {"type": "tool", "name": "get_weather"},
        ),
        ({"tool_choice": {"type": "web_search_preview"}}, {"type": "tool", "name": "web_search"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, None),
        ({"tool_choice": "required", "parallel_tool_calls": False}, {"type": "any", "disable_parallel_tool_use": True}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ],
)
def test_the_choice_of_a_tool_is_told_in_anthropics_words(given: Any, choice: Any) -> None:
    assert asked(tools=[WEATHER], **given).get("tool_choice") == choice


def test_only_the_tools_that_are_allowed_are_offered() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}
    body = asked(tools=[WEATHER, other], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool["name"] for tool in body["tools"]] == ["other"]
    assert body["tool_choice"] == {"type": "any"}


def test_a_choice_without_tools_is_not_told() -> None:
    assert "tool_choice" not in asked(tool_choice="none", parallel_tool_calls=False)


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "config"),
    [
        ("claude-opus-4-6", {"effort": "low"}, {"type": "adaptive"}, {"effort": "low"}),
        ("claude-sonnet-5-5", {"effort": "minimal"}, {"type": "adaptive"}, {"effort": "low"}),
        ("claude-mythos-preview", {"enabled": True}, {"type": "adaptive"}, None),
        (
            "claude-opus-5",
            {"effort": "xhigh", "display": "summarized"},
            {"type": "adaptive", "display": "summarized"},
            {"effort": "xhigh"},
        ),
        ("claude-opus-5", {"effort": "none"}, {"type": "disabled"}, None),
        ("claude-opus-5", {"enabled": False, "effort": "high"}, {"type": "disabled"}, None),
        ("claude-opus-5", {"max_tokens": 2000}, {"type": "enabled", "budget_tokens": 2000}, None),
        ("claude-opus-5", {"max_tokens": 0}, {"type": "disabled"}, None),
        (
            "claude-opus-4-6",
            {"max_tokens": 9000, "effort": "max"},
            {"type": "enabled", "budget_tokens": 9000},
            {"effort": "max"},
        ),
        ("claude-sonnet-4-5", {"max_tokens": 9000, "effort": "low"}, {"type": "enabled", "budget_tokens": 9000}, None),
        ("claude-haiku-4-5-20251001", {"effort": "low"}, {"type": "enabled", "budget_tokens": 3276}, None),
        ("claude-haiku-4-5", {"effort": "minimal"}, {"type": "enabled", "budget_tokens": 1638}, None),
        ("claude-sonnet-4-20250514", {"effort": "high"}, {"type": "enabled", "budget_tokens": 13107}, None),
        ("claude-3-7-sonnet-latest", {"enabled": True}, {"type": "enabled", "budget_tokens": 8192}, None),
        ("deepseek-chat", {"effort": "medium"}, {"type": "enabled", "budget_tokens": 8192}, None),
        ("claude-opus-5", {}, None, None),
    ],
)
def test_reasoning_is_asked_for_as_the_model_knows_it(model: str, reasoning: Any, thinking: Any, config: Any) -> None:
    body = asked(model, reasoning=reasoning)
    assert (body.get("thinking"), body.get("output_config")) == (thinking, config)


def test_a_budget_fits_into_the_answer() -> None:
    body = asked("claude-haiku-4-5", reasoning={"effort": "xhigh"}, max_completion_tokens=1100)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1045}
    with pytest.raises(CallFailed, match="needs more than 1024 tokens") as caught:
        asked("claude-haiku-4-5", reasoning={"effort": "low"}, max_completion_tokens=1024)
    assert (caught.value.status, caught.value.param) == (400, "max_completion_tokens")


def test_the_clients_own_words_for_anthropic_win() -> None:
    body = asked(
        reasoning={"effort": "low"},
        thinking={"type": "disabled"},
        output_config={"effort": "max"},
        task_budget={"type": "tokens", "total": 9},
        top_k=5,
        cache_control={"type": "ephemeral"},
        inference_geo="us",
        mcp_servers=[{"type": "url", "url": "https://mcp.example.com", "name": "x"}],
    )
    assert body["thinking"] == {"type": "disabled"}
    assert body["output_config"] == {"effort": "max", "task_budget": {"type": "tokens", "total": 9}}
    assert (body["top_k"], body["inference_geo"]) == (5, "us")
    assert body["cache_control"] == {"type": "ephemeral"}
    assert body["mcp_servers"][0]["name"] == "x"


def test_what_anthropic_does_not_know_is_not_passed_on() -> None:
    plain = asked()
    assert plain == {
        "model": "claude-opus-5",
        "max_tokens": 16384,
        "messages": [{"role": "user", "content": [text("hello")]}],
    }
    unknown = {"api_key": "x", "base_url": "https://evil", "headers": {"a": "b"}, "stream": False, "fallbacks": ["a/b"]}
    hints = {"seed": 1, "frequency_penalty": 1, "store": True, "prompt_cache_key": "k", "verbosity": "low", "n": 1}
    assert asked(**unknown, **hints, prediction={"type": "content", "content": "x"}) == plain


def test_limits_and_sampling_are_told() -> None:
    body = asked(max_completion_tokens=5, temperature=0.5, top_p=0.9, stop="END", user="u1", service_tier="default")
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (5, 0.5, 0.9)
    assert (body["stop_sequences"], body["metadata"], body["service_tier"]) == (
        ["END"],
        {"user_id": "u1"},
        "standard_only",
    )
    assert asked(max_tokens=0)["max_tokens"] == 0
    assert asked(temperature=1.7)["temperature"] == 1
    assert asked(stop=["a", "b"])["stop_sequences"] == ["a", "b"]
    assert asked(metadata={"user_id": "m", "team": "x"}, user="u")["metadata"] == {"user_id": "m"}
    assert "service_tier" not in asked(service_tier="flex")


def test_a_schema_for_the_answer_is_anthropics_output_format() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    assert asked(response_format=wanted)["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "output_config" not in asked(response_format={"type": "text"})
    error = refused(response_format={"type": "json_object"})
    assert (error.code, error.param) == ("unsupported_parameter", "response_format")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("logit_bias", {"1": 2}),
        ("audio", {"format": "wav", "voice": "alloy"}),
        ("modalities", ["text", "audio"]),
        ("functions", [{"name": "f"}]),
    ],
)
def test_what_an_answer_would_lack_is_refused_by_name(field: str, value: Any) -> None:
    error = refused(**{field: value})
    assert (error.code, error.param) == ("unsupported_parameter", field)
