"""The worker's end of the pipes: it carries out calls, one thread each, until the gateway closes them."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

import orjson

from ...engine.errors import CallFailed, NotConfigured
from .frames import describe, files_from, pack, receive_blocking
from .task import Cancelled, Task

logger = logging.getLogger(__name__)


class Model(Protocol):
    """What is loaded; asked from many threads at once."""

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        """The result as JSON, in which the placeholders of `Task.keep` stand for files. Raises `CallFailed`, or
        `Cancelled` once the task is."""


class Gateway:
    """The worker's end of the pipes."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._tasks: dict[int, Task] = {}

    @property
    def idle(self) -> bool:
        """Whether all answers have been sent, and no call is under way."""
        return not self._tasks

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        try:
            with self._lock:
                self._output.write(pack(header, body))
                self._output.flush()
        except BrokenPipeError:
            os._exit(0)

    def serve(self, model: Model, source: BinaryIO) -> None:
        """Carries out calls until the gateway closes the pipe, or dies."""
        while frame := receive_blocking(source):
            header, body = frame
            if "cancel" in header:
                if task := self._tasks.get(header["cancel"]):
                    task.cancel()
                continue
            if "taken" in header:
                if task := self._tasks.get(header["taken"]):
                    task.taken(header["placeholder"])
                continue
            number, operation = header["call"], header["operation"]
            self._tasks[number] = Task(
                self._reporter(number), files=files_from(header["files"]), hand_over=self._sender(number)
            )
            threading.Thread(target=self._carry_out, args=(model, number, operation, body), daemon=True).start()

    def _reporter(self, number: int) -> Callable[[int, int | None, str, str], None]:
        def report(done: int, total: int | None, unit: str, delta: str) -> None:
            self.send({"progress": number, "done": done, "total": total, "unit": unit, "delta": delta})

        return report

    def _sender(self, number: int) -> Callable[[str, bytes, bool], None]:
        def hand_over(media_type: str, piece: bytes, last: bool) -> None:
            self.send({"piece": number, "media_type": media_type, "last": last}, piece)

        return hand_over

    def _carry_out(self, model: Model, number: int, operation: str, body: bytes) -> None:
        try:
            result = model.run(operation, orjson.loads(body), self._tasks[number])
        except Cancelled:
            self.send({"stopped": number})
        except CallFailed as failure:
            self.send({"error": number, "failure": describe(failure)})
        except Exception as error:
            logger.exception("call %s", number)
            fault = CallFailed(f"The local model failed: {error}", status=500, code="local_model_failed")
            self.send({"error": number, "failure": describe(fault)})
        else:
            self.send({"result": number}, result)
        finally:
            del self._tasks[number]


def run(load: Callable[[Gateway], Model]) -> None:
    """All that a worker process does: it loads what it runs, and carries out calls until the gateway closes the pipe.

    `load` raises `NotConfigured` where that cannot be loaded.
    """
    # A stop is the gateway's to handle: it lets running calls end, and then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Libraries print to file descriptor 1: the frames get another one, and the prints go to the log.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gateway = Gateway(output)
    try:
        model = load(gateway)
    except NotConfigured as failure:
        gateway.send({"failed": describe(failure)})
        return
    gateway.send({"ready": True})
    gateway.serve(model, sys.stdin.buffer)
    # Threads may be at work on calls that nobody waits for.
    os._exit(0)
