"""From a request in the shape of Anthropic's Messages to the chat completion that is its job.

Nothing that a provider could use is lost: a chat has places for thinking with its signatures (`reasoning_details`),
for cache marks and for tools that a provider runs. Blocks, tools and keys that are not known go on as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ..engine.errors import InvalidRequest
from .openai import Direct
from .operations import OPERATIONS, Loaded

Json = dict[str, Any]

#: Keys of the request that a chat has no use for under their own name.
_TRANSLATED = frozenset(
    {
        "max_tokens",
        "messages",
        "metadata",
        "output_config",
        "output_format",
        "stop_sequences",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)

_TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}

#: The ways to think that a chat's `reasoning` has; None: the model's own.
_THINKING = ("enabled", "adaptive", "disabled", None)

_TIERS = {"standard_only": "default"}

#: What a chat has a place for in a message of the model.
_CHAT_BLOCKS = frozenset({"text", "image", "document", "thinking", "redacted_thinking", "tool_use"})

#: What a tool of the client's own says of its function; the rest is said of the tool.
_FUNCTION = {"name": "name", "description": "description", "input_schema": "parameters", "strict": "strict"}


def chat_request(asked: Mapping[str, Any]) -> Json:
    """The chat request for a Messages request whose types are checked; nested values are not copied.

    Raises `InvalidRequest`, naming the field of the Messages request, for a block that lacks what its type needs.
    """
    chat = {key: value for key, value in asked.items() if key not in _TRANSLATED}
    chat["messages"] = [*_system(asked.get("system")), *_messages(asked["messages"])]
    for key, value in (
        ("max_completion_tokens", asked.get("max_tokens")),
        ("stop", asked.get("stop_sequences")),
        ("reasoning", _reasoning(asked)),
        ("thinking", thinking if (thinking := asked.get("thinking") or {}).get("type") not in _THINKING else None),
        ("service_tier", _TIERS.get(asked.get("service_tier") or "", asked.get("service_tier"))),
        ("response_format", _response_format(asked)),
        ("tools", [_tool(tool, f"tools[{place}]") for place, tool in enumerate(asked.get("tools") or ())]),
    ):
        if value is not None and value != []:
            chat[key] = value
    metadata = dict(asked.get("metadata") or {})
    user = metadata.pop("user_id", None)
    if user is not None:
        chat["user"] = user
    if metadata:
        chat["metadata"] = metadata
    choice = asked.get("tool_choice")
    if choice is not None:
        chat["tool_choice"] = _tool_choice(choice)
        if choice.get("disable_parallel_tool_use"):
            chat["parallel_tool_calls"] = False
    return chat


def _system(system: Any) -> Iterator[Json]:
    if system:
        yield {"role": "system", "content": system}


def _messages(messages: Sequence[Json]) -> Iterator[Json]:
    for place, message in enumerate(messages):
        where, content = f"messages[{place}].content", message["content"]
        if isinstance(content, str) or message["role"] == "system":
            yield message
        elif message["role"] == "assistant":
            yield _said({**message}, content, where)
        else:
            yield from _asked({**message}, content, where)


def _asked(message: Json, blocks: Sequence[Json], where: str) -> Iterator[Json]:
    """A user's message: first the results of tools, which follow their calls in a chat, then what else it says."""
    rest = []
    for place, block in enumerate(blocks):
        if block["type"] == "tool_result":
            yield _tool_result(block, f"{where}[{place}]")
        else:
            rest.append(_part(block, f"{where}[{place}]"))
    if rest or not blocks:
        yield {**message, "content": rest}


def _said(message: Json, blocks: Sequence[Json], where: str) -> Json:
    """A message of the model: its thoughts, its text and its calls each have their own place in a chat. Where it holds
    more, it is kept as it is beside them, for a provider that knows."""
    if any(block["type"] not in _CHAT_BLOCKS for block in blocks):
        message["content_blocks"] = blocks
    parts: list[Json] = []
    thoughts: list[Json] = []
    calls: list[Json] = []
    for place, block in enumerate(blocks):
        match block["type"]:
            case "thinking" | "redacted_thinking":
                thoughts.append({**_thought(block, f"{where}[{place}]"), "index": len(thoughts)})
            case "tool_use":
                calls.append(_call(block, f"{where}[{place}]"))
            case "text" | "image" | "document":
                parts.append(_part(block, f"{where}[{place}]"))
    if all(part.keys() <= {"type", "text"} and part["type"] == "text" for part in parts):
        # Many servers take a list of the user alone.
        message["content"] = "".join(part["text"] for part in parts) or (None if calls else "")
    else:
        message["content"] = parts
    if thoughts:
        message["reasoning_details"] = thoughts
    if calls:
        message["tool_calls"] = calls
    return message


def _thought(block: Json, where: str) -> Json:
    if block["type"] == "redacted_thinking":
        return {"type": "reasoning.encrypted", "data": _needed(block, "data", where)}
    thought = {"type": "reasoning.text", "text": _needed(block, "thinking", where)}
    # A model that does not sign has none, and is given none.
    return {**thought, "signature": block["signature"]} if block.get("signature") else thought


def _call(block: Json, where: str) -> Json:
    arguments = orjson.dumps(_needed(block, "input", where)).decode()
    function = {"name": _needed(block, "name", where), "arguments": arguments}
    return {"id": _needed(block, "id", where), "type": "function", "function": function, **_marked(block)}


def _tool_result(block: Json, where: str) -> Json:
    content = block.get("content")
    if isinstance(content, list):
        content = [
            _part(_typed(inner, f"{where}.content[{n}]"), f"{where}.content[{n}]") for n, inner in enumerate(content)
        ]
    result = {
        "role": "tool",
        "tool_call_id": _needed(block, "tool_use_id", where),
        "content": content or "",
        **_marked(block),
    }
    return {**result, "is_error": True} if block.get("is_error") else result


def _part(block: Json, where: str) -> Json:
    """A block as a part of a chat's message; one that a chat does not know goes on as it is."""
    match block["type"]:
        case "text":
            _needed(block, "text", where)
            return block
        case "image":
            return {"type": "image_url", "image_url": {"url": _address(block, where)}, **_marked(block)}
        case "document" if isinstance(block.get("source"), dict):
            return _document(block, block["source"], where)
        case "document":
            _needed(block, "source", where)
    return block


def _document(block: Json, source: Json, where: str) -> Json:
    file: Json
    match source.get("type"):
        case "text":
            text = _needed(source, "data", f"{where}.source")
            # What is said of a document is for those who know documents.
            if block.keys() & {"title", "context", "citations"}:
                return block
            return {"type": "text", "text": text, **_marked(block)}
        case "base64" | "url" if block.keys() & {"context", "citations"}:
            _address(block, where)
            return block
        case "base64":
            file = {"file_data": _address(block, where)}
        case "url":
            file = {"file_url": _address(block, where)}
        case "file":
            file = {"file_id": _needed(source, "file_id", f"{where}.source")}
        case _:
            return block
    name = block.get("title")
    return {"type": "file", "file": {**file, **({"filename": name} if name else {})}, **_marked(block)}


def _address(block: Json, where: str) -> str:
    """Where the content of a block is: an address, or a data URL that is the content."""
    source, inside = _needed(block, "source", where), f"{where}.source"
    if not isinstance(source, dict):
        raise _refused(inside, "expected an object, got a string")
    match source.get("type"):
        case "url":
            return str(_needed(source, "url", inside))
        case "base64":
            return f"data:{_needed(source, 'media_type', inside)};base64,{_needed(source, 'data', inside)}"
    raise _refused(f"{inside}.type", f"expected base64 or url, got {str(source.get('type'))[:40]!r}")


def _tool(tool: Json, where: str) -> Json:
    if tool.get("type") not in (None, "custom"):
        return tool
    _needed(tool, "name", where)
    function = {theirs: tool[ours] for ours, theirs in _FUNCTION.items() if tool.get(ours) is not None}
    rest = {key: value for key, value in tool.items() if key not in _FUNCTION and key != "type"}
    return {"type": "function", "function": function, **rest}


def _tool_choice(choice: Json) -> Any:
    if choice["type"] == "tool":
        return {"type": "function", "function": {"name": _needed(choice, "name", "tool_choice")}}
    return _TOOL_CHOICES[choice["type"]]


def _reasoning(asked: Mapping[str, Any]) -> Json | None:
    thinking, config = asked.get("thinking") or {}, asked.get("output_config") or {}
    reasoning: Json = {"effort": config.get("effort"), "display": thinking.get("display")}
    match thinking.get("type"):
        case "enabled":
            reasoning["max_tokens"] = _needed(thinking, "budget_tokens", "thinking")
        case "adaptive":
            reasoning["enabled"] = True
        case "disabled":
            reasoning["enabled"] = False
    return {key: value for key, value in reasoning.items() if value is not None} or None


def _response_format(asked: Mapping[str, Any]) -> Json | None:
    config = asked.get("output_config") or {}
    form = config.get("format") or asked.get("output_format")
    if form is None:
        return None
    if form["type"] != "json_schema":
        return dict(form)
    schema = _needed(form, "schema", "output_config.format" if config.get("format") else "output_format")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def _marked(block: Json) -> Json:
    mark = block.get("cache_control")
    return {"cache_control": mark} if mark is not None else {}


def _typed(block: Json, where: str) -> Json:
    if not isinstance(block.get("type"), str):
        raise _refused(f"{where}.type", "expected a string, but it is missing")
    return block


def _needed(block: Mapping[str, Any], key: str, where: str) -> Any:
    if block.get(key) is None:
        raise _refused(f"{where}.{key}", "it is missing")
    return block[key]


def _refused(where: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"invalid request format: {where}: {why}", param=where)


@dataclass(frozen=True, kw_only=True)
class _Messages(Direct):
    def load(self, body: object) -> Loaded:
        loaded = super().load(body)
        return replace(loaded, body=chat_request(loaded.body))


#: Chat completions, asked for and answered in the shape of Anthropic's Messages.
MESSAGES = _Messages(
    name=OPERATIONS["chat/completions"].name,
    request_type=OPERATIONS["chat/completions"].request_type,
    noun="messages",
    request="messages.MessagesRequest",
    summary="Answer a conversation",
    description="Takes and answers messages in the shape of Anthropic's API.",
)
