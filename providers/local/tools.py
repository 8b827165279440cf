"""Tools for models that were not trained to call them: the answer is constrained, or read, as JSON.

Where a call is demanded (`required`, or one function by name) the answer is held to a schema of the calls that are
allowed. Where the model may choose (`auto`), an answer that is nothing but calls of declared functions is taken as
such: bare, fenced, or in `<tool_call>` tags.
"""

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from ...engine.errors import CallFailed
from ..refusals import refusal

_FENCE = re.compile(r"\s*```\w*\n(.*?)\n?```\s*", re.DOTALL)
_TAG = re.compile(r"</?tool_call>")


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """The functions that an answer may call."""

    #: As declared, in chat's shape; empty: none may be called.
    tools: tuple[dict[str, Any], ...] = ()
    #: Whether the answer must be a call.
    demanded: bool = False
    #: Whether it may be several.
    parallel: bool = True

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of one call."""
        kinds: list[dict[str, Any]] = []
        definitions: dict[str, Any] = {}
        for tool in self.tools:
            parameters = dict(tool["function"].get("parameters") or {"type": "object"})
            # References in it count from the root, where it no longer is.
            for key in ("$defs", "definitions"):
                definitions.setdefault(key, {}).update(parameters.pop(key, {}))
            kinds.append(
                {
                    "type": "object",
                    "properties": {"name": {"const": tool["function"]["name"]}, "arguments": parameters},
                    "required": ["name", "arguments"],
                    "additionalProperties": False,
                }
            )
        schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        return {**schema, **{key: value for key, value in definitions.items() if value}}

    def may_call(self, text: str) -> bool:
        """Whether a text that begins so may yet turn out to be nothing but calls."""
        return bool(self.tools) and (self.demanded or text.lstrip()[:1] in ("", "{", "`", "<"))

    def calls(self, text: str) -> list[dict[str, Any]]:
        """The calls that the text is made of, as chat's `tool_calls`; none if there is anything else in it."""
        fenced = _FENCE.fullmatch(text)
        rest = _TAG.sub("", fenced[1] if fenced else text).strip()
        names = {tool["function"]["name"] for tool in self.tools}
        calls: list[dict[str, Any]] = []
        while rest:
            try:
                value, end = json.JSONDecoder().raw_decode(rest)
            except (ValueError, RecursionError):
                return []
            if not isinstance(value, dict) or value.get("name") not in names:
                return []
            arguments = value.get("arguments")
            if not isinstance(arguments, dict):
                return []
            calls.append(tool_call(value["name"], orjson.dumps(arguments).decode()))
            rest = rest[end:].lstrip().removeprefix(",").lstrip()
        return calls if self.parallel else calls[:1]


def tool_call(name: str, arguments: str) -> dict[str, Any]:
    identifier = f"call_{uuid.uuid4().hex[:24]}"
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def toolbox(request: dict[str, Any]) -> Toolbox:
    """The functions that a chat request offers, as its `tool_choice` narrows them."""
    declared = tuple(_function(tool, index) for index, tool in enumerate(request.get("tools") or ()))
    parallel = request.get("parallel_tool_calls") is not False
    choice = request.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        kind = choice.get("type", "function")
        if kind == "function":
            chosen = _named(declared, [choice.get("function") or {}])
            return Toolbox(tools=chosen, demanded=True, parallel=False)
        if kind == "allowed_tools":
            allowed = choice.get("allowed_tools") or {}
            declared = _named(declared, [tool.get("function") or {} for tool in allowed.get("tools") or ()])
            kind = allowed.get("mode", "auto")
        choice = kind
    if choice == "none":
        return Toolbox()
    if choice in ("required", "any"):
        if not declared:
            raise _refusal("A tool call is required, but there are no tools.", "tool_choice")
        return Toolbox(tools=declared, demanded=True, parallel=parallel)
    if choice != "auto":
        raise _refusal(f"Local models know no tool_choice {choice}.", "tool_choice")
    return Toolbox(tools=declared, parallel=parallel)


def _function(tool: dict[str, Any], index: int) -> dict[str, Any]:
    if tool.get("type") != "function" or not isinstance((tool.get("function") or {}).get("name"), str):
        raise _refusal("Local models can call tools of type function only, each with a name.", f"tools[{index}]")
    wanted = {key: tool["function"][key] for key in ("name", "description", "parameters") if key in tool["function"]}
    return {"type": "function", "function": wanted}


def _named(declared: tuple[dict[str, Any], ...], chosen: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    by_name = {tool["function"]["name"]: tool for tool in declared}
    names = [function.get("name") for function in chosen]
    if not names or not set(names) <= set(by_name):
        lacking = ", ".join(str(name) for name in names if name not in by_name)
        raise _refusal(f"tool_choice names a function that is not declared: {lacking}.", "tool_choice")
    return tuple(by_name[name] for name in names if name is not None)


def _refusal(message: str, param: str) -> CallFailed:
    return refusal(message, param, "unsupported_tool")
