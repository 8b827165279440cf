"""What an owner may have at once: jobs that run, jobs that wait, requests in a minute."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.engine.errors import Overloaded, RateLimited
from coatcheck.engine.jobs import State
from coatcheck.engine.keys import Caller
from coatcheck.engine.limits import UNLIMITED, Limits
from coatcheck.engine.rates import Rates
from coatcheck.handlers.rates import admit

from .clients import client, request
from .jobs import Hands, counted, found, opened, pooled, remote, submission, until
from .servers import Gate, Upstream

Run = Callable[[Awaitable[Any]], Any]

ALICE = "key:alice"


def limited(**limits: int) -> Callable[[str], Limits]:
    """Alice's limits; nobody else has any."""
    return lambda owner: Limits(**limits) if owner == ALICE else UNLIMITED


def test_an_owner_runs_no_more_at_once_than_it_may_whatever_the_lanes(folder: Path, run: Run) -> None:
    async def main() -> None:
        alices, bobs = Gate(), Gate()
        async with (
            Upstream(lambda asked: (bobs if asked["model"] == "bobs" else alices).answer(asked)) as upstream,
            opened(folder) as store,
            pooled(
                store, remote("one", upstream.url), remote("two", upstream.url), limits=limited(max_concurrency=2)
            ) as pool,
        ):
            asked = [submission("gpt", provider=name) for name in ("one", "two") * 4]
            others = [submission("bobs", provider=name, owner="key:bob") for name in ("one", "two")]
            await asyncio.gather(*(pool.submit(one) for one in asked))
            await counted(pool, store, pending=6, running=2)
            await asyncio.gather(*(pool.submit(one) for one in others))
            await counted(pool, store, pending=6, running=4)
            for _ in range(4):
                await upstream.asked.get()
            for _ in range(6):
                alices.let(1)
                await upstream.asked.get()
                states = [(await found(store, one.id)).job.state for one in asked]
                assert states.count(State.PROCESSING) <= 2, "more run than may"
            alices.let(2)
            bobs.let(2)
            for one in [*asked, *others]:
                assert (await until(store, one.id)).job.state is State.COMPLETED

    run(main())


def test_an_owners_own_limit_of_waiting_jobs_stands_above_the_general_one(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with (
            Upstream(gate.answer) as upstream,
            opened(folder) as store,
            pooled(
                store, remote("up", upstream.url, concurrency=1), limits=limited(max_pending=3), max_pending_per_owner=1
            ) as pool,
        ):
            for owner, most in (("key:bob", 1), (ALICE, 3)):
                await pool.submit(submission("gpt", provider="up", owner=owner))
                if owner == "key:bob":
                    await counted(pool, store, pending=0, running=1)
                    await pool.submit(submission("gpt", provider="up", owner=owner))
                else:
                    for _ in range(most - 1):
                        await pool.submit(submission("gpt", provider="up", owner=owner))
                with pytest.raises(Overloaded) as caught:
                    await pool.submit(submission("gpt", provider="up", owner=owner))
                assert caught.value.message == f"{most} of your jobs are waiting, which is the most an owner may have"

    run(main())


@given(st.integers(1, 1000), st.lists(st.tuples(st.integers(0, 90), st.integers(1, 40)), min_size=1, max_size=30))
def test_no_minute_has_more_than_twice_the_limit_and_a_quiet_one_gives_all_of_it_at_once(
    per_minute: int, bursts: list[tuple[int, int]]
) -> None:
    hands = Hands()
    rates = Rates(hands.clock)
    granted: list[int] = []
    for pause, count in bursts:
        hands.pass_(pause)
        full = pause >= 61 or not granted
        for number in range(count):
            allowance = rates.ask("a", per_minute)
            if full and number < per_minute:
                assert allowance.granted
            if allowance.granted:
                granted.append(hands.boot)
    for moment in granted:
        minute = [other for other in granted if moment <= other < moment + 60_000_000]
        assert len(minute) <= 2 * per_minute


def test_a_request_that_is_refused_may_be_made_when_it_was_told_and_not_before() -> None:
    hands = Hands()
    rates = Rates(hands.clock)
    assert [rates.ask("a", 3).left for _ in range(3)] == [2, 1, 0]
    refused = rates.ask("a", 3)
    assert (refused.granted, refused.left, refused.next_seconds, refused.full_seconds) == (False, 0, 20, 60)
    hands.pass_(19.9)
    assert not rates.ask("a", 3).granted
    hands.pass_(0.1)
    assert rates.ask("a", 3).granted
    assert not rates.ask("a", 3).granted, "what was refused before was counted"
    assert rates.ask("b", 3).granted


def test_owners_who_make_no_requests_are_forgotten() -> None:
    hands = Hands()
    rates = Rates(hands.clock)
    for number in range(20_000):
        hands.pass_(1)
        assert rates.ask(f"visitor {number}", 60).granted
    assert len(rates) < 3000


KEYS = {
    "keys": [
        {"name": "root", "key": "root-token", "admin": True},
        {"name": "alice", "key": "alice-token", "requests_per_minute": 2, "max_pending": 1, "max_concurrency": 1},
        {"name": "bob", "key": "bob-token"},
    ]
}


def test_the_limits_of_a_key_are_known_by_its_owner(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS) as c:
            keys = c.served.gateway.keys
            assert keys.limits("key:config/alice") == Limits(requests_per_minute=2, max_pending=1, max_concurrency=1)
            assert keys.limits("key:config/bob") == keys.limits("key:nobody") == UNLIMITED

    run(main())


def test_who_has_a_limit_is_told_what_is_left_and_when_to_come_again(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, auth=KEYS, clock=hands.clock) as c:
            gateway = c.served.gateway
            alice, bob = Caller("key:config/alice"), Caller("key:config/bob")
            assert admit(gateway, bob) == {}
            assert admit(gateway, alice) == {
                "RateLimit-Policy": '"submits";q=2;w=60',
                "RateLimit": '"submits";r=1;t=30',
            }
            assert admit(gateway, alice)["RateLimit"] == '"submits";r=0;t=60'
            with pytest.raises(RateLimited) as caught:
                admit(gateway, alice)
            assert caught.value.retry_after == 30
            assert caught.value.headers["RateLimit"] == '"submits";r=0;t=60'
            hands.jump(3600)
            with pytest.raises(RateLimited):
                admit(gateway, alice)
            hands.pass_(30)
            admit(gateway, alice)

    run(main())


def test_submits_over_the_rate_are_refused_with_when_to_come_again_and_polls_are_not_counted(
    folder: Path, run: Run
) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, auth=KEYS, clock=hands.clock) as c:
            alice = c.with_key("alice-token")
            ids = []
            for left in (1, 0):
                answer = await alice.ask("POST", "/v1/async/embeddings", request("embeddings"))
                assert answer.status == 202, answer.text
                assert answer.headers["RateLimit"].startswith(f'"submits";r={left};')
                ids.append(answer.json["id"])
                assert (await alice.ended(ids[-1], "embeddings")).status == 200
            refused = await alice.ask("POST", "/v1/async/embeddings", request("embeddings"))
            assert (refused.status, refused.code) == (429, "rate_limited")
            assert "2 requests a minute" in refused.message
            assert refused.headers["Retry-After"] == "30"
            assert refused.headers["RateLimit-Policy"] == '"submits";q=2;w=60'
            for id in ids * 5:
                assert (await alice.ask("GET", f"/v1/async/embeddings/{id}")).status == 200
            assert "RateLimit" not in (await c.with_key("bob-token").ask("GET", "/v1/async/jobs/x")).headers
            hands.pass_(30)
            assert (await alice.ask("POST", "/v1/async/embeddings", request("embeddings"))).status == 202

    run(main())
