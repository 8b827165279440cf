"""Does what is due: makes held jobs ready, cancels those whose submit set a time for it, ends what is overdue."""

import asyncio
import logging
from collections.abc import Callable

from . import retries
from .alarm import Alarm
from .clock import Clock
from .errors import CoatcheckError
from .jobs import SECOND, Job
from .settings import JobSettings
from .store import Store

log = logging.getLogger(__name__)

#: Seconds after the store refused.
_AGAIN_SECONDS = 2.0


class Timekeeper:
    def __init__(
        self,
        store: Store,
        settings: JobSettings,
        clock: Clock,
        *,
        ready: Callable[[str, str], None],
        cancelled: Callable[[Job], None],
        overdue: Callable[[Job], None],
    ) -> None:
        """The rest is told what was done: `ready` the lane and owner of a job, the others the job as it was before."""
        self._store = store
        self._settings = settings
        self._clock = clock
        self._ready = ready
        self._cancelled = cancelled
        self._overdue = overdue
        self._timeout = int(settings.timeout_seconds * SECOND)
        self.alarm = Alarm(clock)

    async def start(self) -> None:
        """Cancels what was to be cancelled while nobody looked, and sets the alarm."""
        while (cancel_at := await self._set()) is not None and cancel_at <= self._clock.now():
            await self._cancel_due()

    async def run(self) -> None:
        """Does what is due when it is, until the alarm is stopped."""
        while await self.alarm.rings():
            try:
                # Cancels first: what is cancelled now must not be called any more.
                for cancelled in await self._cancel_due():
                    self._cancelled(cancelled)
                for lane, owner in await self._store.promote(retries.MAX_RETRY_AFTER_SECONDS):
                    self._ready(lane, owner)
                failure = retries.outcome({}, retries.overdue(self._settings))
                for job in await self._store.overdue(
                    self._clock.now() - self._timeout, failure, keep_request=self._settings.keep_requests
                ):
                    self._overdue(job)
                await self._set()
            except Exception as error:
                # Without this loop no held job would ever go on.
                log.error("what is due could not be done: %s", error, exc_info=not isinstance(error, CoatcheckError))
                await asyncio.sleep(_AGAIN_SECONDS)
                self.alarm.set(self._clock.now())

    async def _cancel_due(self) -> list[Job]:
        jobs = await self._store.cancel_due(keep_request=self._settings.keep_requests)
        for job in jobs:
            log.info("job %s: cancelled as its submit said", job.id, extra={"job_id": job.id})
        return jobs

    async def _set(self) -> int | None:
        """Sets the alarm by what the store knows; when the first job is to be cancelled."""
        # Reset before the question: whatever is released meanwhile sets it itself.
        self.alarm.reset()
        run_at, claimed_at, cancel_at = await self._store.alarms()
        self.alarm.set(run_at)
        self.alarm.set(cancel_at)
        self.alarm.set(None if claimed_at is None else claimed_at + self._timeout)
        return cancel_at
