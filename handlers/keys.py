"""`/v1/keys`: an admin makes, lists, rotates and removes virtual keys while the server runs."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import orjson
from aiohttp import web

from ..engine.errors import Conflict, InvalidRequest, NotFound
from ..engine.keys import FIRST_KEY, Key, Rotation, new_token
from ..schemas.keys import NewKey, NewToken, load, shown
from . import bodies
from .api import Policy, declared
from .auth import admin, guarded
from .gateway import GATEWAY, Gateway

T = TypeVar("T")

_MAX_BODY_BYTES = 65_536


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/keys", every),
        web.post("/v1/keys", add),
        web.delete("/v1/keys/{name}", remove),
        web.post("/v1/keys/{name}/rotate", rotate),
    ]


@declared(Policy.ADMIN, "keys")
async def every(request: web.Request) -> web.Response:
    """The keys that were made here; those of the configuration are in the configuration."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    return _json({"data": [shown(key) for key in await gateway.store.keys()]})


@declared(Policy.ADMIN, "add_key")
async def add(request: web.Request) -> web.Response:
    """Makes a key, as `NewKey` says. The token is in this answer and nowhere else."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    asked = load(NewKey, bodies.parse(await bodies.read(request, _MAX_BODY_BYTES)))
    if not asked.admin and not guarded(gateway):
        raise InvalidRequest(FIRST_KEY, param="admin")
    if any(key.name == asked.name for key in gateway.config.auth.keys):
        raise Conflict(f"the configuration has a key of the name {asked.name!r} already", param="name")
    token = new_token()
    key = asked.key(token, gateway.clock.now())
    if not await _whole(_add(gateway, key)):
        raise Conflict(f"there is a key of the name {asked.name!r} already", param="name")
    return _json({**shown(key), "key": token}, status=201)


@declared(Policy.ADMIN, "rotate_key")
async def rotate(request: web.Request) -> web.Response:
    """Gives a key a new token, as `NewToken` says; its owner and limits stay. The token is in this answer alone."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    body = await bodies.read(request, _MAX_BODY_BYTES)
    asked = load(NewToken, bodies.parse(body) if body else {})
    name, token = request.match_info["name"], new_token()
    key = await _whole(_rotate(gateway, asked.rotation(name, token, gateway.clock.now())))
    if key is None:
        raise await _not_rotated(gateway, name)
    return _json({**shown(key), "key": token})


@declared(Policy.ADMIN, "remove_key")
async def remove(request: web.Request) -> web.Response:
    """Removes a key; its jobs stay, and are an admin's alone. The last admin's key stays while there are others: nobody
    could look after those."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    name = request.match_info["name"]
    if await _locks_out(gateway, name):
        raise Conflict(f"{name!r} is the last admin's key; make another, or remove the others first")
    if await _whole(_remove(gateway, name)) is None:
        raise _unknown(name)
    return web.Response(status=204)


async def _locks_out(gateway: Gateway, name: str) -> bool:
    """Whether there would be no admin without that key, and yet others who have keys."""
    jwt = gateway.config.auth.jwt
    if any(key.admin for key in gateway.config.auth.keys) or (jwt is not None and jwt.admin_claim is not None):
        return False
    keys, now = await gateway.store.keys(), gateway.clock.now()
    others = [key for key in keys if key.name != name]
    if any(key.admin and (key.expires_at is None or key.expires_at > now) for key in others):
        return False
    return len(others) < len(keys) and bool(others or gateway.config.auth.keys or jwt)


async def _whole(change: Coroutine[Any, Any, T]) -> T:
    """Carries the change out even if the client leaves: an application that embeds the gateway may have its handlers
    cancelled then, and a key that is gone from the store must not be valid here."""
    return await asyncio.shield(change)


async def _add(gateway: Gateway, key: Key) -> bool:
    added = await gateway.store.add_key(key)
    if added:
        gateway.keys.add(key)
    return added


async def _rotate(gateway: Gateway, rotation: Rotation) -> Key | None:
    key = await gateway.store.rotate_key(rotation)
    if key is not None:
        gateway.keys.add(key)
    return key


async def _remove(gateway: Gateway, name: str) -> Key | None:
    key = await gateway.store.remove_key(name)
    if key is not None:
        gateway.keys.remove(key)
    return key


async def _not_rotated(gateway: Gateway, name: str) -> Conflict | NotFound:
    if any(key.name == name for key in await gateway.store.keys()):
        return Conflict(f"key {name!r} has expired; give expires_in_seconds too", param="expires_in_seconds")
    return _unknown(name)


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no key of the name {name!r} among those that were made here")


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value) + b"\n", status=status, content_type="application/json")
