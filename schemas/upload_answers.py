"""What clients are answered about uploads, declared for the documents."""

from typing import Any, ClassVar

from .answers import Answer, identifier, moment
from .fields import Examples, Integer, ListOf, Object, Text

_FILE: dict[str, Any] = {
    "file_id": "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de",
    "file_name": "receipt.pdf",
    "file_size": 48213,
    "file_mimetype": "application/pdf",
    "purpose": "general",
    "metadata": {},
    "created_at": "2026-11-21T09:00:00.000000+00:00",
    "expires_at": "2026-12-21T09:00:00.000000+00:00",
}


class UploadedFile(Answer):
    file_id = identifier("For `input.file` and its like.")
    file_name = Text("Without folders; empty where the form had none.", required=True)
    file_size = Integer("Bytes.", required=True, minimum=0)
    file_mimetype = Text("As the form said, else as the name suggests.", required=True)
    purpose = Text(required=True)
    metadata = Object(None, "Empty: nothing is read of the file.", required=True)
    created_at = moment("When it was on disk.", required=True)
    expires_at = moment("When it goes; jobs that use it by then keep it.", required=True)

    examples: ClassVar[Examples] = {"A document": _FILE}


class UploadedFiles(Answer):
    items = ListOf(Object(UploadedFile), about="Newest first.", required=True)
    total = Integer("On all pages.", required=True, minimum=0)
    page = Integer(required=True, minimum=1)
    limit = Integer(required=True, minimum=1)
    total_pages = Integer(required=True, minimum=0)

    examples: ClassVar[Examples] = {"One": {"items": [_FILE], "total": 1, "page": 1, "limit": 100, "total_pages": 1}}


class DeletedUploads(Answer):
    deleted_count = Integer("How many there were.", required=True, minimum=0)

    examples: ClassVar[Examples] = {"One": {"deleted_count": 1}}
