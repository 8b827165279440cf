"""The routes of OpenAI's and Anthropic's APIs, for clients that know nothing of jobs: the answer is the result.

Behind each request is a job all the same. Its client waits for it on the open connection, and with the client goes the
job. With `x-bf-async` the answer comes at once, and `x-bf-async-id` collects.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from aiohttp import web
from multidict import istr

from ..engine.errors import InvalidRequest, JobNotFound, Unavailable
from ..engine.keys import Caller
from ..schemas.conversations import MESSAGES
from ..schemas.openai import DIRECT
from ..schemas.operations import Operation
from . import tickets, vendors
from .api import Handler, Policy, declared
from .auth import caller
from .gateway import GATEWAY, Gateway
from .prefer import preference
from .requests import present
from .submission import Taken, submit
from .vendors import Vendor
from .wanted import Wanted, wanted

#: Where OpenAI's routes are, besides what else there is of ours.
PREFIXES = ("/v1", "/openai/v1")
MESSAGES_PATH = "/anthropic/v1/messages"

_ASYNC, _ASYNC_ID, _ON_DISCONNECT = istr("x-bf-async"), istr("x-bf-async-id"), istr("x-bf-on-disconnect")
_JOB_ID = "x-bf-job-id"
_NO = frozenset({"", "0", "false", "no", "off"})


def routes() -> list[web.RouteDef]:
    found = [
        web.post(f"{prefix}/{operation.name}", ask(operation, vendors.OpenAI(), f"{prefix}/{operation.name}"))
        for prefix in PREFIXES
        for operation in DIRECT.values()
    ]
    return [*found, web.post(MESSAGES_PATH, ask(MESSAGES, vendors.Anthropic(), MESSAGES_PATH))]


def ask(operation: Operation, vendor: Vendor, path: str) -> Handler:
    """The handler that answers with results of this operation as the vendor would."""

    @declared(Policy.KEY, "ask", operation, vendor.dialect, path)
    async def handle(request: web.Request) -> web.StreamResponse:
        gateway = request.app[GATEWAY]
        who = caller(gateway, request)
        if id := request.headers.get(_ASYNC_ID):
            return await _collect(request, gateway, who, operation, vendor, id)
        keeps = _keeps(request.headers)
        work = await wanted(request, gateway, who, operation)
        if request.headers.get(_ASYNC, "").strip().lower() not in _NO:
            return await _promise(request, gateway, who, vendor, work)
        return await _attend(request, gateway, who, vendor, work, keeps=keeps)

    return handle


async def _collect(
    request: web.Request, gateway: Gateway, who: Caller, operation: Operation, vendor: Vendor, id: str
) -> web.StreamResponse:
    """The job of that id as it is, after the wait that the request prefers."""
    ticket = await tickets.seen(gateway, who, id, operation.name)
    prefers = preference(request.headers, gateway.config.server.max_wait_seconds)
    if prefers is not None and prefers.wait and not ticket.job.state.ended:
        ticket = await tickets.wait(request, gateway, id, prefers.wait)
    return _named(request, vendor, id, await vendors.answer(vendor, request, gateway, ticket))


async def _promise(
    request: web.Request, gateway: Gateway, who: Caller, vendor: Vendor, work: Wanted
) -> web.StreamResponse:
    """Takes the job, and answers at once with what stands for its result."""
    taken = await submit(request, gateway, who, work)
    prefers = preference(request.headers, gateway.config.server.max_wait_seconds)
    if prefers is not None and prefers.wait:
        # Without the job, which may have been deleted or have expired, its name is all there is to give.
        with suppress(JobNotFound):
            ticket = await tickets.wait(request, gateway, taken.id, prefers.wait)
            answer = await vendors.answer(vendor, request, gateway, ticket, work.request)
            return _named(request, vendor, taken.id, answer, taken.headers)
    shown = vendor.waiting(work.operation, taken.id, work.model, taken.submission.created_at, "pending")
    answer = vendors.unended(shown, gateway.pool.forecast.seconds_for(taken.submission))
    return _named(request, vendor, taken.id, answer, taken.headers)


async def _attend(
    request: web.Request, gateway: Gateway, who: Caller, vendor: Vendor, work: Wanted, *, keeps: bool
) -> web.StreamResponse:
    """Takes the job, and answers when it has ended. It ends with its client, unless that wants it to go on."""
    taken = await (submit(request, gateway, who, work) if keeps else _begin(request, gateway, who, work))
    attended = not keeps and taken.new
    ticket = await gateway.attendance.end(request, gateway.store, gateway.pool, taken.id, attended=attended)
    if ticket is not None:
        answer = await vendors.answer(vendor, request, gateway, ticket, work.request)
        return _named(request, vendor, taken.id, answer, taken.headers)
    if gateway.pool.watchers.closed:
        what = f"collect the job with {_ASYNC_ID} when it is back" if keeps else "the job was cancelled"
        raise Unavailable(f"the server stops; {what}", retry_after=5, headers={_JOB_ID: taken.id})
    # Nobody reads this.
    return web.Response(status=499)


async def _begin(request: web.Request, gateway: Gateway, who: Caller, work: Wanted) -> Taken:
    """Takes the job; where the handler is cancelled meanwhile, the job is given up as soon as it is there."""
    taking = asyncio.create_task(submit(request, gateway, who, work, attended=True))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        gateway.attendance.give_up(_given_up(gateway, taking))
        raise


async def _given_up(gateway: Gateway, taking: asyncio.Task[Taken]) -> None:
    taken = await taking
    if taken.new:
        await gateway.pool.cancel(taken.id, None)


def _keeps(headers: Mapping[str, str]) -> bool:
    """Whether the job goes on when its client goes. Raises `InvalidRequest` for a word that says neither."""
    given = headers.get(_ON_DISCONNECT, "").strip().lower()
    if given not in ("", "cancel", "continue"):
        raise InvalidRequest(
            f"{_ON_DISCONNECT}: expected cancel or continue, got {given[:40]!r}", param=str(_ON_DISCONNECT)
        )
    return given == "continue"


def _named(
    request: web.Request, vendor: Vendor, id: str, answer: web.Response, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The answer with the names under which it can be asked for again."""
    answer.headers.update(headers or {})
    answer.headers[_JOB_ID] = id
    for name in vendor.dialect.headers:
        answer.headers[name] = present(request.headers).request_id
    return answer
