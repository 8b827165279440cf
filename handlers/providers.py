"""`/v1/providers`: what jobs can run on, and how busy it is."""

import orjson
from aiohttp import web

from ..engine.calls import Provider
from ..engine.lanes import Lane
from ..schemas.operations import OPERATIONS
from .api import Policy, declared
from .auth import caller
from .gateway import GATEWAY, Gateway


def routes() -> list[web.RouteDef]:
    return [web.get("/v1/providers", every)]


@declared(Policy.KEY, "providers")
async def every(request: web.Request) -> web.Response:
    """The providers of the configuration with their lanes, as they are at this moment."""
    gateway = request.app[GATEWAY]
    caller(gateway, request)
    data = [
        {
            "name": name,
            "kind": gateway.config.providers[name].kind,
            "models": provider.models,
            "operations": _operations(provider),
            "lanes": _lanes(gateway, provider),
        }
        for name, provider in gateway.providers.items()
    ]
    return web.Response(body=orjson.dumps({"data": data}) + b"\n", content_type="application/json")


def _operations(provider: Provider) -> list[str]:
    """What it can do for one of its models; one that declares none is asked about any."""
    models = provider.models or ("any",)
    return [name for name in OPERATIONS if any(provider.check(name, model) is None for model in models)]


def _lanes(gateway: Gateway, provider: Provider) -> list[dict[str, object]]:
    lanes = gateway.pool.lanes
    return [_shown(lanes[name]) for name in provider.lanes if name in lanes]


def _shown(lane: Lane) -> dict[str, object]:
    shown: dict[str, object] = {
        "name": lane.name,
        "concurrency": lane.concurrency,
        "running": lane.running,
        "waiting": lane.waiting,
    }
    if lane.pace.seconds is not None:
        shown["seconds_per_job"] = round(lane.pace.seconds, 6)
    return shown
