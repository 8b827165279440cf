"""The pool moves rows: it admits jobs, claims them for free slots, and runs their attempts.

What waits is on disk; in memory is what runs, and a counter per owner. All counters follow commits, not intentions: a
submit is counted when it is on disk, a claim by the rows it brought.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from functools import partial

from . import retries
from .attempts import Attempt, Attempts
from .backlog import Backlog
from .calls import Progress, Provider
from .clock import Clock
from .errors import CoatcheckError, JobNotFound, Unavailable
from .jobs import SECOND, Job, State, Submission, Ticket
from .lanes import Lane
from .settings import JobSettings
from .store import Store

log = logging.getLogger(__name__)

#: Slots of a lane that no provider has any more; its jobs only pass through, to their fallback or their end.
_ORPHAN_CONCURRENCY = 64
#: Seconds after a claim or a promotion that the store refused.
_CLAIM_AGAIN_SECONDS = 2.0
#: The longest sleep before held jobs are looked at again, so that a clock that jumps is noticed.
_MAX_NAP_SECONDS = 30.0
#: Interrupted jobs that are settled at once.
_RECOVERY_BATCH = 1000


class Pool:
    def __init__(
        self, store: Store, providers: Mapping[str, Provider], settings: JobSettings, *, clock: Clock | None = None
    ) -> None:
        self._store = store
        self._providers = providers
        self._settings = settings
        self._clock = clock or Clock()
        self._attempts = Attempts(store, providers, settings, self._clock)
        self._backlog = Backlog(settings)
        self._lanes: dict[str, Lane] = {}
        self._running: dict[int, Attempt] = {}
        self._loops: set[asyncio.Task[None]] = set()
        #: When the first held job becomes ready, or the first that has been tried is overdue.
        self._alarm: int | None = None
        self._alarm_set = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._hurry = asyncio.Event()
        #: Whether submits are taken.
        self.accepting = False
        self._stopping = False

    @property
    def running(self) -> int:
        """Jobs in a slot."""
        return len(self._running)

    @property
    def pending(self) -> int:
        """Jobs that wait, now or for later."""
        return self._backlog.total

    async def start(self) -> None:
        """Settles what an earlier process left behind, then goes on with what waits."""
        interrupted = await self._store.processing()
        for first in range(0, len(interrupted), _RECOVERY_BATCH):
            await asyncio.gather(*map(self._attempts.recover, interrupted[first : first + _RECOVERY_BATCH]))
        if interrupted:
            log.warning("%d jobs were interrupted when the last process ended", len(interrupted))
        for provider in self._providers.values():
            for name, concurrency in provider.lanes.items():
                self._open(Lane(name, concurrency))
        for name, owner, held, count in await self._store.backlog():
            self._backlog.add(owner, count)
            if not held:
                self._lane(name).arrive(owner, count)
        await self._set_alarms()
        self._spawn(self._wake(), "coatcheck alarms")
        self.accepting = True

    async def drain(self, grace_seconds: float) -> None:
        """Stops accepting and claiming, waits for running jobs, then cancels the calls that remain: `on_interrupt`
        decides what becomes of their jobs. Nothing is lost: what does not end here is pending again."""
        self.accepting = False
        self._stopping = self._attempts.stopping = True
        self._alarm_set.set()
        for lane in self._lanes.values():
            lane.nudge()
        if self._loops:
            await asyncio.wait(self._loops)
        if self._running:
            log.info("waiting up to %g s for %d running jobs", grace_seconds, len(self._running))
            ends = [asyncio.create_task(event.wait()) for event in (self._idle, self._hurry)]
            await asyncio.wait(ends, timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        for attempt in list(self._running.values()):
            attempt.interrupt()
        await self._idle.wait()

    def hurry(self) -> None:
        """Ends the grace time of a `drain`, now or later."""
        self._hurry.set()

    async def submit(self, submission: Submission) -> None:
        """Takes a job; on return it is on disk.

        Raises `Unavailable` while the server stops, `Overloaded` when too many jobs wait, `StoreUnavailable` when the
        job cannot be kept. A caller that is cancelled meanwhile takes nothing back.
        """
        if not self.accepting:
            raise Unavailable("the server is stopping or has not started yet", retry_after=5)
        lane = self._attempts.lane(submission.operation, submission.targets[0])
        self._backlog.admit(submission.owner)
        try:
            written = await self._store.submit(submission, lane)
        except BaseException:
            self._backlog.remove(submission.owner)
            raise
        written.add_done_callback(partial(self._submitted, submission.owner, lane))
        await asyncio.shield(written)

    async def cancel(self, id: str, owner: str | None) -> Ticket:
        """Ends a job that has not ended, and its call with it. Answers the job as it then is: cancelled, or with the
        outcome that came first.

        Raises `JobNotFound` if it is unknown, expired or another owner's (`owner` None: any).
        """
        await asyncio.shield(self._cancel(id, owner))
        ticket = await self._store.ticket(id, owner)
        if ticket is None:
            raise JobNotFound
        return ticket

    def progress(self, job: Job) -> Progress | None:
        """How far the running call of a job has come; None if none runs or its provider does not say."""
        attempt = self._running.get(job.seq)
        return attempt.progress if attempt else None

    def _submitted(self, owner: str, lane: str, written: asyncio.Future[None]) -> None:
        if written.cancelled() or written.exception() is not None:
            self._backlog.remove(owner)
        else:
            self._lane(lane).arrive(owner)

    async def _cancel(self, id: str, owner: str | None) -> None:
        before = await self._store.cancel(id, owner, keep_request=self._settings.keep_requests)
        if before is None:
            return
        log.info("job %s: cancelled while %s", id, before.state)
        if before.state is State.PENDING:
            self._backlog.remove(before.owner)
            if before.run_at is None:
                self._lane(before.lane).leave(before.owner)
        attempt = self._running.get(before.seq)
        if attempt is not None and attempt.job.attempt == before.attempt:
            attempt.cancelled = True
            attempt.interrupt()

    async def _dispatch(self, lane: Lane) -> None:
        """Claims jobs of this lane for its free slots, as long as the pool runs."""
        while not self._stopping:
            turns = lane.plan()
            if not turns:
                await lane.wanted()
                continue
            jobs: list[Job] = []
            try:
                jobs = await self._store.claim(lane.name, turns)
            except CoatcheckError as error:
                log.error("lane %s: nothing could be claimed: %s", lane.name, error)
                await asyncio.sleep(_CLAIM_AGAIN_SECONDS)
            finally:
                lane.settle(turns, jobs)
            for job in jobs:
                self._backlog.remove(job.owner)
                attempt = self._running[job.seq] = Attempt(job)
                attempt.task = asyncio.create_task(self._run(lane, attempt))
            if jobs:
                self._idle.clear()

    async def _run(self, lane: Lane, attempt: Attempt) -> None:
        job = attempt.job
        try:
            release = await self._attempts.run(attempt)
        finally:
            del self._running[job.seq]
            lane.done(job.owner)
            if not self._running:
                self._idle.set()
        if release is None:
            return
        self._backlog.add(job.owner)
        if release.run_at is None:
            self._lane(release.lane).arrive(job.owner)
        else:
            self._set_alarm(release.run_at)
        self._set_alarm(retries.deadline(job, self._settings, self._clock.now()))

    def _set_alarm(self, moment: int) -> None:
        if self._alarm is None or moment < self._alarm:
            self._alarm = moment
            self._alarm_set.set()

    async def _set_alarms(self) -> None:
        """Sets the alarm by what the store knows."""
        # Cleared before the question: whatever is released meanwhile sets its own.
        self._alarm = None
        run_at, claimed_at = await self._store.alarms()
        if run_at is not None:
            self._set_alarm(run_at)
        if claimed_at is not None:
            self._set_alarm(claimed_at + self._timeout)

    async def _wake(self) -> None:
        """Makes held jobs ready when their time has come, and ends those that are overdue, as long as the pool runs."""
        while not self._stopping:
            nap = _MAX_NAP_SECONDS
            if self._alarm is not None:
                nap = min(max((self._alarm - self._clock.now()) / SECOND, 0), nap)
            try:
                async with asyncio.timeout(nap):
                    await self._alarm_set.wait()
                self._alarm_set.clear()
                continue
            except TimeoutError:
                pass
            try:
                for name, owner in await self._store.promote(retries.MAX_RETRY_AFTER_SECONDS):
                    self._lane(name).arrive(owner)
                await self._end_overdue()
                await self._set_alarms()
            except CoatcheckError as error:
                log.error("held jobs could not be made ready: %s", error)
                await asyncio.sleep(_CLAIM_AGAIN_SECONDS)
                self._alarm = self._clock.now()

    async def _end_overdue(self) -> None:
        failure = retries.outcome({}, retries.overdue(self._settings))
        for job in await self._store.overdue(self._clock.now() - self._timeout, failure):
            self._backlog.remove(job.owner)
            if job.run_at is None:
                self._lane(job.lane).leave(job.owner)

    @property
    def _timeout(self) -> int:
        return int(self._settings.timeout_seconds * SECOND)

    def _lane(self, name: str) -> Lane:
        """The lane of that name; one that no provider has any more is opened, so that its jobs go somewhere."""
        return self._lanes.get(name) or self._open(Lane(name, _ORPHAN_CONCURRENCY))

    def _open(self, lane: Lane) -> Lane:
        self._lanes[lane.name] = lane
        self._spawn(self._dispatch(lane), f"coatcheck lane {lane.name}")
        return lane

    def _spawn(self, loop: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(loop, name=name)
        self._loops.add(task)
        task.add_done_callback(self._loops.discard)
