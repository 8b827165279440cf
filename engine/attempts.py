"""One attempt at a job, from its claim to its outcome or its release."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import orjson

from . import retries, trace
from .calls import Call, CallPolicy, Progress, Provider
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
from .jobs import SECOND, Job, Outcome, Release, State
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
#: Pieces of an answer that are kept apart: of a few letters each, they take ten times the room of their text.
_PIECES = 256


@dataclass(slots=True)
class Attempt:
    job: Job
    task: asyncio.Task[None] | None = None
    #: Whether the task may be cancelled: it awaits the provider, and does not yet write what came of it.
    calling: bool = False
    #: Whether the provider was asked: until then, ending costs nothing.
    dialled: bool = False
    #: The call is to end, or not to begin.
    interrupted: bool = False
    #: The job has been cancelled: nothing is left to write.
    cancelled: bool = False
    #: How far the call has come, as its provider last said.
    progress: Progress | None = None
    _said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What the provider has answered so far, where it says so."""
        if len(self._said) > 1:
            self._said = ["".join(self._said)]
        return self._said[0] if self._said else ""

    def report(self, tell: Callable[[str], None], progress: Progress) -> None:
        """The call has come further; `tell` tells whoever watches the job."""
        self.progress = progress
        if progress.delta:
            self._said.append(progress.delta)
            if len(self._said) > _PIECES:
                self._said = ["".join(self._said)]
        tell(self.job.id)

    def interrupt(self) -> None:
        """Ends the call under way, or keeps it from beginning."""
        self.interrupted = True
        if self.calling and self.task is not None:
            self.task.cancel()


class Attempts:
    """Runs attempts: asks the provider, decides what its answer means, writes it."""

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        settings: JobSettings,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        """`tell` is called with a job's id when its call has come further."""
        self._tell = tell
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
        return None if ending is None else await self._write(job, ending)

    async def recover(self, job: Job) -> None:
        """Settles an attempt that an earlier process left behind; to be run as a task."""
        ABOUT.set(About(job.request_id, job.id, job.trace))
        await self._write(job, self._after(job, Stopped("the server was stopped or killed during the call")))

    async def _ending(self, attempt: Attempt) -> Release | Outcome | None:
        """How the attempt ends; None if the job was cancelled meanwhile."""
        job = attempt.job
        try:
            if attempt.interrupted:
                raise asyncio.CancelledError
            attempt.calling = True
            return await self._call(attempt)
        except CallFailed as failure:
            return self._after(job, failure)
        except StoreUnavailable:
            return retries.untouched(job, "retry", self._clock.now() + _READ_AGAIN_SECONDS * SECOND)
        except asyncio.CancelledError:
            if attempt.cancelled:
                return None
            return self._after(job, Stopped()) if attempt.dialled else retries.untouched(job, "stopped")
        finally:
            attempt.calling = False

    async def _call(self, attempt: Attempt) -> Outcome:
        job, target = attempt.job, attempt.job.at
        provider = self._providers.get(target.provider)
        if provider is None:
            raise NotConfigured(f"provider {target.provider} is no longer configured")
        request = await self._store.request(job.seq)
        if request is None:
            raise Fault("the request of this job is gone")
        now = self._clock.now()
        remaining = (retries.deadline(job, self._settings, now) - now) / SECOND
        if remaining <= 0:
            raise retries.overdue(self._settings)
        limit = min(provider.policy.timeout_seconds, remaining)
        call = Call(
            job_id=job.id,
            operation=job.operation,
            model=target.model,
            request=orjson.loads(request),
            number=job.calls,
            trace=trace.headers(job.trace),
            progress=partial(attempt.report, self._tell),
        )
        try:
            async with asyncio.timeout(limit):
                attempt.dialled = True
                reply = await provider.execute(call)
        except TimeoutError as error:
            raise TimedOut(f"provider {target.provider} did not answer within {limit:g} seconds") from error
        if len(reply.result) > self._settings.max_result_bytes:
            raise Unusable(
                f"the result has {len(reply.result)} bytes; max_result_bytes is {self._settings.max_result_bytes}",
                code="result_too_large",
            )
        return Outcome(
            state=State.COMPLETED, status_code=200, body=reply.result, resolved_model=reply.model, cost=reply.cost
        )

    def _after(self, job: Job, failure: CallFailed) -> Release | Outcome:
        provider, now = self._providers.get(job.at.provider), self._clock.now()
        ending = retries.after(
            job,
            failure,
            policy=provider.policy if provider else CallPolicy(),
            settings=self._settings,
            lane=partial(self.lane, job.operation),
            now=now,
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

    async def _write(self, job: Job, ending: Release | Outcome) -> Release | None:
        """Writes how an attempt ended, and tries again for as long as the store cannot be written. The release, if
        there was one and the attempt was still the job's."""
        delay, longest = _WRITE_AGAIN_SECONDS
        replaced = False
        while True:
            try:
                if isinstance(ending, Release):
                    if not await self._store.release(job, ending):
                        return None
                    self._meters.released.add(ending.reason, job.at.provider)
                    return ending
                if await self._store.finish(job, ending, keep_request=self._settings.keep_requests):
                    self._meters.ended(job, ending.state)
                    log.debug("job %s: %s with %d", job.id, ending.state, ending.status_code)
                return None
            except StoreUnavailable as error:
                if self.stopping:
                    log.error("job %s: how its attempt ended could not be written: %s", job.id, error)
                    return None
                await asyncio.sleep(delay)
                delay = min(delay * 2, longest)
            except Exception as error:
                # The store refuses these values, and would again: the job ends all the same, and says why.
                if replaced:
                    raise
                log.exception("job %s: how its attempt ended could not be kept", job.id)
                replaced = True
                ending = retries.failed(job, Fault(f"internal error: {type(error).__name__}: {error}"))
