"""Tells providers that jobs which they run are not wanted any more: cancelled, out of time, or done elsewhere."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextvars import Context
from typing import Any

from . import retries, trace
from .calls import Call, Provider, Resumes
from .errors import CallFailed, CoatcheckError
from .jobs import Checkpoint, Job
from .logs import ABOUT, About
from .store import Store

log = logging.getLogger(__name__)

#: Seconds that a provider may take to be told, and all of them when this process ends.
_PATIENCE_SECONDS = 10.0
#: How often one is told that does not listen for the moment.
_TRIES = 3
#: Providers' jobs that are ended at once.
_AT_ONCE = 32


class Unwanted:
    """What is to be told stays in the store until it was: a process that is killed leaves it to the next."""

    def __init__(self, store: Store, providers: Mapping[str, Provider]) -> None:
        self._store = store
        self._providers = providers
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def start(self) -> None:
        """Tells what earlier processes did not."""
        self._spawn(self._look(None))

    def tell(self, job: Job, checkpoint: Checkpoint) -> None:
        """The provider's job, which an attempt of this process waited for, is not wanted."""
        self._spawn(self._tell(job, checkpoint))

    def ended(self, job: Job) -> None:
        """A job that waited has ended without being claimed again: what an attempt has left at a provider is not
        wanted."""
        if job.attempt and any(isinstance(self._providers.get(t.provider), Resumes) for t in job.targets):
            self._spawn(self._look(job.seq))

    async def close(self) -> None:
        """Waits until what is being told was, but not for long: what is left is told at the next start."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=_PATIENCE_SECONDS)
            for task in left:
                task.cancel()
            if left:
                log.warning("%d providers' jobs that are not wanted are told of at the next start", len(left))
                await asyncio.wait(left)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # In a context of its own: the lines of its log are about its job, not about the request that led here.
        task = asyncio.create_task(work, name="coatcheck unwanted", context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, seq: int | None) -> None:
        try:
            found = await self._store.unwanted(seq)
        except CoatcheckError as error:
            log.warning("what is no longer wanted of providers could not be read: %s", error)
            return
        await asyncio.gather(*(self._tell(job, checkpoint) for job, checkpoint in found))

    async def _tell(self, job: Job, checkpoint: Checkpoint) -> None:
        ABOUT.set(About(job.request_id, job.id, job.trace))
        target = job.targets[checkpoint.target]
        provider: object = self._providers.get(target.provider)
        if not isinstance(provider, Resumes):
            return
        call = Call(
            job_id=job.id,
            operation=job.operation,
            model=target.model,
            request={},
            number=job.calls,
            trace=trace.headers(job.trace),
            checkpoint=checkpoint.value,
        )
        try:
            async with self._slots, asyncio.timeout(_PATIENCE_SECONDS):
                await _abandon(provider, call)
            await self._store.told(job.seq, checkpoint.value)
        except TimeoutError:
            log.warning("job %s: provider %s was not told in time that it is not wanted", job.id, target.provider)
        except CoatcheckError as error:
            # What an upstream says may quote what it was asked, which is not for the log.
            why = f"{error.status}" if isinstance(error, CallFailed) else error.message
            log.warning("job %s: provider %s could not be told that it is not wanted: %s", job.id, target.provider, why)
        except Exception:
            log.exception("job %s: provider %s could not be told that it is not wanted", job.id, target.provider)
        else:
            log.info("job %s: provider %s was told that it is not wanted", job.id, target.provider)


async def _abandon(provider: Resumes, call: Call) -> None:
    for tries in range(1, _TRIES + 1):
        try:
            await provider.abandon(call)
            break
        except CallFailed as failure:
            if tries == _TRIES or not retries.passing(failure):
                raise
            await asyncio.sleep(max(retries.backoff(tries), failure.retry_after or 0.0))
