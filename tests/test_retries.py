"""What follows on a failed call: the table of `retries`, row by row."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.engine.calls import CallPolicy, OnInterrupt
from coatcheck.engine.errors import (
    CallFailed,
    Fault,
    Interrupted,
    NotConfigured,
    NotConnected,
    Stopped,
    TimedOut,
    Unusable,
)
from coatcheck.engine.jobs import SECOND, Job, Outcome, Release, State
from coatcheck.engine.retries import MAX_DELAY_SECONDS, MAX_RETRY_AFTER_SECONDS, after, backoff
from coatcheck.engine.settings import JobSettings
from coatcheck.engine.targets import Target

from .jobs import MORNING

NOW = MORNING + 100 * SECOND

#: What a job has left: a try here and a fallback, a fallback alone, or nothing.
FRESH: dict[str, Any]
SPENT: dict[str, Any]
LAST: dict[str, Any]
FRESH, SPENT, LAST = {"tries": 1}, {"tries": 3}, {"tries": 3, "target": 1}


def job(**changes: Any) -> Job:
    """A job in its first call, at the first of two providers."""
    first: dict[str, Any] = {
        "seq": 1,
        "id": "a1a8e9f0-8d7c-4b4f-9a53-0a6f5f0d4c11",
        "dialect": "v1",
        "operation": "chat/completions",
        "owner": "key:alice",
        "state": State.PROCESSING,
        "model": "one/gpt",
        "targets": (Target("one", "gpt"), Target("two", "llama")),
        "target": 0,
        "lane": "one",
        "priority": 3,
        "attempt": 1,
        "calls": 1,
        "tries": 1,
        "request_id": "r",
        "ttl_seconds": 60,
        "created_at": MORNING,
        "claimed_at": MORNING + 90 * SECOND,
        "started_at": MORNING + 90 * SECOND,
        "run_at": None,
        "completed_at": None,
        "expires_at": None,
        "status_code": None,
        "resolved_model": None,
        "cost": None,
    }
    return Job(**(first | changes))


def follow(
    failure: CallFailed,
    *,
    chance: Callable[[], float] = lambda: 1.0,
    policy: CallPolicy | None = None,
    settings: JobSettings | None = None,
    **changes: Any,
) -> Release | Outcome:
    return after(
        job(**changes),
        failure,
        policy=policy or CallPolicy(retries=2),
        settings=settings or JobSettings(),
        lane=lambda target: f"lane of {target.provider}",
        now=NOW,
        chance=chance,
    )


def word(ending: Release | Outcome) -> str:
    """How it ends, in a word."""
    return ending.reason if isinstance(ending, Release) else str(ending.state)


PASSING = [CallFailed("busy", status=status) for status in (429, 500, 502, 503, 504, 529)]
FINAL = [CallFailed("no", status=status) for status in (400, 401, 403, 404, 409, 422, 501)]


@pytest.mark.parametrize(
    ("failure", "fresh", "spent", "last"),
    [
        (NotConnected(), "retry", "fallback", "failed"),
        *((failure, "retry", "fallback", "failed") for failure in PASSING),
        *((failure, "fallback", "fallback", "failed") for failure in FINAL),
        (NotConfigured(), "fallback", "fallback", "failed"),
        (TimedOut(), "fallback", "fallback", "failed"),
        (Interrupted(), "retry", "fallback", "failed"),
        (Stopped(), "stopped", "stopped", "stopped"),
        (Unusable(), "failed", "failed", "failed"),
        (Fault(), "failed", "failed", "failed"),
    ],
    ids=lambda value: f"{type(value).__name__}-{value.status}" if isinstance(value, CallFailed) else None,
)
def test_each_row_of_the_table(failure: CallFailed, fresh: str, spent: str, last: str) -> None:
    assert [word(follow(failure, **left)) for left in (FRESH, SPENT, LAST)] == [fresh, spent, last]


@pytest.mark.parametrize("failure", [TimedOut(), Interrupted(), Stopped()], ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("where", ["provider", "server"])
def test_with_on_interrupt_fail_a_call_of_unknown_cost_is_the_last(failure: CallFailed, where: str) -> None:
    own = OnInterrupt.FAIL if where == "provider" else None
    policy = CallPolicy(retries=2, on_interrupt=own)
    settings = JobSettings(on_interrupt=OnInterrupt.RETRY if own else OnInterrupt.FAIL)
    ending = follow(failure, policy=policy, settings=settings)
    assert isinstance(ending, Outcome)
    assert orjson.loads(ending.body)["code"] == failure.code


def test_a_provider_may_retry_what_the_server_would_not() -> None:
    settings = JobSettings(on_interrupt=OnInterrupt.FAIL)
    assert word(follow(Interrupted(), policy=CallPolicy(on_interrupt=OnInterrupt.RETRY), settings=settings)) == "retry"


@pytest.mark.parametrize("failure", [NotConnected(), *PASSING, *FINAL], ids=lambda f: f"{type(f).__name__}-{f.status}")
def test_with_on_interrupt_fail_a_call_of_known_cost_goes_on(failure: CallFailed) -> None:
    assert word(follow(failure, settings=JobSettings(on_interrupt=OnInterrupt.FAIL))) in ("retry", "fallback")


def test_a_call_that_was_never_sent_costs_nothing() -> None:
    refunds: dict[CallFailed, int] = {NotConnected(): 1, NotConfigured(): 1}
    refunds |= dict.fromkeys((CallFailed(status=500), TimedOut(), Interrupted(), Stopped()), 0)
    for failure, refund in refunds.items():
        ending = follow(failure)
        assert isinstance(ending, Release)
        assert ending.refund == refund, failure


def test_the_last_call_that_max_attempts_allows_ends_the_job() -> None:
    settings = JobSettings(max_attempts=3)
    for failure in (*PASSING, *FINAL, TimedOut(), Interrupted(), Stopped()):
        assert word(follow(failure, settings=settings, calls=2, attempt=3)) != "failed"
        assert word(follow(failure, settings=settings, calls=3, attempt=3)) == "failed", failure
    assert word(follow(NotConnected(), settings=settings, calls=3, attempt=3)) == "retry", "this one did not count"


def test_a_try_that_a_stop_cut_off_is_given_back_to_its_provider() -> None:
    ending = follow(Stopped(), tries=2, target=1, lane="two")
    assert ending == Release(
        reason="stopped",
        lane="two",
        target=1,
        tries=1,
        failure={"message": Stopped().message, "status_code": 503, "type": "provider_error", "code": "server_stopped"},
    )


def test_a_fallback_starts_at_once_in_the_lane_of_its_provider() -> None:
    failure = CallFailed("no", status=404, retry_after=30)
    ending = follow(failure)
    assert isinstance(ending, Release)
    assert (ending.reason, ending.lane, ending.target, ending.tries) == ("fallback", "lane of two", 1, 0)
    assert ending.run_at is None


def test_a_retry_stays_at_its_provider_and_waits() -> None:
    ending = follow(CallFailed("busy", status=503), tries=2)
    assert isinstance(ending, Release)
    assert (ending.reason, ending.lane, ending.target, ending.tries) == ("retry", "one", 0, 2)
    assert ending.run_at == NOW + 2 * SECOND


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_the_wait_doubles_from_a_second_to_a_minute_with_jitter(tries: int, chance: float) -> None:
    full = min(2.0 ** min(tries - 1, 10), MAX_DELAY_SECONDS)
    assert full / 2 <= backoff(tries, lambda: chance) <= full
    assert backoff(tries, lambda: 1.0) == full


@pytest.mark.parametrize(("asked", "waits"), [(0.0, 1.0), (0.5, 1.0), (7.0, 7.0), (MAX_RETRY_AFTER_SECONDS, 3600.0)])
def test_the_upstreams_retry_after_is_honoured(asked: float, waits: float) -> None:
    ending = follow(CallFailed("slow down", status=429, retry_after=asked))
    assert isinstance(ending, Release)
    assert ending.reason == "retry"
    assert ending.run_at == NOW + waits * SECOND


@pytest.mark.parametrize("asked", [MAX_RETRY_AFTER_SECONDS + 1, 999_999_999.0, 1e18, float("inf")])
def test_an_upstream_that_asks_for_too_much_patience_is_left_for_the_next(asked: float) -> None:
    assert word(follow(CallFailed("slow down", status=429, retry_after=asked))) == "fallback"
    assert word(follow(CallFailed("slow down", status=429, retry_after=asked), **LAST)) == "failed"


def test_a_retry_that_would_come_after_the_deadline_is_not_waited_for() -> None:
    # The job was claimed ten seconds ago.
    failure = CallFailed("slow down", status=429, retry_after=5)
    for seconds, then in ((15.001, "retry"), (15.0, "fallback"), (10.0, "failed"), (1.0, "failed")):
        assert word(follow(failure, settings=JobSettings(timeout_seconds=seconds))) == then, seconds


def test_the_deadline_runs_from_the_first_claim() -> None:
    settings = JobSettings(timeout_seconds=60)
    failure = CallFailed("no", status=404)
    assert word(follow(failure, settings=settings, claimed_at=NOW - 59 * SECOND)) == "fallback"
    assert word(follow(failure, settings=settings, claimed_at=NOW - 60 * SECOND)) == "failed"
    assert word(follow(failure, settings=settings, claimed_at=NOW - 60 * SECOND, started_at=NOW)) == "failed"


def test_a_provider_without_retries_falls_back_at_the_first_failure() -> None:
    assert word(follow(CallFailed(status=503), policy=CallPolicy(retries=0))) == "fallback"
    assert word(follow(NotConnected(), policy=CallPolicy(retries=0))) == "fallback"


def test_the_outcome_says_what_failed_and_where() -> None:
    failure = CallFailed(
        "two answered 422: too long", status=422, type="invalid_request_error", code="too_long", param="messages",
        upstream={"status": 422},
    )  # fmt: skip
    ending = follow(failure, **LAST)
    assert isinstance(ending, Outcome)
    assert (ending.state, ending.status_code, ending.cost) == (State.FAILED, 422, None)
    assert orjson.loads(ending.body) == {
        "provider": "two",
        "model": "llama",
        "message": "two answered 422: too long",
        "status_code": 422,
        "type": "invalid_request_error",
        "code": "too_long",
        "param": "messages",
        "upstream": {"status": 422},
    }
