"""`/v3/universal-ai`: any feature as a job, in the words of Eden AI's API."""

from collections.abc import Mapping
from contextlib import suppress

import orjson
from aiohttp import hdrs, web

from ..engine.errors import Conflict, InvalidRequest, JobNotFound
from ..engine.ids import is_id, is_uuid
from ..engine.jobs import State, Ticket
from ..engine.keys import Caller
from ..engine.numbered import Numbers
from ..schemas import universal_queries, v3
from . import tickets
from .api import Policy, declared, slashed
from .attending import JOB_ID, attend, keeps
from .auth import caller
from .gateway import GATEWAY, Gateway
from .pieces import spliced
from .prefer import Preference, preference
from .submission import submit
from .universal_wanted import Asked, wanted

PATH = "/v3/universal-ai"
JOBS = f"{PATH}/async"
JOB = f"{JOBS}/{{job_id:[^/]+}}"


def routes() -> list[web.RouteDef]:
    return slashed(
        web.post(JOBS, create),
        web.get(JOBS, every),
        web.get(JOB, job),
        web.delete(JOB, delete),
        web.post(f"{JOB}/cancel", cancel),
        web.post(PATH, ask),
    )


@declared(Policy.KEY, "create_universal_job")
async def create(request: web.Request) -> web.Response:
    """Takes the job: 202, with what has become of it where the request waits for that or repeats an earlier one."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    prefers = preference(request.headers, gateway.config.server.max_wait_seconds)
    found = await wanted(request, gateway, job=True)
    taken = await submit(request, gateway, who, found.work)
    headers = {**taken.headers, hdrs.LOCATION: f"{request.rel_url.raw_path.rstrip('/')}/{taken.id}"}
    ticket = None
    # Without the job, which may have been deleted or have expired, the ticket is all there is to give.
    with suppress(JobNotFound):
        if prefers is not None and prefers.wait:
            ticket = await tickets.wait(request, gateway, taken.id, prefers.wait)
        elif not taken.new:
            ticket = await gateway.store.ticket(taken.id, who.scope)
    if ticket is not None:
        more = await _metadata(gateway, found, "async", ticket)
        return await _shown(request, gateway, ticket, more, status=202, prefers=prefers, headers=headers)
    body = taken.ticket
    if found.metadata:
        shown = orjson.loads(body) | await _metadata(gateway, found, "async", None)
        body = orjson.dumps(shown) + b"\n"
    if prefers is not None:
        headers |= prefers.headers(ended=False)
    headers[hdrs.RETRY_AFTER] = tickets.retry_after(gateway.pool.forecast.seconds_for(taken.submission))
    return web.Response(body=body, status=202, headers=headers, content_type="application/json")


@declared(Policy.KEY, "ask_universal")
async def ask(request: web.Request) -> web.Response:
    """Takes the job and answers when it has ended: 200, whatever its provider made of it. It goes with its client."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    keep = keeps(request.headers)
    found = await wanted(request, gateway, job=False)
    taken, ticket = await attend(request, gateway, who, found.work, keep=keep, collect=f"at {JOBS}/ID")
    if ticket is None:
        return web.Response(status=499)
    files = await tickets.files_of(gateway, ticket)
    body = v3.answer(ticket, await _metadata(gateway, found, "sync", ticket))
    return web.Response(
        body=spliced(body, files, tickets.linked(request, gateway, ticket.job)),
        headers={**taken.headers, JOB_ID: taken.id},
        content_type="application/json",
    )


@declared(Policy.KEY, "universal_jobs")
async def every(request: web.Request) -> web.Response:
    """A page of the caller's jobs, newest first."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    asked = universal_queries.jobs(request.query)
    numbers = Numbers(
        owner=who.owner, operations=asked.operations, states=asked.states, offset=asked.offset, limit=asked.limit
    )
    page = await gateway.store.numbered(numbers)
    return web.Response(body=v3.page(page, asked.page, asked.limit), content_type="application/json")


@declared(Policy.OWNER, "universal_job")
async def job(request: web.Request) -> web.Response:
    """The job as it is, after the wait that the request prefers: 200, whether it has ended or not."""
    gateway, _, ticket = await find(request)
    prefers = preference(request.headers, gateway.config.server.max_wait_seconds)
    if prefers is not None and prefers.wait and not ticket.job.state.ended:
        ticket = await tickets.wait(request, gateway, ticket.job.id, prefers.wait)
    return await _shown(request, gateway, ticket, prefers=prefers)


@declared(Policy.OWNER, "delete_universal_job")
async def delete(request: web.Request) -> web.Response:
    """Removes a job that has ended, with its outcome."""
    gateway, who, ticket = await find(request)
    id = ticket.job.id
    if await gateway.store.delete(id, who.scope):
        shown = orjson.dumps({"deleted": True, "public_id": id}) + b"\n"
        return web.Response(body=shown, content_type="application/json")
    if await gateway.store.ticket(id, who.scope) is None:
        raise JobNotFound
    raise Conflict("the job is processing; cancel it, or wait for its end, before you delete it")


@declared(Policy.OWNER, "cancel_universal_job")
async def cancel(request: web.Request) -> web.Response:
    """Ends a job that has not ended. Asking again is harmless; a job that ended otherwise is a conflict."""
    gateway, who, ticket = await find(request)
    ticket = await gateway.pool.cancel(ticket.job.id, who.scope)
    if ticket.job.state is not State.CANCELLED:
        raise Conflict(f"the job has already {ticket.job.state}; what has ended cannot be cancelled")
    return await _shown(request, gateway, ticket)


async def find(request: web.Request) -> tuple[Gateway, Caller, Ticket]:
    """The job that the path names, if the caller may see it and it is of this dialect; raises `JobNotFound`."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    ticket = await look(gateway, named(request), who.scope)
    return gateway, who, ticket


def named(request: web.Request) -> str:
    """The job's id in the path; raises `InvalidRequest` where that is no UUID."""
    id = request.match_info["job_id"]
    if not is_uuid(id):
        raise InvalidRequest(f"expected a UUID, got {id[:40]!r}", param="job_id", place="path")
    return id.lower()


async def look(gateway: Gateway, id: str, owner: str | None) -> Ticket:
    """The job of that id and owner (None: any), if it is of this dialect; raises `JobNotFound`."""
    ticket = await gateway.store.ticket(id, owner) if is_id(id) else None
    if ticket is None or ticket.job.dialect != "v3":
        raise JobNotFound
    return ticket


async def _shown(
    request: web.Request,
    gateway: Gateway,
    ticket: Ticket,
    more: Mapping[str, object] | None = None,
    *,
    status: int = 200,
    prefers: Preference | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    job = ticket.job
    attempts = v3.attempts(await gateway.store.story(job.seq), v3.error(ticket))
    head, body = v3.envelope(ticket, {"attempts": attempts, **(more or {})})
    files = await tickets.files_of(gateway, ticket)
    return tickets.answer(
        request, gateway, job, body, tickets.tag_of(head), status, files=files, prefers=prefers, headers=headers
    )


async def _metadata(gateway: Gateway, found: Asked, mode: str, ticket: Ticket | None) -> dict[str, object]:
    """How the answer came about, where the request asks for that; nothing where it does not."""
    if not found.metadata:
        return {}
    story = await gateway.store.story(ticket.job.seq) if ticket is not None else ()
    return {"edenai_metadata": v3.metadata(found.request.model, mode, found.request.tags, story)}
