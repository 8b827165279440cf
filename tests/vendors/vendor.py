"""What the conformance suite has to know of a vendor, and a local server that speaks as the vendor does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from aiohttp import web

from coatcheck.engine.blobs import Blobs
from coatcheck.engine.calls import Call, File, Provider, Reply
from coatcheck.engine.errors import CallFailed
from coatcheck.providers.kinds import KINDS

from ..servers import listening

#: The environment variable of the key, and the key.
KEY_ENV = "COATCHECK_TEST_VENDOR_KEY"
KEY = "sk-live-0123456789abcdef"

#: A second one, for providers with several keys.
OTHER_ENV = "COATCHECK_TEST_OTHER_KEY"
OTHER = "other-fedcba9876543210"


@dataclass(frozen=True)
class Part:
    """A part of a multipart body."""

    name: str
    file_name: str | None
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Seen:
    """A request as the vendor's server saw it."""

    method: str
    #: As it was sent, without the query.
    raw_path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def segments(self) -> list[str]:
        """Of the path, below the base."""
        return [unquote(segment) for segment in self.raw_path.split("/")[1:]]

    @property
    def parts(self) -> list[Part]:
        """Of a multipart body, in its order."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = BytesParser().parsebytes(head + self.body)
        assert message.is_multipart(), self.headers["Content-Type"]
        return [
            Part(
                str(part.get_param("name", header="Content-Disposition")),
                part.get_filename(),
                part.get_content_type(),
                part.get_payload(decode=True),  # type: ignore[arg-type]
            )
            for part in message.get_payload()
        ]

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Of a multipart body, the parts that are no files."""
        return [(part.name, part.content.decode()) for part in self.parts if part.file_name is None]


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file of a request."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Done:
    """How a call ended well: the reply, its result with the bytes of its files beside it."""

    reply: Reply
    result: Any
    files: list[bytes]


Answer = Callable[[Seen], web.StreamResponse]


@dataclass(frozen=True, kw_only=True)
class Case:
    """An operation that goes well; `check` asserts what was sent and what became of the answer."""

    operation: str
    request: Mapping[str, Any]
    check: Callable[[list[Seen], Done], None]
    #: What the vendor's server says to each request.
    answer: Answer
    files: Mapping[str, tuple[Attachment, ...]] = field(default_factory=dict)
    model: str = "small"


@dataclass(frozen=True, kw_only=True)
class Vendor:
    kind: str
    #: In the names of tests, where a kind has several faces.
    face: str = ""
    #: At least one of each operation that the kind claims.
    cases: tuple[Case, ...]
    #: The vendor's body of an error that says this.
    error: Callable[[str], Any]
    #: Which model a request is for; None if this request does not say.
    model: Callable[[Seen], str | None]
    #: Which key a request carries.
    key: Callable[[Seen], str | None]
    #: Of the base URL.
    path: str = "/api/v1"
    #: Whether its first request brings a file alone: when that is lost, nothing was begun.
    uploads_first: bool = False
    #: More for the provider's table.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: What it answers to a question for its models, and the ids that are meant; None: it has no such list.
    models: tuple[Any, list[str]] | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.face}" if self.face else self.kind


def bearer(seen: Seen) -> str | None:
    return seen.headers.get("Authorization", "").removeprefix("Bearer ") or None


def body_model(seen: Seen) -> str | None:
    """The model of a JSON body or of a form."""
    if seen.headers.get("Content-Type", "").startswith("multipart/"):
        return dict(seen.fields).get("model")
    return str(seen.json["model"]) if seen.body else None


def saying(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    told = {"Content-Type": "application/json", **(headers or {})}
    return lambda _seen: web.Response(status=status, body=data, headers=told)


Handle = Callable[[web.Request, Seen], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(
    vendor: Vendor, answer: Answer | Handle, **options: Any
) -> AsyncIterator[tuple[Provider, list[Seen], str]]:
    """The vendor's provider at a server that answers so; what the server has seen; the server's address."""
    seen: list[Seen] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen.append(Seen(request.method, request.rel_url.raw_path, request.query, request.headers, body))
        if asyncio.iscoroutinefunction(answer):
            response: web.StreamResponse = await answer(request, seen[-1])
            return response
        return answer(seen[-1])  # type: ignore[call-arg, return-value]

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handle)
    async with listening(app, shutdown_timeout=0.01, handler_cancellation=True) as origin:
        url = origin + vendor.path
        async with made(vendor, url, **options) as provider:
            yield provider, seen, url


@asynccontextmanager
async def made(vendor: Vendor, url: str, **options: Any) -> AsyncIterator[Provider]:
    """The vendor's provider, for a server at that address."""
    kind = KINDS[vendor.kind]
    keys = {} if "api_keys" in options else {"api_key_env": KEY_ENV}
    provider = kind.make("up", kind.options(**{"base_url": url, **keys, **vendor.options, **options}))
    await provider.start()
    try:
        yield provider
    finally:
        await provider.close()


@asynccontextmanager
async def calling(folder: Path, case: Case, **changes: Any) -> AsyncIterator[tuple[Call, Blobs]]:
    """A call of the case, whose files are on disk, and the place where the files of its result go."""
    sent = folder / "sent"
    sent.mkdir(exist_ok=True)
    files: dict[str, tuple[File, ...]] = {}
    for role, attached in case.files.items():
        kept = []
        for number, each in enumerate(attached):
            path = sent / f"{role}-{number}"
            path.write_bytes(each.content)
            size = len(each.content)
            kept.append(File(name=each.name, media_type=each.media_type, size_bytes=size, path=path))
        files[role] = tuple(kept)
    blobs = Blobs(folder / "blobs")
    await blobs.open(folder / "coatcheck.db")
    call: dict[str, Any] = {"job_id": "j-1", "operation": case.operation, "model": case.model, "files": files}
    call |= {"request": {"model": f"up/{case.model}", **case.request}, "new_file": blobs.new, **changes}
    try:
        yield Call(**call), blobs
    finally:
        await blobs.close()


async def carried_out(provider: Provider, call: Call, blobs: Blobs) -> Done:
    reply = await provider.execute(call)
    files = [blobs.path(blob.id).read_bytes() for blob in reply.files]
    for blob in reply.files:
        assert blob.placeholder.encode() in reply.result
    return Done(reply, orjson.loads(reply.result), files)


async def failing(provider: Provider, folder: Path, case: Case, **changes: Any) -> CallFailed:
    """How the call fails, as it must; no file of a result is left of it."""
    async with calling(folder, case, **changes) as (call, blobs):
        with pytest.raises(CallFailed) as caught:
            await provider.execute(call)
        await blobs.close()
    assert left_in(folder) == []
    return caught.value


def left_in(folder: Path) -> list[Path]:
    """The files of results, whole or begun, below the folder of a test."""
    return [path for path in (folder / "blobs").glob("*/*") if path.is_file()]
