"""A chat's messages as Anthropic's: the system prompt apart, turns that alternate, tools' results in the user's."""

from typing import Any

import orjson

from ..refusals import invalid
from .content import content_blocks

#: Whose the signature of a thought is: another vendor's would be refused.
FORMAT = "anthropic-claude-v1"


def conversation(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The blocks of the system prompt, in which all system and developer messages end up, and the turns.

    Raises `CallFailed` for what Anthropic cannot be told.
    """
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message["role"] in ("system", "developer"):
            system += content_blocks(message.get("content"), where)
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        if not (blocks := _blocks(message, where)):
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return system, turns


def _blocks(message: dict[str, Any], where: str) -> list[dict[str, Any]]:
    if message["role"] in ("tool", "function"):
        return [_tool_result(message, where)]
    if message["role"] != "assistant":
        return content_blocks(message.get("content"), where)
    if isinstance(own := message.get("content_blocks"), list):
        # What was answered here, sent back as it was: it holds more than chat has words for.
        return own
    calls = message.get("tool_calls") or ()
    return [
        *_thoughts(message.get("reasoning_details") or ()),
        *content_blocks(message.get("content"), where),
        *content_blocks(message.get("refusal"), where),
        *(_tool_use(call, f"{where}.tool_calls[{n}]") for n, call in enumerate(calls)),
    ]


def _thoughts(details: Any) -> list[dict[str, Any]]:
    """Thoughts go back as they came; one that is not signed by Anthropic would be refused, and is left out."""
    blocks = []
    for detail in details:
        if detail.get("format") not in (None, FORMAT):
            continue
        if detail.get("type") == "reasoning.text" and detail.get("signature"):
            thought = {"thinking": detail.get("text") or "", "signature": detail["signature"]}
            blocks.append({"type": "thinking", **thought})
        elif detail.get("type") == "reasoning.encrypted" and detail.get("data"):
            blocks.append({"type": "redacted_thinking", "data": detail["data"]})
    return blocks


def _tool_use(call: dict[str, Any], where: str) -> dict[str, Any]:
    function = call.get("function") or {}
    if not isinstance(name := function.get("name"), str):
        raise invalid("A tool call in a message needs the name of its function.", f"{where}.function.name")
    use = {"type": "tool_use", "id": call.get("id") or "", "name": name, "input": _arguments(function, where)}
    return use | _marked(call)


def _arguments(function: dict[str, Any], where: str) -> dict[str, Any]:
    """The arguments of a call in the conversation. Raises `CallFailed` if they are not a JSON object."""
    said = function.get("arguments") or "{}"
    try:
        parsed = orjson.loads(said)
    except (orjson.JSONDecodeError, TypeError):
        parsed = None
    if not isinstance(parsed, dict):
        raise invalid("The arguments of a call must be a JSON object in a string.", f"{where}.function.arguments")
    return parsed


def _tool_result(message: dict[str, Any], where: str) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": message.get("tool_call_id") or ""}
    if content := content_blocks(message.get("content"), where):
        result["content"] = content
    if message.get("is_error") is True:
        result["is_error"] = True
    return result | _marked(message)


def _marked(said: dict[str, Any]) -> dict[str, Any]:
    return {"cache_control": said["cache_control"]} if said.get("cache_control") else {}
