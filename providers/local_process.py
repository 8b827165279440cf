"""A model's worker process as the gateway sees it: started on first use, stopped when idle, replaced when it dies."""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from ..engine.calls import Progress
from ..engine.errors import CallFailed
from .local_frames import failure_from, pack, receive

logger = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
_LAST_WORDS_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a worker is started with."""

    model: str
    family: str
    #: Handed to the worker as JSON: see `local_worker`.
    arguments: dict[str, Any]


class Worker:
    """Runs the calls of one model, in a process that is there only while it is of use."""

    def __init__(self, recipe: Recipe, *, idle_seconds: float) -> None:
        self._recipe = recipe
        self._idle_seconds = idle_seconds
        self._connection: asyncio.Task[_Connection] | None = None
        self._calls = 0
        self._idle: asyncio.TimerHandle | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    async def call(self, operation: str, request: dict[str, Any], progress: Callable[[Progress], None]) -> bytes:
        """The result of one operation. Raises `CallFailed`; cancelling it stops the work at the next step."""
        self._calls += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        try:
            connection = await self._connected()
            return await connection.call(operation, request, progress)
        finally:
            self._calls -= 1
            if not self._calls and self._connection is not None:
                self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._stop)

    @property
    def pid(self) -> int | None:
        """The process that is ready for calls at the moment."""
        task = self._connection
        return task.result().pid if task and task.done() and not _is_over(task) else None

    async def close(self) -> None:
        """Ends the process, and with it whatever it was at."""
        if self._idle is not None:
            self._idle.cancel()
        self._stop()
        await asyncio.gather(*self._stopping)

    async def _connected(self) -> "_Connection":
        """The running process. Many callers share one start, and a caller who leaves does not end it."""
        while True:
            if (task := self._connection) is None:
                task = self._connection = asyncio.create_task(_Connection.start(self._recipe))
            try:
                connection = await asyncio.shield(task)
                if not connection.ended:
                    return connection
            finally:
                if self._connection is task and _is_over(task):
                    self._connection = None

    def _stop(self) -> None:
        if (task := self._connection) is not None:
            self._connection = None
            stopping = asyncio.create_task(_end(task))
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)


def _is_over(task: "asyncio.Task[_Connection]") -> bool:
    """Whether the start has failed, or its process has ended since."""
    return task.done() and (task.cancelled() or task.exception() is not None or task.result().ended)


async def _end(task: "asyncio.Task[_Connection]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, CallFailed):
        await (await task).close()


class _Connection:
    """One process and its pipes."""

    def __init__(self, process: Process, model: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._model = model
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._watching: dict[int, Callable[[Progress], None]] = {}
        self._last_words = b""
        self._listening = asyncio.create_task(self._listen())
        self._reading: asyncio.Task[None] | None = None
        self.ended = False

    @classmethod
    async def start(cls, recipe: Recipe) -> "_Connection":
        """Starts a worker and waits until its model is loaded."""
        # -P: a file in the working directory must not stand in for a module. A session of its own: Ctrl-C is for the
        # gateway, which lets running calls end.
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "coatcheck.providers.local_worker"),
                *(recipe.family, orjson.dumps(recipe.arguments).decode()),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                start_new_session=True,
            )
        except OSError as error:
            message = f"The worker of the model {recipe.model} cannot be started: {error.strerror}."
            raise CallFailed(message, status=503, code="worker_not_started") from error
        connection = cls(process, recipe.model)
        try:
            await connection._greet()
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def pid(self) -> int:
        return self._process.pid

    async def call(self, operation: str, request: dict[str, Any], progress: Callable[[Progress], None]) -> bytes:
        number = next(self._numbers)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._watching[number] = progress
        try:
            self._stdin.write(pack({"call": number, "operation": operation}, orjson.dumps(request)))
            # A worker that has died shows itself to the reader, which fails the future.
            with contextlib.suppress(ConnectionError):
                await self._stdin.drain()
            return await future
        except asyncio.CancelledError:
            if not self.ended:
                self._stdin.write(pack({"cancel": number}))
            raise
        finally:
            self._waiting.pop(number, None)
            self._watching.pop(number, None)

    async def close(self) -> None:
        """The end of its input ends the worker; one that is deaf is killed."""
        self._stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._kill()
        except asyncio.CancelledError:
            self._kill()
            raise
        finally:
            await asyncio.gather(self._listening, *([self._reading] if self._reading else ()))

    def _kill(self) -> None:
        # Process.kill polls first, and so can take the exit code away from the loop's own watcher.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def _greet(self) -> None:
        try:
            header, _ = await receive(self._stdout)
        except asyncio.IncompleteReadError:
            await self._process.wait()
            await self._listening
            raise self._death("while it loaded its model") from None
        if "failed" in header:
            raise failure_from(header["failed"])
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    self._dispatch(*await receive(self._stdout))
        finally:
            # From here on no call may be sent to it; a caller that comes meanwhile gets a new process.
            self.ended = True
            self._kill()
            await self._process.wait()
            await self._listening
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(self._death("during the call"))

    def _dispatch(self, header: dict[str, Any], body: bytes) -> None:
        """A frame about a call that was cancelled meanwhile is for nobody."""
        if (number := header.get("progress")) is not None:
            if watcher := self._watching.get(number):
                done, total, unit, delta = (header[key] for key in ("done", "total", "unit", "delta"))
                watcher(Progress(done=done, total=total, unit=unit, delta=delta))
            return
        future = self._waiting.get(header["result"] if "result" in header else header["error"])
        if future is None or future.done():
            return
        if "result" in header:
            future.set_result(body)
        else:
            future.set_exception(failure_from(header["failure"]))

    async def _listen(self) -> None:
        """What native libraries print is kept for the day the worker dies."""
        while words := await self._stderr.read(_LAST_WORDS_BYTES):
            self._last_words = (self._last_words + words)[-_LAST_WORDS_BYTES:]

    def _death(self, when: str) -> CallFailed:
        code = self._process.returncode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        words = self._last_words.decode(errors="replace").strip()
        logger.warning("the worker of %s %s %s: %s", self._model, how, when, words)
        return CallFailed(f"The worker of the model {self._model} {how} {when}.", status=503, code="worker_died")
