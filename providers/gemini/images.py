"""Images by the Gemini models that make them: a prompt, with or without images to begin from, in generateContent."""

import asyncio
import base64
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ...engine.calls import File
from ..refusals import unreadable, unsupported

_RATIOS = {
    f"{across}:{down}": across / down
    for across, down in ((1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9))
}
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)
#: Images of more pixels are asked for in these sizes; the default has about a million.
_SIZES = ((8_000_000, "4K"), (2_400_000, "2K"))
#: A request may have 100 MB, in which files are a third larger.
_MOST_BYTES = 70_000_000
_UNSUPPORTED = {
    "negative_prompt": "Gemini has no negative prompt: say in the prompt what is not to be seen.",
    "num_inference_steps": "Gemini's steps cannot be chosen.",
}


async def image_request(request: dict[str, Any], files: Mapping[str, Sequence[File]]) -> dict[str, Any]:
    """Raises `CallFailed` with status 400 for what an image would lack. The files are read off the loop."""
    if (request.get("n") or 1) != 1:
        raise unsupported("Gemini makes one image a call.", "n")
    if request.get("background") == "transparent":
        raise unsupported("Gemini's images have a background.", "background")
    for field, reason in _UNSUPPORTED.items():
        if request.get(field):
            raise unsupported(reason, field)
    if files.get("mask"):
        raise unsupported("Gemini takes no mask: say in the prompt what is to be changed.", "mask")
    images = files.get("image", ())
    if sum(file.size_bytes for file in images) > _MOST_BYTES:
        raise unreadable(f"Gemini takes images of {_MOST_BYTES} bytes in all.", "image")
    parts = [await asyncio.to_thread(_inline, file) for file in images]
    parts.append({"text": request.get("prompt") or ""})
    config: dict[str, Any] = {"responseModalities": ["IMAGE"]}
    if shape := _shape(request):
        config["imageConfig"] = shape
    if request.get("seed") is not None:
        config["seed"] = request["seed"]
    return {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}


def blobs(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """The images' media types and their base64. Raises `KeyError`, `TypeError` or `AttributeError` for no answer."""
    found = []
    for candidate in answer["candidates"]:
        for part in (candidate.get("content") or {}).get("parts") or ():
            if "inlineData" in part and not part.get("thought"):
                blob = part["inlineData"]
                found.append((blob.get("mimeType") or "image/png", blob["data"]))
    return found


def reason(answer: dict[str, Any]) -> tuple[str, str]:
    """Why there is no image, in Gemini's word and in words."""
    candidate = (answer.get("candidates") or [{}])[0]
    parts = (candidate.get("content") or {}).get("parts") or ()
    text = "".join(part.get("text") or "" for part in parts if not part.get("thought"))
    return candidate.get("finishReason") or "OTHER", candidate.get("finishMessage") or text or "it says no more"


def result(placeholders: Sequence[tuple[str, str]], usage: dict[str, Any]) -> dict[str, Any]:
    """Of each image its media type, and what stands for it."""
    made: dict[str, Any] = {"created": int(time.time())}
    made["data"] = [{"b64_json": each, "index": n} for n, (_, each) in enumerate(placeholders)]
    made["output_format"] = placeholders[0][0].removeprefix("image/")
    made["usage"] = usage
    return made


def _inline(file: File) -> dict[str, Any]:
    return {"inlineData": {"mimeType": file.media_type, "data": base64.b64encode(file.path.read_bytes()).decode()}}


def _shape(request: dict[str, Any]) -> dict[str, str]:
    """What comes nearest to the size in pixels that was asked for."""
    shape = {}
    if found := _SIZE.fullmatch(request.get("size") or ""):
        across, down = int(found[1]), int(found[2])
        shape["aspectRatio"] = min(_RATIOS, key=lambda ratio: abs(_RATIOS[ratio] - across / down))
        if size := next((size for pixels, size in _SIZES if across * down > pixels), None):
            shape["imageSize"] = size
    if request.get("aspect_ratio"):
        shape["aspectRatio"] = request["aspect_ratio"]
    return shape
