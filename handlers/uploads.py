"""`/v3/upload`: files for later jobs. They are their owner's alone."""

import asyncio

import orjson
from aiohttp import web

from ..engine.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding
from ..engine.ids import new_id
from ..engine.jobs import SECOND
from ..engine.upload_table import Upload
from ..schemas import uploads
from . import bodies
from .api import Policy, declared, slashed
from .auth import caller
from .gateway import GATEWAY, Gateway

PATH = "/v3/upload"

_FORM = "multipart/form-data"
_DAY = 86_400 * SECOND
_MAX_BODY_BYTES = 65_536

_REQUEST = uploads.UploadRequest()


def routes() -> list[web.RouteDef]:
    return slashed(
        web.post(PATH, add),
        web.get(PATH, every),
        web.delete(PATH, remove_all),
        web.post(f"{PATH}/delete", remove),
    )


@declared(Policy.KEY, "add_upload")
async def add(request: web.Request) -> web.Response:
    """Keeps the file of a form."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    if request.content_type != _FORM:
        raise UnsupportedEncoding(f"send the file in a form, as {_FORM} (curl: -F file=@…)")
    await _refuse_more(gateway, who.owner, request.content_length or 0)
    # Not imported where nobody sends forms: what it is read with takes a thirtieth of a start.
    from . import forms

    form = await forms.read(request, gateway.store.blobs, _REQUEST.files, gateway.config.server)
    now = gateway.clock.now()
    try:
        wish = uploads.wish(form.texts)
        if not form.files:
            raise InvalidRequest("expected a file, but it is missing", param="file")
    except BaseException:
        await gateway.store.blobs.discard(*(file.blob for file in form.files))
        raise
    (file,) = form.files
    upload = Upload(
        id=new_id(),
        owner=who.owner,
        purpose=wish.purpose,
        file_name=file.file_name,
        created_at=now,
        expires_at=now + wish.days * _DAY,
        blob=file.blob,
    )
    # In a task of its own: a caller that is cancelled cannot know whether the row has the file.
    await asyncio.shield(asyncio.create_task(_keep(gateway, upload)))
    return _json(uploads.file(upload))


@declared(Policy.KEY, "list_uploads")
async def every(request: web.Request) -> web.Response:
    """A page of the caller's uploads."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    asked = uploads.asked(request.query)
    found, total = await gateway.store.uploads.page(who.owner, asked.purpose, asked.page, asked.limit)
    return _json(uploads.page(found, total, asked))


@declared(Policy.KEY, "remove_uploads")
async def remove(request: web.Request) -> web.Response:
    """Removes some of the caller's uploads."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    ids = uploads.ids(bodies.parse(await bodies.read(request, _MAX_BODY_BYTES)))
    return _json({"deleted_count": await gateway.store.uploads.remove(who.owner, ids)})


@declared(Policy.KEY, "remove_all_uploads")
async def remove_all(request: web.Request) -> web.Response:
    """Removes all uploads of the caller."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    return _json({"deleted_count": await gateway.store.uploads.remove(who.owner, None)})


async def _refuse_more(gateway: Gateway, owner: str, size_bytes: int) -> None:
    """Raises `BodyTooLarge` where so much more would be too much of one owner's; what comes at the same time does not
    count."""
    most = gateway.config.server.max_stored_upload_bytes
    stored = await gateway.store.uploads.size_bytes(owner)
    if stored >= most or stored + size_bytes > most:
        raise BodyTooLarge(
            f"your uploads have {stored} bytes, and may have {most} together ([server] max_stored_upload_bytes);"
            f" remove some at {PATH}/delete",
            param="file",
        )


async def _keep(gateway: Gateway, upload: Upload) -> None:
    """The upload is on disk, or its file is not either."""
    try:
        await gateway.store.uploads.add(upload)
    except BaseException:
        await gateway.store.blobs.discard(upload.blob)
        raise


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value) + b"\n", content_type="application/json")
