"""A job as its client is shown it: found for its owner, waited for, and not sent again while nothing has changed."""

import asyncio
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from aiohttp import hdrs, web

from ..engine.errors import InvalidRequest, JobNotFound, UnknownKey
from ..engine.ids import is_id
from ..engine.jobs import Job, ResultFile, State, Ticket
from ..engine.keys import Caller
from ..schemas import v1
from ..schemas.names import answers_files
from .auth import caller
from .dialects import mounted_at
from .gateway import GATEWAY, Gateway
from .pieces import spliced
from .prefer import Preference, preference
from .requests import has_left

#: The longest that a client is told to stay away.
_LONGEST_RETRY_SECONDS = 60
#: How often one that waits is looked after: it may have gone.
_LOOK_SECONDS = 5.0
#: Tags of an If-None-Match that are looked at; a client has one.
_MOST_TAGS = 100


def asked(request: web.Request) -> tuple[Gateway, Caller, str]:
    """Who asks for which job. An unknown key is told what everyone is told who may not see it: there is none."""
    gateway = request.app[GATEWAY]
    try:
        who = caller(gateway, request)
    except UnknownKey:
        raise JobNotFound from None
    id = request.match_info["job_id"]
    if not id:
        raise InvalidRequest("job_id is required", param="job_id")
    if not is_id(id):
        raise JobNotFound
    return gateway, who, id


async def seen(gateway: Gateway, who: Caller, id: str, operation: str) -> Ticket:
    """The job of that id, as a client names it, if the caller may see it and it is of that operation; raises
    `JobNotFound`."""
    ticket = await gateway.store.ticket(id, who.scope) if is_id(id) else None
    if ticket is None or ticket.job.operation != operation:
        raise JobNotFound
    return ticket


async def find(request: web.Request, operation: str | None = None) -> tuple[Gateway, Ticket]:
    """The job that is asked for, if the caller may see it and it is of that operation (None: any); raises
    `JobNotFound`."""
    gateway, who, id = asked(request)
    ticket = await gateway.store.ticket(id, who.scope)
    if ticket is None or operation not in (None, ticket.job.operation):
        raise JobNotFound
    return gateway, ticket


async def wait(request: web.Request, gateway: Gateway, id: str, seconds: float) -> Ticket:
    """The job as it is when it has ended, or when the time is over; raises `JobNotFound` if it is gone by then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    with gateway.pool.watchers.end_of(id) as bell:
        ticket = await gateway.store.ticket(id, None)
        while ticket is not None and not ticket.job.state.ended:
            left = deadline - loop.time()
            if left <= 0 or gateway.pool.watchers.closed or has_left(request):
                break
            if await bell.rung(min(left, _LOOK_SECONDS)) or left <= _LOOK_SECONDS:
                ticket = await gateway.store.ticket(id, None)
    if ticket is None:
        raise JobNotFound
    return ticket


async def shown(request: web.Request, gateway: Gateway, ticket: Ticket) -> web.Response:
    """The answer to a poll, after the wait that the request prefers."""
    prefers = preference(request.headers, gateway.config.server.max_wait_seconds)
    if prefers is not None and prefers.wait and not ticket.job.state.ended:
        ticket = await wait(request, gateway, ticket.job.id, prefers.wait)
    return show(request, gateway, ticket, files=await files_of(gateway, ticket), prefers=prefers)


async def files_of(gateway: Gateway, ticket: Ticket) -> Sequence[ResultFile]:
    """The files of the job's result; nothing is asked where there can be none."""
    if ticket.job.state is not State.COMPLETED or not answers_files(ticket.job.operation):
        return ()
    return await gateway.store.files(ticket.job.seq)


def show(
    request: web.Request,
    gateway: Gateway,
    ticket: Ticket,
    more: Mapping[str, object] | None = None,
    *,
    files: Sequence[ResultFile] = (),
    prefers: Preference | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The job with `more` keys, and the `files` of its result in their places: 200 once it has ended, 202 before, 304
    where the client has it like that already."""
    head, body = v1.envelope(ticket, more)
    # Without more, nothing but the state changes what is shown.
    tag = f'"{ticket.job.state}"' if more is None else tag_of(head)
    status = 200 if ticket.job.completed_at is not None else 202
    return answer(request, gateway, ticket.job, body, tag, status, files=files, prefers=prefers, headers=headers)


def answer(
    request: web.Request,
    gateway: Gateway,
    job: Job,
    body: bytes,
    tag: str,
    status: int,
    *,
    files: Sequence[ResultFile] = (),
    prefers: Preference | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The body of an answer that shows the job, with the `files` of its result in their places; 304 where the client
    has what the tag stands for."""
    ended = job.completed_at is not None
    shown: dict[str, str] = {hdrs.ETAG: tag, hdrs.CACHE_CONTROL: "private, no-cache"}
    if not ended:
        shown[hdrs.RETRY_AFTER] = retry_after(gateway.pool.forecast.seconds_left(job))
    if prefers is not None:
        shown |= prefers.headers(ended=ended)
    if headers:
        shown |= headers
    if is_known(request, tag):
        return web.Response(status=304, headers=shown)
    sent = spliced(body, files, linked(request, gateway, job)) if files else body
    return web.Response(body=sent, status=status, headers=shown, content_type="application/json")


def tag_of(shown: bytes) -> str:
    """The ETag of what is shown."""
    return f'"{hashlib.blake2b(shown, digest_size=9).hexdigest()}"'


def linked(request: web.Request, gateway: Gateway, job: Job) -> Callable[[int], str]:
    """What makes the address of a file of the job's result, from its place; where the configuration does not say how
    clients reach the server, that is there where this request came."""
    return partial(gateway.links.of, job.id, base=f"{request.scheme}://{request.host}{mounted_at(request)}")


def retry_after(seconds: float | None) -> str:
    """When to ask again, in whole seconds, from how long it will probably take."""
    return "1" if seconds is None or seconds <= 1 else str(min(math.ceil(seconds), _LONGEST_RETRY_SECONDS))


def is_known(request: web.BaseRequest, tag: str) -> bool:
    """Whether the client has what the tag stands for."""
    known = request.headers.getall(hdrs.IF_NONE_MATCH, ())
    return bool(known) and request.method in ("GET", "HEAD") and _matches(known, tag)


def _matches(known: Iterable[str], tag: str) -> bool:
    """Whether If-None-Match headers name the tag, by the weak comparison (RFC 9110, 13.1.2)."""
    tags = ",".join(known).split(",", _MOST_TAGS)[:_MOST_TAGS]
    return any(one.strip().removeprefix("W/") in ("*", tag) for one in tags)
