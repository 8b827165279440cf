"""`/metrics`: what Prometheus is shown."""

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from .api import Handler, Policy, declared
from .auth import admin
from .gateway import GATEWAY, Gateway

if TYPE_CHECKING:
    from .exposition import Exposition


def routes() -> list[web.RouteDef]:
    return [web.get("/metrics", scrape())]


def scrape() -> Handler:
    """The handler that shows the metrics of one gateway."""
    exposition: Exposition | None = None

    @declared(Policy.ADMIN, "metrics")
    async def handle(request: web.Request) -> web.Response:
        nonlocal exposition
        gateway = request.app[GATEWAY]
        if not gateway.config.server.public_metrics:
            admin(gateway, request)
        if exposition is None:
            exposition = await asyncio.to_thread(_exposition, gateway)
        body, content_type = await exposition.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return handle


def _exposition(gateway: Gateway) -> "Exposition":
    from .exposition import Exposition

    return Exposition(gateway)
