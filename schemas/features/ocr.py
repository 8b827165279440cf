"""Features of documents."""

from typing import ClassVar

from ..fields import Examples, Integer, ListOf, Number, Object, Shape, Text
from .image import IMAGES
from .inputs import FileInput, Input

DOCUMENTS = ("application/pdf", *IMAGES)


class DocumentInput(Input):
    file = FileInput("A picture, or a PDF.", media_types=DOCUMENTS, required="file is required")

    examples: ClassVar[Examples] = {"A page": {"file": "https://example.com/page.png"}}


class OcrInput(DocumentInput):
    language = Text("The language that it is written in, as `en`, for providers that want to know.")


class Box(Shape):
    """In fractions of the page."""

    left = Number(minimum=0, maximum=1, required=True)
    top = Number(minimum=0, maximum=1, required=True)
    width = Number(minimum=0, maximum=1, required=True)
    height = Number(minimum=0, maximum=1, required=True)


class TextBox(Box):
    text = Text("A line, or what else stands together.", required=True)


class OcrOutput(Shape):
    text = Text("Of all pages.", required=True)
    bounding_boxes = ListOf(
        Object(TextBox), about="Page by page; none where the provider does not tell them.", required=True
    )


class Word(Shape):
    text = Text(required=True)
    bounding_box = Object(Box)
    confidence = Number(minimum=0, maximum=1)


class Line(Shape):
    text = Text(required=True)
    words = ListOf(Object(Word), about="None where the provider does not tell them.", required=True)
    bounding_box = Object(Box)
    confidence = Number(minimum=0, maximum=1)


class Page(Shape):
    lines = ListOf(Object(Line), required=True)


class OcrPagesOutput(Shape):
    raw_text = Text("Of all pages.", required=True)
    pages = ListOf(Object(Page), required=True)
    number_of_pages = Integer(required=True)
