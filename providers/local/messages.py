"""Chat messages as a text model takes them."""

from typing import Any

from ..refusals import invalid, unreadable

_TEXTS = frozenset({"text", "refusal"})
_ROLES = {"developer": "system", "function": "tool"}


def messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The request's messages with text alone. Raises `CallFailed` for a block that is something else."""
    return [_message(message, f"messages[{index}]") for index, message in enumerate(request["messages"])]


def _message(message: dict[str, Any], where: str) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": _ROLES.get(message["role"], message["role"])}
    plain["content"] = _text(message.get("content"), where)
    if calls := message.get("tool_calls"):
        plain["tool_calls"] = [_tool_call(call, f"{where}.tool_calls[{n}]", n) for n, call in enumerate(calls)]
    if "tool_call_id" in message:
        plain["tool_call_id"] = message["tool_call_id"]
    return plain


def _tool_call(call: dict[str, Any], where: str, number: int) -> dict[str, Any]:
    function = call.get("function") or {}
    if not isinstance(name := function.get("name"), str):
        raise invalid("A tool call in a message needs the name of its function.", f"{where}.function.name")
    return {
        "id": call.get("id") or f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": function.get("arguments") or "{}"},
    }


def _text(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts = []
    for index, block in enumerate(content):
        kind = block.get("type")
        if kind not in _TEXTS:
            raise unreadable(
                f"Local models read text only: a block of type {kind} cannot be used.", f"{where}.content[{index}]"
            )
        texts.append(block.get(kind) or "")
    return "\n".join(texts)
