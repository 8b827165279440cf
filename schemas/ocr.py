"""What a client asks of OCR."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ..engine.errors import InvalidRequest
from .fields import Examples, Flag, Integer, ListOf, Object, OneOf, Shape, Text
from .requests import Request


class Address(Shape):
    url = Text(required=True)


class Document(Shape):
    type = Text(required=True, enum=("document_url", "image_url"))
    document_url = Text("An address, or the document itself as a data URL.")
    image_url = OneOf(Text(), Object(Address), about="An address, or the image itself as a data URL.")

    def check(self, sent: dict[str, Any]) -> None:
        # What is missing is asked for in the dialect's own words: see `OcrRequest.demand`.
        self.check_types(sent)


class AnnotationSchema(Shape):
    name = Text()
    schema = Object()
    strict = Flag()


class AnnotationFormat(Shape):
    type = Text(required=True, enum=("text", "json_object", "json_schema"))
    json_schema = Object(AnnotationSchema)


def _annotation_format(about: str) -> OneOf:
    return OneOf(Text(), Object(AnnotationFormat), about=about)


#: A page of white, as a PNG.
_BLANK = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsYJS6wAAAABJRU5ErkJggg=="
)


class OcrRequest(Request):
    document = Object(Document, "What is to be read.", required="document type is required for ocr")
    id = Text()
    include_image_base64 = Flag("Whether the answer holds the images of the pages.")
    pages = ListOf(Integer(minimum=0), about="Which pages to read, from 0; all by default.")
    image_limit = Integer("How many images to take out, at most.", minimum=0)
    image_min_size = Integer("The least width and height of an image that is taken out.", minimum=0)
    table_format = Text()
    extract_header = Flag()
    extract_footer = Flag()
    include_blocks = Flag()
    confidence_scores_granularity = Text(enum=("page", "block", "word", "document"))
    bbox_annotation_format = _annotation_format("What is to be told of each image, as a JSON schema for instance.")
    document_annotation_format = _annotation_format("What is to be told of the document.")
    document_annotation_prompt = Text()

    examples: ClassVar[Examples] = {
        "An image": {"model": "echo/echo", "document": {"type": "image_url", "image_url": _BLANK}},
        "A document": {
            "model": "echo/echo",
            "document": {"type": "document_url", "document_url": "data:text/plain;base64,UGFnZSBvbmU="},
            "pages": [0],
        },
    }

    def normalise(self, body: dict[str, Any]) -> None:
        document = body.get("document")
        if document and isinstance(document.get("image_url"), dict):
            body["document"] = {**document, "image_url": document["image_url"].get("url")}

    def demand(self, body: Mapping[str, Any]) -> None:
        document = body["document"]
        kind = document.get("type")
        if kind is None:
            raise InvalidRequest("document type is required for ocr", param="document.type")
        if not document.get(kind):
            raise InvalidRequest(f"{kind} is required when document type is {kind}", param=f"document.{kind}")
