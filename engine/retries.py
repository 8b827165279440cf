"""What follows on a failed call: the same provider again, the next one, or the end.

| the call                                  | at the same provider        | then              |
|-------------------------------------------|-----------------------------|-------------------|
| was never connected                       | `retries` times, at no cost | the next fallback |
| was answered 429, 500, 502, 503, 504      | `retries` times             | the next fallback |
| was answered otherwise (400, 404, …)      | no                          | the next fallback |
| timed out                                 | no                          | the next fallback |
| lost its connection after sending         | `retries` times             | the next fallback |
| was cut off by a stop or a kill of ours   | at once                     | —                 |
| was answered, but not usably; our fault   | no                          | the end           |

With `on_interrupt = "fail"` the three whose cost is unknown (timed out, lost, cut off) end the job. `max_attempts`
bounds the calls of a job over all providers, `timeout_seconds` the time from its first claim.
"""

import random
from collections.abc import Callable

import orjson

from .calls import CallPolicy, OnInterrupt
from .errors import CallFailed, Fault, Interrupted, NotConfigured, NotConnected, Stopped, TimedOut, Unusable
from .jobs import SECOND, Job, Outcome, Release, State
from .settings import JobSettings
from .targets import Target

_PASSING = frozenset({429, 500, 502, 503, 504})

FIRST_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 60.0
#: An upstream that asks for more patience than this is left for the next fallback.
MAX_RETRY_AFTER_SECONDS = 3600.0


def backoff(tries: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds before try number `tries + 1`: doubling from one second, with full jitter over the upper half."""
    doublings = min(max(tries - 1, 0), 16)
    delay = min(FIRST_DELAY_SECONDS * 2.0**doublings, MAX_DELAY_SECONDS)
    return delay * (0.5 + chance() / 2)


def after(
    job: Job,
    failure: CallFailed,
    *,
    policy: CallPolicy,
    settings: JobSettings,
    lane: Callable[[Target], str],
    now: int,
    chance: Callable[[], float] = random.random,
) -> Release | Outcome:
    """How the attempt of `job` ends, given how its call failed. `lane` names the lane of a target."""
    on_interrupt = policy.on_interrupt or settings.on_interrupt
    if isinstance(failure, Unusable | Fault):
        return failed(job, failure)
    if isinstance(failure, Interrupted | TimedOut) and on_interrupt is OnInterrupt.FAIL:
        return failed(job, failure)
    refund = 1 if isinstance(failure, NotConnected | NotConfigured) else 0
    if job.calls - refund >= settings.max_attempts:
        return failed(job, failure)

    story = describe(failure)
    if isinstance(failure, Stopped):
        return Release(reason="stopped", lane=job.lane, target=job.target, tries=max(job.tries - 1, 0), failure=story)

    delay = backoff(job.tries, chance)
    if failure.retry_after is not None:
        delay = max(delay, failure.retry_after)
    patient = delay <= MAX_RETRY_AFTER_SECONDS
    run_at = now + int(min(delay, MAX_RETRY_AFTER_SECONDS) * SECOND)
    if _passing(failure) and patient and job.tries <= policy.retries and run_at < deadline(job, settings, now):
        return Release(
            reason="retry", lane=job.lane, target=job.target, tries=job.tries, refund=refund, run_at=run_at,
            failure=story,
        )  # fmt: skip
    if job.target + 1 < len(job.targets) and now < deadline(job, settings, now):
        target = job.target + 1
        return Release(
            reason="fallback", lane=lane(job.targets[target]), target=target, tries=0, refund=refund, failure=story
        )
    return failed(job, failure)


def deadline(job: Job, settings: JobSettings, now: int) -> int:
    """When the job must have ended, in microseconds UTC."""
    return (now if job.claimed_at is None else job.claimed_at) + int(settings.timeout_seconds * SECOND)


def failed(job: Job, failure: CallFailed) -> Outcome:
    """The outcome of a job whose last call failed so."""
    body = {"provider": job.at.provider, "model": job.at.model, **describe(failure)}
    return Outcome(
        state=State.FAILED, status_code=failure.status, body=orjson.dumps(body, default=str), resolved_model=None
    )


def describe(failure: CallFailed) -> dict[str, object]:
    """The failure as it is kept: without the keys that are not known."""
    known = {
        "message": failure.message,
        "status_code": failure.status,
        "type": failure.type,
        "code": failure.code,
        "param": failure.param,
        "upstream": failure.upstream,
    }
    return {key: value for key, value in known.items() if value is not None}


def _passing(failure: CallFailed) -> bool:
    """Whether the same provider may well succeed a little later."""
    if isinstance(failure, TimedOut | NotConfigured):
        return False
    return isinstance(failure, NotConnected | Interrupted) or failure.status in _PASSING
