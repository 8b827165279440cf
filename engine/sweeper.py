"""Removes jobs that have expired, and gives their pages back to the file system."""

import asyncio
import logging
import time

from .clock import Clock
from .errors import CoatcheckError
from .settings import DeliverySettings, JobSettings
from .store import Store

log = logging.getLogger(__name__)

#: Seconds that one batch may hold the writer: what a submit waits longer because of a sweep.
_BATCH_SECONDS = 0.002
_MIN_BATCH, _MAX_BATCH = 8, 1024
#: Idempotency keys in one batch: as many as that time is enough for.
_KEYS_AT_ONCE = 128
_UPLOADS_AT_ONCE = 64
#: Deliveries, with their payloads.
_DELIVERIES_AT_ONCE = 32
#: Free pages that stay in the file, to be used again.
_SPARE_PAGES = 256
_PAGES_AT_ONCE = 64


class Sweeper:
    def __init__(
        self, store: Store, settings: JobSettings, clock: Clock, deliveries: DeliverySettings | None = None
    ) -> None:
        self._store = store
        self._interval = settings.sweep_interval_seconds
        self._patience = settings.max_result_ttl_seconds
        self._keep_deliveries = (deliveries or DeliverySettings()).keep_seconds
        self._clock = clock
        self._batch = 64

    async def run(self) -> None:
        """Sweeps at once and then every interval, until it is cancelled."""
        while True:
            try:
                await self.sweep()
            except CoatcheckError as error:
                log.warning("expired jobs could not be removed: %s", error)
            await asyncio.sleep(self._interval)

    async def sweep(self) -> int:
        """Removes what has expired; how many jobs that were. In small batches, with pauses: others write too."""
        self._store.check_file()
        if not self._clock.agree(self._patience):
            log.warning("the wall clock has jumped: nothing expires until it agrees with the time since the start")
            return 0
        gone = 0
        while True:
            asked, began = self._batch, time.perf_counter()
            count = await self._store.sweep(asked)
            took = time.perf_counter() - began
            self._store.meters.swept.add(count=count)
            gone += count
            if count < asked:
                break
            self._adapt(took)
            # Three quarters of the writer's time are for others.
            await asyncio.sleep(3 * took)
        await self._forget()
        await self._expire_uploads()
        if gone:
            await self._shrink()
        return gone

    async def _forget(self) -> None:
        """Removes idempotency keys that have expired, and deliveries that are old."""
        outbox, keep = self._store.outbox, self._keep_deliveries
        for forget, most in (
            (self._store.forget, _KEYS_AT_ONCE),
            (lambda most: outbox.forget(keep, most), _DELIVERIES_AT_ONCE),
        ):
            while True:
                began = time.perf_counter()
                if await forget(most) < most:
                    break
                await asyncio.sleep(3 * (time.perf_counter() - began))

    async def _expire_uploads(self) -> None:
        """Removes uploads that have expired; their files go with the last job that uses them."""
        while True:
            began = time.perf_counter()
            if await self._store.uploads.sweep(_UPLOADS_AT_ONCE) < _UPLOADS_AT_ONCE:
                return
            await asyncio.sleep(3 * (time.perf_counter() - began))

    async def _shrink(self) -> None:
        while True:
            free = await self._store.give_back(_PAGES_AT_ONCE)
            if free <= _SPARE_PAGES:
                return
            await asyncio.sleep(_BATCH_SECONDS)

    def _adapt(self, took: float) -> None:
        if took > _BATCH_SECONDS:
            self._batch = max(self._batch // 2, _MIN_BATCH)
        elif took < _BATCH_SECONDS / 2:
            self._batch = min(self._batch * 2, _MAX_BATCH)
