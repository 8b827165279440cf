"""The Responses API in terms of chat: a request becomes a chat request, a chat completion becomes a response."""

import time
import uuid
from typing import Any

from ..workers.task import refusal
from .messages import text_of

_TEXT_KEYS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_SAME = (
    *("temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "logit_bias", "stop", "seed"),
    "parallel_tool_calls",
)
#: Always in a response, null where unset.
_ECHOED = (
    *("instructions", "max_output_tokens", "max_tool_calls", "previous_response_id", "prompt_cache_key", "reasoning"),
    *("safety_identifier", "service_tier"),
)
#: In a response where the request has them.
_ECHOED_IF_SET = (
    *("background", "include", "metadata", "presence_penalty", "frequency_penalty", "store", "temperature", "text"),
    *("top_logprobs", "top_p", "truncation", "user"),
)
_UNSUPPORTED = {
    "previous_response_id": "Nothing is kept between calls: send the earlier items in input.",
    "conversation": "Nothing is kept between calls: send the earlier items in input.",
    "prompt": "There are no stored prompts: send instructions and input.",
}


def chat_request(request: dict[str, Any]) -> dict[str, Any]:
    """The same request to chat. Raises `CallFailed` for what chat cannot honour."""
    for key, cure in _UNSUPPORTED.items():
        if request.get(key):
            raise refusal(f"Local models have no {key}. {cure}", key)
    chat = {key: request[key] for key in _SAME if request.get(key) is not None}
    chat["messages"] = _messages(request)
    chat["max_completion_tokens"] = request.get("max_output_tokens")
    chat["tools"] = [_tool(tool, index) for index, tool in enumerate(request.get("tools") or ())]
    chat["tool_choice"] = _tool_choice(request.get("tool_choice"))
    if "message.output_text.logprobs" in (request.get("include") or ()) or request.get("top_logprobs"):
        chat["logprobs"] = True
        chat["top_logprobs"] = request.get("top_logprobs")
    if wanted := (request.get("text") or {}).get("format"):
        schema = {key: wanted[key] for key in ("name", "schema", "strict") if key in wanted}
        chat["response_format"] = {"type": wanted.get("type"), "json_schema": schema}
    return chat


def response(request: dict[str, Any], completion: dict[str, Any]) -> dict[str, Any]:
    """The chat completion of `request` as a response."""
    choice = completion["choices"][0]
    cut = choice["finish_reason"] == "length"
    status = "incomplete" if cut else "completed"
    return {
        "id": _id("resp"),
        "object": "response",
        "created_at": completion["created"],
        "completed_at": None if cut else int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "model": completion["model"],
        "output": _output(choice, status),
        **{key: request.get(key) for key in _ECHOED},
        **{key: request[key] for key in _ECHOED_IF_SET if request.get(key) is not None},
        "parallel_tool_calls": request.get("parallel_tool_calls") is not False,
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "usage": _usage(completion["usage"]),
    }


def _messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if instructions := request.get("instructions"):
        messages.append({"role": "system", "content": instructions})
    if isinstance(request["input"], str):
        return [*messages, {"role": "user", "content": request["input"]}]
    for index, item in enumerate(request["input"]):
        _add(messages, item, f"input[{index}]")
    return messages


def _add(messages: list[dict[str, Any]], item: dict[str, Any], where: str) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        text = text_of(item.get("content"), where, _TEXT_KEYS)
        messages.append({"role": item.get("role") or "user", "content": text})
    elif kind == "function_call":
        call = {
            "id": item.get("call_id"),
            "type": "function",
            "function": {"name": item.get("name") or "", "arguments": item.get("arguments") or "{}"},
        }
        # Calls that stand together were one answer.
        if messages and messages[-1].get("tool_calls"):
            messages[-1]["tool_calls"].append(call)
        else:
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    elif kind == "function_call_output":
        text = text_of(item.get("output"), where, _TEXT_KEYS)
        messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": text})
    elif kind != "reasoning":
        raise refusal(f"Local models cannot read an item of type {kind}.", where)


def _tool(tool: dict[str, Any], index: int) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise refusal(f"Local models have no tool of type {tool.get('type')}.", f"tools[{index}]")
    wanted = {key: tool[key] for key in ("name", "description", "parameters") if tool.get(key) is not None}
    return {"type": "function", "function": wanted}


def _tool_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    if choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    if choice.get("type") == "allowed_tools":
        tools = [{"type": "function", "function": {"name": tool.get("name")}} for tool in choice.get("tools") or ()]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode") or "auto", "tools": tools}}
    return choice


def _output(choice: dict[str, Any], status: str) -> list[dict[str, Any]]:
    message = choice["message"]
    items: list[dict[str, Any]] = []
    if thought := message.get("reasoning"):
        content = [{"type": "reasoning_text", "text": thought}]
        items.append({"id": _id("rs"), "type": "reasoning", "summary": [], "content": content})
    calls = message.get("tool_calls") or ()
    if message["content"] or not calls:
        text = {
            "type": "output_text",
            "text": message["content"] or "",
            "annotations": [],
            "logprobs": choice.get("logprobs", {}).get("content", []),
        }
        items.append({"id": _id("msg"), "type": "message", "status": status, "role": "assistant", "content": [text]})
    items.extend(
        {
            "id": _id("fc"),
            "type": "function_call",
            "status": status,
            "call_id": call["id"],
            "name": call["function"]["name"],
            "arguments": call["function"]["arguments"],
        }
        for call in calls
    )
    return items


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": usage["prompt_tokens_details"],
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": usage["completion_tokens_details"],
        "total_tokens": usage["total_tokens"],
    }


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
