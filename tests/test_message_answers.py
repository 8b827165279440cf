"""Chat completions as the messages that Anthropic's own package reads."""

from typing import Any

import anthropic.types
import pytest

from coatcheck.schemas.message_answers import message, waiting


def chat(*, choice: Any = None, usage: Any = None, **said: Any) -> dict[str, Any]:
    """A chat completion with this message."""
    found = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **said}, **(choice or {})}
    return {"id": "chatcmpl-1", "model": "m", "choices": [found], **({"usage": usage} if usage else {})}


def read(completion: dict[str, Any]) -> anthropic.types.Message:
    """The message, after the vendor's own types have accepted it."""
    return anthropic.types.Message.model_validate(message(completion, "job", "echo/echo"))


def blocks(**said: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = message(chat(**said), "job", "echo/echo")["content"]
    return found


def test_a_text_is_one_block() -> None:
    found = read(chat(content="Paris.", usage={"prompt_tokens": 7, "completion_tokens": 2}))
    assert (found.id, found.model, found.role) == ("chatcmpl-1", "m", "assistant")
    assert [(block.type, getattr(block, "text", None)) for block in found.content] == [("text", "Paris.")]
    assert (found.stop_reason, found.stop_sequence) == ("end_turn", None)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (7, 2)


def test_names_that_the_provider_does_not_give_are_the_jobs() -> None:
    found = message({"choices": [{"message": {"content": "a"}}]}, "job", "echo/echo")
    assert (found["id"], found["model"]) == ("job", "echo/echo")


def test_thoughts_come_first_and_keep_their_signatures() -> None:
    details = [
        {"type": "reasoning.text", "text": "a town", "signature": "c2ln"},
        {"type": "reasoning.encrypted", "data": "ZW5j"},
        {"type": "reasoning.summary", "summary": "in short"},
        {"type": "reasoning.unheard_of"},
    ]
    found = read(chat(content="Paris.", reasoning="a town", reasoning_details=details))
    assert [block.model_dump(exclude_none=True) for block in found.content] == [
        {"type": "thinking", "thinking": "a town", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "thinking", "thinking": "in short", "signature": ""},
        {"type": "text", "text": "Paris."},
    ]


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_a_thought_without_details_is_a_block_that_nobody_signed(key: str) -> None:
    assert blocks(content="Paris.", **{key: "a town"})[0] == {"type": "thinking", "thinking": "a town", "signature": ""}


def test_calls_of_tools_are_blocks_with_their_arguments() -> None:
    calls = [
        {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Paris"}'}},
        {"id": "t2", "type": "function", "function": {"name": "now", "arguments": ""}},
        {"id": "t3", "type": "custom", "custom": {"name": "run", "input": "ls"}},
        {"id": "t4", "type": "function", "function": {"name": "bad", "arguments": "{half"}},
        {"id": "t5", "type": "function", "function": {"name": "odd", "arguments": "[1]"}},
    ]
    found = read(chat(content=None, tool_calls=calls, choice={"finish_reason": "tool_calls"}))
    assert [block.model_dump(include={"type", "id", "name", "input"}) for block in found.content] == [
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"town": "Paris"}},
        {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
        {"type": "tool_use", "id": "t3", "name": "run", "input": {"arguments": "ls"}},
        {"type": "tool_use", "id": "t4", "name": "bad", "input": {"arguments": "{half"}},
        {"type": "tool_use", "id": "t5", "name": "odd", "input": {"arguments": [1]}},
    ]
    assert found.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("choice", "said", "expected"),
    [
        ({"finish_reason": "stop"}, {}, ("end_turn", None)),
        ({"finish_reason": None}, {}, ("end_turn", None)),
        ({"finish_reason": "length"}, {}, ("max_tokens", None)),
        ({"finish_reason": "content_filter"}, {}, ("refusal", None)),
        ({"finish_reason": "function_call"}, {}, ("tool_use", None)),
        ({"finish_reason": "pause_turn"}, {}, ("pause_turn", None)),
        ({"finish_reason": "stop"}, {"tool_calls": [{"id": "t", "function": {"name": "n"}}]}, ("tool_use", None)),
        ({"finish_reason": "stop"}, {"refusal": "no"}, ("refusal", None)),
        # As a provider of Anthropic's, and as vLLM says it; its number is a token.
        ({"finish_reason": "stop", "stop": "END"}, {}, ("stop_sequence", "END")),
        ({"finish_reason": "stop", "stop_reason": "END"}, {}, ("stop_sequence", "END")),
        ({"finish_reason": "stop", "stop_reason": 2}, {}, ("end_turn", None)),
    ],
)
def test_the_reason_for_the_end_has_its_word(choice: Any, said: Any, expected: Any) -> None:
    found = read(chat(content="a", choice=choice, **said))
    assert (found.stop_reason, found.stop_sequence) == expected


def test_what_a_cache_gave_and_took_is_not_counted_as_input() -> None:
    details = {"cached_tokens": 50, "cached_read_tokens": 30, "cached_write_tokens": 20}
    spans = {"cached_write_token_details": {"cached_write_tokens_5m": 5, "cached_write_tokens_1h": 15}}
    usage = {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {**details, **spans}}
    found = read(chat(content="a", usage={**usage, "completion_tokens_details": {"reasoning_tokens": 4}}))
    assert found.usage.input_tokens == 50
    assert (found.usage.cache_read_input_tokens, found.usage.cache_creation_input_tokens) == (30, 20)
    assert found.usage.cache_creation is not None
    assert found.usage.cache_creation.ephemeral_1h_input_tokens == 15
    assert found.usage.output_tokens_details is not None
    assert found.usage.output_tokens_details.thinking_tokens == 4
    # OpenAI's alone are those that were read.
    usage = {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 40}}
    found = read(chat(content="a", usage=usage))
    assert (found.usage.input_tokens, found.usage.cache_read_input_tokens) == (60, 40)
    usage["prompt_tokens_details"] = {"cached_tokens": 40, "cache_write_tokens": 10}
    found = read({**chat(content="a", usage=usage), "service_tier": "default"})
    assert (found.usage.input_tokens, found.usage.cache_creation_input_tokens) == (50, 10)
    assert (found.usage.cache_read_input_tokens, found.usage.service_tier) == (40, "standard")


def test_a_text_is_cut_where_citations_support_it() -> None:
    place = {"type": "page_location", "document_index": 0, "document_title": "A", "cited_text": "wet"}
    pages = {"start_page_number": 1, "end_page_number": 2}
    annotations = [
        {"type": "file_citation", "file_citation": {**place, **pages, "start_index": 6, "end_index": 11}},
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a.example", "title": "A", "start_index": 12, "end_index": 15},
        },
        {"type": "url_citation", "url_citation": {"url": "https://b.example", "start_index": 90, "end_index": 99}},
        {"type": "unheard_of"},
    ]
    found = blocks(content="It is rainy now.", annotations=annotations)
    assert [block["text"] for block in found] == ["It is ", "rainy", " ", "now", "."]
    assert found[1]["citations"] == [{**place, **pages}]
    assert found[3]["citations"][0]["url"] == "https://a.example"
    assert [block for block in found if "citations" in block] == [found[1], found[3]]
    read(chat(content="It is rainy now.", annotations=annotations))


def test_blocks_that_only_one_vendor_knows_come_back_as_they_were() -> None:
    own = [
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "rain"}},
        {"type": "text", "text": "It rains."},
    ]
    assert blocks(content="It rains.", content_blocks=own) == own


def test_a_refusal_and_parts_are_texts() -> None:
    assert blocks(content=None, refusal="I would rather not.") == [{"type": "text", "text": "I would rather not."}]
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": ""}]
    assert blocks(content=parts) == parts[:1]
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me "}, {"type": "text", "text": "see."}]}
    assert blocks(content=[thought, parts[0]]) == [
        {"type": "thinking", "thinking": "Let me see.", "signature": ""},
        parts[0],
    ]
    assert blocks(content="") == []


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [1]},
        {"choices": {"a": 1}},
        {"choices": [{"message": "a"}]},
        {"choices": [{"message": {"content": [1]}}]},
        {"choices": [{"message": {"tool_calls": [{"function": "a"}]}}]},
        {"choices": [], "usage": [1]},
    ],
)
def test_what_is_no_chat_completion_is_said_to_be_none(answer: Any) -> None:
    with pytest.raises(ValueError, match="no chat completion"):
        message(answer, "job", "echo/echo")


def test_a_job_that_waits_is_an_empty_message() -> None:
    found = anthropic.types.Message.model_validate(waiting("job", "echo/echo", "processing"))
    assert (found.id, found.content, found.stop_reason) == ("job", [], None)
    assert found.model_extra == {"status": "processing"}
