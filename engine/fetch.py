"""The one client for addresses that others name: receivers of webhooks, and files that are somewhere else.

What is judged is the address that a socket is about to be connected to, when it is: a name that leads elsewhere by then
gains nothing. No connection is used twice, no proxy of the environment is asked, no cookie is kept.
"""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver
from yarl import URL

from .blobs import Blob, Incoming
from .guard import AddressRefused, FetchFailed, Guard, failure
from .resolver import Resolver
from .retries import retry_after

__all__ = ["AddressRefused", "Answer", "Fetch", "FetchFailed", "Fetched", "Found", "check_url"]

#: Of an address; Pydantic's `HttpUrl` takes as many.
LONGEST_URL = 2083
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: What is read of an answer that nobody looks at.
_MOST_IGNORED_BYTES = 16_384
_PIECE_BYTES = 65_536
_HEADERS: dict[str, str] = {hdrs.ACCEPT_ENCODING: "identity", hdrs.USER_AGENT: "Coatcheck"}


class Answer(NamedTuple):
    status: int
    #: Seconds, as the answer's Retry-After has it; None: there was none.
    retry_after: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A file at an address, before it is read."""

    #: As the answer's Content-Type has it; None: it has none.
    media_type: str | None
    #: As the answer or else the address names it, whatever letters there are; empty: neither does.
    file_name: str


class Fetched(NamedTuple):
    blob: Blob
    found: Found


def check_url(url: str) -> str | None:
    """Why this is no http or https address of 1 to 2083 characters, as a clause ("is no URL: …"); None: it is. Nothing
    is looked up."""
    try:
        _parsed(url)
    except AddressRefused as error:
        return error.message
    return None


class Fetch:
    """Between `start` and `close`, in the application's loop."""

    def __init__(
        self,
        *,
        allow_private: bool,
        names: int = 64,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`names`: how many are looked up at once; `tls` None: certificates are verified by those that the machine
        trusts."""
        self._allow_private = allow_private
        self._names = names
        self._resolver = resolver
        self._tls = tls

    async def start(self) -> None:
        self._resolver = self._resolver or Resolver(self._names)

    async def close(self) -> None:
        if self._resolver is not None:
            await self._resolver.close()

    async def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout_seconds: float,
        allow_private: bool | None = None,
    ) -> Answer:
        """What is answered; a redirect is an answer too. `timeout_seconds` is for all of it, `allow_private` None: as
        for all addresses.

        Raises `FetchFailed`. Once there is a status it counts, whatever becomes of the rest of the answer."""
        answer: Answer | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                async with self._asked("POST", _parsed(url), headers, body, allow_private) as response:
                    answer = Answer(response.status, retry_after(response.headers.get(hdrs.RETRY_AFTER)))
                    await _ignore(response)
        except (FetchFailed, TimeoutError) as error:
            if answer is None:
                raise _late(timeout_seconds, error) from error
        if answer is None:
            raise FetchFailed
        return answer

    async def get(
        self,
        url: str,
        begin: Callable[[Found], Incoming],
        *,
        most: int,
        timeout_seconds: float,
        allow_private: bool | None = None,
    ) -> Fetched:
        """The file at the address, of at most that many bytes, written to what `begin` begins for it. Up to three
        redirects are followed, each of which is judged as the first address is. `timeout_seconds` is for all of it,
        `allow_private` None: as for all addresses.

        Raises `FetchFailed`, or what writing raises; then, or when the caller is cancelled, nothing of it stays."""
        try:
            # The file is the last to be left: once it is kept, nothing else can go wrong.
            async with asyncio.timeout(timeout_seconds), AsyncExitStack() as writing:
                file, found = await self._read(url, begin, most, allow_private, writing)
        except TimeoutError as error:
            raise _late(timeout_seconds, error) from error
        return Fetched(file.blob, found)

    async def _read(
        self,
        url: str,
        begin: Callable[[Found], Incoming],
        most: int,
        allow_private: bool | None,
        writing: AsyncExitStack,
    ) -> tuple[Incoming, Found]:
        target = _parsed(url)
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._asked("GET", target, {}, None, allow_private) as response:
                location = response.headers.get(hdrs.LOCATION)
                if response.status not in _REDIRECTS or location is None:
                    _check(response, most)
                    found = _found(response, target)
                    file = await writing.enter_async_context(begin(found))
                    await _copy(response, file, most)
                    return file, found
                target = _next(target, location)
        raise FetchFailed(f"redirects more than {_MOST_REDIRECTS} times")

    @asynccontextmanager
    async def _asked(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, allow_private: bool | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        guard = Guard(self._allow_private if allow_private is None else allow_private)
        connector = aiohttp.TCPConnector(
            socket_factory=guard,
            resolver=self._resolver,
            use_dns_cache=False,
            force_close=True,
            ssl=self._tls or True,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=False,
        )
        async with session:
            try:
                # In pieces: a large body at once would hold the loop.
                data = None if body is None else io.BytesIO(body)
                async with session.request(
                    method, url, headers=_HEADERS | dict(headers), data=data, allow_redirects=False
                ) as response:
                    yield response
            except (aiohttp.ClientError, OSError) as error:
                if isinstance(error, TimeoutError):
                    raise
                raise failure(error, guard, url) from error


def _parsed(url: str) -> URL:
    """Raises `AddressRefused`."""
    if not 1 <= len(url) <= LONGEST_URL:
        raise AddressRefused(f"is not of 1 to {LONGEST_URL} characters", final=True)
    if not url.isprintable() or " " in url or "\\" in url:
        raise AddressRefused("is no URL: it has letters that no URL has", final=True)
    try:
        # `URL` takes ports and brackets that `hooks.receiver_of` does not, and falls over some.
        parsed, port = URL(url), urlsplit(url).port
        host = parsed.host
    except (ValueError, IndexError):
        raise AddressRefused("is no URL", final=True) from None
    if parsed.scheme not in ("http", "https"):
        raise AddressRefused("is no http or https address", final=True)
    if not host or port == 0:
        raise AddressRefused("is no URL: it has no host, or none that can be", final=True)
    return parsed


def _next(url: URL, location: str) -> URL:
    """Where a redirect leads. Raises `AddressRefused`."""
    try:
        joined = str(url.join(URL(location)))
    except (ValueError, IndexError):
        joined = location
    try:
        return _parsed(joined)
    except AddressRefused as error:
        raise AddressRefused(f"redirects to what {error.message}") from None


def _found(response: aiohttp.ClientResponse, url: URL) -> Found:
    told = Message()
    told[hdrs.CONTENT_DISPOSITION] = response.headers.get(hdrs.CONTENT_DISPOSITION, "")
    file_name = ""
    # It may be said in any codec that Python has.
    with suppress(UnicodeError):
        file_name = told.get_filename("")
    return Found(media_type=response.headers.get(hdrs.CONTENT_TYPE), file_name=file_name or url.name)


def _check(response: aiohttp.ClientResponse, most: int) -> None:
    """Raises `FetchFailed` where the file is not worth beginning."""
    if response.status != 200:
        raise FetchFailed(f"answered {response.status}", status=response.status)
    if response.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise FetchFailed("answered with compressed content, which it was asked not to", status=200)
    if (response.content_length or 0) > most:
        raise _too_large(most)


async def _copy(response: aiohttp.ClientResponse, file: Incoming, most: int) -> None:
    size = 0
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        size += len(piece)
        if size > most:
            raise _too_large(most)
        await file.write(piece)
    if not size:
        raise FetchFailed("answered with an empty file", status=200)


def _too_large(most: int) -> FetchFailed:
    return FetchFailed(f"holds more than {most} bytes", status=200)


async def _ignore(response: aiohttp.ClientResponse) -> None:
    left = _MOST_IGNORED_BYTES
    while left > 0 and (piece := await response.content.read(left)):
        left -= len(piece)


def _late(timeout_seconds: float, error: Exception) -> FetchFailed:
    return (
        error if isinstance(error, FetchFailed) else FetchFailed(f"did not answer within {timeout_seconds:g} seconds")
    )
