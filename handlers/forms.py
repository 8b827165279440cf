"""Forms with files: each file goes to disk as it arrives, and is never in memory as a whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web

from ..engine.blobs import Blobs
from ..engine.errors import BodyTooLarge, InvalidRequest
from ..engine.jobs import Attached
from ..schemas.config import ServerSettings
from ..schemas.requests import Upload
from . import media_types
from .bodies import refuse_encoding
from .multipart import Part, Parts, malformed

#: Of all text fields of a form.
_MOST_TEXT_BYTES = 4_194_304


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    #: Names, as they were sent, and values, in their order.
    texts: list[tuple[str, str]]
    #: The files; whoever has the form keeps them or discards them.
    files: tuple[Attached, ...]


async def read(request: web.BaseRequest, blobs: Blobs, fields: Mapping[str, Upload], server: ServerSettings) -> Form:
    """The form that the request brings; `fields` are those of its fields that are files.

    Raises `InvalidRequest`, `UnsupportedEncoding`, `BodyTooLarge` or `StoreUnavailable`; then, or when the caller is
    cancelled, nothing of it stays.
    """
    refuse_encoding(request)
    reader = _Reader(Parts(request, server.max_form_bytes), blobs, fields, server.max_upload_bytes)
    try:
        await reader.run()
        files, spare = _chosen(reader.files)
        await blobs.discard(*(file.blob for file in spare))
    except BaseException:
        await blobs.discard(*(file.blob for files in reader.files.values() for file in files))
        raise
    return Form(texts=reader.texts, files=files)


class _Reader:
    def __init__(self, parts: Parts, blobs: Blobs, fields: Mapping[str, Upload], most: int) -> None:
        self._parts = parts
        self._blobs = blobs
        self._fields = fields
        self._most = most
        self._text_bytes = 0
        self.texts: list[tuple[str, str]] = []
        #: By the name that was sent, `image` or `image[]`.
        self.files: dict[str, list[Attached]] = {}

    async def run(self) -> None:
        while (part := await self._parts.next()) is not None:
            name = part.name.removesuffix("[]")
            field = self._fields.get(name)
            if field is None:
                await self._text(part)
            elif part.file_name is None and _is_text(part):
                # An empty text is what some clients send for a field that is not set.
                if await self._parts.read():
                    raise InvalidRequest(f"{name}: expected a file, got a text (curl: -F {name}=@…)", param=name)
            else:
                await self._file(part, name, field)

    async def _text(self, part: Part) -> None:
        if part.file_name is not None:
            takes = " and ".join(self._fields)
            raise InvalidRequest(f"{part.name}: expected a text, got a file; files go to {takes}", param=part.name)
        text = bytearray()
        while data := await self._parts.read():
            self._text_bytes += len(data)
            if self._text_bytes > _MOST_TEXT_BYTES:
                raise BodyTooLarge(f"the text fields of the form are larger than {_MOST_TEXT_BYTES} bytes")
            text += data
        try:
            self.texts.append((part.name, text.decode()))
        except UnicodeDecodeError:
            raise malformed(f"the text of {part.name} is not UTF-8") from None

    async def _file(self, part: Part, name: str, field: Upload) -> None:
        """Keeps the file, if it counts: of a field that takes one file, the first one does."""
        kept = self.files.setdefault(part.name, [])
        if len(kept) == field.most:
            if field.most > 1:
                raise InvalidRequest(f"{name}: at most {field.most} files", param=name)
            return
        file_name = part.file_name or ""
        data = await self._parts.read()
        if not data:
            if file_name:
                raise InvalidRequest(f"{name}: the file {file_name!r} is empty", param=name)
            # What a browser sends for a file that was not chosen.
            return
        media_type = media_types.of(part.media_type, file_name)
        async with self._blobs.new(media_type, self._most, _too_large, spares=True) as incoming:
            while data:
                await incoming.write(data)
                data = await self._parts.read()
        kept.append(Attached(name, len(kept), incoming.blob, file_name))


def _is_text(part: Part) -> bool:
    """Whether a part without a file name is a text, by its type: most clients say none for a text."""
    return (part.media_type or "text/plain").strip().lower().startswith("text/")


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"the file is larger than {most} bytes ([server] max_upload_bytes)")


def _chosen(files: Mapping[str, Iterable[Attached]]) -> tuple[tuple[Attached, ...], tuple[Attached, ...]]:
    """The files that count, and those that do not: `image[]` goes before `image`."""
    chosen: list[Attached] = []
    spare: list[Attached] = []
    for name, sent in files.items():
        (spare if files.get(name + "[]") else chosen).extend(sent)
    return tuple(chosen), tuple(spare)
