"""`/v1/async/jobs`: the jobs themselves, whatever their operation."""

from dataclasses import replace

from aiohttp import web

from ..engine.errors import Conflict, InvalidRequest, JobNotFound
from ..engine.jobs import Job, State, Ticket
from ..engine.targets import resolve
from ..schemas import queries, v1
from . import bodies, tickets
from .api import Policy, declared
from .auth import caller
from .gateway import GATEWAY, Gateway
from .plans import plan
from .prefer import preference
from .submission import take
from .wanted import Parent, Wanted

PREFIX = "/v1/async/jobs"


def routes() -> list[web.RouteDef]:
    return [
        web.get(PREFIX, every),
        web.get(PREFIX + "/{job_id:[^/]*}", job),
        web.delete(PREFIX + "/{job_id:[^/]*}", delete),
        web.post(PREFIX + "/{job_id:[^/]*}/cancel", cancel),
        web.post(PREFIX + "/{job_id:[^/]*}/retry", retry),
    ]


@declared(Policy.KEY, "jobs")
async def every(request: web.Request) -> web.Response:
    """A page of the caller's jobs, newest first; an admin sees every owner's."""
    gateway = request.app[GATEWAY]
    who = caller(gateway, request)
    asked = queries.jobs(request.query)
    wanted = asked.filter
    if not who.admin:
        if wanted.owner not in (None, who.owner):
            raise InvalidRequest("owner: only an admin may ask for another owner's jobs", param="owner")
        wanted = replace(wanted, owner=who.owner)
    page = await gateway.store.page(wanted, before=asked.cursor, limit=asked.limit)
    return web.Response(body=v1.page(page, owners=who.admin), content_type="application/json")


@declared(Policy.OWNER, "job")
async def job(request: web.Request) -> web.Response:
    """Shows a job of whatever operation; with `?include=attempts`, how it came to where it is, with
    `plan` what may become of it yet."""
    gateway, ticket = await tickets.find(request)
    include = queries.include(request.query)
    prefers = preference(request.headers, gateway.config.server.max_wait_seconds)
    if prefers is not None and prefers.wait and not ticket.job.state.ended:
        ticket = await tickets.wait(request, gateway, ticket.job.id, prefers.wait)
    more = await _more(gateway, ticket.job)
    if "attempts" in include:
        more["attempts"] = v1.story(ticket.job, await gateway.store.story(ticket.job.seq))
    if "plan" in include:
        more["plan"] = plan(gateway, ticket.job)
    files = await tickets.files_of(gateway, ticket)
    return tickets.show(request, gateway, ticket, more, files=files, prefers=prefers)


@declared(Policy.OWNER, "cancel")
async def cancel(request: web.Request) -> web.Response:
    """Ends a job that has not ended. Asking again is harmless; a job that ended otherwise is a conflict."""
    gateway, who, id = tickets.asked(request)
    ticket = await gateway.pool.cancel(id, who.scope)
    if ticket.job.state is not State.CANCELLED:
        raise Conflict(f"the job has already {ticket.job.state}; what has ended cannot be cancelled")
    return tickets.show(request, gateway, ticket, await _more(gateway, ticket.job))


@declared(Policy.OWNER, "retry")
async def retry(request: web.Request) -> web.Response:
    """Does a failed or cancelled job again, as a new one of the same owner that names it as its parent."""
    gateway, who, id = tickets.asked(request)
    ticket = await gateway.store.ticket(id, who.scope)
    if ticket is None:
        raise JobNotFound
    old = ticket.job
    if old.state not in (State.FAILED, State.CANCELLED):
        what = "has completed" if old.state is State.COMPLETED else f"is {old.state}"
        raise Conflict(f"the job {what}; only one that has failed or was cancelled can be done again")
    wanted = await _again(gateway, ticket)
    polls = request.rel_url.raw_path.removesuffix(f"/{old.id}/retry")
    if old.dialect == "v1":
        polls = polls.removesuffix("jobs") + old.operation
    return await take(request, gateway, who, wanted, polls)


@declared(Policy.OWNER, "delete")
async def delete(request: web.Request) -> web.Response:
    """Removes a job that has ended, with its outcome."""
    gateway, who, id = tickets.asked(request)
    if await gateway.store.delete(id, who.scope):
        return web.Response(status=204)
    ticket = await gateway.store.ticket(id, who.scope)
    if ticket is None:
        raise JobNotFound
    raise Conflict(f"the job is {ticket.job.state}; cancel it, or wait for its end, before you delete it")


async def _again(gateway: Gateway, ticket: Ticket) -> Wanted:
    old = ticket.job
    work = await gateway.store.work(old.seq)
    if work is None or work.request is None:
        raise Conflict("the job's request was not kept ([jobs] keep_requests = false), so it cannot be done again")
    return Wanted(
        operation=old.operation,
        model=old.model,
        targets=tuple(resolve(f"{t.provider}/{t.model}", old.operation, gateway.providers) for t in old.targets),
        request=work.request,
        identity=bodies.identity("retry", old.id),
        parent=Parent(
            id=old.id,
            owner=old.owner,
            ttl_seconds=old.ttl_seconds,
            priority=old.priority,
            files_of=old.seq if work.files else None,
            hook=await gateway.store.outbox.hook(old.seq),
        ),
        dialect=old.dialect,
    )


async def _more(gateway: Gateway, job: Job) -> dict[str, object]:
    """What is shown beside the dialect's own keys."""
    more: dict[str, object] = v1.details(job)
    attempt = gateway.pool.attempt(job)
    if attempt is not None and attempt.progress is not None and job.state is State.PROCESSING:
        more["progress"] = v1.progress(attempt.progress)
    if job.state is State.PENDING:
        queue = await gateway.pool.forecast.queue(job)
        if queue is not None:
            more["queue"] = v1.queue(queue)
    return more
