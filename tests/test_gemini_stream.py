"""Gemini's streams: the same result as without one, told while it comes, and what their ends mean."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.calls import Progress
from coatcheck.engine.errors import CallFailed, Interrupted, Refused, Unusable
from coatcheck.providers.gemini.reply import completion
from coatcheck.providers.gemini.stream import Answer

from .test_anthropic_stream import streaming
from .vendors.gemini import VENDOR
from .vendors.vendor import KEY, KEY_ENV, Case, Done, calling, carried_out, failing, saying, served

CALL = {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}, "thoughtSignature": "c2ln"}


def piece(*parts: Any, index: int = 0, tokens: int = 0, **more: Any) -> dict[str, Any]:
    candidate = {"index": index, **({"content": {"role": "model", "parts": list(parts)}} if parts else {}), **more}
    counts = {"promptTokenCount": 3, "candidatesTokenCount": tokens}
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "gemini-3.8-flash", "responseId": "r"}


PIECES = (
    piece({"text": "Let me ", "thought": True}),
    piece({"text": "see.", "thought": True}),
    piece({"text": "Grü"}, tokens=2),
    piece({"text": "ße"}, {"text": " 🎉"}, tokens=4),
    piece({"text": "", "thoughtSignature": "dGV4dA=="}, tokens=4),
    piece({"text": "!"}, CALL, tokens=9),
    piece(tokens=9, finishReason="STOP", groundingMetadata={"webSearchQueries": ["x", "y"]}),
)
WHOLE = {
    "candidates": [
        {
            "index": 0,
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Let me see.", "thought": True},
                    {"text": "Grüße 🎉", "thoughtSignature": "dGV4dA=="},
                    {"text": "!"},
                    CALL,
                ],
            },
            "finishReason": "STOP",
            "groundingMetadata": {"webSearchQueries": ["x", "y"]},
        }
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 9},
    "modelVersion": "gemini-3.8-flash",
    "responseId": "r",
}
CASE = Case(
    operation="chat/completions",
    request={"messages": [{"role": "user", "content": "hello"}]},
    answer=saying({}),
    check=lambda _seen, _done: None,
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


def sse(*pieces: Any) -> bytes:
    return b"".join(b"data: " + orjson.dumps(each) + b"\r\n\r\n" for each in pieces)


async def done(answer: Any, folder: Path, **changes: Any) -> Done:
    async with served(VENDOR, answer) as (provider, _, _), calling(folder, CASE, **changes) as (call, blobs):
        return await carried_out(provider, call, blobs)


async def failed(answer: Any, folder: Path, **options: Any) -> CallFailed:
    async with served(VENDOR, answer, **options) as (provider, _, _):
        return await failing(provider, folder, CASE)


def assembled(*pieces: Any) -> Answer:
    answer = Answer(lambda _said: CallFailed())
    for each in pieces:
        for _ in answer.take(each):
            pass
    return answer


def test_a_stream_is_put_together_to_the_answer_it_stands_for() -> None:
    assert assembled(*PIECES).answer() == WHOLE


def test_candidates_that_come_in_turns_are_kept_apart() -> None:
    answer = assembled(
        piece({"text": "a"}),
        piece({"text": "x"}, index=1),
        piece({"text": "b"}, finishReason="STOP"),
        piece({"text": "y"}, index=1),
    )
    assert not answer.whole
    assert [each["content"]["parts"][0]["text"] for each in answer.answer()["candidates"]] == ["ab", "xy"]


def test_its_result_is_that_of_a_plain_answer(run: Any, folder: Path) -> None:
    told = run(done(streaming(sse(*PIECES)), folder))
    assert {**told.result, "created": 0} == {**completion(WHOLE), "created": 0}
    assert told.reply.usage is not None
    assert (told.reply.usage.output_tokens, told.reply.usage.searches) == (9, 2)


def test_text_is_told_as_it_comes_with_the_tokens_that_gemini_counts(run: Any, folder: Path) -> None:
    heard: list[Progress] = []
    run(done(streaming(sse(*PIECES)), folder, progress=heard.append))
    assert "".join(each.delta for each in heard) == "Grüße 🎉!"
    assert [each.done for each in heard] == [0, 0, 2, 4, 4, 9, 9]


def test_a_plain_answer_is_understood_all_the_same_and_asked_for_where_wanted(run: Any, folder: Path) -> None:
    assert run(done(saying(WHOLE), folder)).result["choices"][0]["finish_reason"] == "tool_calls"

    async def main() -> Any:
        async with (
            served(VENDOR, saying(WHOLE), stream=False) as (provider, seen, _),
            calling(folder, CASE) as (call, blobs),
        ):
            await carried_out(provider, call, blobs)
        return seen[0].segments[-1]

    assert run(main()) == "small:generateContent"


@pytest.mark.parametrize("count", [0, 1, 6])
@pytest.mark.parametrize("cut", [False, True])
def test_a_stream_that_ends_before_its_reason_was_interrupted(count: int, cut: bool, run: Any, folder: Path) -> None:
    assert isinstance(run(failed(streaming(sse(*PIECES[:count]), cut=cut), folder)), Interrupted)


def test_a_prompt_that_was_blocked_is_refused(run: Any, folder: Path) -> None:
    error = run(failed(streaming(sse({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})), folder))
    assert isinstance(error, Refused)
    assert (error.status, error.code) == (400, "content_filter")


def test_an_error_in_the_stream_has_the_status_that_it_names(run: Any, folder: Path) -> None:
    told = {"error": {"code": 503, "message": f"Overloaded {KEY}", "status": "UNAVAILABLE"}}
    error = run(failed(streaming(sse(PIECES[0], told)), folder))
    assert type(error) is CallFailed
    assert (error.status, error.code) == (503, "UNAVAILABLE")
    assert error.message == "provider up ended its stream with an error: Overloaded [redacted]"
    assert KEY not in repr(error.upstream)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"data: {\n\n", "is not JSON"),
        (sse({"candidates": [1]}), "makes no sense"),
        (sse({"candidates": [{"content": {"parts": [{"text": 1}]}, "finishReason": "STOP"}]}), "makes no sense"),
        (b": " + b"x" * 4000, "larger than 2048 bytes"),
    ],
)
def test_a_stream_that_makes_no_sense_is_unusable(sent: bytes, words: str, run: Any, folder: Path) -> None:
    error = run(failed(streaming(sent), folder, max_answer_bytes=2048))
    assert isinstance(error, Unusable), error.message
    assert words in error.message
