"""Documents as clients send them for OCR, and their pages as pictures."""

import base64
import binascii
import io
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote_to_bytes

import pypdfium2
from PIL import Image

from ..refusals import refusal
from .pictures import opened

_DATA = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
_PDF_DPI = 200
#: Longer pages are rendered more coarsely: the model looks at 2000 pixels anyway.
_MAX_PAGE_SIDE = 3000
_POINTS_PER_INCH = 72
#: PDFium may be used by one thread at a time.
_PDFIUM = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class PageImage:
    index: int
    image: Image.Image
    dpi: int


class Document:
    """A picture, which has one page, or a PDF."""

    def __init__(self, data: bytes, param: str) -> None:
        """`param` is the request's field that it came in. Raises `CallFailed` if there is nothing that can be read."""
        self._param = param
        self.size_bytes = len(data)
        self._data = data
        self._pdf: pypdfium2.PdfDocument | None = None
        if b"%PDF-" in data[:1024]:
            try:
                with _PDFIUM:
                    self._pdf = pypdfium2.PdfDocument(data)
            except pypdfium2.PdfiumError as error:
                raise refusal(
                    f"The PDF cannot be opened: {error}. Is it whole, and without a password?",
                    self._param,
                    "invalid_file",
                ) from error

    @classmethod
    def sent(cls, document: dict[str, Any]) -> Self:
        """The document of a request for OCR, which came along in it. Raises `CallFailed`."""
        param = "document." + ("image_url" if document["type"] == "image_url" else "document_url")
        return cls(_data(document, param), param)

    def __len__(self) -> int:
        return 1 if self._pdf is None else len(self._pdf)

    def pages(self, asked: Sequence[int]) -> Iterator[PageImage]:
        for index in asked:
            if self._pdf is not None:
                yield self._rendered(self._pdf, index)
            else:
                image = opened(io.BytesIO(self._data), self._param)
                yield PageImage(index=index, image=image, dpi=_POINTS_PER_INCH)

    def _rendered(self, pdf: pypdfium2.PdfDocument, index: int) -> PageImage:
        try:
            with _PDFIUM:
                page = pdf[index]
                longest = max(*page.get_size(), 1.0)
                scale = min(_PDF_DPI / _POINTS_PER_INCH, _MAX_PAGE_SIDE / longest)
                image = page.render(scale=scale).to_pil().convert("RGB")
                page.close()
        except pypdfium2.PdfiumError as error:
            raise refusal(
                f"Page {index} of the PDF cannot be rendered: {error}.", self._param, "invalid_file"
            ) from error
        return PageImage(index=index, image=image, dpi=round(scale * _POINTS_PER_INCH))

    def close(self) -> None:
        if self._pdf is not None:
            with _PDFIUM:
                self._pdf.close()


def _data(document: dict[str, Any], param: str) -> bytes:
    given = document.get("image_url" if document["type"] == "image_url" else "document_url")
    url: str = (given.get("url") or "") if isinstance(given, dict) else given or ""
    if not (head := _DATA.match(url)):
        raise refusal(
            "The model on this machine fetches nothing: send the document itself, as data:application/pdf;base64,… or "
            "data:image/png;base64,….",
            param,
            "unsupported_content",
        )
    body = url[head.end() :]
    if not head[0].lower().rstrip(",").endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise refusal("The document is not valid base64.", param, "invalid_file") from error
