"""What LiteLLM's functions answer, in the shape of our operations; in the library's process."""

import base64
import io
from fractions import Fraction
from typing import Any

from ..media_types import image_type, sound_type
from ..prices import picodollars
from ..workers.task import Task


def shaped(operation: str, request: dict[str, Any], answer: Any, task: Task) -> dict[str, Any]:
    """The answer as the operation's result; sound and images become files of it. Raises whatever an answer leads to
    that is not what the library says it is."""
    if operation == "audio/speech":
        kind = sound_type(request["arguments"].get("response_format"))
        return {"audio": task.keep(kind, io.BytesIO(answer.content))}
    result: dict[str, Any] = answer.model_dump(mode="json", exclude_none=True)
    match operation:
        case "chat/completions":
            for choice in result["choices"]:
                choice.pop("provider_specific_fields", None)
                choice["message"].pop("provider_specific_fields", None)
                choice["message"].setdefault("content", None)
                if "claude" in request["arguments"]["model"] and (thoughts := choice["message"].get("thinking_blocks")):
                    choice["message"]["reasoning_details"] = [_detail(*each) for each in enumerate(thoughts)]
        case "images/generations" | "images/edits":
            for index, image in enumerate(result["data"]):
                image["index"] = index
                if "b64_json" in image:
                    content = base64.b64decode(image["b64_json"], validate=True)
                    image["b64_json"] = task.keep(image_type(content) or "image/png", io.BytesIO(content))
            if not result.get("usage", {}).get("total_tokens"):
                # The library's own zeros.
                result.pop("usage", None)
        case "rerank":
            _ranked(result, request)
    return result


def _detail(index: int, thought: dict[str, Any]) -> dict[str, Any]:
    """A thought of Claude's as every provider here tells it: signed, to be sent back."""
    if thought["type"] == "redacted_thinking":
        return {"type": "reasoning.encrypted", "data": thought["data"], "index": index}
    signed = {"signature": thought["signature"]} if thought.get("signature") else {}
    return {"type": "reasoning.text", "text": thought.get("thinking") or "", **signed, "index": index}


def cost_of(litellm: Any, operation: str, arguments: dict[str, Any], answer: Any) -> int | None:
    """Picodollars, as the library works it out; None where it cannot."""
    hidden = getattr(answer, "_hidden_params", None)
    cost = hidden.get("response_cost") if isinstance(hidden, dict) else None
    if cost is None and operation.startswith("audio/"):
        spoken = {"prompt": arguments["input"]} if operation == "audio/speech" else {}
        call_type = operation.partition("/")[2].removesuffix("s")
        try:
            cost = litellm.completion_cost(
                completion_response=answer, model=arguments["model"], call_type=call_type, **spoken
            )
        except Exception:
            # The library has an exception for each way of not knowing a price.
            return None
    # Of what has no price, the library says 0.
    if isinstance(cost, bool) or not isinstance(cost, int | float) or cost <= 0:
        return None
    return picodollars(Fraction(repr(cost)))


def _ranked(result: dict[str, Any], request: dict[str, Any]) -> None:
    documents = request["documents"]
    for entry in result["results"]:
        entry.pop("document", None)
        if documents is not None:
            entry["document"] = documents[entry["index"]]
    result["model"] = request["arguments"]["model"].partition("/")[2]
