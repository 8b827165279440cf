"""`/v1/async/jobs/{id}/events`: a job watched from its submit to its end, as server-sent events.

What is sent is read when it is sent: the story from the store, the progress from the running attempt. So a reader that
is slow for a while misses nothing and costs nothing, and one that takes nothing at all is dropped.
"""

import asyncio
import logging
import time

from aiohttp import web

from ..engine.attempt import Attempt
from ..engine.errors import CoatcheckError, JobNotFound, Refusal
from ..engine.jobs import Job, State
from ..engine.watchers import Bell
from ..schemas import events
from .api import Policy, declared
from .auth import caller
from .gateway import Gateway
from .jobs import PREFIX
from .requests import REQUEST_ID, present
from .tickets import asked, files_of

log = logging.getLogger(__name__)

_ENDS = {str(state) for state in State if state.ended}

#: A comment is sent after so long without an event.
_HEARTBEAT_SECONDS = 15.0
#: A reader that takes nothing for so long is dropped.
_PATIENCE_SECONDS = 20.0
#: Characters of text in one event: what a reader that takes nothing costs.
_MOST_CHARACTERS = 32_768
#: The least time between two reports of progress.
_PROGRESS_SECONDS = 0.1


def routes() -> list[web.RouteDef]:
    return [web.get(PREFIX + "/{job_id:[^/]*}/events", watch, allow_head=False)]


@declared(Policy.OWNER, "events")
async def watch(request: web.Request) -> web.StreamResponse:
    """Sends each step of the job's story, the progress between them, and at last the outcome; then it ends. A client
    that reconnects names what it has seen by Last-Event-ID; after the last event it is answered 204, which tells an
    EventSource to stay away."""
    gateway, who, id = asked(request)
    with gateway.pool.watchers.changes_of(id) as bell:
        ticket = await gateway.store.ticket(id, who.scope)
        if ticket is None:
            raise JobNotFound
        stream = _Stream(request, gateway, ticket.job, bell)
        if await stream.told_all():
            return web.Response(status=204)
        return await stream.run()


class _Stream:
    def __init__(self, request: web.Request, gateway: Gateway, job: Job, bell: Bell) -> None:
        self._request = request
        self._gateway = gateway
        self._job = job
        self._bell = bell
        #: The number of the last event that the client has; -1: none.
        self._seen = _number(request.headers.get("Last-Event-ID"))
        self._response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                REQUEST_ID: present(request.headers).request_id,
            }
        )
        #: When the client's key is looked at again.
        self._look_at = time.monotonic() + _HEARTBEAT_SECONDS
        #: The attempt whose progress was told last, what was told, and how many characters of its text.
        self._attempt: Attempt | None = None
        self._told: object = None
        self._characters = 0
        #: The attempt that runs as far as the client has been told; None: none does.
        self._running: int | None = None

    async def told_all(self) -> bool:
        """Whether the job has ended and the client knows it. To be asked before `run`: what a client claims to have
        seen and cannot is not believed."""
        story = await self._gateway.store.story(self._job.seq)
        self._seen = min(self._seen, len(story))
        return bool(story) and story[-1].kind in _ENDS and self._seen == len(story)

    async def run(self) -> web.StreamResponse:
        await self._response.prepare(self._request)
        try:
            await self._send_all()
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._response.write_eof()
        except TimeoutError:
            log.info("job %s: a reader of its events took nothing for %g s", self._job.id, _PATIENCE_SECONDS)
            if self._request.transport is not None:
                self._request.transport.abort()
        except ConnectionError:
            # It has left.
            pass
        except CoatcheckError as error:
            # The client comes back, and is sent what it has missed.
            log.warning("job %s: its events could not be read: %s", self._job.id, error)
        return self._response

    async def _send_all(self) -> None:
        if self._seen < 0:
            await self._send(events.submitted(self._job))
            self._seen = 0
        while not self._gateway.pool.watchers.closed and self._is_allowed():
            if self._bell.moved() and await self._send_steps():
                return
            await self._send_progress()
            if not await self._bell.rung(_HEARTBEAT_SECONDS):
                await self._send(events.HEARTBEAT)

    def _is_allowed(self) -> bool:
        """Whether the client may still watch: its key may have been removed, or its token have expired. Looked at as
        often as a heartbeat comes."""
        if time.monotonic() < self._look_at:
            return True
        self._look_at = time.monotonic() + _HEARTBEAT_SECONDS
        try:
            who = caller(self._gateway, self._request)
        except Refusal:
            return False
        return who.scope in (None, self._job.owner)

    async def _send_steps(self) -> bool:
        """Sends what is new of the story; whether there is nothing more to come."""
        story = await self._gateway.store.story(self._job.seq)
        if not story:
            # It is deleted with its job; one that waits for its first claim has none yet.
            return await self._gateway.store.ticket(self._job.id, None) is None
        for number, event in enumerate(story[self._seen :], self._seen + 1):
            if event.kind in _ENDS:
                ticket = await self._gateway.store.ticket(self._job.id, None)
                if ticket is not None:
                    whole = not await files_of(self._gateway, ticket)
                    await self._send(events.end(number, event, ticket, whole=whole))
                return True
            await self._send(events.step(number, event))
            self._seen = number
        self._running = story[-1].attempt if story[-1].kind == "claimed" else None
        return False

    async def _send_progress(self) -> None:
        attempt = self._gateway.pool.attempt(self._job)
        if attempt is not self._attempt:
            self._attempt, self._told, self._characters = attempt, None, 0
        if attempt is None or attempt.progress is None or attempt.progress is self._told:
            return
        if attempt.job.attempt != self._running:
            # It has just begun, or just ended: that is told first.
            return
        self._told, text = attempt.progress, attempt.text
        while True:
            part = text[self._characters : self._characters + _MOST_CHARACTERS]
            await self._send(events.progress(attempt.job.attempt, self._told, self._characters, part))
            self._characters += len(part)
            if self._characters >= len(text):
                break
        # What comes meanwhile is told together.
        await self._bell.quiet(_PROGRESS_SECONDS)

    async def _send(self, data: bytes) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await self._response.write(data)


def _number(header: str | None) -> int:
    """The event that a Last-Event-ID header names; -1 for what is none of ours."""
    return int(header) if header and header.isascii() and header.isdigit() and len(header) < 10 else -1
