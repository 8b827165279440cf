"""Takes jobs: from a request's headers and what it asks for to a ticket that is on disk, or to an earlier one."""

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from aiohttp import hdrs, web
from multidict import istr

from ..engine.errors import JobNotFound, KeyReused, Unavailable
from ..engine.ids import new_id
from ..engine.jobs import Hook, Submission
from ..engine.keys import Caller
from ..engine.repeats import Repeat, Repeated
from ..schemas import v1, v3
from ..schemas.names import answers_files
from . import headers, rates, tickets
from .gateway import Gateway
from .prefer import preference
from .requests import present, while_there
from .wanted import IDEMPOTENCY_KEY, Wanted

_TTL, _PRIORITY, _CANCEL_AFTER = istr("x-bf-async-job-result-ttl"), istr("Priority"), istr("Cancel-After")
_WEBHOOK = istr("x-bf-async-webhook")


class Taken(NamedTuple):
    """A job that is on disk."""

    id: str
    #: The body of the answer to a submit: the same for a repeat.
    ticket: bytes
    #: What the answer says beside: what is left of the caller's limits, and whether it is a replay.
    headers: dict[str, str]
    #: What was asked for; a repeat has asked for the same.
    submission: Submission

    @property
    def new(self) -> bool:
        """Whether this request made the job, and not an earlier one."""
        return self.id == self.submission.id


async def take(request: web.Request, gateway: Gateway, who: Caller, wanted: Wanted, polls: str) -> web.Response:
    """Takes the job and answers: 202 with its ticket, or 200 with its outcome where the client would rather wait and
    it came in time. `polls` is the path under which jobs of this operation are polled."""
    prefers = preference(request.headers, gateway.config.server.max_wait_seconds)
    taken = await submit(request, gateway, who, wanted)
    answer = taken.headers
    answer[hdrs.LOCATION] = f"{polls}/{taken.id}"
    if prefers is not None:
        if prefers.wait:
            # Without the job, which may have been deleted or have expired, the ticket is all there is to give.
            with suppress(JobNotFound):
                found = await tickets.wait(request, gateway, taken.id, prefers.wait)
                more = {"parent": found.job.parent} if found.job.parent else None
                files = await tickets.files_of(gateway, found)
                return tickets.show(request, gateway, found, more, files=files, prefers=prefers, headers=answer)
        answer |= prefers.headers(ended=False)
    answer[hdrs.RETRY_AFTER] = tickets.retry_after(gateway.pool.forecast.seconds_for(taken.submission))
    return web.Response(body=taken.ticket, status=202, headers=answer, content_type="application/json")


async def submit(
    request: web.Request,
    gateway: Gateway,
    who: Caller,
    wanted: Wanted,
    *,
    attended: bool = False,
) -> Taken:
    """Takes the job, or finds the earlier one that it repeats. The files of `wanted` are kept with the job; where it is
    not taken, for whatever reason, they are removed. `attended`: the job is cancelled with the process, and its outcome
    is kept for a short time, where the headers do not say for how long."""
    if not wanted.files:
        return await _submit(request, gateway, who, wanted, attended)
    # In a task of its own: a caller that is cancelled cannot know whether the job has the files.
    return await asyncio.shield(asyncio.create_task(_submit_files(request, gateway, who, wanted, attended)))


async def _submit_files(request: web.Request, gateway: Gateway, who: Caller, wanted: Wanted, attended: bool) -> Taken:
    taken: Taken | None = None
    try:
        taken = await _submit(request, gateway, who, wanted, attended)
        return taken
    finally:
        if taken is None or not taken.new:
            await gateway.store.blobs.discard(*(file.blob for file in wanted.files))


async def _submit(request: web.Request, gateway: Gateway, who: Caller, wanted: Wanted, attended: bool) -> Taken:
    submission = _submission(request, gateway, who, wanted, attended)
    key = headers.idempotency_key(request.headers.get(IDEMPOTENCY_KEY))
    ticket = _ticket(submission)
    if key is None:
        repeat = known = None
    else:
        identity = hashlib.sha256(wanted.identity).digest()
        repeat = Repeat(owner=who.owner, key=key, fingerprint=identity, answer=ticket)
        known = await gateway.store.repeated(who.owner, key)
    limits: Mapping[str, str] = {}
    if known is None:
        hook = await _hook(request, gateway, wanted)
        if hook is not None:
            submission = submission._replace(hook=hook)
        limits = rates.admit(gateway, who)
        if wanted.sources:
            submission = await _filled(request, gateway, who, wanted, submission)
            known = await asyncio.shield(asyncio.create_task(_offer(gateway, submission, repeat)))
        else:
            known = await gateway.pool.submit(submission, repeat)
    if known is None or repeat is None:
        return Taken(submission.id, ticket, dict(limits), submission)
    if known.fingerprint != repeat.fingerprint:
        raise KeyReused(param="Idempotency-Key", place="header")
    if not attended and gateway.attendance.release(known.job_id):
        # Whoever else waits for it may go: the outcome is promised to this one.
        await gateway.store.detach(known.job_id, submission.ttl_seconds)
    return Taken(known.job_id, known.answer, {**limits, "Idempotency-Replayed": "true"}, submission)


async def _filled(
    request: web.Request, gateway: Gateway, who: Caller, wanted: Wanted, submission: Submission
) -> Submission:
    """The submission with the files that the request names, once they are here: the caller keeps them or discards
    them."""
    if not gateway.pool.accepting:
        raise Unavailable("the server is stopping or has not started yet", retry_after=5)
    gateway.pool.backlog.look(submission.owner)
    # Not imported where nobody names files.
    from . import inputs

    async with while_there(request):
        files, borrowed = await inputs.gather(gateway, who, wanted.sources)
    return submission._replace(files=files, borrowed=borrowed)


async def _offer(gateway: Gateway, submission: Submission, repeat: Repeat | None) -> Repeated | None:
    """Hands the job over; its files are removed where it is not taken."""
    taken = False
    try:
        known = await gateway.pool.submit(submission, repeat)
        taken = known is None
        return known
    finally:
        if not taken:
            await gateway.store.blobs.discard(*(file.blob for file in submission.files))


async def _hook(request: web.Request, gateway: Gateway, wanted: Wanted) -> Hook | None:
    """Who is to be told: whom the request names, in its body or its headers, else whom its parent did."""
    if wanted.hook is not None:
        return wanted.hook
    if _WEBHOOK not in request.headers:
        return wanted.parent.hook if wanted.parent else None
    # Not imported where nobody is told.
    from .webhooks import hook_of

    found = await hook_of(request, gateway)
    return found and found._replace(parameters=wanted.parameters)


def _ticket(submission: Submission) -> bytes:
    """The answer to the submit, in the words of its route; jobs are done again by one of v1 alone."""
    if submission.dialect == "v3" and submission.parent is None:
        return v3.accepted(submission)
    return v1.accepted(submission.id, submission.created_at, submission.request_id, submission.parent)


def _submission(request: web.Request, gateway: Gateway, who: Caller, wanted: Wanted, attended: bool) -> Submission:
    given, now, parent = request.headers, gateway.clock.now(), wanted.parent
    about, settings = present(given), gateway.config.jobs
    ttl, urgency = given.get(_TTL), given.get(_PRIORITY)
    if ttl is None and parent:
        ttl_seconds = parent.ttl_seconds
    elif ttl is None and attended and not (wanted.dialect == "v3" and answers_files(wanted.operation)):
        # An answer with addresses of files is no use without them.
        ttl_seconds = settings.sync_result_ttl_seconds
    else:
        ttl_seconds = headers.ttl_seconds(ttl, settings, wanted.dialect)
    return Submission(
        id=new_id(),
        dialect=wanted.dialect,
        operation=wanted.operation,
        owner=parent.owner if parent else who.owner,
        model=wanted.model,
        targets=wanted.targets,
        request=wanted.request,
        ttl_seconds=ttl_seconds,
        request_id=about.request_id,
        priority=parent.priority if parent and urgency is None else headers.priority(urgency),
        created_at=now,
        cancel_at=headers.cancel_at(given.get(_CANCEL_AFTER), now),
        parent=parent.id if parent else None,
        trace=about.trace,
        files=wanted.files,
        files_of=parent.files_of if parent else None,
        attended=attended,
    )
