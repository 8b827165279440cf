"""A chat without what Anthropic's API has beyond it: who does not know that refuses it."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_OF_REQUEST = frozenset({"cache_control", "context_management", "diagnostics"})
_OF_MESSAGE = frozenset({"cache_control", "content_blocks", "is_error", "reasoning_details"})
_OF_PART = frozenset({"cache_control", "citations"})
_OF_TOOL = frozenset({"allowed_callers", "cache_control", "defer_loading", "eager_input_streaming", "input_examples"})

_EFFORTS = {"max": "xhigh"}
#: What effort a budget of tokens stands for, by the least that it has.
_BUDGETS = ((10_000, "high"), (5_000, "medium"), (2_000, "low"), (0, "minimal"))


def plain(chat: Mapping[str, Any]) -> Json:
    """The chat that any server of its kind can read; nested values that stay are not copied."""
    found = _without(chat, _OF_REQUEST)
    found["messages"] = [_message(message) for message in chat["messages"]]
    if "tools" in chat:
        found["tools"] = [_without(tool, _OF_TOOL) for tool in chat["tools"]]
    if "reasoning" in chat:
        effort = _effort(found.pop("reasoning"))
        if effort is not None:
            found["reasoning"] = {"effort": effort}
    return found


def _message(message: Json) -> Json:
    found = _without(message, _OF_MESSAGE)
    if isinstance(message["content"], list):
        found["content"] = [_without(part, _OF_PART) for part in message["content"]]
    if "tool_calls" in message:
        found["tool_calls"] = [_without(call, _OF_PART) for call in message["tool_calls"]]
    return found


def _effort(reasoning: Json) -> str | None:
    """How much is to be thought; None: as the model does by itself, which is all that can be said."""
    effort, budget = reasoning.get("effort"), reasoning.get("max_tokens")
    if effort is not None:
        return _EFFORTS.get(effort, effort)
    if budget is None:
        return None
    return next(word for least, word in _BUDGETS if budget >= least)


def _without(value: Mapping[str, Any], keys: frozenset[str]) -> Json:
    return {key: inner for key, inner in value.items() if key not in keys}
