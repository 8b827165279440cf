"""The routes of uploads in words, as `descriptions` has the others."""

from ..engine.errors import BodyTooLarge, InvalidRequest, StoreUnavailable, UnsupportedEncoding
from ..schemas import upload_answers, uploads
from .vocabulary import (
    Part,
    described,
    docs,
    form_schema,
    json_schema,
    querystring_schema,
    refusals,
    response_schema,
)


def _named(id: str, summary: str, description: str = "") -> Part:
    return docs(tags=["universal"], operationId=id, summary=summary, description=description)


add_upload = described(
    _named(
        "addUpload",
        "Upload a file",
        "For later jobs, which name it by its id, as `input.file`. A job that uses it keeps it as long as it has to.",
    ),
    form_schema(uploads.UploadRequest),
    response_schema(upload_answers.UploadedFile, 200, "It is on disk."),
    refusals(InvalidRequest, BodyTooLarge, UnsupportedEncoding, StoreUnavailable),
)

list_uploads = described(
    _named("listUploads", "List uploads", "Your own, newest first; those that have expired are not among them."),
    querystring_schema(uploads.UploadsQuery),
    response_schema(upload_answers.UploadedFiles, 200, "A page."),
    refusals(InvalidRequest, StoreUnavailable),
)

remove_uploads = described(
    _named("deleteUploads", "Delete some uploads", "Jobs that use one keep it."),
    json_schema(uploads.DeleteUploadsRequest),
    response_schema(upload_answers.DeletedUploads, 200, "They are gone."),
    refusals(InvalidRequest, BodyTooLarge, UnsupportedEncoding, StoreUnavailable),
)

remove_all_uploads = described(
    _named("deleteAllUploads", "Delete all uploads", "All that are yours. Jobs that use one keep it."),
    response_schema(upload_answers.DeletedUploads, 200, "They are gone."),
    refusals(StoreUnavailable),
)
