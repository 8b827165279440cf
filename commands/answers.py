"""A job's end as a person reads it: the text of its answer, or why there is none."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .course import standing
from .moments import between, clock, lasted
from .options import JOB_FAILED, OK, UNFINISHED
from .terminal import STATUS_COLOURS, Terminal, columns, printable
from .watching import ENDS, state


def text(operation: str, result: Mapping[str, Any]) -> str:
    """The answer in words; vectors are only counted, and what has no words is JSON."""
    if operation == "embeddings":
        vectors = [item["embedding"] for item in result["data"]]
        size = f" of {len(vectors[0])} numbers" if vectors and isinstance(vectors[0], list) else ""
        return f"{len(vectors)} vector{'' if len(vectors) == 1 else 's'}{size}; --json has them"
    if operation == "responses":
        parts = [part for item in result.get("output", ()) for part in _item(item)]
        found = "\n\n".join(parts)
    else:
        choices = [_choice(choice) for choice in result.get("choices", ())]
        if len(choices) > 1:
            choices = [f"[{number}]\n{choice}" for number, choice in enumerate(choices, 1)]
        found = "\n\n".join(choices)
    return found or json.dumps(result, indent=2, ensure_ascii=False)


def _choice(choice: Mapping[str, Any]) -> str:
    """A choice of a completion, or of a chat."""
    if "text" in choice:
        return str(choice["text"])
    message = choice.get("message", {})
    said = message.get("content") or message.get("refusal") or ""
    parts = [said] if isinstance(said, str) else [_part(part) for part in said]
    parts += [_call(call.get("function") or call.get("custom") or {}) for call in message.get("tool_calls") or ()]
    return "\n".join(part for part in parts if part)


def _item(item: Mapping[str, Any]) -> Iterable[str]:
    """An output item of a response; one that only thinks has no text."""
    if item.get("type") == "message":
        return ["\n".join(map(_part, item.get("content", ())))]
    if item.get("type") in ("function_call", "custom_tool_call"):
        return [_call(item)]
    return []


def _part(part: Mapping[str, Any]) -> str:
    return str(part.get("text") or part.get("refusal") or "")


def _call(function: Mapping[str, Any]) -> str:
    return f"{function.get('name')}({function.get('arguments', function.get('input', ''))})"


def reason(shown: Mapping[str, Any]) -> str:
    """Why a job failed."""
    return str(shown["error"]["error"].get("message", "it failed"))


def head(shown: dict[str, Any], terminal: Terminal) -> str:
    """The job on one line, as much of it as fits."""
    status = state(shown)
    mark = {"completed": "✓", "failed": "✗", "cancelled": "✗"}.get(status, "·")
    line = f"{mark} {shown['id'][:8]} {status}"
    what = printable(f"{shown['operation']} at {shown['model']}")
    if "completed_at" in shown:
        took = f"took {lasted(between(shown['created_at'], shown['completed_at']))}"
        parts = [took, what, f"kept until {clock(shown['expires_at'])}"]
    else:
        parts = [what, f"submitted {clock(shown['created_at'])}"]
    while parts and columns(line) + sum(2 + columns(part) for part in parts) > terminal.width:
        parts.pop()
    return "  ".join([terminal.paint(line, STATUS_COLOURS[status]), *(terminal.paint(part, "dim") for part in parts)])


def present(shown: dict[str, Any], out: Terminal, err: Terminal) -> int:
    """Shows the job and, on standard output alone, its answer; the exit code that says how it stands."""
    err.say(head(shown, err))
    if "result" in shown:
        out.show(text(shown["operation"], shown["result"]))
    elif state(shown) == "failed":
        err.show(f"coatcheck: the job failed: {reason(shown)}")
    elif why := standing(shown.get("queue")):
        err.show(f"  {why}")
    return code(shown)


def code(shown: dict[str, Any]) -> int:
    """The exit code that says how the job stands."""
    if state(shown) not in ENDS:
        return UNFINISHED
    return OK if state(shown) == "completed" else JOB_FAILED


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(as_json(value) + "\n")


def as_json(value: object) -> str:
    """With escapes for what standard output cannot hold otherwise."""
    return json.dumps(value, ensure_ascii=not sys.stdout.encoding.lower().startswith("utf"))
