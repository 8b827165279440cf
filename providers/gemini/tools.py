"""A chat's tools and its choice among them in Gemini's words."""

from typing import Any

from ..refusals import unsupported

#: The tools that Gemini runs itself, by the names that clients know them by.
_OWN = {
    "google_search": "googleSearch",
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    "google_maps": "googleMaps",
    "url_context": "urlContext",
    "web_fetch": "urlContext",
    "code_execution": "codeExecution",
    "code_interpreter": "codeExecution",
}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}


def tools(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Raises `CallFailed` for a tool that Gemini does not have."""
    functions, own = [], {}
    for index, tool in enumerate(request.get("tools") or ()):
        kind = tool.get("type")
        if kind == "function":
            functions.append(_function(tool.get("function") or {}))
        elif kind in _OWN:
            options = tool.get(kind)
            own[_OWN[kind]] = options if isinstance(options, dict) else {}
        else:
            raise unsupported(f"Gemini has no tool of type {kind}.", f"tools[{index}]")
    if request.get("web_search_options") is not None:
        own.setdefault("googleSearch", {})
    made: list[dict[str, Any]] = [{name: options} for name, options in own.items()]
    return [*made, {"functionDeclarations": functions}] if functions else made


def tool_config(request: dict[str, Any]) -> dict[str, Any] | None:
    """None to let the model decide."""
    said = request.get("tool_choice")
    choice = said if isinstance(said, dict) else {"type": said}
    kind = choice.get("type")
    if kind is None:
        return None
    if kind == "function":
        name = (choice.get("function") or choice).get("name")
        config: dict[str, Any] = {"mode": "ANY", "allowedFunctionNames": [name]}
    elif kind == "allowed_tools":
        allowed = choice.get("allowed_tools") or choice
        names = [(tool.get("function") or tool).get("name") for tool in allowed.get("tools") or ()]
        # With names, to decide freely among them is a mode of its own.
        mode = "ANY" if allowed.get("mode") == "required" else "VALIDATED"
        config = {"mode": mode, "allowedFunctionNames": names}
    elif kind in _MODES:
        config = {"mode": _MODES[kind]}
    else:
        raise unsupported(f"Gemini has no tool choice of type {kind}.", "tool_choice")
    return {"functionCallingConfig": config}


def _function(function: dict[str, Any]) -> dict[str, Any]:
    made = {"name": function.get("name")}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("parameters"):
        made["parametersJsonSchema"] = function["parameters"]
    return made
