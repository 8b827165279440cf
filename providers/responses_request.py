"""The Responses API for vendors that have chats alone: a request as a chat's; `responses_result` is the way back."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..engine.errors import CallFailed
from .refusals import unsupported

_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
#: Has a meaning for responses alone, or none for them (`n`); what else a request holds is chat's too, or the vendor's.
_OWN = frozenset(
    {
        *("model", "input", "instructions", "max_output_tokens", "text", "tools", "tool_choice", "include"),
        *("background", "conversation", "previous_response_id", "prompt", "store", "truncation", "max_tool_calls"),
        *("stream", "stream_options", "prompt_cache_key", "prompt_cache_retention", "top_logprobs", "n"),
    }
)
_UNSUPPORTED = {
    "previous_response_id": "Nothing is kept between calls: send the earlier items in input.",
    "conversation": "Nothing is kept between calls: send the earlier items in input.",
    "prompt": "There are no stored prompts: send instructions and input.",
}
_MESSAGE = re.compile(r"messages\[(\d+)\]", re.ASCII)
#: What chat calls otherwise.
_NAMES = {"max_completion_tokens": "max_output_tokens", "response_format": "text.format"}


@contextmanager
def as_chat(request: dict[str, Any], thoughts_of: str) -> Iterator[dict[str, Any]]:
    """What `chat_request` makes, within which a `CallFailed` that names a part of the chat names the part of the
    response's request that it was made of."""
    chat, places = chat_request(request, thoughts_of)
    try:
        yield chat
    except CallFailed as failed:
        if isinstance(failed.param, str):
            named = _MESSAGE.sub(lambda found: places[int(found[1])], failed.param)
            failed.param = _NAMES.get(named, named)
        raise


def chat_request(request: dict[str, Any], thoughts_of: str) -> tuple[dict[str, Any], Sequence[str]]:
    """The same request to chat, and of what each of its messages was made. `thoughts_of` is the vendor's word for its
    thoughts' format: those of others, which the client may have been given before a fallback, are left out.

    Raises `CallFailed` for what a chat cannot honour.
    """
    for key, cure in _UNSUPPORTED.items():
        if request.get(key):
            raise unsupported(f"This provider has no {key}. {cure}", key)
    chat = {key: value for key, value in request.items() if key not in _OWN and value is not None}
    conversation = _Conversation(thoughts_of)
    conversation.read(request)
    chat["messages"] = conversation.messages
    if (limit := request.get("max_output_tokens")) is not None:
        chat["max_completion_tokens"] = limit
    if offered := request.get("tools"):
        chat["tools"] = [_tool(tool) for tool in offered]
    if (choice := request.get("tool_choice")) is not None:
        chat["tool_choice"] = _tool_choice(choice)
    if "message.output_text.logprobs" in (request.get("include") or ()) or request.get("top_logprobs"):
        chat["logprobs"] = True
        chat["top_logprobs"] = request.get("top_logprobs")
    if wanted := (request.get("text") or {}).get("format"):
        schema = {key: wanted[key] for key in ("name", "schema", "strict") if key in wanted}
        chat["response_format"] = {"type": wanted.get("type"), "json_schema": schema}
    return chat, conversation.places


class _Conversation:
    """Items as messages: what the assistant thought, said and called in one go is one message."""

    def __init__(self, thoughts_of: str) -> None:
        self._format = thoughts_of
        self.messages: list[dict[str, Any]] = []
        #: What each message begins with.
        self.places: list[str] = []

    def read(self, request: dict[str, Any]) -> None:
        if instructions := request.get("instructions"):
            self._append("instructions", role="system", content=instructions)
        if isinstance(request["input"], str):
            self._append("input", role="user", content=request["input"])
            return
        for index, item in enumerate(request["input"]):
            self._add(item, f"input[{index}]")

    def _add(self, item: dict[str, Any], where: str) -> None:
        kind = item.get("type") or "message"
        if kind == "message":
            content = _content(item.get("content"))
            if item.get("role") != "assistant":
                self._append(where, role=item.get("role") or "user", content=content)
            else:
                self._assistant(where, "content", "tool_calls")["content"] = content
        elif kind == "function_call":
            function = {"name": item.get("name") or "", "arguments": item.get("arguments") or "{}"}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            self._assistant(where).setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            self._append(where, role="tool", tool_call_id=item.get("call_id"), content=_content(item.get("output")))
        elif kind == "reasoning":
            if details := self._details(item):
                message = self._assistant(where, "content", "tool_calls")
                message["reasoning_details"] = [*message.get("reasoning_details", ()), *details]
        else:
            raise unsupported(f"This provider cannot read an item of type {kind}.", where)

    def _append(self, where: str, **message: Any) -> None:
        self.messages.append(message)
        self.places.append(where)

    def _assistant(self, where: str, *without: str) -> dict[str, Any]:
        """The assistant's message that goes on: the last one, unless it has what can only be followed."""
        last = self.messages[-1] if self.messages else {}
        if last.get("role") != "assistant" or any(last.get(key) for key in without):
            self._append(where, role="assistant", content=None)
        return self.messages[-1]

    def _details(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        if item.get("format") not in (None, self._format):
            return []
        parts = [part for part in item.get("content") or () if isinstance(part, dict)]
        details: list[dict[str, Any]] = [
            {"type": "reasoning.text", "text": part.get("text") or "", "signature": part["signature"]}
            for part in parts
            if part.get("signature")
        ]
        # Encrypted by whom, only the format tells.
        if item.get("encrypted_content") and item.get("format"):
            encrypted = {"type": "reasoning.encrypted", "data": item["encrypted_content"]}
            details.append(encrypted | ({"id": item["call_id"]} if item.get("call_id") else {}))
        return details


def _content(content: Any) -> Any:
    """A message's content, or a call's output, in chat's blocks; what is not known is the vendor's to know."""
    if not isinstance(content, list):
        return content
    return [_block(block) for block in content]


def _block(block: dict[str, Any]) -> dict[str, Any]:
    kind = block.get("type")
    more = {key: block[key] for key in ("cache_control", "citations") if block.get(key) is not None}
    if kind in _TEXTS:
        return {"type": _TEXTS[kind], _TEXTS[kind]: block.get(_TEXTS[kind]) or "", **more}
    if kind == "input_image" and block.get("image_url") is not None:
        image = {key: value for key, value in (("url", block["image_url"]), ("detail", block.get("detail"))) if value}
        return {"type": "image_url", "image_url": image, **more}
    if kind in ("input_file", "input_image"):
        keys = ("file_data", "file_id", "file_url", "filename", "file_type")
        return {"type": "file", "file": {key: block[key] for key in keys if block.get(key) is not None}, **more}
    return block


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function" or "function" in tool:
        return tool
    inner = ("name", "description", "parameters", "strict")
    function = {key: tool[key] for key in inner if tool.get(key) is not None}
    return {**{key: value for key, value in tool.items() if key not in inner}, "function": function}


def _tool_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    if choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    if choice.get("type") == "allowed_tools":
        tools = [{"type": "function", "function": {"name": tool.get("name")}} for tool in choice.get("tools") or ()]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode") or "auto", "tools": tools}}
    return choice
