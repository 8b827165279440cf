"""Content that a client sends within its JSON: data URLs (RFC 2397), and base64 without one."""

import base64
import binascii
import mimetypes
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from .refusals import invalid


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Bytes in base64, unchecked: the vendor decodes them."""

    #: Without parameters, in small letters.
    media_type: str
    base64: str

    def decoded(self, param: str) -> bytes:
        """Raises `CallFailed` naming `param` if it is not base64."""
        try:
            return base64.b64decode(self.base64, validate=True)
        except binascii.Error as error:
            raise invalid(f"The data is not base64: {error}.", param) from error


def data_url(url: str) -> Data | None:
    """What the data URL holds; None if it is another kind of address."""
    if url[:5].lower() != "data:":
        return None
    head, comma, body = url[5:].partition(",")
    if not comma:
        return None
    media_type, *parameters = head.split(";")
    if "base64" not in (parameter.strip().lower() for parameter in parameters):
        body = base64.b64encode(unquote_to_bytes(body)).decode()
    return Data(media_type=media_type.strip().lower() or "text/plain", base64=body)


def type_of(file: dict[str, Any]) -> str:
    """The media type of a chat's file whose data does not tell it: as the client said, else as its name suggests, else
    that of a PDF document, which most are."""
    said = file.get("file_type")
    if isinstance(said, str) and "/" in said:
        return said.lower()
    name = file.get("filename") or f"file.{said or 'pdf'}"
    return mimetypes.guess_type(name)[0] or "application/pdf"
