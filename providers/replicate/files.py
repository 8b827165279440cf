"""Files on their way to Replicate and from it: in small data URLs or by its files API, out from where it delivers."""

import asyncio
import base64
import mimetypes
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from ...engine.blobs import Blob, Incoming
from ...engine.calls import Call, File
from ...engine.errors import CallFailed, Unusable
from ..data_urls import Data, data_url
from ..http import Door, session
from ..uploads import file_name, form
from ..upstream import pieces

#: Up to this size the vendor wants a file within the request.
_SMALL_BYTES = 256 * 1024
DELIVERY_HOSTS = ("replicate.delivery", "*.replicate.delivery")
#: What the vendor answers where a file is no longer kept.
_GONE = frozenset({403, 404, 410})


async def attached(door: Door, call: Call) -> Mapping[str, Sequence[str]]:
    """The addresses of the request's files, by their fields: uploaded, where they are too large for a data URL."""
    return {role: [await _address(door, call, file) for file in files] for role, files in call.files.items() if files}


def needs_upload(call: Call) -> bool:
    return any(file.size_bytes > _SMALL_BYTES for files in call.files.values() for file in files)


async def _address(door: Door, call: Call, file: File) -> str:
    if file.size_bytes <= _SMALL_BYTES:
        content = await asyncio.to_thread(file.path.read_bytes)
        return f"data:{file.media_type};base64,{base64.b64encode(content).decode()}"
    kept = await door.ask(
        "POST", door.url("files"), call=call, form=lambda: form({}, [("content", file, file_name(file))])
    )
    urls = kept.get("urls")
    address = urls.get("get") if isinstance(urls, dict) else None
    if not isinstance(address, str):
        raise Unusable(f"provider {door.name} answered without the address of an uploaded file")
    return address


@dataclass(frozen=True, kw_only=True)
class Image:
    #: Its entry of the result.
    shown: dict[str, Any]
    #: None where an address is all that was asked for.
    blob: Blob | None


class Deliveries:
    """Fetches what predictions made. Only from hosts that are known, never with a key, and never led elsewhere."""

    def __init__(self, door: Door, hosts: Sequence[str], most: int) -> None:
        """`hosts`: names, for https; one with a scheme before it and a port behind is for exactly that."""
        self._door = door
        self._hosts = hosts
        self._most = most
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, connect=10.0)
        self._session = session(timeout=timeout, headers={"Accept-Encoding": "identity"})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def images(self, call: Call, output: object) -> list[Image]:
        """The images of an output: with their address where that is asked for, else with their bytes, and where nothing
        is said with both. Raises `Unusable` for an output that is no images."""
        addresses = _addresses(output)
        if not addresses:
            raise Unusable(f"provider {self._door.name} made a prediction without an image")
        wanted = call.request.get("response_format")
        shown: list[dict[str, Any]] = []
        files: list[Incoming | None] = []
        async with AsyncExitStack() as stack:
            for index, address in enumerate(addresses):
                data = data_url(address)
                file: Incoming | None = None
                entry: dict[str, Any] = {"index": index}
                if data is not None:
                    file = await stack.enter_async_context(call.new_file(data.media_type))
                    await file.write(await self._decoded(data))
                else:
                    entry |= {"url": address} if wanted != "b64_json" else {}
                    if wanted != "url":
                        file = await self._fetched(stack, call, address)
                shown.append(entry)
                files.append(file)
        return [
            Image(shown={**entry, "b64_json": file.blob.placeholder}, blob=file.blob)
            if file is not None
            else Image(shown=entry, blob=None)
            for entry, file in zip(shown, files, strict=True)
        ]

    async def _decoded(self, data: Data) -> bytes:
        try:
            return await asyncio.to_thread(data.decoded, "output")
        except CallFailed as failed:
            raise Unusable(f"provider {self._door.name} made a file that cannot be read: {failed.message}") from failed

    async def _fetched(self, stack: AsyncExitStack, call: Call, address: str) -> Incoming:
        assert self._session is not None, "the deliveries are not open yet"
        name = self._door.name
        url = URL(address)
        if not self._known(url):
            raise Unusable(f"provider {name} delivers from {url.host}, which is not among delivery_hosts")
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status in _GONE:
                    raise Unusable(f"provider {name} no longer has a file of the prediction", code="result_gone")
                if response.status != 200:
                    raise CallFailed(f"provider {name} delivered no file: {response.status}", status=_status(response))
                guessed = mimetypes.guess_type(url.path)[0] or "application/octet-stream"
                told = response.content_type
                file = await stack.enter_async_context(
                    call.new_file(guessed if told == "application/octet-stream" else told)
                )
                async for piece in pieces(response, self._most):
                    await file.write(piece)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._door.broken(error) from error
        return file

    def _known(self, url: URL) -> bool:
        host = url.host or ""
        for pattern in self._hosts:
            if "://" in pattern:
                if url.origin() == URL(pattern).origin():
                    return True
            elif url.scheme == "https" and url.port == 443 and url.user is None:
                below = pattern.removeprefix("*")
                if host == pattern or (below != pattern and host.endswith(below)):
                    return True
        return False


def _status(response: aiohttp.ClientResponse) -> int:
    return response.status if response.status >= 400 else 502


def _addresses(output: object) -> list[str]:
    """The addresses of files that an output names."""
    if isinstance(output, str):
        return [output] if output.startswith(("https://", "http://", "data:")) else []
    inner = output.values() if isinstance(output, dict) else output if isinstance(output, list) else ()
    return [address for each in inner for address in _addresses(each)]
