"""A job's end as a person reads it: the text of its answer, or why there is none."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .course import standing
from .moments import between, clock, lasted
from .options import JOB_FAILED, OK, UNFINISHED
from .terminal import STATUS_COLOURS, Terminal, columns, printable
from .watching import ENDS, state


def text(operation: str, result: Mapping[str, Any]) -> str:
    """The answer in words; vectors and files are only counted, and what has no words is JSON."""
    found = _WORDS.get(operation, _choices)(result)
    return found or json.dumps(result, indent=2, ensure_ascii=False)


def files(result: Mapping[str, Any]) -> list[str]:
    """The files that the result holds, as base64, in their order."""
    if isinstance(result.get("audio"), str):
        return [result["audio"]]
    images = result.get("data")
    found = [image.get("b64_json") for image in images if isinstance(image, dict)] if isinstance(images, list) else []
    return [file for file in found if isinstance(file, str)]


def size(count: int) -> str:
    """Bytes, as exact as it is of use."""
    for unit, name in ((1_000_000, "MB"), (1000, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} byte{'' if count == 1 else 's'}"


def _choices(result: Mapping[str, Any]) -> str:
    choices = [_choice(choice) for choice in result.get("choices", ())]
    if len(choices) > 1:
        choices = [f"[{number}]\n{choice}" for number, choice in enumerate(choices, 1)]
    return "\n\n".join(choices)


def _items(result: Mapping[str, Any]) -> str:
    return "\n\n".join(part for item in result.get("output", ()) for part in _item(item))


def _vectors(result: Mapping[str, Any]) -> str:
    vectors = [item["embedding"] for item in result["data"]]
    of = f" of {len(vectors[0])} numbers" if vectors and isinstance(vectors[0], list) else ""
    return f"{len(vectors)} vector{'' if len(vectors) == 1 else 's'}{of}; --json has them"


def _sound(result: Mapping[str, Any]) -> str:
    sounds = files(result)
    return f"{_size_of(sounds[0])} of sound; -o FILE saves it" if sounds else ""


def _images(result: Mapping[str, Any]) -> str:
    """A line for those that came along, and one for each that is elsewhere."""
    kept = files(result)
    lines = [str(image["url"]) for image in result.get("data", ()) if image.get("url")]
    if kept:
        sizes = ", ".join(map(_size_of, kept))
        noun, them = ("image", "it") if len(kept) == 1 else ("images", "them")
        lines.insert(0, f"{len(kept)} {noun} ({sizes}); -o FILE saves {them}")
    return "\n".join(lines)


def _ranking(result: Mapping[str, Any]) -> str:
    """A line for each document, the best first: its score, its index, and its text where it is there."""
    lines = []
    for ranked in result.get("results", ()):
        document = ranked.get("document")
        said = document.get("text", "") if isinstance(document, dict) else document or ""
        lines.append(f"{ranked['relevance_score']:.4f}  {ranked['index']}  {said}".rstrip())
    return "\n".join(lines)


def _verdicts(result: Mapping[str, Any]) -> str:
    """A line for each input: whether it is harmful, and how, the surest first."""
    return "\n".join(map(_verdict, result.get("results", ())))


def _verdict(judged: Mapping[str, Any]) -> str:
    if not judged.get("flagged"):
        return "harmless"
    scores = judged.get("category_scores") or {}
    found = [name for name, flagged in (judged.get("categories") or {}).items() if flagged]
    found.sort(key=lambda name: -scores.get(name, 0))
    return "harmful: " + ", ".join(f"{name} {scores[name]:.4f}" if name in scores else name for name in found)


def _size_of(encoded: str) -> str:
    """That of a file, from its base64."""
    return size(len(encoded) * 3 // 4 - encoded[-2:].count("="))


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


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "responses": _items,
    "embeddings": _vectors,
    "audio/speech": _sound,
    "audio/transcriptions": lambda result: str(result.get("text", "")).rstrip("\n"),
    "images/generations": _images,
    "images/edits": _images,
    "images/variations": _images,
    "rerank": _ranking,
    "ocr": lambda result: "\n\n".join(str(page.get("markdown", "")) for page in result.get("pages", ())),
    "moderations": _verdicts,
}


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


def present(shown: dict[str, Any], out: Terminal, err: Terminal, *, answer: bool = True) -> int:
    """Shows the job and, on standard output alone, its answer if that is wanted; the exit code that says how it
    stands."""
    err.say(head(shown, err))
    if "result" in shown:
        if answer:
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
