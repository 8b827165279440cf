"""One attempt at a job, from its claim to its outcome or its release."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import orjson

from . import retries
from .calls import Call, CallPolicy, Progress, Provider
from .clock import Clock
from .errors import (
    CallFailed,
    Fault,
    NotConfigured,
    Stopped,
    StoreUnavailable,
    TimedOut,
    Unusable,
)
from .jobs import SECOND, Job, Outcome, Release, State
from .settings import JobSettings
from .store import Store
from .targets import Target

log = logging.getLogger(__name__)

#: Seconds after which a request that could not be read is read again.
_READ_AGAIN_SECONDS = 2
#: Seconds between two tries to write an outcome while the store cannot be written: the first, and the longest.
_WRITE_AGAIN_SECONDS = (0.05, 2.0)


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
    progress: Progress | None = None

    def interrupt(self) -> None:
        """Ends the call under way, or keeps it from beginning."""
        self.interrupted = True
        if self.calling and self.task is not None:
            self.task.cancel()


class Attempts:
    """Runs attempts: asks the provider, decides what its answer means, writes it."""

    def __init__(self, store: Store, providers: Mapping[str, Provider], settings: JobSettings, clock: Clock) -> None:
        self._store = store
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
        job = attempt.job
        ending: Release | Outcome | None
        try:
            ending = await self._ending(attempt)
        except Exception as error:
            log.exception("job %s: the attempt failed by a fault of ours", job.id)
            ending = retries.failed(job, Fault(f"internal error: {type(error).__name__}: {error}"))
        return None if ending is None else await self._write(job, ending)

    async def recover(self, job: Job) -> None:
        """Settles an attempt that an earlier process left behind."""
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
            progress=partial(setattr, attempt, "progress"),
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
        provider = self._providers.get(job.at.provider)
        return retries.after(
            job,
            failure,
            policy=provider.policy if provider else CallPolicy(),
            settings=self._settings,
            lane=partial(self.lane, job.operation),
            now=self._clock.now(),
        )

    async def _write(self, job: Job, ending: Release | Outcome) -> Release | None:
        """Writes how an attempt ended, and tries again for as long as the store cannot be written. The release, if
        there was one and the attempt was still the job's."""
        delay, longest = _WRITE_AGAIN_SECONDS
        replaced = False
        while True:
            try:
                if isinstance(ending, Release):
                    return ending if await self._store.release(job, ending) else None
                await self._store.finish(job, ending, keep_request=self._settings.keep_requests)
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
