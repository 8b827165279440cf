"""The routes of OpenAI's and Anthropic's APIs, for clients that know nothing of jobs: the answer is the result.

Behind each request is a job all the same. Its client waits for it on the open connection, and with the client goes the
job. With `x-bf-async` the answer comes at once, and `x-bf-async-id` collects.
"""

from collections.abc import Mapping
from contextlib import suppress

from aiohttp import web
from multidict import istr

from ..engine.errors import JobNotFound
from ..engine.keys import Caller
from ..schemas.conversations import MESSAGES
from ..schemas.openai import DIRECT
from ..schemas.operations import Operation
from . import tickets, vendors
from .api import Handler, Policy, declared
from .attending import JOB_ID, attend, keeps
from .auth import caller
from .gateway import GATEWAY, Gateway
from .prefer import preference
from .requests import present
from .submission import submit
from .vendors import Vendor
from .wanted import Wanted, wanted

#: Where OpenAI's routes are, besides what else there is of ours.
PREFIXES = ("/v1", "/openai/v1", "/v3")
MESSAGES_PATHS = ("/anthropic/v1/messages", "/v3/v1/messages")
#: Another place for chats, at which Eden AI had them first.
CHAT_PATH = "/v3/llm/chat/completions"

_ASYNC, _ASYNC_ID = istr("x-bf-async"), istr("x-bf-async-id")
_NO = frozenset({"", "0", "false", "no", "off"})


def routes() -> list[web.RouteDef]:
    paths = [(f"{prefix}/{name}", operation) for prefix in PREFIXES for name, operation in DIRECT.items()]
    paths.append((CHAT_PATH, DIRECT["chat/completions"]))
    found = [web.post(path, ask(operation, vendors.OpenAI(), path)) for path, operation in paths]
    messages = [web.post(path, ask(MESSAGES, vendors.Anthropic(), path)) for path in MESSAGES_PATHS]
    return [*found, *messages]


def ask(operation: Operation, vendor: Vendor, path: str) -> Handler:
    """The handler that answers with results of this operation as the vendor would."""

    @declared(Policy.KEY, "ask", operation, vendor.dialect, path)
    async def handle(request: web.Request) -> web.StreamResponse:
        gateway = request.app[GATEWAY]
        who = caller(gateway, request)
        if id := request.headers.get(_ASYNC_ID):
            return await _collect(request, gateway, who, operation, vendor, id)
        keep = keeps(request.headers)
        work = await wanted(request, gateway, who, operation)
        if request.headers.get(_ASYNC, "").strip().lower() not in _NO:
            return await _promise(request, gateway, who, vendor, work)
        return await _attend(request, gateway, who, vendor, work, keep=keep)

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
    request: web.Request, gateway: Gateway, who: Caller, vendor: Vendor, work: Wanted, *, keep: bool
) -> web.StreamResponse:
    """Takes the job, and answers when it has ended. It ends with its client, unless that wants it to go on."""
    taken, ticket = await attend(request, gateway, who, work, keep=keep, collect=f"with {_ASYNC_ID}")
    if ticket is None:
        return web.Response(status=499)
    answer = await vendors.answer(vendor, request, gateway, ticket, work.request)
    return _named(request, vendor, taken.id, answer, taken.headers)


def _named(
    request: web.Request, vendor: Vendor, id: str, answer: web.Response, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The answer with the names under which it can be asked for again."""
    answer.headers.update(headers or {})
    answer.headers[JOB_ID] = id
    for name in vendor.dialect.headers:
        answer.headers[name] = present(request.headers).request_id
    return answer
