"""An application of one's own with the gateway mounted under /ai; its jobs start and stop with it.

python examples/embed.py 8000
curl localhost:8000/ai/v1/async/embeddings -d '{"model": "echo", "input": "hello"}'
"""

import sys

from aiohttp import web

from coatcheck.app import create_app


async def home(_request: web.Request) -> web.Response:
    return web.Response(text="The jobs are under /ai/v1/async/.\n")


def main(port: int) -> None:
    app = web.Application()
    app.router.add_get("/", home)
    app.add_subapp("/ai", create_app({"providers": {"echo": {"kind": "echo"}}}))
    web.run_app(app, host="127.0.0.1", port=port)


if __name__ == "__main__":
    main(int(sys.argv[1]))
