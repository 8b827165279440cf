"""Uploads of the v3 dialect: what may be asked of them, and what is answered."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from marshmallow import fields, validate

from ..engine.errors import InvalidRequest
from ..engine.upload_table import Upload
from . import numbered, requests
from .fields import Examples, Integer, ListOf, Shape, Text, named, shown
from .numbered import NumberedQuery
from .v3 import timestamp

DEFAULT_DAYS, MOST_DAYS = 30, 30
DEFAULT_PURPOSE, LONGEST_PURPOSE = "general", 50
MOST_IDS = 100

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


class UploadRequest(Shape):
    """A form."""

    file = requests.Upload("The file, streamed to disk.", required="file is required")
    expires_in_days = Integer(f"When it goes; {DEFAULT_DAYS} by default.", minimum=1, maximum=MOST_DAYS)
    purpose = Text(f"A word of yours, 1 to {LONGEST_PURPOSE} characters; `{DEFAULT_PURPOSE}` by default.")

    examples: ClassVar[Examples] = {
        "A document": {"file": "…"},
        "For a week": {"file": "…", "expires_in_days": 7, "purpose": "financial_parser"},
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: The fields that hold files.
        self.files = {name: field for name, field in self.fields.items() if isinstance(field, requests.Upload)}


class DeleteUploadsRequest(Shape):
    file_ids = ListOf(
        Text(), of="ids", about=f"1 to {MOST_IDS}; those that are not there are passed over.", required=True
    )

    examples: ClassVar[Examples] = {"One": {"file_ids": ["7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de"]}}


class UploadsQuery(NumberedQuery):
    purpose = fields.String(
        validate=validate.Length(1, LONGEST_PURPOSE), metadata={"description": "As the uploads named it."}
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a form says of its file."""

    days: int
    purpose: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a list is asked for; None: any purpose."""

    purpose: str | None
    page: int
    limit: int


def wish(texts: Iterable[tuple[str, str]]) -> Wish:
    """What the text fields of a form say, each the first time; one that says nothing is absent, others are passed over.
    Raises `InvalidRequest`, which names the field."""
    said: dict[str, str] = {}
    for name, text in texts:
        if text:
            said.setdefault(name, text)
    purpose, days = said.get("purpose", DEFAULT_PURPOSE), said.get("expires_in_days", str(DEFAULT_DAYS))
    if len(purpose) > LONGEST_PURPOSE:
        raise InvalidRequest(f"expected 1 to {LONGEST_PURPOSE} characters, got {len(purpose)}", param="purpose")
    if not _WHOLE.fullmatch(days) or not 1 <= int(days) <= MOST_DAYS:
        raise InvalidRequest(f"expected an integer from 1 to {MOST_DAYS}, got {shown(days)}", param="expires_in_days")
    return Wish(days=int(days), purpose=purpose)


_QUERY = UploadsQuery()


def asked(query: Mapping[str, str]) -> Asked:
    """Raises `InvalidRequest`, which names the parameter."""
    found = numbered.load(_QUERY, query)
    return Asked(purpose=found.get("purpose"), page=found["page"], limit=found["limit"])


def ids(body: object) -> list[str]:
    """The ids that are to be deleted. Raises `InvalidRequest`, which names the field."""
    if not isinstance(body, dict):
        raise InvalidRequest(f"expected an object, got {named(body)}")
    found = body.get("file_ids")
    if found is None:
        raise InvalidRequest("expected a list of ids, but it is missing", param="file_ids")
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_IDS:
        got = f"{len(found)} of them" if isinstance(found, list) else named(found)
        raise InvalidRequest(f"expected a list of 1 to {MOST_IDS} ids, got {got}", param="file_ids")
    for place, id in enumerate(found):
        if not isinstance(id, str):
            raise InvalidRequest(f"expected a string, got {named(id)}", param=f"file_ids[{place}]")
    return [id.lower() for id in found]


def file(upload: Upload) -> dict[str, Any]:
    return {
        "file_id": upload.id,
        "file_name": upload.file_name,
        "file_size": upload.blob.size_bytes,
        "file_mimetype": upload.blob.media_type,
        "purpose": upload.purpose,
        "metadata": {},
        "created_at": timestamp(upload.created_at),
        "expires_at": timestamp(upload.expires_at),
    }


def page(uploads: Sequence[Upload], total: int, asked: Asked) -> dict[str, Any]:
    """`total`: on all pages."""
    return numbered.page([file(upload) for upload in uploads], total, asked.page, asked.limit)
