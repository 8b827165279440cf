"""`/v1/async/*`: submit and poll for every operation of the table, and the jobs themselves."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from ..engine.errors import Conflict, InvalidRequest, JobNotFound, Refusal, UnknownKey
from ..engine.jobs import State, Submission, Ticket, new_id
from ..engine.keys import Caller
from ..engine.settings import JobSettings
from ..engine.targets import resolve
from ..schemas import v1
from ..schemas.operations import OPERATIONS, Loaded, Operation
from . import bodies
from .auth import caller
from .gateway import GATEWAY, Gateway

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PREFIX = "/v1/async"

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)
_TTL = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_URGENCY = re.compile(r"(?:^|,)\s*u=([0-7])\s*(?:[,;]|$)", re.ASCII)
#: Characters that a request id may bring along.
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)

#: Seconds after which a client may as well ask.
_RETRY_AFTER = "1"
_DEFAULT_PRIORITY = 3


def routes() -> list[web.RouteDef]:
    """Two routes an operation; the jobs' own first, so that no operation can be called "jobs"."""
    found = [
        web.get(PREFIX + "/jobs/{job_id:[^/]*}", job),
        web.post(PREFIX + "/jobs/{job_id:[^/]*}/cancel", cancel),
    ]
    for operation in OPERATIONS.values():
        found.append(web.post(f"{PREFIX}/{operation.name}", submit(operation)))
        found.append(web.get(f"{PREFIX}/{operation.name}/{{job_id:[^/]*}}", poll(operation)))
    return found


def submit(operation: Operation) -> Handler:
    """The handler that takes jobs of this operation."""

    async def handle(request: web.Request) -> web.Response:
        gateway = request.app[GATEWAY]
        owner = caller(gateway, request).owner
        body = await bodies.read(request, gateway.config.server.max_json_bytes)
        if len(body) > bodies.OFF_LOOP_BYTES:
            loaded, kept = await asyncio.to_thread(_load, operation, body)
        else:
            loaded, kept = _load(operation, body)
        names = (loaded.model, *loaded.fallbacks)
        params = ("model", *(f"fallbacks[{i}]" for i in range(len(loaded.fallbacks))))
        submission = Submission(
            id=new_id(),
            dialect="v1",
            operation=operation.name,
            owner=owner,
            model=loaded.model,
            targets=tuple(
                resolve(name, operation.name, gateway.providers, param=param)
                for name, param in zip(names, params, strict=True)
            ),
            request=kept,
            ttl_seconds=ttl_seconds(request.headers.get("x-bf-async-job-result-ttl"), gateway.config.jobs),
            request_id=request_id(request.headers),
            priority=priority(request.headers.get("Priority")),
            created_at=gateway.clock.now(),
        )
        await gateway.pool.submit(submission)
        return web.Response(
            body=v1.accepted(submission.id, submission.created_at, submission.request_id),
            status=202,
            headers={"Location": f"{request.rel_url.raw_path}/{submission.id}", "Retry-After": _RETRY_AFTER},
            content_type="application/json",
        )

    return handle


def poll(operation: Operation) -> Handler:
    """The handler that shows jobs of this operation, and no others."""

    async def handle(request: web.Request) -> web.Response:
        _, ticket = await _find(request)
        if ticket.job.operation != operation.name:
            raise JobNotFound
        return _show(ticket)

    return handle


async def job(request: web.Request) -> web.Response:
    """Shows a job of whatever operation; with `?include=attempts`, how it came to where it is."""
    gateway, ticket = await _find(request)
    return await _show_job(request, gateway, ticket)


async def cancel(request: web.Request) -> web.Response:
    """Ends a job that has not ended. Asking again is harmless; a job that ended otherwise is a conflict."""
    gateway, who, id = _asked(request)
    ticket = await gateway.pool.cancel(id, who.scope)
    if ticket.job.state is not State.CANCELLED:
        raise Conflict(f"the job has already {ticket.job.state}; what has ended cannot be cancelled")
    return await _show_job(request, gateway, ticket)


def ttl_seconds(header: str | None, settings: JobSettings) -> int:
    """How long the outcome is kept; what is not a positive integer means the default, and is never an error."""
    asked = 0
    if header is not None and _TTL.fullmatch(header):
        asked = int(header)
    return min(asked if asked > 0 else settings.result_ttl_seconds, settings.max_result_ttl_seconds)


def priority(header: str | None) -> int:
    """The urgency in a Priority header (RFC 9218), 0 first to 7 last."""
    found = _URGENCY.search(header) if header else None
    return int(found[1]) if found else _DEFAULT_PRIORITY


def request_id(headers: Mapping[str, str]) -> str:
    """The caller's own request id, or a fresh one."""
    given = headers.get("x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else new_id()


def _load(operation: Operation, body: bytes) -> tuple[Loaded, bytes]:
    loaded = operation.load(bodies.parse(body))
    return loaded, bodies.render(loaded.body)


def _asked(request: web.Request) -> tuple[Gateway, Caller, str]:
    """Who asks for which job. An unknown key is told what everyone is told who may not see it: there is none."""
    gateway = request.app[GATEWAY]
    try:
        who = caller(gateway, request)
    except UnknownKey:
        raise JobNotFound from None
    id = request.match_info["job_id"]
    if not id:
        raise InvalidRequest("job_id is required", param="job_id")
    if not _ID.fullmatch(id):
        raise JobNotFound
    return gateway, who, id


async def _find(request: web.Request) -> tuple[Gateway, Ticket]:
    gateway, who, id = _asked(request)
    ticket = await gateway.store.ticket(id, who.scope)
    if ticket is None:
        raise JobNotFound
    return gateway, ticket


async def _show_job(request: web.Request, gateway: Gateway, ticket: Ticket) -> web.Response:
    shown = ticket.job
    more: dict[str, object] = {"operation": shown.operation, "model": shown.model}
    running = gateway.pool.progress(shown)
    if running is not None and shown.state is State.PROCESSING:
        more["progress"] = v1.progress(running)
    if "attempts" in request.query.get("include", "").split(","):
        more["attempts"] = v1.story(shown, await gateway.store.story(shown.seq))
    return _show(ticket, more)


def _show(ticket: Ticket, more: Mapping[str, object] | None = None) -> web.Response:
    body = v1.envelope(ticket, more)
    if ticket.job.state.ended:
        return web.Response(body=body, content_type="application/json")
    return web.Response(body=body, status=202, headers={"Retry-After": _RETRY_AFTER}, content_type="application/json")


def refuse(refusal: Refusal) -> web.Response:
    """The refusal as this dialect says it."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(refusal.retry_after)))
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="coatcheck"'
    return web.Response(body=v1.error(refusal), status=refusal.status, headers=headers, content_type="application/json")
