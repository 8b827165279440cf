"""multipart/form-data (RFC 7578), read part by part as it arrives; whatever a client may choose is bounded.

A library finds the parts. What it does not bound, or takes either way, is refused here.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from aiohttp import hdrs, web
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from ..engine.errors import BodyTooLarge, InvalidRequest
from .file_names import cleaned

_MOST_PARTS = 256
_LONGEST_HEADER_LINE = 8192
_MOST_HEADER_LINES = 16
_LONGEST_NAME = 100

#: A client that sends nothing for so long is gone, or means no good.
_PATIENCE_SECONDS = 60.0

#: RFC 2046, 5.1.1.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
#: A quoted value, or the name of a parameter and what follows without quotation marks.
_PARAMETER = re.compile(r'"(?:[^"\\]|\\.?)*"?|;[ \t]*([^\s=;"]+)[ \t]*=([^;"]*)')
_EXTENDED = re.compile(r"\s*(utf-8|iso-8859-1)'[^']*'(.*?)\s*", re.ASCII | re.IGNORECASE)

_PLAIN_ENCODINGS = {"7bit", "8bit", "binary"}


class Part(NamedTuple):
    name: str
    #: As the client named the file, without folders; None: the part is no file.
    file_name: str | None
    #: The part's Content-Type, as it was sent.
    media_type: str | None


def malformed(why: str) -> InvalidRequest:
    return InvalidRequest(f"failed to parse multipart form: {why}")


class Parts:
    """`next` brings one part after the other, `read` the bytes of the last one that came. Both raise `InvalidRequest`
    for what is no form or does not come, `BodyTooLarge` for one of more than `most` bytes in all."""

    def __init__(self, request: web.BaseRequest, most: int, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        boundary = _boundary(request)
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=_LONGEST_HEADER_LINE,
            max_header_count=_MOST_HEADER_LINES,
            max_segment_count=_MOST_PARTS,
            strict=True,
        )
        #: What a form begins with; a line's end or two hyphens follow.
        self._opening = b"--" + boundary.encode()
        self._stream = request.content
        self._most = most
        self._patience_seconds = patience_seconds
        if (request.content_length or 0) > most:
            raise self._too_large()
        self._size = 0
        self._events: Iterator[Any] = iter(())
        self._within = False
        #: The first bytes of the part.
        self._begun = b""

    async def next(self) -> Part | None:
        """The next part, whatever has not been read of the one before; None after the last one."""
        self._within = False
        while True:
            for event in self._events:
                if isinstance(event, MultipartSegment):
                    self._within, self._begun = True, b""
                    return _part(event)
                self._check(event)
            if not await self._more():
                return None

    async def read(self) -> bytes:
        """Some bytes of the part, none after its last."""
        while self._within:
            for event in self._events:
                self._check(event)
                self._within = event is not None
                return event or b""
            await self._more()
        return b""

    def _check(self, data: bytes | None) -> None:
        """The parser takes a boundary for content where the line of a part's content is not there."""
        if data and len(self._begun) < len(self._opening):
            self._begun += data[: len(self._opening) - len(self._begun)]
            if self._begun == self._opening:
                raise malformed("the header of a part is followed by a boundary, not by a line of its own")

    async def _more(self) -> bool:
        """Whether anything more has come."""
        data = await self._arrive()
        if not data and not self._complete():
            raise malformed("it ends before its last boundary")
        self._events = self._parse(data)
        return bool(data)

    def _parse(self, data: bytes) -> Iterator[Any]:
        try:
            yield from self._parser.parse(data)
        except MultipartError as error:
            # What follows the last boundary is passed over.
            if not self._complete():
                why = str(error.args[0])
                raise malformed(why[0].lower() + why[1:]) from error

    def _complete(self) -> bool:
        """Whether the last boundary has come. Nothing more is parsed afterwards."""
        try:
            self._parser.close()
        except MultipartError:
            return False
        return True

    async def _arrive(self) -> bytes:
        """What has come; none at the end."""
        # The parser refuses what stands before the first boundary only if its first piece has no boundary in it.
        first = len(self._opening) + 2 - self._size
        try:
            async with asyncio.timeout(self._patience_seconds):
                data = await (self._stream.read(first) if first > 0 else self._stream.readany())
        except TimeoutError:
            raise malformed(f"nothing came for {self._patience_seconds:g} seconds") from None
        except (web.RequestPayloadError, ConnectionError) as error:
            raise malformed(f"it could not be read: {error}") from error
        self._size += len(data)
        if self._size > self._most:
            raise self._too_large()
        return data

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the form is larger than {self._most} bytes ([server] max_form_bytes)")


def _boundary(request: web.BaseRequest) -> str:
    header = request.headers.get(hdrs.CONTENT_TYPE, "")
    media_type, said = parse_options_header(header)
    if media_type != "multipart/form-data":
        got = f"got {media_type[:100]}" if media_type else "there is no Content-Type"
        raise malformed(f"expected multipart/form-data (curl: -F model=… -F file=@…), {got}")
    _parameters(header)
    boundary: str = said.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise malformed("its Content-Type has no boundary, or none that is valid")
    return boundary


def _part(segment: MultipartSegment) -> Part:
    lines = dict(segment.headerlist)
    if len(lines) < len(segment.headerlist):
        raise malformed("a part has a header twice")
    if lines.get("Content-Transfer-Encoding", "binary").strip().lower() not in _PLAIN_ENCODINGS:
        raise malformed("a part has a Content-Transfer-Encoding; send it as it is")
    if lines.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise malformed("a part is compressed; send it as it is")
    name: str = segment.name
    if not name:
        raise malformed("a part has no name")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise malformed("the name of a part is too long, or not printable")
    # RFC 7578 has no such names, but there are clients that have.
    extended = _EXTENDED.fullmatch(_parameters(lines["Content-Disposition"]).get("filename*", ""))
    file_name = unquote_to_bytes(extended[2]).decode(extended[1], "replace") if extended else segment.filename
    return Part(name, None if file_name is None else cleaned(file_name), lines.get("Content-Type"))


def _parameters(header: str) -> Mapping[str, str]:
    """The parameters of a header, without what is quoted. Raises `InvalidRequest` for one that stands there twice."""
    found = [(name.lower(), value) for name, value in _PARAMETER.findall(header) if name]
    if len(dict(found)) < len(found):
        raise malformed("a header has a parameter twice")
    return dict(found)
