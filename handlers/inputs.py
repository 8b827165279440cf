"""The files of a job's input that are named, not sent: uploads, files at other addresses, and data: URIs."""

import asyncio
import base64
import binascii
import re
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from ..engine.blobs import Incoming
from ..engine.errors import Unacceptable, Unprocessable, UploadNotFound
from ..engine.fetch import FetchFailed, Found, check_url
from ..engine.ids import is_uuid
from ..engine.jobs import Attached, Borrowed
from ..engine.keys import Caller
from . import bodies, media_types
from .file_names import cleaned
from .gateway import Gateway

_ADDRESS = re.compile(r"https?:", re.ASCII | re.IGNORECASE)
_DATA = re.compile(r"data:([^,]{0,300}),", re.ASCII | re.IGNORECASE)
#: A client's value can be of any length; an answer need not be.
_LONGEST_SHOWN = 40
#: For one owner; more wait for these: an origin that does not answer holds a connection and perhaps a thread.
_FETCHED_AT_ONCE = 16


class Source(NamedTuple):
    """Where a file of an input is."""

    #: The input's field, as `file` or `reference_images`.
    role: str
    #: Among the files of its role, from 0.
    place: int
    #: An upload's id, an http(s) URL or a data: URI: what `check` has passed.
    value: str
    #: The field for people and programs, as `input.reference_images[1]`.
    param: str


def check(value: str, param: str) -> None:
    """Raises `Unprocessable`, naming the field, for what is none of the three. Looks at the text alone."""
    if _ADDRESS.match(value):
        if why := check_url(value):
            raise Unprocessable(f"{param}: the address {why}", param=param)
    elif not is_uuid(value) and not _DATA.match(value):
        shown = repr(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…")
        raise Unprocessable(
            f"{param}: expected the id of an upload, an http(s) URL or a data: URI, got {shown}", param=param
        )


async def gather(
    gateway: Gateway, who: Caller, sources: Sequence[Source]
) -> tuple[tuple[Attached, ...], tuple[Borrowed, ...]]:
    """The files of the sources, all fetched at once, and the uploads among them. Whoever has the files keeps them or
    discards them.

    Raises `UploadNotFound` for an upload that the caller does not have, `Unacceptable` for what cannot be fetched,
    `Unprocessable` for what is not as `check` wants it, `StoreUnavailable`; then, or when the caller is cancelled, no
    file stays.
    """
    for source in sources:
        check(source.value, source.param)
    lent = [source for source in sources if is_uuid(source.value)]
    # Before anything is fetched.
    borrowed = [await _borrowed(gateway, who, source) for source in lent]
    turns = gateway.fetching.setdefault(who.owner, asyncio.Semaphore(_FETCHED_AT_ONCE))
    brought = [_brought(gateway, turns, source) for source in sources if source not in lent]
    return tuple(await _all(gateway, brought)), tuple(borrowed)


async def _all(gateway: Gateway, brought: Sequence[Coroutine[Any, Any, Attached]]) -> list[Attached]:
    """The files in their order; where one fails, it fails, and none stays."""
    tasks = [asyncio.create_task(each) for each in brought]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        # A file whose task is cancelled may have come all the same.
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await gateway.store.blobs.discard(*(file.blob for file in ended if isinstance(file, Attached)))
        raise


async def _borrowed(gateway: Gateway, who: Caller, source: Source) -> Borrowed:
    id = source.value.lower()
    if await gateway.store.uploads.find(id, who.owner) is None:
        raise UploadNotFound(f"file not found or expired: {source.param}", param=source.param)
    return Borrowed(source.role, source.place, id)


async def _brought(gateway: Gateway, turns: asyncio.Semaphore, source: Source) -> Attached:
    data = _DATA.match(source.value)
    if data:
        return await _unpacked(gateway, source, data)
    async with turns:
        return await _fetched(gateway, source)


async def _fetched(gateway: Gateway, source: Source) -> Attached:
    blobs, config = gateway.store.blobs, gateway.config

    def begin(found: Found) -> Incoming:
        media_type = media_types.of(found.media_type, cleaned(found.file_name))
        return blobs.new(media_type, spares=True)

    try:
        blob, found = await gateway.fetch.get(
            source.value,
            begin,
            most=config.server.max_upload_bytes,
            timeout_seconds=config.webhooks.fetch_timeout_seconds,
        )
    except FetchFailed as error:
        raise Unacceptable(f"{source.param}: the address {error.message}", param=source.param) from error
    return Attached(source.role, source.place, blob, cleaned(found.file_name))


async def _unpacked(gateway: Gateway, source: Source, head: re.Match[str]) -> Attached:
    """The file that a data: URI holds (RFC 2397)."""
    most = gateway.config.server.max_upload_bytes
    said, *parameters = (part.strip().lower() for part in head[1].split(";"))
    unpack = partial(_content, source, head.end(), "base64" in parameters)
    content = await bodies.off_loop(len(source.value), unpack)
    if not 0 < len(content) <= most:
        what = f"holds more than {most} bytes ([server] max_upload_bytes)" if content else "holds nothing"
        raise Unprocessable(f"{source.param}: the data: URI {what}", param=source.param)
    async with gateway.store.blobs.new(media_types.of(said or "text/plain", ""), spares=True) as file:
        await file.write(content)
    return Attached(source.role, source.place, file.blob)


def _content(source: Source, start: int, encoded: bool) -> bytes:
    text = source.value[start:]
    if not encoded:
        return unquote_to_bytes(text)
    try:
        return base64.b64decode(unquote_to_bytes(text) if "%" in text else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unprocessable(f"{source.param}: the data: URI is not base64: {error}", param=source.param) from None
