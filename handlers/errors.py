"""One middleware for every request: the browsers' rules, its name in the log, the errors' dialect."""

import logging
import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from ..engine.errors import BodyTooLarge, InvalidRequest, MethodNotAllowed, NotFound, Refusal, UnknownSigner
from ..engine.logs import ABOUT
from .dialects import absent, dialect
from .gateway import GATEWAY
from .requests import REQUEST_ID, Asked

log = logging.getLogger(__name__)


class Broken(Refusal):
    """internal error: the server could not answer; its log says why"""

    status = 500
    code = "internal_error"


class Unreadable(logging.Filter):
    """For the HTTP server's own logger: a request that is no HTTP is one line, and says nothing of what was sent, which
    may be a header with a key. Anybody can send it, so it is not an error of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info = None
            record.msg += ": %s"
            record.args = (*(record.args if isinstance(record.args, tuple) else ()), type(error).__name__)
            record.levelno, record.levelname = logging.INFO, "INFO"
        return logging.getLogger(record.name).isEnabledFor(record.levelno)


def answered(check: Callable[[web.Request], None]) -> Middleware:
    """Whatever goes wrong is answered in the dialect of the route; `check` raises what refuses a request. Log lines
    that are written meanwhile say which request they are about, and so does the answer, where that matters: to an
    error, to a request that has a name, and to a submit."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = Asked(request.headers)
        began = time.perf_counter() if log.isEnabledFor(logging.DEBUG) else None
        token = ABOUT.set(asked)
        try:
            try:
                check(request)
                try:
                    response = await handler(request)
                except UnknownSigner:
                    await _learn_signer(request)
                    response = await handler(request)
            except Refusal as refusal:
                response = dialect(request).refuse(refusal, asked.request_id)
            except web.HTTPException as answer:
                if answer.status < 400:
                    raise
                response = dialect(request).refuse(_translated(request, answer), asked.request_id)
            except Exception:
                log.exception("%s %s could not be answered", request.method, request.path)
                response = dialect(request).refuse(Broken(), asked.request_id)
            # A stream has begun already: it has the header if its handler gave it one.
            if (asked.named or response.status >= 400) and not response.prepared:
                response.headers[REQUEST_ID] = asked.request_id
            if began is not None:
                # Without the query, which may hold what is not for a log.
                took, path = (time.perf_counter() - began) * 1000, request.rel_url.raw_path
                log.debug("%s %s answered %d in %.1f ms", request.method, path, response.status, took)
            return response
        finally:
            ABOUT.reset(token)

    return middleware


async def _learn_signer(request: web.Request) -> None:
    tokens = request.app[GATEWAY].tokens
    if tokens is not None:
        await tokens.refresh()


def _translated(request: web.Request, answer: web.HTTPException) -> Refusal:
    """An error of the HTTP server itself."""
    if isinstance(answer, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(answer.allowed_methods))
        return MethodNotAllowed(
            f"{request.path} does not take {request.method}; it takes {allowed}", headers={"Allow": allowed}
        )
    if isinstance(answer, web.HTTPRequestEntityTooLarge):
        return BodyTooLarge()
    if isinstance(answer, web.HTTPNotFound):
        return NotFound(absent(request.path))
    return InvalidRequest(answer.reason)
