"""Gemini's answers as chat completions, held against the types of OpenAI's own client."""

from typing import Any

import openai.types.chat
import openai.types.responses
import orjson
import pytest

from coatcheck.engine.calls import Usage
from coatcheck.providers.gemini.contents import FORMAT, contents
from coatcheck.providers.gemini.reply import completion
from coatcheck.providers.gemini.usage import usage
from coatcheck.providers.responses_request import chat_request
from coatcheck.providers.responses_result import response

HELLO = {"role": "user", "content": "hello"}


def chat(*parts: Any, **more: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", **more}
    made = completion({"candidates": [candidate], "modelVersion": "gemini-3.8-flash", "responseId": "r-1"})
    if candidate["finishReason"] in ("STOP", "MAX_TOKENS", "SAFETY"):
        openai.types.chat.ChatCompletion.model_validate_json(orjson.dumps(made))
    return made


def choice(*parts: Any, **more: Any) -> Any:
    return chat(*parts, **more)["choices"][0]


def said(*parts: Any, **more: Any) -> Any:
    return choice(*parts, **more)["message"]


def test_texts_are_the_content_and_thoughts_the_reasoning() -> None:
    told = said({"text": "Hm.", "thought": True}, {"text": "Hi"}, {"text": " there.", "thoughtSignature": "c2ln"})
    assert (told["content"], told["reasoning"]) == ("Hi there.", "Hm.")
    assert told["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm.", "format": FORMAT, "index": 0},
        {"type": "reasoning.encrypted", "data": "c2ln", "format": FORMAT, "index": 1},
    ]


def test_calls_come_back_to_gemini_as_they_were() -> None:
    first = {"functionCall": {"id": "a", "name": "get_weather", "args": {"city": "Köln"}}, "thoughtSignature": "c2ln"}
    second = {"functionCall": {"id": "b", "name": "look", "args": {}}}
    told = choice({"text": "Let me see."}, first, second)
    assert told["finish_reason"] == "tool_calls"
    assert told["message"]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": '{"city":"Köln"}'}
    again = contents([HELLO, told["message"]], signed=True)[1][1]
    assert again == {"role": "model", "parts": [{"text": "Let me see."}, first, second]}
    made = response({"input": "hello"}, chat({"text": "Let me see."}, first, second))
    openai.types.responses.Response.model_validate_json(orjson.dumps(made))
    chat_again, _ = chat_request({"input": [HELLO, *made["output"]]}, FORMAT)
    assert contents(chat_again["messages"], signed=True)[1][1] == again


def test_a_call_without_an_id_is_given_one() -> None:
    one, two = said({"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}})["tool_calls"]
    assert one["id"] != two["id"]
    assert one["function"] == {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "malformed_function_call"),
        ("A_WORD_OF_TOMORROW", "a_word_of_tomorrow"),
    ],
)
def test_each_reason_to_stop_has_its_word(reason: str, finish: str) -> None:
    assert choice({"text": "x"}, finishReason=reason)["finish_reason"] == finish


def test_an_answer_that_was_all_thought_has_no_text() -> None:
    made = completion({"candidates": [{"finishReason": "MAX_TOKENS"}], "usageMetadata": {"thoughtsTokenCount": 9}})
    assert made["choices"][0]["message"]["content"] == ""
    assert made["choices"][0]["finish_reason"] == "length"
    told = response({"input": "x"}, {**made, "model": "m"})
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


def test_what_the_filter_says_is_told() -> None:
    assert said(finishReason="SAFETY", finishMessage="Too dangerous.")["refusal"] == "Too dangerous."


def test_pages_are_cited_by_the_place_they_support_in_characters() -> None:
    grounding = {
        "webSearchQueries": ["x"],
        "groundingChunks": [{"web": {"uri": "https://example.com", "title": "Example"}}, {"maps": {}}],
        "groundingSupports": [
            {"segment": {"startIndex": 8, "endIndex": 14, "text": "Köln."}, "groundingChunkIndices": [0, 1, 9]}
        ],
    }
    told = choice({"text": "Hm.", "thought": True}, {"text": "Schön: Köln."}, groundingMetadata=grounding)
    (cited,) = told["message"]["annotations"]
    place = cited["url_citation"]
    assert (place["url"], place["title"]) == ("https://example.com", "Example")
    assert told["message"]["content"][place["start_index"] : place["end_index"]] == "Köln."
    assert told["grounding_metadata"] == grounding


def test_parts_that_chat_has_no_words_for_are_told_as_they_are() -> None:
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        {"text": "Two.", "thoughtSignature": "c2ln"},
    ]
    told = said(*parts)
    assert told["content_parts"] == parts
    assert contents([HELLO, told], signed=True)[1][1]["parts"] == parts


def test_images_are_told_as_data_urls() -> None:
    told = said({"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": "cG5n"}})
    assert told["images"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}]


def test_the_probabilities_of_tokens_are_told() -> None:
    result = {
        "chosenCandidates": [{"token": "Hi", "tokenId": 1, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "Hi", "logProbability": -0.5}, {"token": "Oh"}]}],
    }
    (token,) = choice({"text": "Hi"}, logprobsResult=result)["logprobs"]["content"]
    assert (token["token"], token["logprob"], token["bytes"]) == ("Hi", -0.5, [72, 105])
    assert [each["token"] for each in token["top_logprobs"]] == ["Hi", "Oh"]


def test_thoughts_and_what_tools_said_are_counted() -> None:
    counts = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 4,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}, {"modality": "AUDIO", "tokenCount": 8}],
    }
    answer = {"candidates": [], "usageMetadata": counts}
    assert usage(answer) == Usage(input_tokens=15, cached_input_tokens=4, output_tokens=10, audio_input_tokens=8)
    assert completion(answer)["usage"] == {
        "prompt_tokens": 15,
        "prompt_tokens_details": {
            "cached_tokens": 4,
            "cached_read_tokens": 4,
            "cached_write_tokens": 0,
            "text_tokens": 2,
            "audio_tokens": 8,
        },
        "completion_tokens": 10,
        "completion_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 25,
    }
    assert usage({}) == Usage()
    assert usage({"usageMetadata": {"serviceTier": "FLEX"}}) == Usage(tier="flex")


@pytest.mark.parametrize("answer", [{}, {"candidates": [1]}, {"candidates": [{"content": {"parts": ["x"]}}]}])
def test_what_is_no_answer_is_not_taken_for_one(answer: Any) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError)):
        completion(answer)
