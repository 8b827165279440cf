"""One attempt at a job, from its claim to its outcome or its release."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import orjson

from . import retries, trace
from .attempt import Attempt
from .blobs import Incoming
from .calls import Call, CallPolicy, File, Pricing, Provider, Reply, unpriced
from .clock import Clock
from .errors import (
    CallFailed,
    Fault,
    Interrupted,
    NotConfigured,
    NotConnected,
    Stopped,
    StoreUnavailable,
    TimedOut,
    Unusable,
)
from .jobs import SECOND, Checkpoint, Job, Outcome, Release, State
from .logs import ABOUT, About
from .settings import JobSettings
from .store import Store
from .targets import Target

log = logging.getLogger(__name__)

#: Seconds after which a request that could not be read is read again.
_READ_AGAIN_SECONDS = 2
#: Failures that we describe ourselves: an upstream's words may quote what it was asked, which is not for the log.
_IN_OUR_WORDS = (NotConnected, NotConfigured, Interrupted, TimedOut, Unusable)
#: Seconds between two tries to write an outcome while the store cannot be written: the first, and the longest.
_WRITE_AGAIN_SECONDS = (0.05, 2.0)


class Attempts:
    """Runs attempts: asks the provider, decides what its answer means, writes it."""

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        settings: JobSettings,
        clock: Clock,
        tell: Callable[[str], None],
        price: Pricing = unpriced,
        unwanted: Callable[[Job, Checkpoint], None] = lambda _job, _checkpoint: None,
    ) -> None:
        """`tell` is called with a job's id when its call has come further; `price` is asked where a provider does not
        say what a call has cost, `unwanted` is told what a provider runs in vain."""
        self._tell = tell
        self._unwanted = unwanted
        self._price = price
        self._store = store
        self._meters = store.meters
        self._providers = providers
        self._settings = settings
        self._clock = clock
        #: Set when this process stops: an outcome that cannot be written then is left to the next start.
        self.stopping = False

    def lane(self, operation: str, target: Target) -> str:
        """The lane for this operation at this target; a provider that is gone has one of its own name."""
        provider = self._providers.get(target.provider)
        return provider.lane(operation, target.model) if provider else target.provider

    async def run(self, attempt: Attempt) -> Release | None:
        """Carries the attempt out and writes how it ended; the release, if the job waits again."""
        job, began = attempt.job, time.perf_counter()
        ABOUT.set(About(job.request_id, job.id, job.trace))
        log.debug("job %s: attempt %d at provider %s begins", job.id, job.attempt, job.at.provider)
        ending: Release | Outcome | None
        try:
            ending = await self._ending(attempt)
        except Exception as error:
            log.exception("job %s: the attempt failed by a fault of ours", job.id)
            fault = Fault(f"internal error: {type(error).__name__}: {error}")
            self._meters.failed(job, fault)
            ending = retries.failed(job, fault)
        self._meters.attempts.observe(time.perf_counter() - began, job.operation, job.at.provider)
        written: Release | Outcome | None = None
        try:
            if ending is not None:
                written = await self._write(job, ending)
            if attempt.checkpoint is not None and _in_vain(attempt, ending, written):
                self._unwanted(job, Checkpoint(job.target, attempt.checkpoint))
        except StoreUnavailable as error:
            log.error("job %s: how its attempt ended could not be written: %s", job.id, error)
        finally:
            if attempt.files:
                kept = written.files if isinstance(written, Outcome) else ()
                await self._store.blobs.discard(*(blob for blob in attempt.files if blob not in kept))
        return written if isinstance(written, Release) else None

    async def recover(self, job: Job, goes_on: bool) -> None:
        """Settles an attempt that an earlier process left behind; to be run as a task. `goes_on`: its provider runs it
        as a job of its own."""
        ABOUT.set(About(job.request_id, job.id, job.trace))
        stopped = Stopped("the server was stopped or killed during the call")
        await self._write(job, self._after(job, stopped, goes_on))

    async def _ending(self, attempt: Attempt) -> Release | Outcome | None:
        """How the attempt ends; None if the job was cancelled meanwhile."""
        job = attempt.job
        try:
            if attempt.interrupted:
                raise asyncio.CancelledError
            attempt.calling = True
            return await self._call(attempt)
        except CallFailed as failure:
            return self._after(job, failure, attempt.saved)
        except StoreUnavailable as error:
            if attempt.dialled:
                # The provider has done something, and what it made could not be kept.
                return self._after(job, Interrupted(error.message), attempt.saved)
            return retries.untouched(job, "retry", self._clock.now() + _READ_AGAIN_SECONDS * SECOND)
        except asyncio.CancelledError:
            if attempt.cancelled:
                return None
            if not attempt.dialled:
                return retries.untouched(job, "stopped")
            return self._after(job, Stopped(), attempt.saved)
        finally:
            attempt.calling = False

    async def _call(self, attempt: Attempt) -> Outcome:
        job, target = attempt.job, attempt.job.at
        provider = self._providers.get(target.provider)
        if provider is None:
            raise NotConfigured(f"provider {target.provider} is no longer configured")
        work = await self._store.work(job.seq)
        if work is None or work.request is None:
            raise Fault("the request of this job is gone")
        if work.files and not await self._store.blobs.off_loop(_are_there, work.files):
            raise Fault("a file of this job's request is gone")
        if work.checkpoint is not None and work.checkpoint.target == job.target:
            attempt.checkpoint, attempt.saved = work.checkpoint.value, True
        now = self._clock.now()
        remaining = (retries.deadline(job, self._settings, now) - now) / SECOND
        if remaining <= 0:
            raise retries.overdue(self._settings)
        limit = min(provider.policy.timeout_seconds, remaining)
        call = Call(
            job_id=job.id,
            operation=job.operation,
            model=target.model,
            request=orjson.loads(work.request),
            number=job.calls,
            trace=trace.headers(job.trace),
            progress=partial(attempt.report, self._tell),
            files=work.files,
            checkpoint=attempt.checkpoint,
            save=partial(self._save, attempt),
            new_file=partial(self._new_file, attempt),
        )
        try:
            async with asyncio.timeout(limit):
                attempt.dialled = True
                reply = await provider.execute(call)
        except TimeoutError as error:
            raise TimedOut(f"provider {target.provider} did not answer within {limit:g} seconds") from error
        # The answer is there, and paid for: a stop waits until it is written.
        attempt.calling = False
        size = len(reply.result) + len(reply.original or b"") + sum(file.size_bytes for file in reply.files)
        if size > self._settings.max_result_bytes:
            raise _too_large(self._settings.max_result_bytes, size)
        cost = await self._cost(target.provider, reply.made or call, reply)
        return Outcome(
            state=State.COMPLETED,
            status_code=200,
            body=reply.result,
            resolved_model=reply.model,
            cost=cost,
            files=reply.files,
            original=reply.original,
        )

    async def _cost(self, provider: str, call: Call, reply: Reply) -> int | None:
        """Picodollars; None where they are not known. That of an answer is never a reason to lose it."""
        if reply.cost is not None:
            return reply.cost
        try:
            return await self._price(provider, call, reply)
        except Exception:
            log.exception("job %s: what it has cost could not be worked out", call.job_id)
            return None

    async def _save(self, attempt: Attempt, value: str | None) -> None:
        """Keeps a checkpoint, and tries again for as long as the store cannot be written."""
        attempt.checkpoint, attempt.saved = value, False
        delay, longest = _WRITE_AGAIN_SECONDS
        while True:
            written = self._store.checkpoint(attempt.job, value)
            try:
                await written
                return
            except StoreUnavailable:
                if self.stopping:
                    raise
            finally:
                # Known even if this task has been cancelled meanwhile.
                attempt.saved = value is not None and written.exception() is None and written.result()
            await asyncio.sleep(delay)
            delay = min(delay * 2, longest)

    @asynccontextmanager
    async def _new_file(self, attempt: Attempt, media_type: str) -> AsyncIterator[Incoming]:
        """A file of the result; what is not part of the outcome in the end is removed."""
        async with self._store.blobs.new(media_type, self._settings.max_result_bytes, _too_large) as file:
            yield file
        attempt.files.append(file.blob)

    def _after(self, job: Job, failure: CallFailed, goes_on: bool) -> Release | Outcome:
        provider, now = self._providers.get(job.at.provider), self._clock.now()
        ending = retries.after(
            job,
            failure,
            policy=provider.policy if provider else CallPolicy(),
            settings=self._settings,
            lane=partial(self.lane, job.operation),
            now=now,
            goes_on=goes_on,
        )
        self._meters.failed(job, failure)
        log.log(
            logging.INFO if isinstance(ending, Release) else logging.WARNING,
            "job %s: attempt %d at provider %s failed after %.3f s with %d (%s); what follows: %s",
            job.id,
            job.attempt,
            job.at.provider,
            (now - (job.started_at or now)) / SECOND,
            failure.status,
            failure.message if isinstance(failure, _IN_OUR_WORDS) else type(failure).code or type(failure).type,
            ending.reason if isinstance(ending, Release) else "the job has failed",
        )
        return ending

    async def _write(self, job: Job, ending: Release | Outcome) -> Release | Outcome | None:
        """Writes how an attempt ended, and tries again for as long as the store cannot be written. What was written;
        None if the attempt was no longer the job's. Raises `StoreUnavailable` while this process stops."""
        delay, longest = _WRITE_AGAIN_SECONDS
        replaced = False
        while True:
            try:
                if isinstance(ending, Release):
                    if not await self._store.release(job, ending):
                        return None
                    self._meters.released.add(ending.reason, job.at.provider)
                    return ending
                if not await self._store.finish(job, ending, keep_request=self._settings.keep_requests):
                    return None
                self._meters.ended(job, ending.state)
                log.debug("job %s: %s with %d", job.id, ending.state, ending.status_code)
                return ending
            except StoreUnavailable:
                if self.stopping:
                    raise
                await asyncio.sleep(delay)
                delay = min(delay * 2, longest)
            except Exception as error:
                # The store refuses these values, and would again: the job ends all the same, and says why.
                if replaced:
                    raise
                log.exception("job %s: how its attempt ended could not be kept", job.id)
                replaced = True
                ending = retries.failed(job, Fault(f"internal error: {type(error).__name__}: {error}"))


def _are_there(files: Mapping[str, Sequence[File]]) -> bool:
    return all(file.path.exists() for named in files.values() for file in named)


def _in_vain(attempt: Attempt, ending: Release | Outcome | None, written: Release | Outcome | None) -> bool:
    """Whether nobody will ask any more after the job that the provider runs for this attempt."""
    if isinstance(ending, Outcome) and ending.state is State.COMPLETED:
        return False
    return not (isinstance(written, Release) and written.target == attempt.job.target and attempt.saved)


def _too_large(most: int, size: int | None = None) -> Unusable:
    has = "is too large" if size is None else f"has {size} bytes"
    return Unusable(f"the result {has}; max_result_bytes is {most}", code="result_too_large")
