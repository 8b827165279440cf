"""What everything is measured against: plain aiohttp handlers that read what they are sent and answer a constant.

    python bench/bare.py PORT

Those of GET /waits/{id} and /streams/{id} wait, each for a future of its own, until they are told by POST /answer.
"""

import asyncio
import resource
import sys

from aiohttp import web

_ACCEPTED = (
    b'{"id":"3c90c3cc-0d44-4b50-8888-8dd25736052a","request_id":"d9a6b3a8-7c39-4a0e-a1f0-2c0d4c1a53f1",'
    b'"status":"pending","created_at":"2026-01-01T00:00:00.000000Z"}\n'
)


async def _post(request: web.Request) -> web.Response:
    await request.json()
    return web.Response(body=_ACCEPTED, status=202, content_type="application/json")


async def _get(_request: web.Request) -> web.Response:
    return web.Response(body=_ACCEPTED, content_type="application/json")


class Waiting:
    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/waits/{id}", self._wait),
            web.get("/streams/{id}", self._stream),
            web.post("/answer", self._answer),
        ]

    async def _wait(self, _request: web.Request) -> web.Response:
        await self._told()
        return web.Response(body=_ACCEPTED, content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"event: submitted\ndata: {}\n\n")
        await self._told()
        await response.write(b"event: completed\ndata: {}\n\n")
        return response

    async def _told(self) -> None:
        told = asyncio.get_running_loop().create_future()
        self._futures.append(told)
        await told

    async def _answer(self, _request: web.Request) -> web.Response:
        for told in self._futures:
            told.set_result(None)
        return web.Response()


def main(port: int) -> None:
    # Every connection holds one.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    app = web.Application()
    app.add_routes([web.post("/jobs", _post), web.get("/jobs/{id}", _get), web.get("/healthz", _get)])
    app.add_routes(Waiting().routes())
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, backlog=4096)


if __name__ == "__main__":
    main(int(sys.argv[1]))
