"""Anthropic's streams: the same result as without one, told while it comes, and what their ends mean."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from coatcheck.engine.calls import Progress
from coatcheck.engine.errors import CallFailed, Interrupted, Refused, Unusable
from coatcheck.providers.anthropic.reply import completion, usage
from coatcheck.providers.anthropic.stream import Message

from .vendors.anthropic import VENDOR
from .vendors.vendor import KEY, KEY_ENV, Case, Done, Seen, calling, carried_out, failing, saying, served

CITATION = {
    "type": "web_search_result_location",
    "url": "https://x",
    "title": "X",
    "cited_text": "x",
    "encrypted_index": "e",
}
START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "claude-opus-5",
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "cache_read_input_tokens": 4, "output_tokens": 1},
    },
}


def started(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def stopped(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


#: Every kind of block and delta, as https://platform.claude.com/docs/en/build-with-claude/streaming has them.
EVENTS: Sequence[dict[str, Any]] = (
    START,
    started(0, type="thinking", thinking="", signature=""),
    {"type": "ping"},
    delta(0, "thinking_delta", thinking="Let me "),
    delta(0, "thinking_delta", thinking="see."),
    delta(0, "signature_delta", signature="c2ln"),
    stopped(0),
    started(1, type="redacted_thinking", data="ZW5j"),
    stopped(1),
    started(2, type="text", text=""),
    delta(2, "text_delta", text="Grü"),
    delta(2, "text_delta", text="ße 🎉"),
    delta(2, "citations_delta", citation=CITATION),
    delta(2, "a_delta_of_tomorrow", more="x"),
    stopped(2),
    started(3, type="tool_use", id="toolu_1", name="get_weather", input={}),
    delta(3, "input_json_delta", partial_json=""),
    delta(3, "input_json_delta", partial_json='{"city": "Kö'),
    delta(3, "input_json_delta", partial_json='ln"}'),
    stopped(3),
    started(4, type="tool_use", id="toolu_2", name="now", input={}),
    stopped(4),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 15, "input_tokens": None},
    },
    {"type": "message_stop"},
)
WHOLE = {
    **START["message"],
    "content": [
        {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "text", "text": "Grüße 🎉", "citations": [CITATION]},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Köln"}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 25, "cache_read_input_tokens": 4, "output_tokens": 15},
}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: " + each["type"].encode() + b"\ndata: " + orjson.dumps(each) + b"\n\n" for each in events)


def streaming(*pieces: bytes, cut: bool = False) -> Any:
    async def handle(request: web.Request, _seen: Seen) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    return handle


def case(operation: str = "chat/completions") -> Case:
    request = {"messages": [{"role": "user", "content": "hello"}]} if operation != "responses" else {"input": "hello"}
    return Case(operation=operation, request=request, answer=saying({}), check=lambda _seen, _done: None)


async def done(answer: Any, folder: Path, asked: Case, **changes: Any) -> Done:
    async with served(VENDOR, answer) as (provider, _, _), calling(folder, asked, **changes) as (call, blobs):
        return await carried_out(provider, call, blobs)


async def failed(answer: Any, folder: Path, **options: Any) -> CallFailed:
    async with served(VENDOR, answer, **options) as (provider, _, _):
        return await failing(provider, folder, case())


def test_a_stream_is_put_together_to_the_message_it_stands_for() -> None:
    message = Message(lambda _said: CallFailed())
    for event in EVENTS:
        for _ in message.take(event):
            pass
    assert message.answer() == WHOLE
    assert message.over


def test_its_result_is_that_of_a_plain_answer(run: Any, folder: Path) -> None:
    told = run(done(streaming(sse(*EVENTS)), folder, case()))
    assert {**told.result, "created": 0} == {**completion(WHOLE), "created": 0}
    assert told.reply.usage == usage(WHOLE)
    told = run(done(streaming(sse(*EVENTS)), folder, case("responses")))
    assert [item["type"] for item in told.result["output"]] == [
        "reasoning", "reasoning", "message", "function_call", "function_call",
    ]  # fmt: skip


def test_a_stream_may_be_cut_into_pieces_anywhere(run: Any, folder: Path) -> None:
    whole = sse(*EVENTS).replace(b"\n", b"\r\n")
    told = run(done(streaming(*(whole[at : at + 7] for at in range(0, len(whole), 7))), folder, case()))
    assert told.result["choices"][0]["message"]["content"] == "Grüße 🎉"


def test_text_is_told_as_it_comes_and_thoughts_are_counted(run: Any, folder: Path) -> None:
    heard: list[Progress] = []
    run(done(streaming(sse(*EVENTS)), folder, case(), progress=heard.append))
    assert "".join(each.delta for each in heard) == "Grüße 🎉"
    assert [each.done for each in heard] == list(range(1, len(heard) + 1))
    assert heard[0].delta == ""


def test_a_plain_answer_is_understood_all_the_same(run: Any, folder: Path) -> None:
    told = run(done(saying(WHOLE), folder, case()))
    assert told.result["choices"][0]["message"]["content"] == "Grüße 🎉"


def test_no_stream_is_asked_for_where_none_is_wanted(run: Any, folder: Path) -> None:
    async def main() -> Any:
        async with (
            served(VENDOR, saying(WHOLE), stream=False) as (provider, seen, _),
            calling(folder, case()) as (call, blobs),
        ):
            await carried_out(provider, call, blobs)
        return seen[0].json

    assert "stream" not in run(main())


@pytest.mark.parametrize("count", [0, 1, 5, 12, len(EVENTS) - 2])
@pytest.mark.parametrize("cut", [False, True])
def test_a_stream_that_ends_before_its_reason_was_interrupted(count: int, cut: bool, run: Any, folder: Path) -> None:
    error = run(failed(streaming(sse(*EVENTS[:count]), cut=cut), folder))
    assert isinstance(error, Interrupted)


def test_what_has_come_in_full_is_taken_even_if_the_connection_is_lost_then(run: Any, folder: Path) -> None:
    told = run(done(streaming(sse(*EVENTS[:-1])), folder, case()))
    assert told.result["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 500), ("timeout_error", 504)],
)
def test_an_error_in_the_stream_has_the_status_of_its_kind(kind: str, status: int, run: Any, folder: Path) -> None:
    event = {"type": "error", "error": {"type": kind, "message": f"Overloaded {KEY}"}}
    error = run(failed(streaming(sse(*EVENTS[:4], event)), folder))
    assert type(error) is CallFailed
    assert (error.status, error.type) == (status, kind)
    assert error.message == "provider up ended its stream with an error: Overloaded [redacted]"
    assert KEY not in repr(error.upstream)


def test_an_error_of_another_kind_is_a_refusal(run: Any, folder: Path) -> None:
    event = {"type": "error", "error": {"type": "a_kind_of_tomorrow", "message": "No."}}
    assert isinstance(run(failed(streaming(sse(START, event)), folder)), Refused)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"data: {\n\n", "is not JSON"),
        (b"data: [1]\n\n", "is not an object"),
        (sse({"type": "message_start"}), "makes no sense"),
        (sse(START, delta(7, "text_delta", text="x")), "makes no sense"),
        (sse(START, started(0, type="text", text=""), delta(0, "text_delta")), "makes no sense"),
        (sse(START, started(0, type="text", text=""), delta(0, "text_delta", text=1), *EVENTS[-2:]), "makes no sense"),
        (b": " + b"x" * 4000, "larger than 2048 bytes"),
    ],
)
def test_a_stream_that_makes_no_sense_is_unusable(sent: bytes, words: str, run: Any, folder: Path) -> None:
    error = run(failed(streaming(sent), folder, max_answer_bytes=2048))
    assert isinstance(error, Unusable), error.message
    assert words in error.message


def test_arguments_that_a_limit_cut_are_told_as_they_came(run: Any, folder: Path) -> None:
    events = (EVENTS[0], started(0, type="tool_use", id="a", name="f", input={}))
    cut = delta(0, "input_json_delta", partial_json='{"a": ')
    end = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}
    (choice,) = run(done(streaming(sse(*events, cut, end)), folder, case())).result["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": '
