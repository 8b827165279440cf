"""Chat models in a worker: chat/completions, completions and responses, made by llama.cpp inside the process."""

import os
import secrets
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable
from typing import Any

import orjson
import xllamacpp

from ..refusals import refusal
from ..responses_request import as_chat
from ..responses_result import response
from ..workers.task import Task
from .generation import Generation, sampling
from .messages import messages
from .tools import Toolbox, tool_call, toolbox

#: A cancel is heard between batches of the prompt.
_BATCH_TOKENS = 256
_FINGERPRINT = f"xllamacpp-{xllamacpp.__version__}"
#: No thoughts are sent back to a local model.
_THOUGHTS = ""


class ChatModel:
    def __init__(self, *, model: str, path: str, context_tokens: int, parallel: int) -> None:
        self._name = model
        self._server = _server(path, context_tokens, parallel)
        # One answer takes one slot; a call with several answers makes them one after the other.
        self._slots = threading.BoundedSemaphore(parallel)

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        operations = {"chat/completions": self._chat, "completions": self._completions, "responses": self._responses}
        with self._slots:
            task.go_on()
            return orjson.dumps(operations[operation](request, task))

    def _chat(self, request: dict[str, Any], task: Task) -> dict[str, Any]:
        if "audio" in (request.get("modalities") or ()):
            raise refusal("Local chat models answer in text only.", "modalities")
        tools = toolbox(request)
        body = {
            "messages": messages(request),
            **({"tools": tools.tools} if tools.tools else {}),
            **_format(request, tools),
        }
        if request.get("logprobs"):
            body["logprobs"] = True
            body["top_logprobs"] = max(request.get("top_logprobs") or 0, 1)
        count = request.get("n") or 1
        limit = request.get("max_completion_tokens")
        answers: list[Generation] = []
        for number in range(count):
            answer = _next(task, answers, limit * count if limit else None)
            answer.held = tools.may_call
            body_of_this = {**body, **sampling(request, max_tokens=limit, number=number)}
            answer.make(self._server.handle_chat_completions, body_of_this)
            answers.append(answer)
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self._name,
            "choices": [_choice(index, answer, tools, request) for index, answer in enumerate(answers)],
            "system_fingerprint": _FINGERPRINT,
            "usage": _usage(answers, answers[:1]),
        }

    def _completions(self, request: dict[str, Any], task: Task) -> dict[str, Any]:
        count = request.get("n") or 1
        if request.get("suffix"):
            raise refusal("Local models cannot fill in before a suffix.", "suffix")
        if (request.get("best_of") or count) > count:
            raise refusal("Local models return every answer they make: best_of cannot exceed n.", "best_of")
        prompts = [request["prompt"]] if isinstance(request["prompt"], str) else request["prompt"]
        limit = request.get("max_tokens")
        total = limit * count * len(prompts) if limit else None
        logprobs = request.get("logprobs")
        answers: list[Generation] = []
        choices: list[dict[str, Any]] = []
        for prompt in prompts:
            for number in range(count):
                answer = _next(task, answers, total)
                answer.lead = prompt if request.get("echo") else ""
                body = {"prompt": prompt, **sampling(request, max_tokens=limit, number=number)}
                if logprobs is not None:
                    body["logprobs"] = max(logprobs, 1)
                answer.make(self._server.handle_completions, body)
                answers.append(answer)
                choices.append(
                    {
                        "index": len(choices),
                        "text": answer.lead + answer.text,
                        **({} if logprobs is None else {"logprobs": _flat(answer, logprobs, len(answer.lead))}),
                        "finish_reason": answer.finish_reason,
                    }
                )
        return {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "model": self._name,
            "choices": choices,
            "system_fingerprint": _FINGERPRINT,
            "usage": _usage(answers, answers[::count]),
        }

    def _responses(self, request: dict[str, Any], task: Task) -> dict[str, Any]:
        for index, tool in enumerate(request.get("tools") or ()):
            if tool.get("type") != "function":
                raise refusal(f"Local models have no tool of type {tool.get('type')}.", f"tools[{index}]")
        with as_chat(request, _THOUGHTS) as chat:
            return response(request, self._chat(chat, task))


def _server(path: str, context_tokens: int, parallel: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = path
    # One pool of memory, but no more of it for one call than its share: else calls could starve each other.
    params.n_ctx = context_tokens * parallel
    params.kv_unified = True
    params.kv_unified_per_slot = context_tokens
    params.n_parallel = parallel
    params.n_batch = _BATCH_TOKENS
    # The last core is for the gateway: with as many threads as cores, the library's spinning halves its own speed.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, len(os.sched_getaffinity(0)) - 1)
    params.cache_ram_mib = 0
    params.ui = False
    params.verbosity = -1
    params.api_keys = [secrets.token_hex()]
    # The library insists on listening for HTTP: on a socket in a folder that is gone before anybody could look.
    with tempfile.TemporaryDirectory(prefix="coatcheck-") as folder:
        params.hostnames = [os.path.join(folder, "unused.sock")]
        return xllamacpp.Server(params)


def _next(task: Task, answers: list[Generation], total: int | None) -> Generation:
    return Generation(task=task, done_before=sum(answer.tokens for answer in answers), total=total, told=not answers)


def _format(request: dict[str, Any], tools: Toolbox) -> dict[str, Any]:
    """The form that the answer is held to."""
    if tools.demanded:
        return {"response_format": {"type": "json_schema", "json_schema": {"schema": tools.schema}}}
    wanted = request.get("response_format") or {"type": "text"}
    kind = wanted.get("type")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if kind == "json_schema" and isinstance(schema := (wanted.get("json_schema") or {}).get("schema"), dict):
        return {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    raise refusal("Local models know text, json_object, and json_schema with a schema.", "response_format")


def _choice(index: int, answer: Generation, tools: Toolbox, request: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.reasoning:
        message["reasoning"] = answer.reasoning
    calls = [tool_call(call["name"], call["arguments"]) for _, call in sorted(answer.tool_calls.items())]
    if tools.tools and not calls and (calls := tools.calls(answer.text)):
        message["content"] = None
    if calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = calls
    return {
        "index": index,
        "message": message,
        **({"logprobs": _detailed(answer, request)} if request.get("logprobs") else {}),
        "finish_reason": "tool_calls" if calls else answer.finish_reason,
    }


def _detailed(answer: Generation, request: dict[str, Any]) -> dict[str, Any]:
    """Log probabilities in chat's form."""
    keys = ("token", "logprob", "bytes")
    alternatives = request.get("top_logprobs") or 0
    content = [
        {
            **{key: token[key] for key in keys},
            "top_logprobs": [{key: other[key] for key in keys} for other in token["top_logprobs"][:alternatives]],
        }
        for token in answer.logprobs
    ]
    return {"content": content, "refusal": None}


def _flat(answer: Generation, alternatives: int, offset: int) -> dict[str, Any]:
    """Log probabilities in the older form of completions; those of an echoed prompt are not known."""
    offsets = []
    for token in answer.logprobs:
        offsets.append(offset)
        offset += len(token["token"])
    top = [{other["token"]: other["logprob"] for other in token["top_logprobs"]} for token in answer.logprobs]
    return {
        "tokens": [token["token"] for token in answer.logprobs],
        "token_logprobs": [token["logprob"] for token in answer.logprobs],
        "top_logprobs": top if alternatives else None,
        "text_offset": offsets,
    }


def _usage(answers: Iterable[Generation], first_of_prompts: Iterable[Generation]) -> dict[str, Any]:
    """A prompt counts once, however many answers it got."""
    answers, firsts = list(answers), list(first_of_prompts)
    prompt = sum(answer.prompt_tokens for answer in firsts)
    cached = sum(answer.cached_tokens for answer in firsts)
    completion = sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": prompt,
        "prompt_tokens_details": {"cached_tokens": cached, "cached_read_tokens": cached, "cached_write_tokens": 0},
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": sum(answer.reasoning_tokens for answer in answers)},
        "total_tokens": prompt + completion,
    }
