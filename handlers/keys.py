"""`/v1/keys`: an admin makes, lists, rotates and removes virtual keys while the server runs."""

import orjson
from aiohttp import web

from ..engine.errors import Conflict, InvalidRequest, NotFound
from ..engine.keys import FIRST_KEY, new_token
from ..schemas.keys import NewKey, NewToken, load, shown
from . import bodies, descriptions
from .auth import admin, guarded
from .gateway import GATEWAY, Gateway

_MAX_BODY_BYTES = 65_536


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/keys", every),
        web.post("/v1/keys", add),
        web.delete("/v1/keys/{name}", remove),
        web.post("/v1/keys/{name}/rotate", rotate),
    ]


@descriptions.keys
async def every(request: web.Request) -> web.Response:
    """The keys that were made here; those of the configuration are in the configuration."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    return _json({"data": [shown(key) for key in await gateway.store.keys()]})


@descriptions.add_key
async def add(request: web.Request) -> web.Response:
    """Makes a key, as `NewKey` says. The token is in this answer and nowhere else."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    asked = load(NewKey, bodies.parse(await bodies.read(request, _MAX_BODY_BYTES)))
    if not asked.admin and not guarded(gateway):
        raise InvalidRequest(FIRST_KEY, param="admin")
    token = new_token()
    key = asked.key(token, gateway.clock.now())
    if not await gateway.store.add_key(key):
        raise Conflict(f"there is a key of the name {asked.name!r} already", param="name")
    gateway.keys.add(key)
    return _json({**shown(key), "key": token}, status=201)


@descriptions.rotate_key
async def rotate(request: web.Request) -> web.Response:
    """Gives a key a new token, as `NewToken` says; its owner and limits stay. The token is in this answer alone."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    body = await bodies.read(request, _MAX_BODY_BYTES)
    asked = load(NewToken, bodies.parse(body) if body else {})
    name, token = request.match_info["name"], new_token()
    key = await gateway.store.rotate_key(asked.rotation(name, token, gateway.clock.now()))
    if key is None:
        raise await _not_rotated(gateway, name)
    gateway.keys.add(key)
    return _json({**shown(key), "key": token})


@descriptions.remove_key
async def remove(request: web.Request) -> web.Response:
    """Removes a key; its jobs stay, and are an admin's alone."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    name = request.match_info["name"]
    key = await gateway.store.remove_key(name)
    if key is None:
        raise _unknown(name)
    gateway.keys.remove(key)
    return web.Response(status=204)


async def _not_rotated(gateway: Gateway, name: str) -> Conflict | NotFound:
    if any(key.name == name for key in await gateway.store.keys()):
        return Conflict(f"key {name!r} has expired; give expires_in_seconds too", param="expires_in_seconds")
    return _unknown(name)


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no key of the name {name!r} among those that were made here")


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value) + b"\n", status=status, content_type="application/json")
