"""OCR in a worker: PP-OCR finds the lines of a page and reads them, `local_layout` puts them in order."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import orjson
import rapidocr
from PIL import Image

from ..refusals import refusal
from ..workers.task import Task
from .documents import Document, PageImage
from .layout import Block, Line, Word, blocks
from .reading import OUTPUTS, WITH_WORDS, PageText

_WEIGHTS = Path(rapidocr.__file__).parent / "models"
#: Named one by one, so that the library has nothing to look for, and to download.
_FILES = {
    "Det.model_path": "PP-OCRv6_det_small.onnx",
    "Cls.model_path": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec.model_path": "PP-OCRv6_rec_small.onnx",
}
#: What the model can tell nothing of.
_UNKNOWN = (
    *("bbox_annotation_format", "document_annotation_format", "document_annotation_prompt", "table_format"),
    *("extract_header", "extract_footer"),
)
#: What the library looks at; it would make larger pictures smaller itself, and use more memory.
_LONGEST_SIDE = 2000
#: In widths: higher pages are read in strips.
_TALL = 2.5
_GRANULARITIES = (None, "page", "block")


class OcrModel:
    def __init__(self, *, model: str) -> None:
        self._model = model
        self._engine: Any = rapidocr.RapidOCR(
            params={
                **{key: str(_WEIGHTS / name) for key, name in _FILES.items()},
                "EngineConfig.onnxruntime.intra_op_num_threads": max(1, len(os.sched_getaffinity(0)) - 1),
                "Global.log_level": "error",
            }
        )
        # It keeps the settings of a call in itself.
        self._lock = threading.Lock()

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        if operation in OUTPUTS:
            return self._output(operation, task)
        for field in _UNKNOWN:
            if request.get(field):
                raise refusal(f"{self._model} reads lines of text and knows nothing of {field}.", field)
        granularity = request.get("confidence_scores_granularity")
        if granularity not in _GRANULARITIES:
            raise refusal(
                f"{self._model} scores lines: it can tell the confidence of a page or a block.",
                "confidence_scores_granularity",
            )
        document = Document.sent(request["document"])
        try:
            asked = _pages_asked(request, len(document))
            pages: list[dict[str, Any]] = []
            for page in document.pages(asked):
                task.go_on()
                task.progress(len(pages), len(asked), "pages")
                pages.append(self._page(page, granularity, with_blocks=bool(request.get("include_blocks"))))
        finally:
            document.close()
        return orjson.dumps(
            {
                "model": self._model,
                "pages": pages,
                "usage_info": {"pages_processed": len(pages), "doc_size_bytes": document.size_bytes},
            }
        )

    def _output(self, feature: str, task: Task) -> bytes:
        """What a feature makes of the file's pages."""
        [file] = task.files["file"]
        document = Document(file.path.read_bytes(), "input.file")
        try:
            read: list[PageText] = []
            for page in document.pages(range(len(document))):
                task.go_on()
                task.progress(len(read), len(document), "pages")
                found = blocks(self._lines(page, words=feature in WITH_WORDS))
                read.append(PageText(width=page.image.width, height=page.image.height, blocks=found))
        finally:
            document.close()
        return orjson.dumps(OUTPUTS[feature](read))

    def _page(self, page: PageImage, granularity: str | None, *, with_blocks: bool) -> dict[str, Any]:
        found = blocks(self._lines(page))
        lines = [line for block in found for line in block.lines]
        return {
            "index": page.index,
            "markdown": "\n\n".join(block.text for block in found),
            "images": [],
            "dimensions": {"dpi": page.dpi, "height": page.image.height, "width": page.image.width},
            **({"blocks": [_block(block, granularity) for block in found]} if with_blocks else {}),
            **({"confidence_scores": _scores("page", lines)} if granularity and lines else {}),
        }

    def _lines(self, page: PageImage, *, words: bool = False) -> list[Line]:
        return [line for top, strip in _strips(page.image) for line in self._read(strip, top, words=words)]

    def _read(self, image: Image.Image, offset: int, *, words: bool) -> list[Line]:
        """The lines of a picture that begins so many pixels below the top of its page, with their words if those are
        asked for."""
        width = image.width
        if max(image.size) > _LONGEST_SIDE:
            image = image.copy()
            image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
        scale = width / image.width
        # The library takes colours in OpenCV's order.
        pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
        with self._lock:
            read = self._engine(pixels, return_word_box=words)
        if not read.txts:
            return []
        each = read.word_results if words else [()] * len(read.txts)
        return [
            Line(
                text=text,
                confidence=float(score),
                **_edges(box, scale, offset),
                words=tuple(
                    Word(text=word, confidence=float(sure), **_edges(place, scale, offset))
                    for word, sure, place in found
                    if word.strip()
                ),
            )
            for text, score, box, found in zip(read.txts, read.scores, read.boxes, each, strict=True)
        ]


def _edges(corners: Any, scale: float, offset: int) -> dict[str, float]:
    x, y = np.asarray(corners, dtype=np.float64).T * scale
    return {
        "left": float(x.min()),
        "top": float(y.min() + offset),
        "right": float(x.max()),
        "bottom": float(y.max() + offset),
    }


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """A page that is far higher than broad, in strips, each cut where the least is drawn: in one piece it would be
    made too small to be read."""
    width, height = image.size
    top = 0
    while height - top > _TALL * width:
        last = top + int(_TALL * width)
        rows = np.asarray(image.crop((0, last - width // 2, width, last)).convert("L"), dtype=np.float32)
        cut = last - width // 2 + int(rows.std(axis=1).argmin()) + 1
        yield top, image.crop((0, top, width, cut))
        top = cut
    yield top, image.crop((0, top, width, height)) if top else image


def _pages_asked(request: dict[str, Any], count: int) -> list[int]:
    asked = request.get("pages")
    if not asked:
        return [*range(count)]
    if beyond := [page for page in asked if not 0 <= page < count]:
        raise refusal(
            f"There is no page {beyond[0]}: the document has {count}, counted from 0.", "pages", "invalid_value"
        )
    return list(dict.fromkeys(asked))


def _block(block: Block, granularity: str | None) -> dict[str, Any]:
    left, top, right, bottom = block.box
    return {
        "type": "text",
        "content": block.text,
        "top_left_x": left,
        "top_left_y": top,
        "bottom_right_x": right,
        "bottom_right_y": bottom,
        **({"confidence_scores": _scores("content", block.lines)} if granularity == "block" else {}),
    }


def _scores(of: str, lines: Any) -> dict[str, float]:
    confidences = [line.confidence for line in lines]
    return {
        f"average_{of}_confidence_score": round(fmean(confidences), 4),
        f"minimum_{of}_confidence_score": round(min(confidences), 4),
    }
