"""What was read on pages, as the features of OCR answer it: boxes in fractions of the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .layout import Block, Line, Word

#: Digits of a fraction.
_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class PageText:
    """A page and what was read on it; width and height are those that its boxes are of."""

    width: int
    height: int
    blocks: Sequence[Block]

    @property
    def text(self) -> str:
        return "\n\n".join(block.text for block in self.blocks)

    @property
    def lines(self) -> list[Line]:
        return [line for block in self.blocks for line in block.lines]

    def box(self, of: Line | Word) -> dict[str, float]:
        """In fractions of the page; what reaches beyond its edges is cut there."""
        left, right = (min(max(x / self.width, 0.0), 1.0) for x in (of.left, of.right))
        top, bottom = (min(max(y / self.height, 0.0), 1.0) for y in (of.top, of.bottom))
        return {
            "left": round(left, _DIGITS),
            "top": round(top, _DIGITS),
            "width": round(right - left, _DIGITS),
            "height": round(bottom - top, _DIGITS),
        }


def _plain(pages: Sequence[PageText]) -> dict[str, Any]:
    return {
        "text": "\n\n".join(page.text for page in pages),
        "bounding_boxes": [{"text": line.text, **page.box(line)} for page in pages for line in page.lines],
    }


def _paged(pages: Sequence[PageText]) -> dict[str, Any]:
    return {
        "raw_text": "\n\n".join(page.text for page in pages),
        "pages": [{"lines": [_line(page, line) for line in page.lines]} for page in pages],
        "number_of_pages": len(pages),
    }


def _line(page: PageText, line: Line) -> dict[str, Any]:
    return {
        "text": line.text,
        "words": [_scored(page, word) for word in line.words],
        "bounding_box": page.box(line),
        "confidence": round(line.confidence, 4),
    }


def _scored(page: PageText, word: Word) -> dict[str, Any]:
    return {"text": word.text, "bounding_box": page.box(word), "confidence": round(word.confidence, 4)}


OUTPUTS: Mapping[str, Callable[[Sequence[PageText]], dict[str, Any]]] = {"ocr/ocr": _plain, "ocr/ocr_async": _paged}

#: Those that tell of words.
WITH_WORDS = ("ocr/ocr_async",)
