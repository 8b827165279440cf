"""The blocks of a chat message as Gemini's parts: text, and what else it reads, in the request or by address."""

import mimetypes
from typing import Any
from urllib.parse import urlsplit

from ..data_urls import Data, data_url, type_of
from ..refusals import invalid, unreadable


def parts(content: Any, where: str) -> list[dict[str, Any]]:
    """Empty texts are left out. Raises `CallFailed` for what Gemini does not read."""
    if content is None:
        return []
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    made = (_part(block, f"{where}.content[{index}]") for index, block in enumerate(content))
    return [part for part in made if part is not None]


def inline(data: Data) -> dict[str, Any]:
    return {"inlineData": {"mimeType": data.media_type, "data": data.base64}}


def by_address(url: Any, where: str, media_type: str | None = None) -> dict[str, Any]:
    """A part of a data URL, or one that Gemini fetches itself. Raises `CallFailed` if it is no address."""
    if not isinstance(url, str):
        raise invalid("It needs an address.", where)
    if (data := data_url(url)) is not None:
        return inline(data)
    if not url.startswith(("https://", "http://", "gs://")):
        raise invalid("An address must be a data URL, or begin with https://, http:// or gs://.", where)
    known = media_type or mimetypes.guess_type(urlsplit(url).path)[0]
    return {"fileData": {**({"mimeType": known} if known else {}), "fileUri": url}}


def _part(block: dict[str, Any], where: str) -> dict[str, Any] | None:
    kind = block.get("type")
    if kind in ("text", "refusal"):
        return {"text": block[kind]} if block.get(kind) else None
    if kind in ("image_url", "video_url"):
        source = block.get(kind)
        return by_address(source.get("url") if isinstance(source, dict) else source, f"{where}.{kind}.url")
    if kind == "input_audio":
        audio = block.get("input_audio") or {}
        media_type = f"audio/{audio.get('format') or 'wav'}"
        return inline(Data(media_type=media_type, base64=audio.get("data") or ""))
    if kind == "file":
        return _file(block.get("file") or {}, f"{where}.file")
    raise unreadable(f"Gemini does not read blocks of type {kind}.", where)


def _file(file: dict[str, Any], where: str) -> dict[str, Any]:
    if isinstance(sent := file.get("file_data"), str):
        return inline(data_url(sent) or Data(media_type=type_of(file), base64=sent))
    if file.get("file_url") is not None:
        return by_address(file["file_url"], f"{where}.file_url", file.get("file_type"))
    if isinstance(id := file.get("file_id"), str):
        said = {"mimeType": file["file_type"]} if file.get("file_type") else {}
        return {"fileData": {**said, "fileUri": id}}
    raise invalid("A file needs file_data, file_url or file_id.", where)
