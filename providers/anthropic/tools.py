"""A chat's tools and its choice among them in Anthropic's words."""

import re
from typing import Any

from ..refusals import unsupported

#: Anthropic's own tools are named with the day of their version.
_DATED = re.compile(r"_\d{8}$", re.ASCII)
_NATIVE = frozenset({"mcp_toolset"})
#: Search by its general name, in the version that any model has.
_SEARCHES = frozenset({"web_search", "web_search_preview"})
_SEARCH = {"type": "web_search_20250305", "name": "web_search"}
#: What a function may be told beside its name, its description and its parameters.
_OPTIONS = ("cache_control", "defer_loading", "allowed_callers", "input_examples", "eager_input_streaming")
_CHOICES = {"auto": "auto", "required": "any", "any": "any", "none": "none"}


def tools(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Raises `CallFailed` for a tool that Anthropic does not have."""
    made = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(request.get("tools") or ())]
    allowed = _allowed(request.get("tool_choice"))
    if allowed is not None:
        made = [tool for tool in made if tool.get("name") in allowed]
    if (options := request.get("web_search_options")) is not None:
        made.append(_search(options))
    return made


def tool_choice(request: dict[str, Any]) -> dict[str, Any] | None:
    said = request.get("tool_choice")
    choice = said if isinstance(said, dict) else {"type": said}
    kind = choice.get("type")
    made: dict[str, Any] | None
    if kind == "function":
        made = {"type": "tool", "name": (choice.get("function") or choice).get("name")}
    elif kind == "allowed_tools":
        made = {"type": _CHOICES.get(_allowance(choice).get("mode") or "auto", "auto")}
    elif kind in _SEARCHES:
        made = {"type": "tool", "name": _SEARCH["name"]}
    elif kind is None:
        made = None
    elif kind in _CHOICES:
        made = {"type": _CHOICES[kind]}
    else:
        raise unsupported(f"Claude has no tool choice of type {kind}.", "tool_choice")
    if request.get("parallel_tool_calls") is False:
        made = made or {"type": "auto"}
        if made["type"] != "none":
            made["disable_parallel_tool_use"] = True
    return made


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    kind = tool.get("type")
    if kind == "function":
        return _function(tool)
    if kind in _SEARCHES:
        return _search(tool)
    if isinstance(kind, str) and (_DATED.search(kind) or kind in _NATIVE):
        return tool
    raise unsupported(f"Claude has no tool of type {kind}.", where)


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function") or {}
    made = {"name": function.get("name")}
    if function.get("description"):
        made["description"] = function["description"]
    made["input_schema"] = function.get("parameters") or {"type": "object", "properties": {}}
    if function.get("strict"):
        made["strict"] = True
    return made | {key: tool[key] for key in _OPTIONS if tool.get(key) is not None}


def _search(options: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = dict(_SEARCH)
    place = options.get("user_location") or {}
    place = place.get("approximate") or place
    known = {key: place[key] for key in ("city", "country", "region", "timezone") if place.get(key)}
    if known:
        made["user_location"] = {"type": "approximate", **known}
    filters = options.get("filters") or {}
    for key in ("allowed_domains", "blocked_domains", "max_uses"):
        if value := options.get(key) or filters.get(key):
            made[key] = value
    return made


def _allowance(choice: dict[str, Any]) -> dict[str, Any]:
    """`allowed_tools` as chat has it, or as responses has it: without the inner object."""
    inner = choice.get("allowed_tools")
    return inner if isinstance(inner, dict) else choice


def _allowed(choice: Any) -> set[str] | None:
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return None
    listed = _allowance(choice).get("tools") or ()
    return {(tool.get("function") or tool).get("name") or "" for tool in listed}
