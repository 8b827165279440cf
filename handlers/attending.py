"""Requests that are answered when their job has ended: it is taken, waited for, and goes with its client."""

import asyncio
from collections.abc import Mapping

from aiohttp import web
from multidict import istr

from ..engine.errors import InvalidRequest, Unavailable
from ..engine.jobs import Ticket
from ..engine.keys import Caller
from .gateway import Gateway
from .submission import Taken, submit
from .wanted import Wanted

_ON_DISCONNECT = istr("x-bf-on-disconnect")
JOB_ID = "x-bf-job-id"


def keeps(headers: Mapping[str, str]) -> bool:
    """Whether the job goes on when its client goes. Raises `InvalidRequest` for a word that says neither."""
    given = headers.get(_ON_DISCONNECT, "").strip().lower()
    if given not in ("", "cancel", "continue"):
        raise InvalidRequest(
            f"{_ON_DISCONNECT}: expected cancel or continue, got {given[:40]!r}",
            param=str(_ON_DISCONNECT),
            place="header",
        )
    return given == "continue"


async def attend(
    request: web.Request, gateway: Gateway, who: Caller, work: Wanted, *, keep: bool, collect: str
) -> tuple[Taken, Ticket | None]:
    """Takes the job, and brings it when it has ended; None where its client has gone, and nobody reads an answer. It
    ends with its client, unless that wants to `keep` it. `collect` is how one that goes on is had later.

    Raises `Unavailable` where the server stops first.
    """
    taken = await (submit(request, gateway, who, work) if keep else _begin(request, gateway, who, work))
    attended = not keep and taken.new
    ticket = await gateway.attendance.end(request, gateway.store, gateway.pool, taken.id, attended=attended)
    if ticket is None and gateway.pool.watchers.closed:
        what = f"collect the job {collect} when it is back" if keep else "the job was cancelled"
        raise Unavailable(f"the server stops; {what}", retry_after=5, headers={JOB_ID: taken.id})
    return taken, ticket


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
