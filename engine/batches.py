"""Group commit: whatever waits for a connection is carried out together.

A thread hop and a commit cost the same for one statement as for hundreds. So a caller leaves its item with a future;
one task, which is never cancelled and is the only one to touch the connection, takes all that waits, runs each kind
of statement once for all of its items, commits, and then answers everyone.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import aiosqlite

from .errors import CoatcheckError, Refusal, StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Carries out one kind of statement for many items; answers one result an item, in their order.
Work = Callable[[aiosqlite.Connection, Sequence[Any]], Awaitable[Sequence[Any]]]

#: Faults of the disk or the file, not of a statement: every neighbour would meet them too.
_FAULTS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
}


def _is_fault(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _FAULTS


def _unavailable(error: sqlite3.Error) -> StoreUnavailable:
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return StoreUnavailable(f"the job store cannot be used: {error} ({name})", retry_after=5)


#: The work, the item, the future answer, and the bytes it counts for.
_Item = tuple[Work, Any, asyncio.Future[Any], int]


class _Certain(asyncio.Future[Any]):
    """An answer that comes, whoever awaits it: a task that is cancelled meanwhile learns of that after the answer. It
    does what `asyncio.shield` would, at a tenth of its price."""

    def cancel(self, msg: Any | None = None) -> bool:
        return False


class Batches:
    """The one way to a connection. `transactional`: each batch is one `BEGIN IMMEDIATE … COMMIT`. `observe` is told how
    many seconds each batch took, and of how many items, when it has been carried out."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        *,
        transactional: bool,
        max_items: int = 512,
        max_bytes: int = 64 << 20,
        observe: Callable[[float, int], None] = lambda _seconds, _items: None,
    ) -> None:
        self._connection = connection
        self._transactional = transactional
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._observe = observe
        self._waiting: list[_Item] = []
        self._chores: list[tuple[Callable[[aiosqlite.Connection], Awaitable[Any]], asyncio.Future[Any]]] = []
        self._bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self._refusal: str | None = None
        #: Whether the last batch met a fault of the disk: said once, not for each batch.
        self._faulty = False
        self._task = asyncio.create_task(self._serve(), name="coatcheck batches")

    def ask(
        self,
        work: Callable[[aiosqlite.Connection, Sequence[Any]], Awaitable[Sequence[T]]],
        item: Any,
        size: int = 0,
        *,
        certain: bool = False,
    ) -> asyncio.Future[T]:
        """The future answer to `item`; it is set after the commit. `size` in bytes counts towards the bound.

        An answer that nobody awaits any more is dropped, the statement is carried out all the same. `certain`: the
        answer cannot be cancelled, for those who must know it.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = _Certain(loop=loop) if certain else loop.create_future()
        refusal = "the job store is closed" if self._closing else self._refusal
        if refusal is not None:
            future.set_exception(StoreUnavailable(refusal, retry_after=5))
            return future
        self._waiting.append((work, item, future, size))
        self._bytes += size
        if self._bytes > self._max_bytes:
            self._room.clear()
        self._wake.set()
        return future

    def refuse(self, reason: str | None) -> None:
        """Answers whatever is asked with `StoreUnavailable`, until the reason is None again."""
        if reason is not None and self._refusal is None:
            log.error("%s", reason)
        self._refusal = reason

    async def room(self) -> None:
        """Returns when fewer bytes wait than the bound; whoever brings a body awaits this first."""
        while self._bytes > self._max_bytes:
            await self._room.wait()

    async def alone(self, chore: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Runs `chore` between two batches, outside of any transaction."""
        future = asyncio.get_running_loop().create_future()
        self._chores.append((chore, future))
        self._wake.set()
        answer: T = await future
        return answer

    async def close(self) -> None:
        """Carries out what still waits, then ends."""
        self._closing = True
        self._wake.set()
        await self._task

    async def _serve(self) -> None:
        while True:
            if self._chores:
                await self._do(*self._chores.pop(0))
            if not self._waiting and not self._chores:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            if not self._waiting:
                continue
            # Not in a variable: what was answered may be large, and the next batch may come late.
            await self._carry_out(self._take())

    def _take(self) -> Sequence[_Item]:
        batch, self._waiting = self._waiting[: self._max_items], self._waiting[self._max_items :]
        self._bytes -= sum(size for *_, size in batch)
        if self._bytes <= self._max_bytes:
            self._room.set()
        return batch

    async def _do(self, chore: Callable[[aiosqlite.Connection], Awaitable[Any]], future: asyncio.Future[Any]) -> None:
        try:
            answer = await chore(self._connection)
        except sqlite3.Error as error:
            _fail(future, _unavailable(error))
        except Exception as error:
            log.exception("a chore of the job store failed")
            _fail(future, CoatcheckError(f"a chore of the job store failed: {error}"))
        else:
            if not future.done():
                future.set_result(answer)

    async def _carry_out(self, batch: Sequence[_Item]) -> None:
        kinds: dict[Work, tuple[list[Any], list[asyncio.Future[Any]]]] = {}
        for work, item, future, _ in batch:
            items, futures = kinds.setdefault(work, ([], []))
            items.append(item)
            futures.append(future)
        began = time.perf_counter()
        try:
            answers = await self._transact([(work, items) for work, (items, _) in kinds.items()])
        except sqlite3.Error as error:
            if _is_fault(error):
                if not self._faulty:
                    log.error("the job store cannot be used: %s", error)
                self._faulty = True
                for _, _, future, _ in batch:
                    _fail(future, _unavailable(error))
            elif len(batch) == 1:
                _fail(batch[0][2], CoatcheckError(f"the job store refused a statement: {error}"))
            else:
                # One of them is at fault: alone, only that one hears of it.
                for one in batch:
                    await self._carry_out([one])
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    await self._carry_out([one])
            elif isinstance(error, Refusal):
                _fail(batch[0][2], error)
            else:
                log.exception("a statement for the job store could not be built")
                _fail(batch[0][2], CoatcheckError(f"the job store cannot keep these values: {error}"))
        else:
            if self._faulty:
                log.warning("the job store can be used again")
            self._faulty = False
            self._observe(time.perf_counter() - began, len(batch))
            for (_, futures), results in zip(kinds.values(), answers, strict=True):
                for future, result in zip(futures, results, strict=True):
                    if not future.done():
                        future.set_result(result)

    async def _transact(self, kinds: Sequence[tuple[Work, list[Any]]]) -> list[Sequence[Any]]:
        if not self._transactional:
            return [await work(self._connection, items) for work, items in kinds]
        await self._connection.execute("BEGIN IMMEDIATE")
        try:
            answers = [await work(self._connection, items) for work, items in kinds]
            await self._connection.execute("COMMIT")
        except BaseException:
            # SQLite has already rolled back after some errors (a full disk); then there is nothing left to do.
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    await self._connection.execute("ROLLBACK")
            raise
        return answers


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
