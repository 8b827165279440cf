"""A chat as servers take it that refuse what they do not know: without what other vendors' APIs have beyond OpenAI's.

A conversation brings it along where another vendor answered before, and a request in the shape of Anthropic's Messages.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

_OF_REQUEST = frozenset({"cache_control", "context_management", "diagnostics"})
_OF_MESSAGE = frozenset(
    {"cache_control", "citations", "content_blocks", "content_parts", "images", "is_error", "reasoning_details"}
)
_OF_PART = frozenset({"cache_control", "citations"})
_OF_TOOL = frozenset({"allowed_callers", "cache_control", "defer_loading", "eager_input_streaming", "input_examples"})

#: What effort a budget of tokens stands for, by the least that it has.
_BUDGETS = ((10_000, "high"), (5_000, "medium"), (2_000, "low"), (0, "minimal"))


def plain(chat: Mapping[str, Any], refused: Collection[str] = ()) -> Json:
    """The chat that any server of its kind can read; nested values that stay are not copied. `refused` are more keys
    that its messages may not have."""
    found = {**_without(chat, _OF_REQUEST), "messages": list(_messages(chat["messages"], _OF_MESSAGE.union(refused)))}
    if chat.get("tools"):
        found["tools"] = [_without(tool, _OF_TOOL) for tool in chat["tools"]]
    return found


def effort(reasoning: Mapping[str, Any]) -> str | None:
    """How much is to be thought; None: as the model does by itself, which is all that can be said."""
    said, budget = reasoning.get("effort"), reasoning.get("max_tokens")
    if said is not None or not isinstance(budget, int):
        return said
    return next((word for least, word in _BUDGETS if budget >= least), None)


def _messages(messages: Sequence[Json], keys: frozenset[str]) -> Iterator[Json]:
    #: What results of tools show: it may be shown by a user alone, and by nobody before all the results.
    shown: list[Json] = []
    for message in messages:
        if shown and message.get("role") != "tool":
            yield {"role": "user", "content": shown}
            shown = []
        found = _message(message, keys)
        content = found.get("content")
        if found.get("role") == "tool" and isinstance(content, list):
            shown += [part for part in content if part.get("type") == "image_url"]
            found["content"] = [part for part in content if part.get("type") != "image_url"] or ""
        yield found
    if shown:
        yield {"role": "user", "content": shown}


def _message(message: Json, keys: frozenset[str]) -> Json:
    found = _without(message, keys)
    if isinstance(content := found.get("content"), list):
        found["content"] = [_without(part, _OF_PART) for part in content]
    if found.get("tool_calls"):
        found["tool_calls"] = [_without(call, _OF_PART) for call in found["tool_calls"]]
    return found


def _without(value: Mapping[str, Any], keys: frozenset[str]) -> Json:
    return {key: inner for key, inner in value.items() if key not in keys}
