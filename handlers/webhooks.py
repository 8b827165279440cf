"""Webhooks: who is to be told of a job's end, and `/v1/webhooks` and `/v3/webhooks`, where they are looked after."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web
from multidict import istr

from ..engine.deliveries import Delivery, DeliveryFilter
from ..engine.errors import Conflict, InvalidRequest, NotFound, UnknownKey
from ..engine.fetch import check_url
from ..engine.ids import is_id
from ..engine.jobs import Hook
from ..engine.keys import Caller
from ..schemas import deliveries as schemas
from ..schemas import queries
from ..schemas.config import EndpointSettings
from ..schemas.keys import load
from . import bodies
from .api import Policy, declared
from .auth import admin, caller
from .gateway import GATEWAY, Gateway

HEADER = istr("x-bf-async-webhook")
PREFIX = "/v1/webhooks"

#: What a message says of a receiver is cut off there.
_SHOWN = 80
_MAX_BODY_BYTES = 65_536


def routes() -> list[web.RouteDef]:
    return [
        web.get(PREFIX + "/deliveries", every),
        web.post(PREFIX + "/deliveries/replay", replay_many),
        # That name is another route's: what asks for it with GET is told that it takes POST.
        web.get(PREFIX + "/deliveries/{delivery_id:(?!replay$)[^/]+}", delivery),
        web.post(PREFIX + "/deliveries/{delivery_id}/replay", replay_one),
        web.get(PREFIX + "/endpoints", endpoints),
        web.post(PREFIX + "/endpoints/{name}/enable", enable),
        web.get(PREFIX + "/endpoints/{name}/secret", endpoint_secret),
        web.post(PREFIX + "/endpoints/{name}/rotate", rotate_endpoint),
        web.get(PREFIX + "/secret", secret),
        web.post(PREFIX + "/secret/rotate", rotate),
        web.get("/v3/webhooks/public-key", public_key),
    ]


async def hook_of(request: web.Request, gateway: Gateway) -> Hook | None:
    """The receiver that the request's header names: an endpoint of the configuration, or an address. None: none.

    Raises `InvalidRequest`."""
    given = request.headers.get(HEADER, "").strip()
    if not given:
        return None
    if "://" in given:
        wrong = check_url(given)
        if wrong is not None:
            raise InvalidRequest(f"{HEADER} {wrong}", param=HEADER, place="header")
        return Hook(endpoint=None, url=given)
    if _endpoint(gateway, given) is None:
        raise _unresolved(_unknown(given))
    off = (await gateway.store.outbox.endpoints_off()).get(given)
    if off is not None:
        raise _unresolved(f"endpoint {given!r} is switched off: {off[1]}")
    return Hook(endpoint=given, url=None)


@declared(Policy.KEY, "deliveries")
async def every(request: web.Request) -> web.Response:
    """A page of the caller's deliveries, newest first; an admin sees every owner's."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    asked: schemas.Asked = queries.loaded(schemas.DELIVERIES, request.query)
    wanted = _own(who, asked.filter)
    # One more than is shown says whether there are more.
    found = await gateway.store.outbox.deliveries(wanted, before=asked.cursor, limit=asked.limit + 1)
    page = found[: asked.limit]
    more = {"next": str(page[-1].seq)} if len(found) > len(page) else {}
    return _json({"data": [schemas.shown(one, owners=who.admin) for one in page], **more})


@declared(Policy.OWNER, "delivery")
async def delivery(request: web.Request) -> web.Response:
    """One delivery, with its payload."""
    _, who, found = await _found(request)
    return _json(schemas.shown(found, owners=who.admin))


@declared(Policy.OWNER, "replay_delivery")
async def replay_one(request: web.Request) -> web.Response:
    """Sends a delivery again, with the same id and payload; one that is tried again later, at once."""
    gateway, who, found = await _found(request)
    await _refuse_unsent(gateway, found.endpoint)
    if not await gateway.store.outbox.replay(DeliveryFilter(owner=who.scope), (found.id,)):
        raise Conflict("it was delivered, and its job was deleted: there is nothing left to send")
    _, _, due = await _found(request)
    return _json(schemas.shown(due, owners=who.admin), status=202)


@declared(Policy.KEY, "replay_deliveries")
async def replay_many(request: web.Request) -> web.Response:
    """Sends all deliveries again that fit what the body says; dead ones, where it says nothing else."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    asked = load(schemas.Replay, await _body(request))
    await _refuse_unsent(gateway, asked.endpoint)
    count = await gateway.store.outbox.replay(asked.filter(who.scope), asked.ids)
    return _json({"replayed": count}, status=202)


@declared(Policy.ADMIN, "endpoints")
async def endpoints(request: web.Request) -> web.Response:
    """The endpoints of the configuration, and which of them are switched off."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    off = await gateway.store.outbox.endpoints_off()
    known = gateway.config.webhooks.endpoints
    return _json({"data": [schemas.shown_endpoint(endpoint, off.get(endpoint.name)) for endpoint in known]})


@declared(Policy.ADMIN, "enable_endpoint")
async def enable(request: web.Request) -> web.Response:
    """Switches an endpoint on again that was switched off. Asking again is harmless."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    endpoint = _named(request, gateway)
    await gateway.store.outbox.endpoint_on(endpoint.name)
    return _json(schemas.shown_endpoint(endpoint, None))


@declared(Policy.ADMIN, "endpoint_secret")
async def endpoint_secret(request: web.Request) -> web.Response:
    """The secret with which an endpoint's deliveries are signed, where it was made here."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    endpoint = _named(request, gateway)
    if endpoint.secret_env is not None:
        raise Conflict(f"the secret of {endpoint.name!r} is what {endpoint.secret_env} holds, where the server runs")
    return _json(schemas.shown_secret(await gateway.store.outbox.secret(f"endpoint:{endpoint.name}")))


@declared(Policy.ADMIN, "rotate_endpoint")
async def rotate_endpoint(request: web.Request) -> web.Response:
    """Gives an endpoint a new secret, as `NewSecret` says."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    endpoint = _named(request, gateway)
    if endpoint.secret_env is not None:
        before = endpoint.previous_secret_env or "the variable that its previous_secret_env names"
        raise Conflict(
            f"the secret of {endpoint.name!r} is the configuration's: put a new one into {endpoint.secret_env} and the "
            f"one before into {before}, and start the server again"
        )
    return await _rotated(request, gateway, f"endpoint:{endpoint.name}")


@declared(Policy.KEY, "webhook_secret")
async def secret(request: web.Request) -> web.Response:
    """The secret with which deliveries to addresses that the caller gave are signed; made when it is first needed."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    return _json(schemas.shown_secret(await gateway.store.outbox.secret(f"owner:{who.owner}")))


@declared(Policy.KEY, "rotate_webhook_secret")
async def rotate(request: web.Request) -> web.Response:
    """Gives the caller a new secret, as `NewSecret` says."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    return await _rotated(request, gateway, f"owner:{who.owner}")


@declared(Policy.PUBLIC, "public_key")
async def public_key(request: web.Request) -> web.Response:
    """The key with which the v3 dialect's deliveries are checked, as PEM."""
    gateway = request.app[GATEWAY]
    pem = await asyncio.to_thread(gateway.webhook_key.public_pem)
    return web.Response(body=pem, content_type="application/x-pem-file")


def _unresolved(why: str) -> InvalidRequest:
    return InvalidRequest(f"failed to resolve webhook endpoint: {why}", param=HEADER, place="header")


def _unknown(endpoint: str) -> str:
    return f"there is no endpoint {endpoint[:_SHOWN]!r} in [[webhooks.endpoints]]"


def _own(who: Caller, wanted: DeliveryFilter) -> DeliveryFilter:
    """What of it the caller may see."""
    if who.admin:
        return wanted
    if wanted.owner not in (None, who.owner):
        raise InvalidRequest("owner: only an admin may ask for another owner's deliveries", param="owner")
    return replace(wanted, owner=who.owner)


async def _found(request: web.Request) -> tuple[Gateway, Caller, Delivery]:
    """The delivery that the path names, and who asks for it. Raises `NotFound`, also for an unknown key: it is told
    what everyone is told who may not see it."""
    gateway, id = request.app[GATEWAY], request.match_info["delivery_id"]
    found: Delivery | None = None
    with suppress(UnknownKey):
        who = caller(gateway, request)
        if is_id(id):
            found = await gateway.store.outbox.delivery(id, who.scope)
    if found is None:
        raise NotFound("delivery not found or forgotten")
    return gateway, who, found


async def _refuse_unsent(gateway: Gateway, endpoint: str | None) -> None:
    """Raises `Conflict` for an endpoint that is sent nothing: one that is switched off, or not configured."""
    if endpoint is None:
        return
    if _endpoint(gateway, endpoint) is None:
        raise Conflict(_unknown(endpoint))
    if endpoint in await gateway.store.outbox.endpoints_off():
        raise Conflict(f"endpoint {endpoint!r} is switched off; an admin enables it first")


def _endpoint(gateway: Gateway, name: str) -> EndpointSettings | None:
    return next((one for one in gateway.config.webhooks.endpoints if one.name == name), None)


def _named(request: web.Request, gateway: Gateway) -> EndpointSettings:
    """The endpoint that the path names; raises `NotFound`."""
    name = request.match_info["name"]
    endpoint = _endpoint(gateway, name)
    if endpoint is None:
        raise NotFound(_unknown(name))
    return endpoint


async def _rotated(request: web.Request, gateway: Gateway, subject: str) -> web.Response:
    asked = load(schemas.NewSecret, await _body(request))
    made = await asyncio.shield(gateway.store.outbox.rotate_secret(subject, asked.overlap_seconds))
    return _json(schemas.shown_secret(made))


async def _body(request: web.Request) -> Any:
    """The body, which may be absent."""
    body = await bodies.read(request, _MAX_BODY_BYTES)
    return bodies.parse(body) if body else {}


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value) + b"\n", status=status, content_type="application/json")
