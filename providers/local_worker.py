"""The worker process: loads one model, then carries out calls, one thread each, until its input ends.

Run as `python -m coatcheck.providers.local_worker FAMILY ARGUMENTS`; `local_frames` says what is spoken. A native abort
ends this process and not the gateway, and its memory comes back when it goes.
"""

import logging
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import orjson

from ..engine.errors import CallFailed, NotConfigured
from .local_frames import describe, pack, receive_blocking
from .local_task import Cancelled, Task

logger = logging.getLogger(__name__)

_CPU_FLAGS = frozenset({"avx2", "bmi2", "f16c", "fma"})


class LocalModel(Protocol):
    """A loaded model; asked from many threads at once."""

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        """The result as JSON. Raises `CallFailed`, or `Cancelled` once the task is."""


class Gateway:
    """The worker's end of the pipes."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._tasks: dict[int, Task] = {}

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        try:
            with self._lock:
                self._output.write(pack(header, body))
                self._output.flush()
        except BrokenPipeError:
            os._exit(0)

    def serve(self, model: LocalModel, source: BinaryIO) -> None:
        """Carries out calls until the gateway closes the pipe, or dies."""
        while frame := receive_blocking(source):
            header, body = frame
            if "cancel" in header:
                if task := self._tasks.get(header["cancel"]):
                    task.cancel()
                continue
            number, operation = header["call"], header["operation"]
            self._tasks[number] = Task(self._reporter(number))
            threading.Thread(target=self._carry_out, args=(model, number, operation, body), daemon=True).start()

    def _reporter(self, number: int) -> Callable[[int, int | None, str, str], None]:
        def report(done: int, total: int | None, unit: str, delta: str) -> None:
            self.send({"progress": number, "done": done, "total": total, "unit": unit, "delta": delta})

        return report

    def _carry_out(self, model: LocalModel, number: int, operation: str, body: bytes) -> None:
        try:
            result = model.run(operation, orjson.loads(body), self._tasks[number])
        except Cancelled:
            pass
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


def load(family: str, arguments: dict[str, Any]) -> LocalModel:
    """Raises `NotConfigured` where this machine cannot run the model, and says what would help."""
    model = arguments["model"]
    try:
        if family == "embeddings":
            from .local_embeddings import EmbeddingModel

            return EmbeddingModel(**arguments)
        _check_cpu()
        from .local_chat import ChatModel

        return ChatModel(**arguments)
    except ImportError as error:
        raise NotConfigured(
            f"Local models need the package {error.name or error}: run `pip install 'coatcheck[local]'`.",
            code="package_missing",
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise NotConfigured(
            f"The model {model} cannot be loaded ({error}). Is there memory enough, and is its file whole? If not, "
            f"delete it and run `coatcheck models pull {model}`.",
            code="model_not_loaded",
        ) from error


def _check_cpu() -> None:
    """The chat library is built for these instructions and would end the process on a CPU without them."""
    if platform.machine() != "x86_64":
        return
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), None)
    if flags is not None and (lacking := _CPU_FLAGS - flags):
        raise NotConfigured(
            f"Local chat models need a CPU with {', '.join(sorted(lacking)).upper()}: use another provider.",
            code="cpu_not_supported",
        )


def main(family: str, arguments: str) -> None:
    # A stop is the gateway's to handle: it lets running calls end, and then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Native libraries print to file descriptor 1: the frames get another one, and the prints go to the log.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gateway = Gateway(output)
    try:
        model = load(family, orjson.loads(arguments))
    except NotConfigured as failure:
        gateway.send({"failed": describe(failure)})
        return
    gateway.send({"ready": True})
    gateway.serve(model, sys.stdin.buffer)
    # Native threads may be at work on calls that nobody waits for.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
