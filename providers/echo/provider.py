"""Answers with what it was asked: for tests, demos and trying out clients, at no cost.

The model says how: "echo" answers at once; instructions joined by "+" come first, in order:

wait-S     wait S seconds, telling its progress and, bit by bit, the text of its answer
hang       never answer
fail       fail with status 500
status-N   fail with status N, as an upstream would
flaky-N    fail with status 503 in the first N calls of the job
lost       lose the connection after sending

Speech is a tone, an image a square of one colour; a recording or a document that is a text is read out.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ...engine.calls import Call, CallPolicy, Offer, Progress, Reply
from ...engine.errors import CallFailed, Interrupted
from ..options import ProviderOptions
from . import files as echo_files

_INSTRUCTION = re.compile(r"wait-\d{1,6}(\.\d{1,6})?|flaky-\d{1,3}|status-[45]\d\d|hang|fail|lost|echo", re.ASCII)
_STEPS = 10
_DIMENSIONS = 8
#: The categories of OpenAI's moderations.
_HARMS = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EchoOptions(ProviderOptions):
    concurrency: int = field(default=1000, metadata={"min": 1})
    models: tuple[str, ...] = ("echo",)


class EchoProvider:
    def __init__(self, name: str, options: EchoOptions) -> None:
        self.lanes: Mapping[str, int] = {name: options.concurrency}
        self.policy: CallPolicy = options.policy()
        self.models = options.models
        self._name = name

    def lane(self, operation: str, model: str) -> str:
        return self._name

    def check(self, operation: str, model: str) -> str | None:
        if operation not in _ANSWERS and operation not in _MAKERS:
            return f"has no operation {operation}"
        if model not in self.models and not all(_INSTRUCTION.fullmatch(part) for part in model.split("+")):
            return f"has no model {model!r}; it has echo, wait-S, hang, fail, status-N, flaky-N and lost"
        return None

    async def start(self) -> None:
        """Nothing to open."""

    def default(self, operation: str) -> str | None:
        return "echo" if operation in _ANSWERS or operation in _MAKERS else None

    async def close(self) -> None:
        """Nothing to close."""

    async def ping(self) -> str:
        return "answers"

    async def offers(self) -> Sequence[Offer]:
        operations = (*_ANSWERS, *_MAKERS)
        return [Offer(id=model, operations=operations, about="answers with what it was asked") for model in self.models]

    async def execute(self, call: Call) -> Reply:
        told = False
        for part in call.model.split("+"):
            name, _, argument = part.partition("-")
            if name == "wait":
                await _wait(float(argument), call, "" if told else _answered(call))
                told = True
            elif name == "hang":
                await asyncio.Event().wait()
            elif name == "fail":
                raise CallFailed("echo was told to fail", status=500)
            elif name == "status":
                status = int(argument)
                raise CallFailed(f"echo was told to answer {status}", status=status, upstream={"status": status})
            elif name == "flaky" and call.number <= float(argument):
                raise CallFailed(f"echo was told to fail in call {call.number}", status=503)
            elif name == "lost":
                raise Interrupted("echo was told to lose the connection")
        maker = _MAKERS.get(call.operation)
        if maker is not None:
            return await maker(call)
        return Reply(result=orjson.dumps(_ANSWERS[call.operation](call)), model=call.model, cost=0)


async def _wait(seconds: float, call: Call, text: str) -> None:
    for step in range(_STEPS):
        part = text[len(text) * step // _STEPS : len(text) * (step + 1) // _STEPS]
        call.progress(Progress(done=step * 100 // _STEPS, total=100, unit="percent", delta=part))
        await asyncio.sleep(seconds / _STEPS)


def _answered(call: Call) -> str:
    """The text of the answer's first choice; empty for operations that have none."""
    request = call.request
    if call.operation == "completions":
        prompts = request["prompt"]
        return prompts if isinstance(prompts, str) else str(prompts[0]) if prompts else ""
    if call.operation not in ("chat/completions", "responses"):
        return ""
    return _text(request.get("messages") or request.get("input"))


def _text(value: Any) -> str:
    """The text in a string, in content blocks, or in the last of several messages or inputs."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return _text(value.get("content") or value.get("text") or "")
    if isinstance(value, list) and value:
        blocks = all(isinstance(item, Mapping) and "role" not in item for item in value)
        return " ".join(map(_text, value)) if blocks else _text(value[-1])
    return ""


def _usage(asked: str, answered: str) -> dict[str, int]:
    prompt, completion = len(asked.split()), len(answered.split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _chat(call: Call) -> dict[str, Any]:
    text = _text(call.request["messages"])
    return {
        "id": f"chatcmpl-{call.job_id}",
        "object": "chat.completion",
        "created": 0,
        "model": call.model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": _usage(text, text),
    }


def _completion(call: Call) -> dict[str, Any]:
    prompts = call.request["prompt"]
    prompts = [prompts] if isinstance(prompts, str) else prompts
    return {
        "id": f"cmpl-{call.job_id}",
        "object": "text_completion",
        "model": call.model,
        "choices": [{"index": i, "finish_reason": "stop", "text": text} for i, text in enumerate(prompts)],
        "usage": _usage(" ".join(prompts), " ".join(prompts)),
    }


def _response(call: Call) -> dict[str, Any]:
    text = _text(call.request["input"])
    counts = _usage(text, text)
    return {
        "id": f"resp_{call.job_id}",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": call.model,
        "error": None,
        "incomplete_details": None,
        "output": [
            {
                "type": "message",
                "id": f"msg_{call.job_id}",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        ],
        "usage": {
            "input_tokens": counts["prompt_tokens"],
            "output_tokens": counts["completion_tokens"],
            "total_tokens": counts["total_tokens"],
        },
    }


def _embeddings(call: Call) -> dict[str, Any]:
    given = call.request["input"]
    single = isinstance(given, str) or (given and isinstance(given[0], int))
    items = [given] if single else given
    return {
        "object": "list",
        "model": call.model,
        "data": [{"index": i, "object": "embedding", "embedding": _vector(item)} for i, item in enumerate(items)],
        "usage": {"prompt_tokens": len(items), "total_tokens": len(items)},
    }


def _verdicts(call: Call) -> dict[str, Any]:
    """An input is what it names: one that speaks of violence is violent."""
    given = call.request["input"]
    separate = isinstance(given, list) and all(isinstance(item, str) for item in given)
    return {
        "id": f"modr-{call.job_id}",
        "model": call.model,
        "results": [_verdict(_text(item)) for item in (given if separate else [given])],
    }


def _verdict(text: str) -> dict[str, Any]:
    words = text.lower()
    found = {name: name in words for name in _HARMS}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {name: float(named) for name, named in found.items()},
        "category_applied_input_types": {name: ["text"] for name in _HARMS},
    }


def _vector(item: object) -> list[float]:
    """A vector of length 1 that is the same for the same item; it means nothing."""
    digest = hashlib.sha256(orjson.dumps(item)).digest()
    values = [byte / 127.5 - 1 for byte in digest[:_DIMENSIONS]]
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


_ANSWERS = {
    "chat/completions": _chat,
    "completions": _completion,
    "responses": _response,
    "embeddings": _embeddings,
    "moderations": _verdicts,
}

_MAKERS = {
    "audio/speech": echo_files.speech,
    "audio/transcriptions": echo_files.transcription,
    "images/generations": echo_files.images,
    "images/edits": echo_files.images,
    "images/variations": echo_files.images,
    "rerank": echo_files.rerank,
    "ocr": echo_files.ocr,
}
