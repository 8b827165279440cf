"""`/healthz`: whether the process answers."""

from aiohttp import web


def routes() -> list[web.RouteDef]:
    return [web.get("/healthz", alive)]


async def alive(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
