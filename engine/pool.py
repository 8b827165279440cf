"""The pool moves rows: it admits jobs, claims them for free slots, and runs their attempts.

What waits is on disk; in memory is what runs, and a counter per owner. All counters follow commits, not intentions: a
submit is counted when it is on disk, a claim by the rows it brought.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from functools import partial

from . import retries
from .attempt import Attempt
from .attempts import Attempts
from .backlog import Backlog
from .calls import Pricing, Provider, unpriced
from .clock import Clock
from .errors import CoatcheckError, JobNotFound, Unavailable
from .forecast import Forecast
from .jobs import Job, State, Submission, Ticket
from .lanes import Lane
from .ledger import Ledger
from .limits import Limits, unlimited
from .repeats import Repeat, Repeated
from .settings import JobSettings
from .store import Store
from .timekeeper import Timekeeper
from .unwanted import Unwanted
from .watchers import Watchers

log = logging.getLogger(__name__)

#: Slots of a lane that no provider has any more; its jobs only pass through, to their fallback or their end.
_ORPHAN_CONCURRENCY = 64
#: Seconds after a claim that the store refused.
_CLAIM_AGAIN_SECONDS = 2.0
#: Interrupted jobs that are settled at once.
_RECOVERY_BATCH = 1000


class Pool:
    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        settings: JobSettings,
        *,
        clock: Clock | None = None,
        limits: Callable[[str], Limits] = unlimited,
        price: Pricing = unpriced,
    ) -> None:
        """`limits` are those of an owner; `price` is asked where a provider does not say what a call has cost."""
        self._store = store
        self._providers = providers
        self._settings = settings
        self._clock = clock or Clock()
        self.watchers = Watchers()
        self._unwanted = Unwanted(store, providers)
        self._attempts = Attempts(
            store, providers, settings, self._clock, self.watchers.progressed, price, self._unwanted.tell
        )
        self.backlog = Backlog(settings, limits)
        self._ledger = Ledger(lambda owner: limits(owner).max_concurrency)
        self._meters = store.meters
        self._lanes: dict[str, Lane] = {}
        self.forecast = Forecast(self._lanes, self._attempts.lane, store, self._clock)
        self._running: dict[int, Attempt] = {}
        self._loops: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._timekeeper = Timekeeper(
            store,
            settings,
            self._clock,
            ready=lambda lane, owner: self._lane(lane).arrive(owner),
            cancelled=self._cancelled,
            overdue=self._overdue,
        )
        self._alarm = self._timekeeper.alarm
        self._idle = asyncio.Event()
        self._idle.set()
        self._hurry = asyncio.Event()
        #: Why nothing can be claimed in a lane in which something waits.
        self._unclaimable: dict[str, str] = {}
        #: Whether submits are taken.
        self.accepting = False
        self._stopping = False

    @property
    def lanes(self) -> Mapping[str, Lane]:
        return self._lanes

    @property
    def running(self) -> int:
        """Jobs in a slot."""
        return len(self._running)

    @property
    def trouble(self) -> str | None:
        """Why jobs that wait cannot begin; None if they can."""
        return next(iter(self._unclaimable.values()), None)

    async def start(self) -> None:
        """Settles what an earlier process left behind, then goes on with what waits."""
        # Before anything is called: what nobody waits for, or was to be cancelled by now, must not cost anything.
        if left := await self._store.attended():
            while jobs := await self._store.cancel_attended(keep_request=self._settings.keep_requests):
                for job in jobs:
                    self._meters.ended(job, State.CANCELLED)
            log.warning("%d jobs were cancelled, whose clients had waited for the last process", left)
        interrupted, resumable = await self._store.processing(), await self._store.resumable()
        for first in range(0, len(interrupted), _RECOVERY_BATCH):
            batch = interrupted[first : first + _RECOVERY_BATCH]
            await asyncio.gather(*(self._attempts.recover(job, job.seq in resumable) for job in batch))
        if interrupted:
            log.warning("%d jobs were interrupted when the last process ended", len(interrupted))
        await self._timekeeper.start()
        self._unwanted.start()
        for provider in self._providers.values():
            for name, concurrency in provider.lanes.items():
                self._open(Lane(name, concurrency, self._ledger))
        self._store.census.take()
        for name, owner, held, count in await self._store.backlog():
            self.backlog.add(owner, count)
            if not held:
                self._lane(name).arrive(owner, count)
        self._keeping = asyncio.create_task(self._timekeeper.run(), name="coatcheck timekeeper")
        self.accepting = True

    async def drain(self, grace_seconds: float) -> None:
        """Stops accepting and claiming, waits for running jobs, then cancels the calls that remain: `on_interrupt`
        decides what becomes of their jobs. Nothing is lost: what does not end here is pending again."""
        self.accepting = False
        self._stopping = self._attempts.stopping = self.forecast.stopping = True
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
        # Until now: what is to be cancelled in the grace time must not go on costing.
        self._alarm.stop()
        if self._keeping is not None:
            await asyncio.wait([self._keeping])
        await self._unwanted.close()
        self.watchers.close()

    def hurry(self) -> None:
        """Ends the grace time of a `drain`, now or later."""
        self._hurry.set()

    async def submit(self, submission: Submission, repeat: Repeat | None = None) -> Repeated | None:
        """Takes a job; on return it is on disk. Answers what an earlier submit with the same idempotency key left, if
        there was one: then nothing was taken.

        Raises `Unavailable` while the server stops, `Overloaded` when too many jobs wait, `StoreUnavailable` when the
        job cannot be kept. A caller that is cancelled meanwhile takes nothing back.
        """
        if not self.accepting:
            raise Unavailable("the server is stopping or has not started yet", retry_after=5)
        lane = self._attempts.lane(submission.operation, submission.targets[0])
        self.backlog.admit(submission.owner)
        try:
            written = await self._store.submit(submission, lane, repeat)
        except BaseException:
            self.backlog.remove(submission.owner)
            raise
        written.add_done_callback(partial(self._submitted, submission, lane))
        return await written

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

    def attempt(self, job: Job) -> Attempt | None:
        """The attempt that this process runs of a job; None if it runs none."""
        return self._running.get(job.seq)

    def _submitted(self, submission: Submission, lane: str, written: asyncio.Future[Repeated | None]) -> None:
        if written.exception() is not None or written.result() is not None:
            self.backlog.remove(submission.owner)
            return
        self._meters.accepted(submission)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("job %s: accepted", submission.id, extra={"job_id": submission.id})
        self._alarm.set(submission.cancel_at)
        self._lane(lane).arrive(submission.owner)

    async def _cancel(self, id: str, owner: str | None) -> None:
        before = await self._store.cancel(id, owner, keep_request=self._settings.keep_requests)
        if before is not None:
            log.info("job %s: cancelled while %s", id, before.state, extra={"job_id": id})
            self._cancelled(before)

    def _cancelled(self, before: Job) -> None:
        """The job was cancelled in the store; `before` is what it was."""
        self._meters.ended(before, State.CANCELLED)
        if before.state is State.PENDING:
            self._gone(before)
        attempt = self._running.get(before.seq)
        if attempt is not None and attempt.job.attempt == before.attempt:
            attempt.cancelled = True
            attempt.interrupt()
        self.watchers.ended(before.id)

    def _gone(self, job: Job) -> None:
        """A job no longer waits, and was not claimed."""
        self._unwanted.ended(job)
        self._meters.gone(job)
        self.backlog.remove(job.owner)
        if job.run_at is None:
            self._lane(job.lane).leave(job.owner)

    async def _dispatch(self, lane: Lane) -> None:
        """Claims jobs of this lane for its free slots, as long as the pool runs."""
        while not self._stopping:
            turns = lane.plan()
            if not turns:
                self._unclaimable.pop(lane.name, None)
                await lane.wanted()
                continue
            jobs: list[Job] = []
            try:
                jobs = await self._store.claim(lane.name, turns)
                self._unclaimable.pop(lane.name, None)
            except CoatcheckError as error:
                log.error("lane %s: nothing could be claimed: %s", lane.name, error)
                self._unclaimable[lane.name] = error.message
                await asyncio.sleep(_CLAIM_AGAIN_SECONDS)
            finally:
                lane.settle(turns, jobs)
            for job in jobs:
                self._meters.claimed(job)
                self.backlog.remove(job.owner)
                attempt = self._running[job.seq] = Attempt(job)
                attempt.task = asyncio.create_task(self._run(lane, attempt))
                self.watchers.moved(job.id)
            if jobs:
                self._idle.clear()

    async def _run(self, lane: Lane, attempt: Attempt) -> None:
        job, began = attempt.job, time.monotonic()
        try:
            release = await self._attempts.run(attempt)
        finally:
            del self._running[job.seq]
            self._meters.left(job)
            lane.done(job.owner, time.monotonic() - began)
            if not self._running:
                self._idle.set()
        if release is None:
            self.watchers.ended(job.id)
            return
        self._meters.back(job, release)
        self.backlog.add(job.owner)
        if release.run_at is None:
            self._lane(release.lane).arrive(job.owner)
        self._alarm.set(release.run_at)
        self._alarm.set(retries.deadline(job, self._settings, self._clock.now()))
        self.watchers.moved(job.id)

    def _overdue(self, before: Job) -> None:
        """The job has failed in the store, for it took too long; `before` is what it was."""
        self._meters.ended(before, State.FAILED)
        self._gone(before)
        self.watchers.ended(before.id)

    def _lane(self, name: str) -> Lane:
        """The lane of that name; one that no provider has any more is opened, so that its jobs go somewhere."""
        return self._lanes.get(name) or self._open(Lane(name, _ORPHAN_CONCURRENCY, self._ledger))

    def _open(self, lane: Lane) -> Lane:
        self._lanes[lane.name] = lane
        self._spawn(self._dispatch(lane), f"coatcheck lane {lane.name}")
        return lane

    def _spawn(self, loop: Coroutine[None, None, None], name: str) -> None:
        # A lane may be opened while a request is answered: its log lines are about others' jobs.
        task = asyncio.create_task(loop, name=name, context=Context())
        self._loops.add(task)
        task.add_done_callback(self._loops.discard)
