"""A worker process and its pipes: calls go in, frames come out, and what is heard of it is told to whom it concerns."""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from ...engine.blobs import Blob
from ...engine.calls import Call, Progress, Reply
from ...engine.errors import CallFailed
from .frames import failure_from, files_described, pack, receive

logger = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
#: A call that was cancelled ends at its next step; a worker in which it does not is stuck, and is replaced.
_CANCEL_SECONDS = 60.0
_LAST_WORDS_BYTES = 4096

_Frame = tuple[dict[str, Any], bytes]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a worker is started with."""

    model: str
    family: str
    #: Handed to the worker as JSON.
    arguments: dict[str, Any]
    #: What is run as the worker, with family and arguments, and by which interpreter.
    module: str
    python: str = sys.executable


@dataclass
class _Exchange:
    """A call under way: who watches it, and what its own task is to hear of."""

    progress: Callable[[Progress], None]
    #: Pieces of files, and at last how it ended.
    frames: asyncio.Queue[_Frame | CallFailed] = field(default_factory=asyncio.Queue)
    #: Whether the worker is done with it.
    over: bool = False

    async def next(self) -> _Frame:
        """Raises `CallFailed` where the worker failed it, or died."""
        heard = await self.frames.get()
        if isinstance(heard, CallFailed):
            self.over = True
            raise heard
        self.over = "result" in heard[0]
        return heard


class Connection:
    def __init__(self, process: Process, model: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._model = model
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._numbers = itertools.count(1)
        self._exchanges: dict[int, _Exchange] = {}
        #: Of calls that were cancelled, and that the worker has still to end.
        self._overdue: dict[int, asyncio.TimerHandle] = {}
        self._last_words = b""
        self._listening = asyncio.create_task(self._listen())
        self._reading: asyncio.Task[None] | None = None
        self.ended = False

    @classmethod
    async def start(cls, recipe: Recipe) -> "Connection":
        """Starts a worker and waits until its model is loaded."""
        # -P: a file in the working directory must not stand in for a module. A session of its own: Ctrl-C is for the
        # gateway, which lets running calls end.
        try:
            process = await asyncio.create_subprocess_exec(
                *(recipe.python, "-P", "-m", recipe.module),
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

    async def call(self, call: Call) -> Reply:
        """Carries out one call. Raises `CallFailed`."""
        number = next(self._numbers)
        exchange = self._exchanges[number] = _Exchange(call.progress)
        blobs: list[Blob] = []
        try:
            header = {"call": number, "operation": call.operation, "files": files_described(call.files)}
            await self._send(header, orjson.dumps(call.request))
            while True:
                header, body = await exchange.next()
                if exchange.over:
                    return Reply(result=body, model=call.model, cost=0, files=tuple(blobs))
                blobs.append(await self._keep(call, number, exchange, (header, body)))
        finally:
            del self._exchanges[number]
            if not exchange.over and not self.ended:
                self._cancel(number)

    async def _keep(self, call: Call, number: int, exchange: _Exchange, frame: _Frame) -> Blob:
        """Writes a file of the result, from its first piece to its last."""
        async with call.new_file(frame[0]["media_type"]) as file:
            while True:
                header, piece = frame
                await file.write(piece)
                if header["last"]:
                    break
                await self._send({"taken": number, "placeholder": ""})
                frame = await exchange.next()
        await self._send({"taken": number, "placeholder": file.blob.placeholder})
        return file.blob

    def _cancel(self, number: int) -> None:
        self._stdin.write(pack({"cancel": number}))
        self._overdue[number] = asyncio.get_running_loop().call_later(_CANCEL_SECONDS, self._kill)

    async def _send(self, header: dict[str, Any], body: bytes = b"") -> None:
        self._stdin.write(pack(header, body))
        # A worker that has died shows itself to the reader, which tells whoever waits.
        with contextlib.suppress(ConnectionError):
            await self._stdin.drain()

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
        # From here on no call may be sent to it; a caller that comes meanwhile gets a new process.
        self.ended = True
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
            self._kill()
            await self._process.wait()
            await self._listening
            for timer in self._overdue.values():
                timer.cancel()
            for exchange in self._exchanges.values():
                exchange.frames.put_nowait(self._death("during the call"))

    def _dispatch(self, header: dict[str, Any], body: bytes) -> None:
        """A frame about a call that was cancelled meanwhile is for nobody."""
        kind = next(iter(header))
        number = header[kind]
        if kind in ("result", "error", "stopped") and (timer := self._overdue.pop(number, None)):
            timer.cancel()
        if (exchange := self._exchanges.get(number)) is None:
            return
        if kind == "progress":
            done, total, unit, delta = (header[key] for key in ("done", "total", "unit", "delta"))
            exchange.progress(Progress(done=done, total=total, unit=unit, delta=delta))
        elif kind == "error":
            exchange.frames.put_nowait(failure_from(header["failure"]))
        else:
            exchange.frames.put_nowait((header, body))

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
