"""How a chat's `reasoning` is asked of Claude: adaptive thinking with an effort, or a budget of tokens."""

import re
from typing import Any

from ..refusals import invalid

#: The first that think adaptively; the last that take a budget are of about the same time.
_ADAPTIVE_SINCE = (4, 6)
#: claude-opus-4-6, claude-sonnet-4-20250514, claude-3-7-sonnet-latest; a date is not a version.
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)", re.ASCII)

_EFFORTS = {"minimal": "low"}
#: What part of the answer's tokens an effort may think, where a budget is to be given.
_SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
_LEAST_BUDGET = 1024


def adapts(model: str) -> bool:
    """Whether the model decides itself how much it thinks. Other vendors' models know the older form of asking."""
    if (found := _VERSION.search(model)) is None:
        return "claude" in model
    return (int(found[1]), int(found[2] or 0)) >= _ADAPTIVE_SINCE


def thinking(reasoning: dict[str, Any], model: str, max_tokens: int) -> tuple[dict[str, Any] | None, str | None]:
    """The `thinking` of a request, None for the model's own default, and the `effort` of its output_config.

    Raises `CallFailed` if the answer is to be shorter than the shortest thought.
    """
    effort, budget = reasoning.get("effort"), reasoning.get("max_tokens")
    if effort == "none" or reasoning.get("enabled") is False or budget == 0:
        return {"type": "disabled"}, None
    asked: dict[str, Any] | None = None
    if budget is not None and budget > 0:
        # A model that takes no budgets says so itself.
        asked, effort = {"type": "enabled", "budget_tokens": budget}, effort if adapts(model) else None
    elif effort or reasoning.get("enabled") or budget is not None:
        if adapts(model):
            asked, effort = {"type": "adaptive"}, _EFFORTS.get(effort or "", effort)
        else:
            asked, effort = {"type": "enabled", "budget_tokens": _budget(effort or "medium", max_tokens)}, None
    if asked is not None and (display := reasoning.get("display") or (reasoning.get("summary") and "summarized")):
        asked["display"] = display
    return asked, effort


def _budget(effort: str, max_tokens: int) -> int:
    if max_tokens <= _LEAST_BUDGET:
        raise invalid(
            f"To think, this model needs more than {_LEAST_BUDGET} tokens for its answer.", "max_completion_tokens"
        )
    return min(max(int(max_tokens * _SHARES.get(effort, 0.5)), _LEAST_BUDGET), max_tokens - 1)
