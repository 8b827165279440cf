"""Takes jobs: from a request's headers and what it asks for to a ticket that is on disk, or to an earlier one."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import hdrs, web
from multidict import istr

from ..engine.errors import JobNotFound, KeyReused
from ..engine.jobs import Submission, new_id
from ..engine.keys import Caller
from ..engine.repeats import Repeat
from ..engine.targets import Target
from ..schemas import v1
from . import headers, rates, tickets
from .gateway import Gateway
from .prefer import preference
from .requests import present

# Looked up in every submit: these need not be compared letter by letter.
IDEMPOTENCY_KEY = istr("Idempotency-Key")
_TTL, _PRIORITY, _CANCEL_AFTER = istr("x-bf-async-job-result-ttl"), istr("Priority"), istr("Cancel-After")


class Wanted(NamedTuple):
    """What a job is to do."""

    operation: str
    #: As the client named it.
    model: str
    targets: tuple[Target, ...]
    #: What the provider is given, as JSON.
    request: bytes
    #: What an idempotency key stands for: two requests with the same are the same. Empty where there is no key.
    identity: bytes
    #: The job that this one repeats: the new one has its owner, and what the headers do not say is as it was there.
    parent: "Parent | None" = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parent:
    id: str
    owner: str
    ttl_seconds: int
    priority: int


async def take(request: web.Request, gateway: Gateway, who: Caller, wanted: Wanted, polls: str) -> web.Response:
    """Takes the job and answers: 202 with its ticket, or 200 with its outcome where the client would rather wait and
    it came in time. `polls` is the path under which jobs of this operation are polled."""
    prefers = preference(request.headers, gateway.config.server.max_wait_seconds)
    submission = _submission(request, gateway, who, wanted)
    key = headers.idempotency_key(request.headers.get(IDEMPOTENCY_KEY))
    ticket = v1.accepted(submission.id, submission.created_at, submission.request_id, submission.parent)
    if key is None:
        repeat = known = None
    else:
        identity = hashlib.sha256(wanted.identity).digest()
        repeat = Repeat(owner=who.owner, key=key, fingerprint=identity, answer=ticket)
        known = await gateway.store.repeated(who.owner, key)
    limits: Mapping[str, str] = {}
    if known is None:
        limits = rates.admit(gateway, who)
        known = await gateway.pool.submit(submission, repeat)
    id = submission.id
    answer: dict[str, str] = dict(limits)
    if known is not None and repeat is not None:
        if known.fingerprint != repeat.fingerprint:
            raise KeyReused(param="Idempotency-Key")
        id, ticket = known.job_id, known.answer
        answer["Idempotency-Replayed"] = "true"
    answer[hdrs.LOCATION] = f"{polls}/{id}"
    if prefers is not None:
        if prefers.wait:
            # Without the job, which may have been deleted or have expired, the ticket is all there is to give.
            with suppress(JobNotFound):
                found = await tickets.wait(request, gateway, id, prefers.wait)
                more = {"parent": found.job.parent} if found.job.parent else None
                return tickets.show(request, gateway, found, more, prefers=prefers, headers=answer)
        answer |= prefers.headers(ended=False)
    answer[hdrs.RETRY_AFTER] = tickets.retry_after(gateway.pool.forecast.seconds_for(submission))
    return web.Response(body=ticket, status=202, headers=answer, content_type="application/json")


def _submission(request: web.Request, gateway: Gateway, who: Caller, wanted: Wanted) -> Submission:
    given, now, parent = request.headers, gateway.clock.now(), wanted.parent
    about = present(given)
    ttl, urgency = given.get(_TTL), given.get(_PRIORITY)
    return Submission(
        id=new_id(),
        dialect="v1",
        operation=wanted.operation,
        owner=parent.owner if parent else who.owner,
        model=wanted.model,
        targets=wanted.targets,
        request=wanted.request,
        ttl_seconds=parent.ttl_seconds if parent and ttl is None else headers.ttl_seconds(ttl, gateway.config.jobs),
        request_id=about.request_id,
        priority=parent.priority if parent and urgency is None else headers.priority(urgency),
        created_at=now,
        cancel_at=headers.cancel_at(given.get(_CANCEL_AFTER), now),
        parent=parent.id if parent else None,
        trace=about.trace,
    )
