"""One middleware for every request: the browsers' rules before it, the errors' dialect after it."""

import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ..engine.errors import BodyTooLarge, InvalidRequest, MethodNotAllowed, NotFound, Refusal
from . import v1

log = logging.getLogger(__name__)


class _Broken(Refusal):
    """internal error: the server could not answer; its log says why"""

    status = 500
    code = "internal_error"


def errors(check: Callable[[web.BaseRequest], None]) -> Middleware:
    """Whatever goes wrong is answered in the dialect of the route; `check` raises what refuses a request."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            check(request)
            return await handler(request)
        except Refusal as refusal:
            return v1.refuse(refusal)
        except web.HTTPException as answer:
            if answer.status < 400:
                raise
            return _translated(request, answer)
        except Exception:
            log.exception("%s %s could not be answered", request.method, request.path)
            return v1.refuse(_Broken())

    return middleware


def _translated(request: web.Request, answer: web.HTTPException) -> web.Response:
    """An error of the HTTP server itself."""
    if isinstance(answer, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(answer.allowed_methods))
        response = v1.refuse(MethodNotAllowed(f"{request.path} does not take {request.method}; it takes {allowed}"))
        response.headers["Allow"] = allowed
        return response
    if isinstance(answer, web.HTTPRequestEntityTooLarge):
        return v1.refuse(BodyTooLarge())
    if isinstance(answer, web.HTTPNotFound):
        return v1.refuse(NotFound(f"there is nothing at {request.path}"))
    return v1.refuse(InvalidRequest(answer.reason))
