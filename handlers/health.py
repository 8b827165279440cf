"""`/healthz`: whether the process answers. `/readyz`: whether it can accept a job and keep it."""

from aiohttp import web

from .api import Policy, declared
from .gateway import GATEWAY


def routes() -> list[web.RouteDef]:
    return [web.get("/healthz", alive), web.get("/readyz", ready)]


@declared(Policy.PUBLIC, "alive")
async def alive(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


@declared(Policy.PUBLIC, "ready")
async def ready(request: web.Request) -> web.Response:
    reason = await request.app[GATEWAY].readiness.trouble()
    if reason is None:
        return web.json_response({"status": "ready"})
    return web.json_response({"status": "unavailable", "reason": reason}, status=503)


#: What may be asked under any name: a cluster asks by the address of the machine, and learns nothing else.
PROBES = frozenset({alive, ready})
