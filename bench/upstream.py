"""A slow OpenAI-shaped upstream: it holds every chat until it is told to answer them all.

    python bench/upstream.py PORT

GET /healthz counts: `held` now, `asked` since the start. POST /answer lets go; from then on it answers at once.
"""

import asyncio
import sys

from aiohttp import web

from coatcheck.app import raise_descriptor_limit

_ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":0,"model":"slow","choices":[{"index":0,'
    b'"finish_reason":"stop","message":{"role":"assistant","content":"Paris."}}],'
    b'"usage":{"prompt_tokens":20,"completion_tokens":2,"total_tokens":22}}'
)


class Upstream:
    def __init__(self) -> None:
        self._held = 0
        self._asked = 0
        self._told = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/chat/completions", self._chat),
            web.post("/answer", self._answer),
            web.get("/healthz", self._count),
        ]

    async def _chat(self, request: web.Request) -> web.Response:
        await request.read()
        self._asked += 1
        self._held += 1
        try:
            await self._told.wait()
        finally:
            self._held -= 1
        return web.Response(body=_ANSWER, content_type="application/json")

    async def _answer(self, _request: web.Request) -> web.Response:
        self._told.set()
        return web.Response()

    async def _count(self, _request: web.Request) -> web.Response:
        return web.json_response({"held": self._held, "asked": self._asked})


async def _application() -> web.Application:
    app = web.Application()
    app.add_routes(Upstream().routes())
    return app


def main(port: int) -> None:
    raise_descriptor_limit()
    web.run_app(_application(), host="127.0.0.1", port=port, access_log=None, print=None, backlog=4096)


if __name__ == "__main__":
    main(int(sys.argv[1]))
