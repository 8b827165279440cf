"""What follows on a failed call: the same provider again, the next one, or the end.

| the call                                  | at the same provider        | then              |
|-------------------------------------------|-----------------------------|-------------------|
| was never connected                       | `retries` times, at no cost | the next fallback |
| was answered 429, 500, 502, 503, 504, 529 | `retries` times             | the next fallback |
| was refused, or answered otherwise (400)  | no                          | the next fallback |
| timed out                                 | no                          | the next fallback |
| lost its connection after sending         | `retries` times             | the next fallback |
| was cut off by a stop or a kill of ours   | at once                     | —                 |
| lost its connection, or was cut off, but  | until it has ended, at no   | —                 |
| is a job of the provider's that goes on   | cost                        |                   |
| was answered, but not usably; our fault   | no                          | the end           |

With `on_interrupt = "fail"` the three whose cost is unknown (timed out, lost, cut off) end the job; to ask after a
job of the provider's again costs nothing. `max_attempts` bounds the calls of a job over all providers,
`timeout_seconds` the time from its first claim.
"""

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import orjson

from .calls import CallPolicy, OnInterrupt
from .errors import CallFailed, Fault, Interrupted, NotConfigured, NotConnected, Refused, Stopped, TimedOut, Unusable
from .jobs import SECOND, Job, Outcome, Release, State
from .settings import JobSettings
from .targets import Target

_PASSING = frozenset({429, 500, 502, 503, 504, 529})

FIRST_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 60.0
#: An upstream that asks for more patience than this is left for the next fallback.
MAX_RETRY_AFTER_SECONDS = 3600.0


#: Of what a provider said but JSON cannot hold, this much is kept.
_MAX_TEXT = 500


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
    goes_on: bool = False,
    chance: Callable[[], float] = random.random,
) -> Release | Outcome:
    """How the attempt of `job` ends, given how its call failed. `lane` names the lane of a target; `goes_on` says that
    the call is a job of the provider's, which the next attempt asks after."""
    on_interrupt = policy.on_interrupt or settings.on_interrupt
    if isinstance(failure, Unusable | Fault):
        return failed(job, failure)
    # What failed then is the asking, not the call.
    asking = goes_on and passing(failure)
    if isinstance(failure, Interrupted | TimedOut) and on_interrupt is OnInterrupt.FAIL and not asking:
        return failed(job, failure)
    refund = 1 if asking or isinstance(failure, NotConnected | NotConfigured) else 0
    if job.calls - refund >= settings.max_attempts:
        return failed(job, failure)

    story = describe(failure)
    if isinstance(failure, Stopped):
        return Release(
            reason="stopped", lane=job.lane, target=job.target, tries=max(job.tries - 1, 0), refund=refund,
            failure=story,
        )  # fmt: skip

    delay = backoff(job.tries, chance)
    if failure.retry_after is not None:
        delay = max(delay, failure.retry_after)
    patient = delay <= MAX_RETRY_AFTER_SECONDS
    run_at = now + int(min(delay, MAX_RETRY_AFTER_SECONDS) * SECOND)
    again = passing(failure) and patient and job.tries <= policy.retries
    lost = asking and isinstance(failure, Interrupted | NotConnected)
    if (again or lost) and run_at < deadline(job, settings, now):
        return Release(
            reason="retry", lane=job.lane, target=job.target, tries=job.tries, refund=refund, run_at=run_at,
            failure=story,
        )  # fmt: skip
    if asking:
        # The call is given up, and was one.
        refund = 0
    more = job.target + 1 < len(job.targets) and job.calls - refund < settings.max_attempts
    if more and now < deadline(job, settings, now):
        target = job.target + 1
        return Release(
            reason="fallback", lane=lane(job.targets[target]), target=target, tries=0, refund=refund, failure=story
        )
    return failed(job, failure)


def untouched(job: Job, reason: str, run_at: int | None = None) -> Release:
    """The attempt ends before it called anyone: as if it had not begun."""
    return Release(
        reason=reason, lane=job.lane, target=job.target, tries=max(job.tries - 1, 0), refund=1, run_at=run_at
    )


def overdue(settings: JobSettings) -> TimedOut:
    """The failure of a job that has not ended in time."""
    return TimedOut(f"the job did not end within {settings.timeout_seconds:g} seconds of its first call")


def deadline(job: Job, settings: JobSettings, now: int) -> int:
    """When the job must have ended, in microseconds UTC."""
    return (now if job.claimed_at is None else job.claimed_at) + int(settings.timeout_seconds * SECOND)


def failed(job: Job, failure: CallFailed) -> Outcome:
    """The outcome of a job whose last call failed so."""
    return outcome({"provider": job.at.provider, "model": job.at.model}, failure)


def outcome(where: dict[str, object], failure: CallFailed) -> Outcome:
    """The failure as an outcome; `where` says at which provider and model, if that matters."""
    return Outcome(state=State.FAILED, status_code=failure.status, body=orjson.dumps(where | describe(failure)))


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
    found = {key: value for key, value in known.items() if value is not None}
    try:
        # Deeper than an event or an answer wraps it: what can be written here can be written there.
        orjson.dumps([[[[found]]]])
    except orjson.JSONEncodeError:
        found |= {key: repr(found[key])[:_MAX_TEXT] for key in ("param", "upstream") if key in found}
    return found


def passing(failure: CallFailed) -> bool:
    """Whether the same provider may well succeed a little later."""
    if isinstance(failure, TimedOut | NotConfigured | Refused):
        return False
    return isinstance(failure, NotConnected | Interrupted) or failure.status in _PASSING


def retry_after(value: str | None) -> float | None:
    """Seconds, from a Retry-After header of either form (RFC 9110, 10.2.3); None if there is none or it is garbage."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
