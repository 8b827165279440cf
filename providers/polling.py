"""A job that a vendor runs for a call: asked after again and again, past what goes wrong meanwhile."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from ..engine.calls import Call
from ..engine.errors import CallFailed, Interrupted, NotConnected, Refused, TimedOut, Unusable

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that one question may take.
ANSWER_SECONDS = 30.0
#: By how much the time between two questions grows, and how often the first one it becomes.
_GROWTH = 1.25
_SLOWEST = 10
#: The longest that a vendor may have its next question put off.
_MAX_RETRY_AFTER_SECONDS = 60.0
_PASSING = frozenset({408, 425, 429})
#: What a vendor answers about a job that it does not know any more.
GONE = frozenset({404, 410})


async def poll(ask: Callable[[], Awaitable[T | None]], *, poll_seconds: float, at_once: bool = False) -> T:
    """What `ask` answers once it is not None; the first question comes after `poll_seconds`, or at once.

    A question that is lost, limited or answered with nonsense changes nothing about the job and is put again; there is
    no limit but the caller's. Raises any other `CallFailed` of `ask`.
    """
    pause = poll_seconds
    wait = 0.0 if at_once else pause
    while True:
        await asyncio.sleep(wait)
        wait, pause = pause, min(pause * _GROWTH, poll_seconds * _SLOWEST)
        try:
            if (answer := await ask()) is not None:
                return answer
        except CallFailed as failure:
            if not _passes(failure):
                raise
            logger.info("a question for a vendor's job is put again: %s", type(failure).code or failure.status)
            wait = max(wait, min(failure.retry_after or 0.0, _MAX_RETRY_AFTER_SECONDS))


@asynccontextmanager
async def unlaunched(call: Call) -> AsyncIterator[None]:
    """For what comes before a launch: when it fails, there is no job to ask after. The checkpoint is forgotten, and a
    connection that was lost has cost nothing."""
    try:
        yield
    except CallFailed as failure:
        await call.save(None)
        if isinstance(failure, Interrupted):
            raise NotConnected(failure.message) from failure
        raise


def _passes(failure: CallFailed) -> bool:
    if isinstance(failure, Unusable):
        # What is too large now will be so again.
        return failure.code != "result_too_large"
    if isinstance(failure, Refused):
        return False
    lost = isinstance(failure, NotConnected | Interrupted | TimedOut)
    return lost or failure.status in _PASSING or failure.status >= 500
