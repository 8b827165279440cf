"""Files of a request on their way to a vendor: read from the disk piece by piece as the connection takes them."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

import aiohttp
from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter

from ..engine.calls import File

_PIECE_BYTES = 262_144

#: A name that needs no quoting in any server's parser.
_PLAIN_NAME = re.compile(r"[\w .()\[\]+@,-]{1,200}", re.ASCII)

#: By media type; the ones that `mimetypes` does not know, or knows otherwise than vendors do.
_EXTENSIONS = {
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/vnd.wave": "wav",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/webm": "webm",
    "audio/x-wav": "wav",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/mpeg": "mpeg",
    "video/webm": "webm",
}


class FilePayload(payload.Payload):
    """A file as a body, or as a part of one. It holds nothing open: whatever ends the call leaves nothing to close."""

    def __init__(self, file: File, **more: Any) -> None:
        super().__init__(file, **{"content_type": file.media_type, **more})
        self._size = file.size_bytes
        self._autoclose = True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a file is not a text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        for offset in range(0, self._value.size_bytes, _PIECE_BYTES):
            await writer.write(await asyncio.to_thread(_piece, self._value.path, offset))

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        # Such a length is always its own.
        await self.write(writer)


def _piece(path: Path, offset: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(_PIECE_BYTES)


def form(
    fields: Mapping[str, Any], files: Iterable[tuple[str, File, str]], *, brackets: bool = True
) -> aiohttp.MultipartWriter:
    """A multipart body of plain fields and of files, each with its field and its name.

    Lists become fields `name[]`, without `brackets` fields `name`; objects fields `name[key]`; None is left out.
    """
    whole = aiohttp.MultipartWriter("form-data")
    for name, text in _flat(fields, brackets):
        part = payload.StringPayload(text)
        part.headers.clear()
        part.set_content_disposition("form-data", name=name)
        whole.append_payload(part)
    for name, file, called in files:
        attached = FilePayload(file)
        attached.set_content_disposition("form-data", quote_fields=False, name=name, filename=called)
        whole.append_payload(attached)
    return whole


def file_name(file: File, extension: str | None = None) -> str:
    """The file's name as a vendor is told it: plain, and with the extension that many go by; where it has none, the one
    given, else that of its media type."""
    name = file.name if _PLAIN_NAME.fullmatch(file.name) else f"file{_suffix(file.name)}"
    if PurePath(name).suffix:
        return name
    extension = extension or _EXTENSIONS.get(file.media_type.partition(";")[0].strip().lower())
    return f"{name}.{extension}" if extension else name


def _suffix(name: str) -> str:
    suffix = PurePath(name).suffix
    return suffix if _PLAIN_NAME.fullmatch(suffix) else ""


def _flat(fields: Mapping[str, Any], brackets: bool) -> Iterable[tuple[str, str]]:
    for name, value in fields.items():
        yield from _field(name, value, brackets)


def _field(name: str, value: Any, brackets: bool) -> Iterable[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _field(f"{name}[]" if brackets and not name.endswith("]") else name, item, brackets)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _field(f"{name}[{key}]", inner, brackets)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif value is not None:
        yield name, str(value)
