"""What LiteLLM's functions answer, in the shape of our operations; in the library's process."""

import base64
import io
from decimal import Decimal
from typing import Any

import orjson

from ..workers.task import Task

_PICODOLLARS = 10**12
_SOUND_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "ogg": "audio/ogg",
    "mulaw": "audio/basic",
}
_IMAGE_TYPES = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp"))


def shaped(operation: str, request: dict[str, Any], answer: Any, task: Task) -> dict[str, Any]:
    """The answer as the operation's result; sound and images become files of it. Raises whatever an answer leads to
    that is not what the library says it is."""
    if operation == "audio/speech":
        asked = request["arguments"].get("response_format") or "mp3"
        return {"audio": task.keep(_SOUND_TYPES.get(asked, "application/octet-stream"), io.BytesIO(answer.content))}
    result: dict[str, Any] = answer.model_dump(mode="json", exclude_none=True)
    match operation:
        case "chat/completions":
            for choice in result["choices"]:
                choice.pop("provider_specific_fields", None)
                choice["message"].pop("provider_specific_fields", None)
                choice["message"].setdefault("content", None)
        case "images/generations" | "images/edits":
            for index, image in enumerate(result["data"]):
                image["index"] = index
                if "b64_json" in image:
                    content = base64.b64decode(image["b64_json"], validate=True)
                    image["b64_json"] = task.keep(_image_type(content), io.BytesIO(content))
            if not result.get("usage", {}).get("total_tokens"):
                # The library's own zeros.
                result.pop("usage", None)
        case "rerank":
            _ranked(result, request)
    return result


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
    return int((Decimal(repr(cost)) * _PICODOLLARS).to_integral_value())


def rendered(result: dict[str, Any]) -> bytes:
    return orjson.dumps(result)


def _ranked(result: dict[str, Any], request: dict[str, Any]) -> None:
    documents = request["documents"]
    for entry in result["results"]:
        entry.pop("document", None)
        if documents is not None:
            entry["document"] = documents[entry["index"]]
    result["model"] = request["arguments"]["model"].partition("/")[2]


def _image_type(content: bytes) -> str:
    return next((kind for magic, kind in _IMAGE_TYPES if content.startswith(magic)), "image/png")
