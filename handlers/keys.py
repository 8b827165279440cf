"""`/v1/keys`: an admin makes, lists and removes virtual keys while the server runs."""

import re

import orjson
from aiohttp import web

from ..engine.errors import Conflict, InvalidRequest, NotFound
from ..engine.keys import FIRST_KEY, NAME, new_key, new_token
from ..schemas.v1 import timestamp
from . import bodies
from .auth import admin
from .gateway import GATEWAY


def routes() -> list[web.RouteDef]:
    return [web.get("/v1/keys", every), web.post("/v1/keys", add), web.delete("/v1/keys/{name}", remove)]


async def every(request: web.Request) -> web.Response:
    """The keys that were made here; those of the configuration are in the configuration."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    keys = [
        {"id": key.id, "name": key.name, "admin": key.admin, "created_at": timestamp(key.created_at)}
        for key in await gateway.store.keys()
    ]
    return _json({"data": keys})


async def add(request: web.Request) -> web.Response:
    """Makes a key: `{"name": …, "admin": false}`. The token is in this answer and nowhere else."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    asked = bodies.parse(await bodies.read(request, gateway.config.server.max_json_bytes))
    name = asked.get("name") if isinstance(asked, dict) else None
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise InvalidRequest("name: 1 to 64 letters, digits, dots, dashes or underscores", param="name")
    is_admin = asked.get("admin", False)
    if not isinstance(is_admin, bool):
        raise InvalidRequest("admin: true or false", param="admin")
    if not is_admin and not gateway.keys:
        raise InvalidRequest(FIRST_KEY, param="admin")
    token = new_token()
    key = new_key(name, token, admin=is_admin, now=gateway.clock.now())
    if not await gateway.store.add_key(key):
        raise Conflict(f"there is a key of the name {name!r} already", param="name")
    gateway.keys.add(key)
    return _json({"id": key.id, "name": name, "admin": is_admin, "key": token}, status=201)


async def remove(request: web.Request) -> web.Response:
    """Removes a key; its jobs stay, and are an admin's alone."""
    gateway = request.app[GATEWAY]
    admin(gateway, request)
    name = request.match_info["name"]
    key = await gateway.store.remove_key(name)
    if key is None:
        raise NotFound(f"there is no key of the name {name!r}")
    gateway.keys.remove(key)
    return web.Response(status=204)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value) + b"\n", status=status, content_type="application/json")
