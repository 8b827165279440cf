"""Reading documents, by the operation `ocr`: boxes where the provider tells of blocks."""

import asyncio
import base64
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...engine.calls import Call, File, Reply
from ...engine.errors import Unusable
from ..refusals import unreadable
from .ways import Asked

#: A document goes along in the request: base64 makes four bytes of three, and it is in memory.
_MOST_BYTES = 50_000_000
_DIGITS = 6
_EDGES = ("top_left_x", "top_left_y", "bottom_right_x", "bottom_right_y")


class _Reading:
    operations: ClassVar[tuple[str, ...]] = ("ocr",)

    async def ask(self, call: Call, kind: str, own: Mapping[str, Any]) -> Asked:
        (file,) = call.files["file"]
        if file.size_bytes > _MOST_BYTES:
            raise unreadable(f"The document has more than {_MOST_BYTES} bytes.", "input.file")
        field = "image_url" if file.media_type.startswith("image/") else "document_url"
        document = {"type": field, field: await asyncio.to_thread(_data_url, file)}
        return Asked(operation="ocr", request={"document": document})


class Ocr(_Reading):
    def answer(self, made: Call, result: dict[str, Any], reply: Reply) -> dict[str, Any]:
        pages = _pages(result)
        boxes = [{"text": text, **box} for page in pages for text, box in _blocks(page) if box is not None]
        return {"text": _whole(pages), "bounding_boxes": boxes}


class OcrPages(_Reading):
    def answer(self, made: Call, result: dict[str, Any], reply: Reply) -> dict[str, Any]:
        pages = _pages(result)
        told = [{"lines": [_line(text, box) for text, box in _blocks(page) or _lines(page)]} for page in pages]
        return {"raw_text": _whole(pages), "pages": told, "number_of_pages": len(pages)}


def _data_url(file: File) -> str:
    return f"data:{file.media_type};base64,{base64.b64encode(file.path.read_bytes()).decode()}"


def _pages(result: dict[str, Any]) -> list[dict[str, Any]]:
    pages = result.get("pages")
    if not isinstance(pages, list) or not all(
        isinstance(page, dict) and isinstance(page.get("markdown"), str) for page in pages
    ):
        raise Unusable("the provider answered without the text of pages")
    return pages


def _whole(pages: list[dict[str, Any]]) -> str:
    return "\n\n".join(page["markdown"] for page in pages)


def _lines(page: dict[str, Any]) -> Iterator[tuple[str, None]]:
    for line in page["markdown"].splitlines():
        if line.strip():
            yield line.strip(), None


def _blocks(page: dict[str, Any]) -> list[tuple[str, dict[str, float] | None]]:
    """The text of each block, and its box where the page's size is known."""
    blocks, size = page.get("blocks"), page.get("dimensions")
    dimensions = size if isinstance(size, dict) else {}
    return [
        (block["content"], _box(block, dimensions.get("width"), dimensions.get("height")))
        for block in (blocks if isinstance(blocks, list) else ())
        if isinstance(block, dict) and isinstance(block.get("content"), str) and block["content"].strip()
    ]


def _box(block: dict[str, Any], width: object, height: object) -> dict[str, float] | None:
    edges = [block.get(name) for name in _EDGES]
    if not all(_is_count(value) for value in (*edges, width, height)) or not width or not height:
        return None
    left, top, right, bottom = (
        min(max(edge / size, 0.0), 1.0)  # type: ignore[operator]
        for edge, size in zip(edges, (width, height, width, height), strict=True)
    )
    return {
        "left": round(left, _DIGITS),
        "top": round(top, _DIGITS),
        "width": round(max(right - left, 0.0), _DIGITS),
        "height": round(max(bottom - top, 0.0), _DIGITS),
    }


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _line(text: str, box: dict[str, float] | None) -> dict[str, Any]:
    return {"text": text, "words": [], "bounding_box": box, "confidence": None}
