"""What everything is measured against: plain aiohttp handlers that read what they are sent and answer a constant.

python bench/bare.py PORT
"""

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


def main(port: int) -> None:
    app = web.Application()
    app.add_routes([web.post("/jobs", _post), web.get("/jobs/{id}", _get), web.get("/healthz", _get)])
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
