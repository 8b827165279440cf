"""Streams of an OpenAI-shaped server: asked for where they can say the same, and put together to the plain result."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.engine.calls import Progress
from coatcheck.providers.openai.chunks import Completion, rendered

from .clients import REQUESTS, client
from .openai_streams import CHAT_RESULT, DONE, HEAD, USAGE, WIRE, chunk, piece, said, sse
from .upstreams import Handle, call, streaming, upstream


def asked(handle: Handle, operation: str = "chat/completions", **request: Any) -> tuple[Any, list[Progress]]:
    """The result of a call whose answer is streamed, and its progress."""

    async def main() -> tuple[Any, list[Progress]]:
        heard: list[Progress] = []
        async with upstream(handle, stream=True) as provider:
            reply = await provider.execute(call(operation, heard.append, **request))
        return orjson.loads(reply.result), heard

    return asyncio.run(main())


@given(st.lists(st.text(), max_size=8), st.lists(st.text(), max_size=8))
def test_the_pieces_of_each_choice_are_joined_in_their_order(first: list[str], second: list[str]) -> None:
    completion = Completion("chat.completion")
    told = []
    for number in range(8):
        for index, texts in enumerate((first, second)):
            told += completion.take(chunk(*(piece(index, content=text) for text in texts[number : number + 1])))
    result = completion.result() or {"choices": []}
    contents = [choice["message"]["content"] for choice in orjson.loads(rendered(result))["choices"]]
    assert contents == ["".join(texts) for texts in (first, second) if texts]
    assert "".join(told) == "".join(first)


@pytest.mark.parametrize(
    ("operation", "request_", "more"),
    [
        ("chat/completions", {}, {"stream": True, "stream_options": {"include_usage": True}}),
        ("completions", {}, {"stream": True, "stream_options": {"include_usage": True}}),
        ("responses", {}, {"stream": True}),
        ("embeddings", {}, {}),
        ("chat/completions", {"modalities": ["text", "audio"]}, {}),
        ("completions", {"best_of": 2}, {}),
    ],
)
def test_a_stream_is_asked_for_where_it_can_say_the_same(
    run: Any, operation: str, request_: dict[str, Any], more: dict[str, Any]
) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def handle(request: web.Request) -> web.StreamResponse:
            # Servers that close a stream's connection unannounced would cut the next call.
            assert (request.headers.get("Connection") == "close") is bool(more)
            seen.append(await request.json())
            return web.json_response({"n": 1})

        async with upstream(handle, stream=True) as provider:
            reply = await provider.execute(call(operation, **request_))
        assert seen == [{**REQUESTS[operation], "model": "small", **request_, **more}]
        # A server that answers plainly all the same is understood.
        assert orjson.loads(reply.result) == {"n": 1}

    run(main())


def test_a_streamed_chat_gives_the_plain_result() -> None:
    result, heard = asked(streaming(WIRE))
    assert result == CHAT_RESULT
    texts = [progress.delta for progress in heard]
    assert texts == ["", "", "Grüße", " 🎉"]
    assert [(progress.done, progress.unit, progress.total) for progress in heard] == [
        (done, "tokens", None) for done in (1, 2, 3, 4)
    ]


def test_a_stream_that_comes_in_single_bytes_gives_the_same() -> None:
    assert asked(streaming(*(bytes([byte]) for byte in WIRE)))[0] == CHAT_RESULT


def test_the_text_is_told_before_the_stream_has_ended(run: Any) -> None:
    async def main() -> None:
        heard = asyncio.Event()

        async def handle(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(sse(chunk(piece(content="a"))))
            await heard.wait()
            await response.write(sse(chunk(piece(finish_reason="stop"))) + DONE)
            return response

        async with upstream(handle, stream=True) as provider:
            await provider.execute(call(watch=lambda _: heard.set()))

    run(main())


def test_a_streamed_completion_gives_the_plain_result() -> None:
    def text(index: int, said: str, offset: int, finish_reason: str | None = None) -> dict[str, Any]:
        logprobs = {"tokens": [said], "token_logprobs": [-1], "top_logprobs": [{said: -1}], "text_offset": [offset]}
        choice = {"index": index, "text": said, "logprobs": logprobs, "finish_reason": finish_reason}
        return {**HEAD, "object": "text_completion", "choices": [choice]}

    last = {**HEAD, "object": "text_completion", "choices": [], "usage": USAGE}
    stream = sse(text(1, "x", 0, "stop"), text(0, "index", 0), text(0, "b", 5, "length"), last) + DONE
    result, heard = asked(streaming(stream), "completions")
    assert result == {
        **HEAD,
        "object": "text_completion",
        "choices": [
            {
                "index": 0,
                "text": "indexb",
                "logprobs": {
                    "tokens": ["index", "b"],
                    "token_logprobs": [-1, -1],
                    "top_logprobs": [{"index": -1}, {"b": -1}],
                    "text_offset": [0, 5],
                },
                "finish_reason": "length",
            },
            {
                "index": 1,
                "text": "x",
                "logprobs": {"tokens": ["x"], "token_logprobs": [-1], "top_logprobs": [{"x": -1}], "text_offset": [0]},
                "finish_reason": "stop",
            },
        ],
        "usage": USAGE,
    }
    assert [progress.delta for progress in heard] == ["index", "b"]


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed"])
def test_a_streamed_response_is_the_one_of_its_last_event(status: str) -> None:
    error = {"code": "server_error", "message": "no"} if status == "failed" else None
    whole = {"id": "r1", "object": "response", "status": status, "model": "small-2026", "error": error, "output": []}
    stream = (
        said("response.created", response={**whole, "status": "in_progress", "error": None})
        + said("response.reasoning_summary_text.delta", delta="Hm.")
        + said("response.output_text.delta", delta="Hel")
        + said("response.output_text.delta", delta="lo")
        + said("response.output_text.done", text="Hello")
        + said(f"response.{status}", response=whole)
    )
    result, heard = asked(streaming(stream), "responses")
    assert result == whole
    assert [(progress.done, progress.delta) for progress in heard] == [(1, ""), (2, "Hel"), (3, "lo")]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        # Whole calls, one a chunk or all in one; pieces that only the first names.
        ([[("a", "f", "{}")], [("b", "g", "{}")]], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([[("a", "f", "{}"), ("b", "g", "{}")]], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([[("a", "f", '{"x"')], [(None, None, ": 1}")]], [("a", "f", '{"x": 1}')]),
        ([[("a", "f", "{")], [("b", "g", "[")], [("a", None, "}")]], [("a", "f", "{}"), ("b", "g", "[")]),
    ],
)
def test_calls_that_a_server_does_not_number_are_told_apart_by_their_ids(calls: Any, expected: Any) -> None:
    chunks = []
    for together in calls:
        pieces = [{"id": id, "function": {"name": name, "arguments": said}} for id, name, said in together]
        chunks.append(chunk(piece(tool_calls=pieces)))
    result, _ = asked(streaming(sse(*chunks, chunk(piece(finish_reason="stop"))) + DONE))
    assert result["choices"][0]["message"]["tool_calls"] == [
        {"type": "function", "id": id, "function": {"name": name, "arguments": said}} for id, name, said in expected
    ]


@pytest.mark.parametrize("numbered", [True, False])
def test_many_calls_take_no_longer_each_than_a_few(numbered: bool) -> None:
    """An upstream can send so many that a look through all of them for each would hold up everyone for minutes."""
    calls = [{"id": f"c{i}", **({"index": i} if numbered else {})} for i in range(50_000)]
    joined, began = Completion("chat.completion"), time.process_time()
    for _ in range(2):
        list(joined.take({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}))
    result = joined.result()
    assert result is not None
    assert [call["id"] for call in result["choices"][0]["message"]["tool_calls"]] == [call["id"] for call in calls]
    assert time.process_time() - began < 10


def test_thoughts_with_numbered_parts_are_joined_and_their_words_are_not() -> None:
    parts = [{"type": "reasoning.text", "format": "v1", "index": 0, "text": text} for text in ("Let me ", "see.")]
    chunks = [chunk(piece(reasoning_details=[part])) for part in parts]
    result, _ = asked(streaming(sse(*chunks, chunk(piece(finish_reason="stop")))))
    assert result["choices"][0]["message"]["reasoning_details"] == [{**parts[0], "text": "Let me see."}]


def thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


@pytest.mark.parametrize(
    ("contents", "whole"),
    [
        (
            ["", [thinking("Let me ")], [thinking("see.")], "Rain", "", "y."],
            [thinking("Let me see."), {"type": "text", "text": "Rainy."}],
        ),
        (
            ["Rain", [{"type": "reference", "reference_ids": [1]}], [{"type": "text", "text": "y"}], "."],
            [
                {"type": "text", "text": "Rain"},
                {"type": "reference", "reference_ids": [1]},
                {"type": "text", "text": "y."},
            ],
        ),
    ],
)
def test_a_content_of_parts_is_joined_part_by_part(contents: list[Any], whole: list[Any]) -> None:
    chunks = [chunk(piece(content=content)) for content in contents]
    result, _ = asked(streaming(sse(*chunks, chunk(piece(finish_reason="stop")))))
    assert result["choices"][0]["message"]["content"] == whole


#: Calls in calls, deeper than anything would follow them.
NESTED: dict[str, Any] = {}
for _ in range(400):
    NESTED = {"tool_calls": [{"index": 0, **NESTED}]}


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": {}},
        {"choices": [1, {"delta": 1}]},
        {"choices": [{"index": "x", "delta": {"tool_calls": [1], "content": 5}}]},
        {"choices": [{"index": 0, "delta": NESTED}]},
    ],
)
def test_what_makes_no_sense_in_a_chunk_does_no_harm(odd: Any) -> None:
    event = f"data: {json.dumps(odd)}\n\n".encode()
    result, _ = asked(streaming(event + sse(chunk(piece(content="a", finish_reason="stop"))) + DONE))
    assert result["choices"][0]["message"]["content"] == "a"


def test_a_job_at_a_streaming_provider_ends_with_the_plain_result(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with upstream(streaming(WIRE)) as provider:
            table = {"kind": "openai", "base_url": provider._options.base_url, "stream": True}
            async with client(folder, providers={"up": table}) as c:
                answer = await c.ended(await c.submit("chat/completions", "up/small"))
                assert answer.status == 200
                assert answer.json["result"]["choices"] == CHAT_RESULT["choices"]

    run(main())
