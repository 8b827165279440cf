"""The blocks of a chat message as Anthropic's content blocks: text, images, documents."""

from typing import Any

from ..data_urls import Data, data_url, type_of
from ..refusals import invalid, unreadable

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
#: Anthropic's own kinds that chat has no word for.
_NATIVE = frozenset({"image", "document", "search_result", "container_upload"})


def content_blocks(content: Any, where: str) -> list[dict[str, Any]]:
    """Texts without a letter are left out: Anthropic refuses them. Raises `CallFailed` for what it cannot read."""
    if content is None:
        return []
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    blocks = (_block(block, f"{where}.content[{index}]") for index, block in enumerate(content))
    return [block for block in blocks if block is not None]


def _block(block: dict[str, Any], where: str) -> dict[str, Any] | None:
    kind = block.get("type")
    if kind in ("text", "refusal"):
        text = block.get(kind)
        made = {"type": "text", "text": text} if isinstance(text, str) and text.strip() else None
    elif kind == "image_url":
        made = _image(block.get("image_url"), f"{where}.image_url")
    elif kind == "file":
        made = _document(block, f"{where}.file")
    elif kind in _NATIVE:
        return block
    else:
        raise unreadable(f"Claude does not read blocks of type {kind}.", where)
    if made is not None and block.get("cache_control"):
        made["cache_control"] = block["cache_control"]
    return made


def _image(image: Any, where: str) -> dict[str, Any]:
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        raise invalid("An image needs its address.", f"{where}.url")
    if (data := data_url(url)) is not None:
        return _image_data(data, where)
    return {"type": "image", "source": {"type": "url", "url": _address(url, where)}}


def _image_data(data: Data, where: str) -> dict[str, Any]:
    # The common misnomer of a type that Anthropic knows by its proper name alone.
    media_type = "image/jpeg" if data.media_type == "image/jpg" else data.media_type
    if media_type not in _IMAGES:
        raise unreadable(f"Claude reads JPEG, PNG, GIF and WebP images, not {media_type}.", where)
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data.base64}}


def _document(block: dict[str, Any], where: str) -> dict[str, Any]:
    file = block.get("file") or {}
    name = file.get("filename")
    if isinstance(sent := file.get("file_data"), str):
        data = data_url(sent) or Data(media_type=type_of(file), base64=sent)
        if data.media_type.startswith("image/"):
            return _image_data(data, where)
        source = _source(data, where)
    elif isinstance(url := file.get("file_url"), str):
        if (data_in_url := data_url(url)) is not None:
            source = _source(data_in_url, where)
        else:
            source = {"type": "url", "url": _address(url, where)}
    elif isinstance(file.get("file_id"), str):
        source = {"type": "file", "file_id": file["file_id"]}
    else:
        raise invalid("A file needs file_data, file_url or file_id.", where)
    document: dict[str, Any] = {"type": "document", "source": source}
    if name:
        document["title"] = name
    document |= {key: block[key] for key in ("citations", "context") if isinstance(block.get(key), dict | str)}
    return document


def _source(data: Data, where: str) -> dict[str, Any]:
    if data.media_type == "application/pdf":
        return {"type": "base64", "media_type": data.media_type, "data": data.base64}
    if data.media_type.startswith("text/"):
        text = data.decoded(where).decode("utf-8", "replace")
        return {"type": "text", "media_type": "text/plain", "data": text}
    raise unreadable(f"Claude reads PDF and text documents, not {data.media_type}.", where)


def _address(url: str, where: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise invalid("An address must be a data URL, or begin with https:// or http://.", where)
    return url
