"""`…/{job_id}/content`: the files of a result, as the bytes they are."""

from typing import Any

import orjson
from aiohttp import hdrs, web

from ..engine.errors import Conflict, NotFound
from ..engine.jobs import ResultFile, State, Ticket
from ..schemas import queries
from ..schemas.operations import OPERATIONS, Operation
from . import media_types, ranges, tickets
from .api import Handler, Policy, declared
from .gateway import Gateway
from .pieces import Extract, Pieces
from .v1 import PREFIX

#: A file that a provider or a client has made is never a page of ours.
HARMLESS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}

_PATH = "{job_id:[^/]*}/content"


def routes() -> list[web.RouteDef]:
    return [
        *(web.get(f"{PREFIX}/{o.name}/{_PATH}", content(o)) for o in OPERATIONS.values() if o.answers_files),
        web.get(f"{PREFIX}/jobs/{_PATH}", content(None)),
    ]


def content(operation: Operation | None) -> Handler:
    """The handler that sends files of this operation's jobs; None: of any."""

    @declared(Policy.OWNER, "content", operation)
    async def handle(request: web.Request) -> web.Response:
        gateway, ticket = await tickets.find(request, operation.name if operation else None)
        index = queries.index(request.query)
        file = await file_of(gateway, ticket, index)
        return send(request, file, "speech" if ticket.job.operation == "audio/speech" else f"image-{index}")

    return handle


async def file_of(gateway: Gateway, ticket: Ticket, index: int) -> ResultFile:
    """The result's file of that place. Raises `Conflict` before the job has ended, `NotFound` where there is none."""
    job = ticket.job
    if not job.state.ended:
        wait = tickets.retry_after(gateway.pool.forecast.seconds_left(job))
        raise Conflict(f"the job is {job.state}; it has content when it has completed", retry_after=int(wait))
    files = await tickets.files_of(gateway, ticket)
    if index >= len(files):
        raise NotFound(_nothing(ticket, index, len(files)))
    return files[index]


def send(request: web.Request, file: ResultFile, name: str) -> web.Response:
    """The file, or the part of it that is asked for, to be saved under that name; raises `NotInRange`."""
    tag = f'"{file.blob}"'
    headers: dict[str, str] = {hdrs.ETAG: tag, hdrs.CACHE_CONTROL: "private, no-cache"}
    if tickets.is_known(request, tag):
        return web.Response(status=304, headers=headers)
    headers |= {
        **HARMLESS,
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.CONTENT_TYPE: media_types.header(file.media_type),
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}.{media_types.end(file.media_type)}"',
    }
    asked = ranges.asked(request, file.size_bytes, tag)
    if asked is None:
        return web.Response(body=Pieces(Extract(path=file.path, size_bytes=file.size_bytes)), headers=headers)
    start, end = asked
    headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{end - 1}/{file.size_bytes}"
    part = Extract(path=file.path, start=start, size_bytes=end - start)
    return web.Response(body=Pieces(part), status=206, headers=headers)


def _nothing(ticket: Ticket, index: int, count: int) -> str:
    """Why there is no such file."""
    job = ticket.job
    if job.state is not State.COMPLETED:
        return f"the job {'was' if job.state is State.CANCELLED else 'has'} {job.state}: it has no content"
    url = _address(orjson.loads(ticket.body or b"{}"), index)
    if url is not None:
        return f"the provider did not send this image, but said where it is: {url}"
    if not count:
        return "the result has no files; it is all in the job"
    return f"the result has {count} {'file' if count == 1 else 'files'}, counted from 0; there is no {index}"


def _address(result: Any, index: int) -> str | None:
    """Where the vendor keeps the image of that index, if it says so."""
    images = result.get("data")
    if not isinstance(images, list) or index >= len(images) or not isinstance(images[index], dict):
        return None
    url = images[index].get("url")
    return url if isinstance(url, str) else None
