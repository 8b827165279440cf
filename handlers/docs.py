"""`/openapi.json` and `/docs`: the API's document, and Swagger UI to read it and try it out.

Nothing is loaded from elsewhere: Swagger UI is a Python package's files, and the page's own are in `page/`.
"""

import asyncio
import gzip
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiohttp import web

from ..engine.errors import NotFound
from .api import Handler, Policy, declared

#: The page's files with their types; those of Swagger UI are its release's own.
_TYPES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "page.js": "text/javascript",
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
}

_PAGE = Path(__file__).with_name("page")

#: Swagger UI draws with pictures that are in its style sheet.
_POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

_PIECE_BYTES = 65_536

_GUARDED = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


def routes() -> list[web.RouteDef]:
    return [
        web.get("/openapi.json", document()),
        web.get("/docs", page),
        web.get("/docs/{asset:[^/]*}", asset),
    ]


@dataclass(frozen=True, slots=True)
class _File:
    type: str
    plain: bytes
    gzipped: bytes
    tag: str


def document() -> Handler:
    """The handler that answers the document, which is made at the first request."""
    made: list[_File] = []

    @declared(Policy.PUBLIC, "document")
    async def handle(request: web.Request) -> web.Response:
        if not made:
            made.append(await asyncio.to_thread(_build, request))
        return _answer(request, made[0], "no-cache")

    return handle


@declared(Policy.PUBLIC, "page")
async def page(request: web.Request) -> web.Response:
    return _answer(request, await asyncio.to_thread(_page), "no-cache")


@declared(Policy.PUBLIC, "asset")
async def asset(request: web.Request) -> web.Response:
    """A file of the page; under the address that the page has for it, it never changes."""
    name = request.match_info["asset"]
    if name not in _TYPES:
        raise NotFound(f"there is nothing at {request.path}")
    file = await asyncio.to_thread(_file, name)
    named = request.query.get("v") == file.tag
    return _answer(request, file, "public, max-age=31536000, immutable" if named else "no-cache")


def _build(request: web.Request) -> _File:
    from .openapi import build

    resource = request.match_info.route.resource
    assert resource is not None
    return _packed("application/json", build(request.app.router, resource.canonical.removesuffix("/openapi.json")))


@cache
def _page() -> _File:
    """The page, with the versions of what it loads."""
    text = (_PAGE / "page.html").read_text("utf-8")
    text = re.sub(r"docs/([\w.-]+)", lambda found: f"{found[0]}?v={_file(found[1]).tag}", text)
    return _packed("text/html", text.encode())


@cache
def _file(name: str) -> _File:
    if name.startswith("swagger-ui"):
        from swagger_ui_bundle import swagger_ui_path

        return _packed(_TYPES[name], (swagger_ui_path / name).read_bytes())
    return _packed(_TYPES[name], (_PAGE / name).read_bytes())


def _packed(type: str, body: bytes) -> _File:
    return _File(type, body, gzip.compress(body, mtime=0), hashlib.sha256(body).hexdigest()[:16])


def _answer(request: web.Request, file: _File, caching: str) -> web.Response:
    headers = {**_GUARDED, "ETag": f'W/"{file.tag}"', "Cache-Control": caching, "Vary": "Accept-Encoding"}
    if any(tag.value in (file.tag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    body = file.plain
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"], body = "gzip", file.gzipped
    headers["Content-Length"] = str(len(body))
    return web.Response(body=_pieces(body), headers=headers, content_type=file.type, charset="utf-8")


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """Anybody may ask for a file and not read it: no more is copied of it for each than is on its way."""
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]
