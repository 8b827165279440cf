"""Whether the server can accept a job, keep it and begin it: what `/readyz` answers."""

import asyncio
import time
from collections.abc import Callable

from .errors import CoatcheckError
from .pool import Pool
from .store import Store

#: Seconds that an answer counts: nobody can drive the disk by asking.
_REUSE_SECONDS = 1.0
#: A write that takes longer is none.
_PATIENCE_SECONDS = 5.0


class Readiness:
    def __init__(
        self,
        pool: Pool,
        store: Store,
        *,
        now: Callable[[], float] = time.monotonic,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._now = now
        self._patience = patience_seconds
        self._pool = pool
        self._store = store
        self._answer: str | None = None
        self._answered_at: float | None = None
        self._asking: asyncio.Task[None] | None = None

    async def trouble(self) -> str | None:
        """Why no job can be accepted, kept or begun at the moment; None if one can. A row was written and committed to
        know it, within the last second."""
        if not self._pool.accepting:
            return "the server is stopping or has not started yet"
        if (trouble := self._pool.trouble) is not None:
            # A full disk may have room for a row, and none for a claim.
            return trouble
        if self._answered_at is None or self._now() - self._answered_at > _REUSE_SECONDS:
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask(), name="coatcheck readiness")
            done, _ = await asyncio.wait([self._asking], timeout=self._patience)
            if not done:
                return f"the job store has not answered for {self._patience:g} seconds"
        return self._answer

    async def _ask(self) -> None:
        try:
            self._store.check_file()
            await self._store.beat()
            self._answer = None
        except CoatcheckError as error:
            self._answer = error.message
        finally:
            self._answered_at = self._now()
            self._asking = None
