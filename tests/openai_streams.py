"""What an OpenAI-shaped server sends in a stream, and the plain result that it stands for."""

from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
HEAD = {"id": "c1", "created": 17, "model": "small-2026", "service_tier": "default", "system_fingerprint": "fp_1"}


def sse(*said: Any) -> bytes:
    return b"".join(b"data: " + orjson.dumps(each) + b"\n\n" for each in said)


def chunk(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**HEAD, "object": "chat.completion.chunk", "choices": list(choices), "usage": None, **more}


def piece(index: int = 0, finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def token(text: str) -> dict[str, Any]:
    return {"token": text, "logprob": -0.5, "bytes": list(text.encode()), "top_logprobs": []}


def tool(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    name = more.pop("name", None)
    return {"index": index, **more, "function": {**({"name": name} if name else {}), "arguments": arguments}}


#: Two choices that come in turns, one of words and one of calls, with everything that a chunk can hold.
CHAT = (
    {"id": "", "object": "", "created": 0, "model": "", "choices": [], "x_filter": []},
    chunk(piece(role="assistant", content="", refusal=None), obfuscation="xyz"),
    chunk(piece(1, role="assistant", content=None, refusal=None)),
    chunk(piece(reasoning_content="Let me ")),
    chunk(piece(reasoning_content="see.")),
    chunk({**piece(content="Grüße"), "logprobs": {"content": [token("Grüße")], "refusal": None}}),
    chunk(piece(1, tool_calls=[tool(1, "", id="call_b", type="function", name="add")])),
    chunk(piece(1, tool_calls=[tool(0, '{"ci', id="call_a", type="function", name="get")])),
    chunk({**piece(content=" 🎉"), "logprobs": {"content": [token(" "), token("🎉")], "refusal": None}}),
    chunk(piece(1, tool_calls=[tool(0, 'ty": "Rome"}', id=""), tool(1, "{}")])),
    chunk({**piece(finish_reason="stop"), "message": {"role": "assistant", "content": "Grüße 🎉"}}),
    chunk(piece(1, finish_reason="tool_calls")),
    {**chunk(usage=USAGE, x_vendor={"cached": False}), "id": "", "created": 0, "model": ""},
)
CHAT_RESULT = {
    **HEAD,
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Grüße 🎉",
                "refusal": None,
                "reasoning_content": "Let me see.",
            },
            "logprobs": {"content": [token("Grüße"), token(" "), token("🎉")], "refusal": None},
            "finish_reason": "stop",
        },
        {
            "index": 1,
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "tool_calls": [
                    {
                        "id": "call_a",
                        "type": "function",
                        "function": {"name": "get", "arguments": '{"city": "Rome"}'},
                    },
                    {"id": "call_b", "type": "function", "function": {"name": "add", "arguments": "{}"}},
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        },
    ],
    "usage": USAGE,
    "x_vendor": {"cached": False},
    "x_filter": [],
}
WIRE = b": hello\n\n" + sse(*CHAT) + DONE


def said(kind: str, **more: Any) -> bytes:
    """An event of a response's stream."""
    return f"event: {kind}\n".encode() + sse({"type": kind, "sequence_number": 1, **more})
