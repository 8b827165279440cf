"""One answer of a chat model: what is asked of the library, and how its chunks become text, counts and progress."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...engine.errors import CallFailed
from ..workers.task import Task

Handle = Callable[[dict[str, Any], Callable[[dict[str, Any]], bool]], Any]

#: What of a request goes to the library under the same name. Nothing else does.
_SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "stop",
)


@dataclass
class Generation:
    """One answer, filled while it is made."""

    task: Task
    #: Tokens of the answers made before this one in the same call.
    done_before: int = 0
    #: Tokens that all answers of the call may have together.
    total: int | None = None
    #: Whether its text is told while it is made, as far as `held` lets it.
    told: bool = False
    #: Whether a text that begins so is not to be told yet.
    held: Callable[[str], bool] = field(default=lambda _text: False)
    #: What stands before the text in the answer.
    lead: str = ""

    text: str = ""
    reasoning: str = ""
    reasoning_tokens: int = 0
    #: By index: the calls that the library itself recognised.
    tool_calls: dict[int, dict[str, str]] = field(default_factory=dict)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0
    _length_told: int = 0
    _error: dict[str, Any] | None = None
    _fault: Exception | None = None

    def make(self, handle: Handle, body: dict[str, Any]) -> None:
        """Runs to the end of the answer. Raises `CallFailed`, or `Cancelled` once the task is cancelled."""
        asked = {
            **body,
            "stream": True,
            "stream_options": {"include_usage": True},
            # Both make the callback, and with it a cancel, heard during the prompt and at each token.
            "return_progress": True,
            "timings_per_token": True,
        }
        try:
            handle(asked, self._hear)
        except (RuntimeError, ValueError) as error:
            self.task.go_on()
            raise CallFailed(str(error), status=400, type="invalid_request_error", code="invalid_request") from error
        self.task.go_on()
        if self._fault is not None:
            raise self._fault
        if self._error is not None:
            raise _failure(self._error)

    def _hear(self, chunk: dict[str, Any]) -> bool:
        """True ends the generation. The library swallows exceptions, so they are kept."""
        try:
            self._take(chunk)
        except Exception as error:
            self._fault = error
        return self.task.cancelled or self._fault is not None

    def _take(self, chunk: dict[str, Any]) -> None:
        if "error" in chunk:
            self._error = chunk["error"]
            return
        if usage := chunk.get("usage"):
            self.prompt_tokens = usage["prompt_tokens"]
            self.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
            self.tokens = usage["completion_tokens"]
        prompt, timings = chunk.get("prompt_progress"), chunk.get("timings")
        if timings and not prompt:
            self.tokens = max(self.tokens, timings["predicted_n"])
        for choice in chunk.get("choices") or ():
            self._take_choice(choice)
        if prompt:
            self.task.progress(prompt["processed"], prompt["total"], "prompt tokens")
        elif timings:
            self.task.progress(self.done_before + self.tokens, self.total, "tokens", self._news())

    def _news(self) -> str:
        """The text that has come and may be told, and was not yet."""
        if not self.told or self.held(self.text):
            return ""
        text = self.lead + self.text
        news = text[self._length_told :]
        self._length_told = len(text)
        return news

    def _take_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or {}
        self.text += delta.get("content") or choice.get("text") or ""
        if thought := delta.get("reasoning_content"):
            self.reasoning += thought
            self.reasoning_tokens = self.tokens
        for piece in delta.get("tool_calls") or ():
            call = self.tool_calls.setdefault(piece.get("index", 0), {"name": "", "arguments": ""})
            for key in call:
                call[key] += (piece.get("function") or {}).get(key) or ""
        self.logprobs.extend((choice.get("logprobs") or {}).get("content") or ())
        self.finish_reason = choice.get("finish_reason") or self.finish_reason


def sampling(request: dict[str, Any], *, max_tokens: int | None, number: int) -> dict[str, Any]:
    """What of a request is the library's business. `number` counts the call's answers from 0: each has its own seed."""
    body = {key: request[key] for key in _SAMPLING if request.get(key) is not None}
    if max_tokens is not None:
        if max_tokens < 1:
            raise CallFailed(
                "The answer needs room for at least one token.",
                status=400,
                type="invalid_request_error",
                code="invalid_value",
                param="max_tokens",
            )
        body["max_tokens"] = max_tokens
    if (seed := request.get("seed")) is not None:
        # The library's seeds are 32 bits wide, and the last one means "by chance".
        body["seed"] = (int(seed) + number) % 0xFFFFFFFF
    return body


def _failure(error: dict[str, Any]) -> CallFailed:
    message = str(error.get("message", "the model gave no reason"))
    if error.get("type") == "exceed_context_size_error":
        return CallFailed(
            f"The prompt has {error['n_prompt_tokens']} tokens, and the context has room for {error['n_ctx']}: shorten "
            f"it, or raise `context_tokens` of the provider.",
            status=400,
            type="invalid_request_error",
            code="context_length_exceeded",
        )
    status = 500
    with contextlib.suppress(KeyError, TypeError, ValueError):
        status = int(error["code"])
    if 400 <= status < 500:
        return CallFailed(message, status=400, type="invalid_request_error", code="invalid_request")
    return CallFailed(message, status=500, code="local_model_failed")
