"""Chats as Gemini's generateContent takes them."""

from typing import Any

import pytest

from coatcheck.engine.errors import CallFailed
from coatcheck.providers.gemini.request import content_request

HELLO = {"role": "user", "content": "hello"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": SCHEMA},
}
DECLARED = {"name": "get_weather", "description": "The weather in a city.", "parametersJsonSchema": SCHEMA}


def asked(model: str = "gemini-3.8-flash", **request: Any) -> dict[str, Any]:
    return content_request({"model": "up/x", "messages": [HELLO], **request}, model)


def generation(model: str = "gemini-3.8-flash", **request: Any) -> Any:
    return asked(model, **request).get("generationConfig")


def refused(**request: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        asked(**request)
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    return caught.value


def parts(*content: Any) -> Any:
    return asked(messages=[{"role": "user", "content": list(content)}])["contents"][0]["parts"]


def call(id: str | None, name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_system_and_developer_messages_become_the_instruction_and_turns_alternate() -> None:
    body = asked(
        messages=[
            {"role": "system", "content": "Be brief."},
            HELLO,
            {"role": "user", "content": [{"type": "text", "text": "again"}]},
            {"role": "assistant", "content": "Hi."},
            {"role": "developer", "content": "And kind."},
            {"role": "assistant", "content": ""},
        ]
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "And kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hello"}, {"text": "again"}]},
            {"role": "model", "parts": [{"text": "Hi."}]},
        ],
    }


def test_what_gemini_reads_is_sent_within_the_request_or_by_its_address() -> None:
    assert parts(
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.webp?x=1"}},
        {"type": "input_audio", "input_audio": {"data": "bXAz", "format": "mp3"}},
        {"type": "video_url", "video_url": {"url": "https://www.youtube.com/watch?v=1"}},
        {"type": "file", "file": {"file_data": "cGRm", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "data:text/csv;base64,YSxi"}},
        {"type": "file", "file": {"file_url": "https://example.com/b", "file_type": "application/pdf"}},
        {"type": "file", "file": {"file_id": "https://generativelanguage.googleapis.com/v1beta/files/1"}},
    ) == [
        {"inlineData": {"mimeType": "image/png", "data": "cG5n"}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://example.com/a.webp?x=1"}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "bXAz"}},
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "cGRm"}},
        {"inlineData": {"mimeType": "text/csv", "data": "YSxi"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.com/b"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1"}},
    ]


@pytest.mark.parametrize(
    ("block", "code", "param"),
    [
        ({"type": "thing"}, "unsupported_content", ""),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "invalid_value", ".image_url.url"),
        ({"type": "image_url", "image_url": {}}, "invalid_value", ".image_url.url"),
        ({"type": "file", "file": {}}, "invalid_value", ".file"),
    ],
)
def test_what_gemini_does_not_read_is_refused_by_its_place(block: Any, code: str, param: str) -> None:
    error = refused(messages=[HELLO, {"role": "user", "content": [{"type": "text", "text": "x"}, block]}])
    assert (error.code, error.param) == (code, f"messages[1].content[1]{param}")


def test_a_conversation_with_tools_goes_back_with_its_signatures() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}
    body = asked(
        messages=[
            HELLO,
            {
                "role": "assistant",
                "content": "Let me see.",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "Hm.", "format": "google-gemini-v1"},
                    {"type": "reasoning.encrypted", "data": "c2ln", "id": "a", "format": "google-gemini-v1"},
                    {"type": "reasoning.encrypted", "data": "YW50", "format": "anthropic-claude-v1"},
                ],
                "tool_calls": [call("a", "get_weather", '{"city": "Rome"}'), call("b", "look")],
            },
            {"role": "tool", "tool_call_id": "a", "content": '{"degrees": 20}'},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "Here."}, image]},
            {"role": "tool", "tool_call_id": "b", "content": "Gone.", "is_error": True},
        ]
    )
    assert body["contents"][1]["parts"] == [
        {"text": "Let me see."},
        {"functionCall": {"id": "a", "name": "get_weather", "args": {"city": "Rome"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "b", "name": "look", "args": {}}},
    ]
    assert body["contents"][2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "a", "name": "get_weather", "response": {"degrees": 20}}},
            {
                "functionResponse": {
                    "id": "b",
                    "name": "look",
                    "response": {"output": "Here."},
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": "cG5n"}}],
                }
            },
            {"functionResponse": {"id": "b", "name": "look", "response": {"error": "Gone."}}},
        ],
    }


def test_a_signature_without_a_call_is_the_texts() -> None:
    detail = {"type": "reasoning.encrypted", "data": "c2ln"}
    body = asked(messages=[HELLO, {"role": "assistant", "content": "Hi.", "reasoning_details": [detail]}])
    assert body["contents"][1]["parts"] == [{"text": "Hi.", "thoughtSignature": "c2ln"}]


@pytest.mark.parametrize(("model", "signed"), [("gemini-3.8-flash", True), ("gemini-2.5-pro", False)])
def test_a_call_of_another_model_says_so_where_it_must_be_signed(model: str, signed: bool) -> None:
    body = asked(model, messages=[HELLO, {"role": "assistant", "content": None, "tool_calls": [call("a", "f")]}])
    (part,) = body["contents"][1]["parts"]
    assert part.get("thoughtSignature") == ("skip_thought_signature_validator" if signed else None)


def test_an_answer_to_no_call_is_refused() -> None:
    error = refused(messages=[HELLO, {"role": "tool", "tool_call_id": "a", "content": "x"}])
    assert (error.code, error.param) == ("invalid_value", "messages[1].tool_call_id")
    named = {"role": "tool", "tool_call_id": "a", "name": "f", "content": "x"}
    assert "functionResponse" in asked(messages=[named])["contents"][0]["parts"][0]


def test_functions_and_geminis_own_tools_are_told() -> None:
    own = {"type": "google_search", "google_search": {"timeRangeFilter": {}}}
    assert asked(tools=[WEATHER, own, {"type": "code_interpreter"}])["tools"] == [
        {"googleSearch": {"timeRangeFilter": {}}},
        {"codeExecution": {}},
        {"functionDeclarations": [DECLARED]},
    ]
    assert asked(web_search_options={})["tools"] == [{"googleSearch": {}}]
    error = refused(tools=[{"type": "custom", "custom": {"name": "x"}}])
    assert (error.code, error.param) == ("unsupported_parameter", "tools[0]")


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "f"}}]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_the_choice_of_a_tool_is_told_in_geminis_words(choice: Any, config: Any) -> None:
    assert asked(tools=[WEATHER], tool_choice=choice)["toolConfig"] == {"functionCallingConfig": config}


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking"),
    [
        ("gemini-3.8-flash", {"effort": "low"}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-4-argon", {"effort": "xhigh"}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-4-argon", {"effort": "minimal"}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3.1-flash-lite", {"effort": "minimal"}, {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-flash-latest", {"effort": "none"}, {"thinkingLevel": "LOW"}),
        ("gemini-3.1-pro-preview", {"effort": "none"}, {"thinkingLevel": "LOW"}),
        ("gemini-3.5-flash", {"enabled": False}, {"thinkingLevel": "MINIMAL"}),
        ("gemini-2.5-pro", {"effort": "none"}, {"thinkingBudget": 128}),
        ("gemini-2.5-flash", {"effort": "none"}, {"thinkingBudget": 0}),
        ("gemini-2.5-flash", {"effort": "medium"}, {"thinkingBudget": 8192, "includeThoughts": True}),
        ("gemini-2.5-pro", {"max_tokens": 99}, {"thinkingBudget": 99, "includeThoughts": True}),
        ("gemini-2.5-pro", {"max_tokens": 0}, {"thinkingBudget": 0}),
        ("gemini-3.8-flash", {"enabled": True}, {"includeThoughts": True}),
        ("gemini-3.8-flash", {"effort": "high", "display": "omitted"}, {"thinkingLevel": "HIGH"}),
    ],
)
def test_reasoning_is_asked_for_as_the_model_knows_it(model: str, reasoning: Any, thinking: Any) -> None:
    assert generation(model, reasoning=reasoning) == {"thinkingConfig": thinking}


def test_limits_sampling_and_the_form_of_the_answer_are_told() -> None:
    assert generation(
        max_completion_tokens=5,
        temperature=1.7,
        top_p=0.9,
        top_k=40,
        n=2,
        stop="END",
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logprobs=True,
        top_logprobs=3,
        modalities=["text", "image"],
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
    ) == {
        "maxOutputTokens": 5,
        "temperature": 1.7,
        "topP": 0.9,
        "topK": 40,
        "candidateCount": 2,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 0.5,
        "frequencyPenalty": -0.5,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseModalities": ["TEXT", "IMAGE"],
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    assert generation(response_format={"type": "json_object"}) == {"responseMimeType": "application/json"}


def test_geminis_own_fields_are_passed_on_and_others_not() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    body = asked(safety_settings=safety, cached_content="cachedContents/1", service_tier="flex")
    assert (body["safetySettings"], body["cachedContent"], body["serviceTier"]) == (safety, "cachedContents/1", "flex")
    unknown = {"api_key": "x", "base_url": "https://evil", "headers": {"a": "b"}, "fallbacks": ["a/b"], "store": True}
    assert asked(**unknown, user="u", metadata={"a": "b"}, verbosity="low") == asked()


@pytest.mark.parametrize(
    ("field", "value", "more"),
    [
        ("logit_bias", {"1": 2}, {}),
        ("audio", {"format": "wav", "voice": "Kore"}, {}),
        ("modalities", ["text", "audio"], {}),
        ("functions", [{"name": "f"}], {}),
        ("parallel_tool_calls", False, {"tools": [WEATHER]}),
    ],
)
def test_what_an_answer_would_lack_is_refused_by_name(field: str, value: Any, more: Any) -> None:
    error = refused(**{field: value}, **more)
    assert (error.code, error.param) == ("unsupported_parameter", field)
