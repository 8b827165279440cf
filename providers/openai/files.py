"""Results that are files, as bytes or as base64 in JSON, and the forms that bring files to a vendor."""

import binascii
from typing import Any

import aiohttp
import orjson

from ...engine.blobs import Blob
from ...engine.calls import Call, Reply, Usage
from ...engine.errors import Unusable
from ..http import Door
from ..media_types import image_type, sound_type
from ..uploads import file_name, form
from ..upstream import brief
from .results import made, parsed

#: Of base64, so much is decoded at once: it holds up the loop for a millisecond.
_PIECE_CHARACTERS = 1_048_576

_IMAGE_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
}

#: Where a vendor that answers in JSON keeps the sound.
_SOUND_FIELDS = ("audio", "audio_data")

#: Formats of a transcription that are no JSON.
_TEXT_FORMATS = ("text", "srt", "vtt")


async def spoken(door: Door, response: aiohttp.ClientResponse, call: Call) -> Reply:
    """The reply to a speech call."""
    due = sound_type(call.request.get("response_format"))
    kind = response.content_type
    text = call.request.get("input")
    usage = Usage(characters=len(text)) if isinstance(text, str) else None
    if kind == "application/json":
        said = parsed(door, await door.read(response, call))
        encoded = next((said[name] for name in _SOUND_FIELDS if isinstance(said.get(name), str)), None)
        if encoded is None:
            raise Unusable(f"provider {door.name} answered without sound")
        sound = await decoded(door, call, encoded, due)
        more = {key: value for key, value in said.items() if key not in (*_SOUND_FIELDS, "extra_fields")}
    elif kind.startswith(("audio/", "video/")) or kind == "application/octet-stream":
        sound = await door.keep(response, call, kind if kind.startswith(("audio/", "video/")) else due)
        more = {}
    else:
        raise Unusable(f"provider {door.name} answered with {brief(kind, door.secrets)} where sound was due")
    return Reply(
        result=orjson.dumps({"audio": sound.placeholder, **more}), model=call.model, usage=usage, files=(sound,)
    )


async def heard(door: Door, response: aiohttp.ClientResponse, call: Call) -> Reply:
    """The reply to a transcription."""
    answer, kind = await door.read(response, call), response.content_type
    if call.request.get("response_format") in _TEXT_FORMATS and kind not in ("application/json", "text/html"):
        try:
            result: dict[str, Any] = {"text": answer.decode()}
        except UnicodeDecodeError as error:
            raise Unusable(f"provider {door.name} answered with a text that is not UTF-8") from error
    elif answer.lstrip()[:1] == b'"':
        # Some wrap a text that was asked for as it is.
        result = parsed(door, b'{"text": %b}' % answer)
    else:
        result = parsed(door, answer)
    if not isinstance(result.get("text"), str):
        raise Unusable(f"provider {door.name} answered without a text")
    return made(call, result)


async def drawn(door: Door, response: aiohttp.ClientResponse, call: Call) -> Reply:
    """The reply to a call for images: those that came as base64 become files, an address stays one."""
    result = parsed(door, await door.read(response, call))
    data = result.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data) or not data:
        raise Unusable(f"provider {door.name} answered without images")
    named = result.get("output_format") or call.request.get("output_format")
    files: list[Blob] = []
    for index, item in enumerate(data):
        item["index"] = index
        encoded = item.get("b64_json")
        if isinstance(encoded, str):
            kind = _IMAGE_TYPES.get(str(named), "image/png")
            files.append(await decoded(door, call, encoded, _image_type(encoded) or kind))
            item["b64_json"] = files[-1].placeholder
        elif not isinstance(item.get("url"), str):
            raise Unusable(f"provider {door.name} answered with an image that is neither base64 nor an address")
    return made(call, result, files=tuple(files))


async def decoded(door: Door, call: Call, encoded: str, media_type: str) -> Blob:
    """A file of the result, from base64 or from a data: URI of it. Raises `Unusable` if it is neither."""
    if encoded.startswith("data:"):
        encoded = encoded.partition(",")[2]
    if any(space in encoded for space in "\r\n"):
        encoded = "".join(encoded.split())
    async with call.new_file(media_type) as file:
        try:
            for start in range(0, max(len(encoded), 1), _PIECE_CHARACTERS):
                piece = binascii.a2b_base64(encoded[start : start + _PIECE_CHARACTERS], strict_mode=True)
                if not piece or (len(piece) % 3 and start + _PIECE_CHARACTERS < len(encoded)):
                    raise ValueError("it ends before its end")
                await file.write(piece)
        except ValueError as error:
            raise Unusable(f"provider {door.name} sent a file that is not base64: {error}") from error
    return file.blob


def _image_type(encoded: str) -> str | None:
    try:
        beginning = binascii.a2b_base64(encoded[encoded.find(",") + 1 :][:16])
    except ValueError:
        return None
    return image_type(beginning)


def upload(call: Call, request: dict[str, Any], *, brackets: bool = True) -> aiohttp.MultipartWriter:
    """The form of a transcription, an edit or a variation; `brackets` are those of its lists."""
    fields = {name: value for name, value in request.items() if name != "file_format"}
    extension = request.get("file_format") if call.operation == "audio/transcriptions" else None
    # Several images have brackets, as any list in a form has; one has none.
    several = {role: f"{role}[]" if len(files) > 1 else role for role, files in call.files.items()}
    return form(
        fields,
        [
            (several[role], file, file_name(file, extension if isinstance(extension, str) else None))
            for role, files in call.files.items()
            for file in files
        ],
        brackets=brackets,
    )
