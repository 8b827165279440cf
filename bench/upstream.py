"""A slow OpenAI-shaped upstream: it holds every chat until it is told to answer them all.

    python bench/upstream.py PORT

GET /healthz counts: `held` now, `asked` since the start. POST /answer lets go; from then on it answers at once. A chat
that asks for a stream is then told the time, several times a second.
"""

import asyncio
import json
import random
import resource
import sys
import time

from aiohttp import web

_ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":0,"model":"slow","choices":[{"index":0,'
    b'"finish_reason":"stop","message":{"role":"assistant","content":"Paris."}}],'
    b'"usage":{"prompt_tokens":20,"completion_tokens":2,"total_tokens":22}}'
)

#: Tokens of a stream, and the seconds from one to the next.
TOKENS = 40
TOKEN_SECONDS = 0.25


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

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if asked.get("stream"):
            return await self._stream(request)
        self._asked += 1
        self._held += 1
        try:
            await self._told.wait()
        finally:
            self._held -= 1
        return web.Response(body=_ANSWER, content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(_chunk({"role": "assistant", "content": ""}))
        self._asked += 1
        self._held += 1
        try:
            await self._told.wait()
        finally:
            self._held -= 1
        # Not all in the same instant.
        await asyncio.sleep(random.random() * TOKEN_SECONDS)
        for _ in range(TOKENS):
            await response.write(_chunk({"content": f"{time.time():.6f} "}))
            await asyncio.sleep(TOKEN_SECONDS)
        await response.write(_chunk({}, "stop") + b"data: [DONE]\n\n")
        return response

    async def _answer(self, _request: web.Request) -> web.Response:
        self._told.set()
        return web.Response()

    async def _count(self, _request: web.Request) -> web.Response:
        return web.json_response({"held": self._held, "asked": self._asked})


def _chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "slow", "choices": choices}
    return b"data: %b\n\n" % json.dumps(chunk).encode()


async def _application() -> web.Application:
    app = web.Application()
    app.add_routes(Upstream().routes())
    return app


def main(port: int) -> None:
    # Every connection holds one.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    web.run_app(_application(), host="127.0.0.1", port=port, access_log=None, print=None, backlog=4096)


if __name__ == "__main__":
    main(int(sys.argv[1]))
