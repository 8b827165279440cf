"""The process of the LiteLLM library: loads it, and carries out calls, each a task of one loop.

Run as `python -m coatcheck.providers.litellm.worker litellm ARGUMENTS`; `workers/frames.py` says what is spoken.
The result of a call is a line of JSON about it, and after that line the operation's result.
"""

import asyncio
import contextvars
import importlib
import io
import itertools
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import orjson

from ...engine.calls import Usage
from ...engine.errors import NotConfigured
from ..usage import usage_of
from ..workers.gateway import run
from ..workers.task import Cancelled, Task
from .results import cost_of, shaped

#: How often a call looks whether it was cancelled, and the process whether it is still of use.
_LOOK_SECONDS = 0.05
_THREADS = 64
#: What keeps the library from fetching anything but answers, and from reading a `.env` file that happens to be there.
_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}

#: What went wrong below, by the names of the exceptions that say it.
_HOW = {
    **dict.fromkeys(("ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionRefusedError"), "unsent"),
    **dict.fromkeys(("ReadError", "WriteError", "RemoteProtocolError", "ClientPayloadError"), "lost"),
    **dict.fromkeys(("ServerDisconnectedError", "ConnectionResetError", "BrokenPipeError"), "lost"),
    **dict.fromkeys(("JSONDecodeError", "ValidationError"), "garbled"),
}

#: Which call a thread of the library's works for.
_CALL: contextvars.ContextVar[int] = contextvars.ContextVar("call", default=0)


class Threads(ThreadPoolExecutor):
    """The library's threads, each known by its call: a thread cannot be stopped, but it can be known to run on."""

    def __init__(self) -> None:
        super().__init__(_THREADS, thread_name_prefix="litellm")
        self._of: dict[int, list[Future[Any]]] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future = super().submit(fn, *args, **kwargs)
        if (ours := self._of.get(_CALL.get())) is not None:
            ours.append(future)
        return future

    def begin(self, call: int) -> None:
        self._of[call] = []

    def end(self, call: int) -> list["Future[Any]"]:
        """The threads of this call, which is over, that still run."""
        return [future for future in self._of.pop(call) if future.running()]


class Library:
    """LiteLLM, loaded. Asked from many threads at once; its calls run in a loop of their own."""

    def __init__(self, vendor: str, max_answer_bytes: int, idle: Callable[[], bool] = lambda: True) -> None:
        """`idle` tells whether all answers have been sent, and no call is under way.

        Raises `NotConfigured` if the library is not there, or does not know the vendor.
        """
        for name in [name for name in os.environ if name.startswith(("LITELLM_", "USE_LITELLM_"))]:
            del os.environ[name]
        os.environ.update(_ENVIRONMENT)
        try:
            # By name: a type checker would read all of it.
            self._litellm: Any = importlib.import_module("litellm")
        except ImportError as error:
            raise NotConfigured(
                f"Providers of kind litellm need the package {error.name or error}: run `pip install "
                "'coatcheck[litellm]'`.",
                code="package_missing",
            ) from error
        litellm: Any = self._litellm
        litellm.suppress_debug_info = True
        litellm.disable_hf_tokenizer_download = True
        litellm.drop_params = False
        litellm.num_retries = None
        litellm.callbacks, litellm.success_callback, litellm.failure_callback = [], [], []
        known = [str(getattr(each, "value", each)) for each in litellm.provider_list]
        if vendor not in known:
            raise NotConfigured(f"LiteLLM knows no vendor {vendor!r}.", code="unknown_vendor")
        self._most = max_answer_bytes
        self._idle = idle
        self._numbers = itertools.count(1)
        #: Threads that go on with calls that nobody wants.
        self._left: list[Future[Any]] = []
        self._lock = threading.Lock()
        self._threads = Threads()
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(self._threads)
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        number = next(self._numbers)
        self._threads.begin(number)
        try:
            return self._run(number, operation, request, task)
        finally:
            left = self._threads.end(number)
            if task.cancelled:
                with self._lock:
                    self._left += left

    def _watch(self) -> None:
        """Ends the process once nothing but such threads is left in it: the gateway starts another."""
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                self._left = [future for future in self._left if future.running()]
            if self._left and self._idle():
                os._exit(0)

    def _run(self, number: int, operation: str, request: dict[str, Any], task: Task) -> bytes:
        work = asyncio.run_coroutine_threadsafe(self._ask(number, operation, request["arguments"], task), self._loop)
        while True:
            try:
                answer = work.result(_LOOK_SECONDS)
                break
            except TimeoutError as error:
                if work.done():
                    return self._failed(error)
                if task.cancelled:
                    work.cancel()
                    raise Cancelled from None
            except Exception as error:
                return self._failed(error)
        try:
            result = shaped(operation, request, answer, task)
            body = orjson.dumps(result)
        except Cancelled:
            raise
        except Exception as error:
            return _line({"failure": _told("APIResponseValidationError", f"its answer cannot be used: {error!r}")})
        if len(body) > self._most:
            why = f"the provider's answer is larger than {self._most} bytes"
            return _line({"failure": _told("APIResponseValidationError", why)})
        usage = usage_of(operation, result)
        if operation == "audio/speech":
            usage = Usage(characters=len(request["arguments"]["input"]))
        cost = cost_of(self._litellm, operation, request["arguments"], answer)
        model = result.get("model")
        head = {
            "model": model if isinstance(model, str) else None,
            "cost": cost,
            "usage": asdict(usage) if usage is not None else None,
        }
        return _line(head) + body

    async def _ask(self, number: int, operation: str, arguments: dict[str, Any], task: Task) -> Any:
        _CALL.set(number)
        litellm = self._litellm
        match operation:
            case "chat/completions":
                # Tools are the client's, and the library's own way with them needs more than it installs.
                return await litellm.acompletion(_skip_mcp_handler=True, **arguments)
            case "completions":
                return await litellm.atext_completion(**arguments)
            case "embeddings":
                return await litellm.aembedding(**arguments)
            case "images/generations":
                return await litellm.aimage_generation(**arguments)
            case "images/edits":
                return await litellm.aimage_edit(**_images(task), **arguments)
            case "audio/transcriptions":
                with _opened(task) as file:
                    return await litellm.atranscription(file=file, **arguments)
            case "audio/speech":
                return await self._once(partial(litellm.speech, aspeech=True, **arguments))
            case "rerank":
                return await litellm.arerank(**arguments)
            case _:
                return await litellm.aocr(**arguments)

    async def _once(self, call: Callable[[], Any]) -> Any:
        """The library's own coroutine asks a vendor a second time whose first answer has come at once."""
        context = contextvars.copy_context()
        answer = await asyncio.get_running_loop().run_in_executor(None, partial(context.run, call))
        return await answer if isinstance(answer, Awaitable) else answer

    def _failed(self, error: BaseException) -> bytes:
        return _line({"failure": _described(error)})


@contextmanager
def _opened(task: Task) -> Iterator[tuple[str, io.BufferedReader, str]]:
    (file,) = task.files["file"]
    with file.path.open("rb") as source:
        yield file.name or "file", source, file.media_type


def _images(task: Task) -> dict[str, Any]:
    """The library takes images as bytes alone, or as files that have names."""
    images = [file.path.read_bytes() for file in task.files["image"]]
    masks = [file.path.read_bytes() for file in task.files.get("mask", ())]
    return {"image": images, **({"mask": masks[0]} if masks else {})}


def _line(head: dict[str, Any]) -> bytes:
    return orjson.dumps(head) + b"\n"


def _told(name: str, message: str) -> dict[str, Any]:
    return {"names": [name], "message": message}


def _described(error: BaseException) -> dict[str, Any]:
    """An exception as `errors.py` reads it."""
    causes = _causes(error)
    # The library's own exceptions hold answers that it has made up.
    answers = [getattr(each, "response", None) for each in causes if not type(each).__module__.startswith("litellm")]
    statuses = (_number(getattr(answer, "status_code", None)) for answer in answers)
    return {
        "names": [cls.__name__ for cls in type(error).__mro__[:-2]],
        "message": str(getattr(error, "message", None) or error),
        "status": _number(getattr(error, "status_code", None)),
        "answered": next((status for status in statuses if status is not None and status >= 400), None),
        "retry_after": next((answer.headers.get("retry-after") for answer in answers if answer is not None), None),
        "how": next((how for each in causes if (how := _HOW.get(type(each).__name__))), None),
    }


def _number(status: object) -> int | None:
    return int(status) if isinstance(status, int | str) and str(status).isdigit() else None


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def main(_family: str, arguments: str) -> None:
    run(lambda gateway: Library(**orjson.loads(arguments), idle=lambda: gateway.idle))


if __name__ == "__main__":
    main(*sys.argv[1:])
