"""The outbox: what is listed, sent again and forgotten, whose secrets there are, and how what is due is found."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine import delivery_table
from coatcheck.engine.deliveries import Delivery, DeliveryFilter, Queue, Verdict
from coatcheck.engine.jobs import SECOND
from coatcheck.engine.settings import DeliverySettings, JobSettings
from coatcheck.engine.store import Store
from coatcheck.engine.sweeper import Sweeper

from .deliveries import ended, every, to
from .jobs import MORNING, Hands, opened, rows

Run = Callable[[Awaitable[Any]], Any]

ONE, TWO = "http://one.example/a", "http://two.example/b"


def verdict(delivery: Delivery, state: str, now: int, **more: Any) -> Verdict:
    return Verdict(delivery.seq, state, now, **{"next_at": now, **more})


async def settle(store: Store, hands: Hands, state: str, *deliveries: Delivery, **more: Any) -> None:
    for one in deliveries:
        await store.outbox.settle(verdict(one, state, hands.wall, **more))


def test_a_list_is_of_one_owner_newest_first_and_as_narrow_as_it_is_asked_for(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            first, second = await ended(store, to(ONE), to(endpoint="orders"))
            hands.pass_(10)
            (third,) = await ended(store, to(ONE), owner="key:bob")
            one, two, three = await every(store)
            await settle(store, hands, "dead", one)
            await settle(store, hands, "delivered", three)

            async def listed(before: int | None = None, limit: int = 10, **narrow: Any) -> list[str]:
                found = await store.outbox.deliveries(DeliveryFilter(**narrow), before=before, limit=limit)
                assert all(delivery.payload is None for delivery in found)
                return [delivery.job_id for delivery in found]

            assert await listed() == [third, second, first]
            assert await listed(limit=2) == [third, second]
            assert await listed(before=two.seq) == [first]
            assert await listed(owner="key:alice") == [second, first]
            assert await listed(owner="key:carol") == []
            assert await listed(states=("dead",)) == [first]
            assert await listed(states=("due", "delivered")) == [third, second]
            assert await listed(states=("odd",)) == []
            assert await listed(owner="key:bob", states=("dead",)) == []
            assert await listed(endpoint="orders") == [second]
            assert await listed(job_id=third) == [third]
            assert await listed(created_after=MORNING) == [third]
            assert await listed(created_before=MORNING + 1) == [second, first]
            assert await store.outbox.delivery(one.id, "key:bob") is None
            assert await store.outbox.delivery(one.id[:-1] + "x", None) is None
            found = await store.outbox.delivery(one.id, "key:alice")
            assert found is not None
            assert found.payload

    run(main())


def test_what_has_ended_is_due_again_when_it_is_replayed_and_keeps_its_attempts(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await ended(store, to(ONE), to(ONE), to(ONE))
            one, two, three = await every(store)
            await settle(store, hands, "due", one, status_code=503, error="no")
            await settle(store, hands, "dead", one, status_code=503, error="no")
            await settle(store, hands, "delivered", two, status_code=204)
            store.outbox.arrivals.taken()
            store.outbox.wake.clear()
            hands.pass_(100)
            assert await store.outbox.replay(DeliveryFilter(owner="key:bob")) == 0
            assert await store.outbox.replay(DeliveryFilter(states=("dead",)), ids=(three.id,)) == 0
            assert not store.outbox.wake.is_set()
            assert await store.outbox.replay(DeliveryFilter(states=("dead",))) == 1
            assert store.outbox.wake.is_set()
            assert store.outbox.arrivals.taken() == {("key:alice", "http://one.example:80")}
            again, delivered, due = await every(store)
            assert (again.state, again.attempts, again.tries, again.ended_at) == ("due", 2, 0, None)
            assert again.due_since == again.next_at == hands.wall
            assert (again.id, again.created_at, again.tried_at) == (one.id, MORNING, MORNING)
            assert (delivered.state, due.due_since) == ("delivered", MORNING)
            ended_well = DeliveryFilter(states=("delivered",))
            assert await store.outbox.replay(ended_well, ids=(one.id, two.id, "unknown")) == 1
            assert [delivery.state for delivery in await every(store)] == ["due", "due", "due"]

    run(main())


@pytest.mark.parametrize(("state", "kept"), [("delivered", False), ("dead", True)])
def test_with_a_job_that_is_deleted_goes_what_was_delivered_of_it(
    folder: Path, run: Run, state: str, kept: bool
) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            before, after, other = await ended(store, to(ONE), to(ONE), to(ONE))
            one, two, three = await every(store)
            await settle(store, hands, state, one, three)
            assert await store.delete(before, None)
            assert await store.delete(after, None)
            # What is due has its payload until it has come.
            assert rows(folder / "coatcheck.db", "SELECT 1 FROM delivery_payload WHERE seq = ?", two.seq)
            await settle(store, hands, state, two)
            left = {one.seq, two.seq, three.seq} if kept else {three.seq}
            assert {seq for (seq,) in rows(folder / "coatcheck.db", "SELECT seq FROM delivery_payload")} == left
            assert await store.outbox.replay(DeliveryFilter(states=(state,))) == len(left)
            assert await store.delete(other, None)

    run(main())


def test_what_is_due_later_is_due_now_when_it_is_replayed(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await ended(store, to(ONE), to(TWO))
            one, two = await every(store)
            for delivery in (one, two):
                later = verdict(delivery, "due", hands.wall, next_at=hands.wall + 3600 * SECOND)
                await store.outbox.settle(later)
            hands.pass_(100)
            assert await store.outbox.replay(DeliveryFilter(states=("due",)), ids=(one.id,)) == 1
            now, later = await every(store)
            assert (now.next_at, now.due_since, now.tries, now.attempts) == (hands.wall, hands.wall, 0, 1)
            assert (later.next_at, later.due_since) == (MORNING + 3600 * SECOND, MORNING)

    run(main())


def test_a_range_of_any_size_is_replayed(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await ended(store, *[to(ONE)] * 1100)
            deliveries = await every(store)
            await asyncio.gather(*(store.outbox.settle(verdict(one, "dead", hands.wall)) for one in deliveries))
            assert await store.outbox.replay(DeliveryFilter(states=("dead",), created_before=MORNING)) == 0
            assert await store.outbox.replay(DeliveryFilter(states=("dead",), created_after=MORNING - 1)) == 1100
            assert {one.state for one in await every(store)} == {"due"}

    run(main())


def test_what_was_delivered_stays_so_whatever_comes_later(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await ended(store, to(ONE), to(ONE))
            one, two = await every(store)
            await settle(store, hands, "delivered", one, status_code=204)
            await settle(store, hands, "due", one, next_at=hands.wall + 5)
            await settle(store, hands, "dead", one, status_code=500)
            # Its neighbour's receiver was gone while it was under way, and took it.
            assert await store.outbox.give_up(one, "gone") == 1
            await settle(store, hands, "due", two)
            assert [(d.state, d.attempts, d.error) for d in await every(store)] == [
                ("delivered", 1, None),
                ("dead", 0, "gone"),
            ]
            await settle(store, hands, "delivered", two, status_code=204)
            assert [(d.state, d.status_code) for d in await every(store)] == [("delivered", 204), ("delivered", 204)]

    run(main())


def test_giving_up_an_address_leaves_other_addresses_and_other_owners_alone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await ended(store, to(ONE), to(ONE), to(ONE + "/else"), to(TWO))
            await ended(store, to(ONE), owner="key:bob")
            first, *_ = await every(store)
            assert await store.outbox.give_up(first, "gone for good") == 2
            assert [(d.state, d.error) for d in await every(store)] == [
                ("dead", "gone for good"),
                ("dead", "gone for good"),
                ("due", None),
                ("due", None),
                ("due", None),
            ]
            assert await store.outbox.endpoints_off() == {}

    run(main())


def test_an_endpoint_that_is_given_up_is_switched_off_for_everyone_until_it_is_on_again(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await ended(store, to(endpoint="orders"), to(endpoint="other"))
            await ended(store, to(endpoint="orders"), owner="key:bob")
            first, *_ = await every(store)
            assert await store.outbox.give_up(first, "gone") == 2
            hands.pass_(5)
            assert await store.outbox.give_up(first, "later") == 0
            assert await store.outbox.endpoints_off() == {"orders": (MORNING, "gone")}
            assert [await store.outbox.endpoint_on(name) for name in ("orders", "orders", "x")] == [True, False, False]
            assert await store.outbox.endpoints_off() == {}

    run(main())


def test_the_queues_are_those_of_what_is_due_with_its_first_and_last_moment(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            assert await store.outbox.queues() == []
            await ended(store, to(ONE), to(TWO), to(ONE), to(endpoint="orders"))
            await ended(store, to(ONE), owner="key:bob")
            one, two, three, *_ = await every(store)
            await settle(store, hands, "due", one, next_at=MORNING + 7)
            await settle(store, hands, "dead", two)
            assert sorted(await store.outbox.queues()) == [
                Queue("key:alice", "http://one.example:80", MORNING, MORNING + 7),
                Queue("key:alice", "orders", MORNING, MORNING),
                Queue("key:bob", "http://one.example:80", MORNING, MORNING),
            ]
            found = await store.outbox.next("key:alice", one.receiver, MORNING, [])
            assert found is not None
            assert (found.delivery.seq, bool(found.delivery.payload)) == (three.seq, True)
            found = await store.outbox.next("key:alice", one.receiver, MORNING, [three.seq])
            assert found is not None
            assert (found.delivery.seq, found.delivery.payload) == (one.seq, None)
            assert await store.outbox.next("key:alice", one.receiver, MORNING, [one.seq, three.seq]) is None

    run(main())


def test_finding_the_queues_costs_by_receiver_and_not_by_delivery(folder: Path, run: Run) -> None:
    """Counted in steps of SQLite's machine, of which a scan makes several a row."""

    async def main() -> None:
        async with opened(folder) as store:
            await ended(store, *[to(ONE)] * 30, *[to(TWO)] * 30)
        path = folder / "coatcheck.db"
        with closing(sqlite3.connect(path)) as db:
            columns = "job_id, owner, dialect, url, receiver, event, created_at, due_since, next_at"
            for number in range(9):
                db.execute(
                    f"INSERT INTO delivery (id, {columns}) SELECT substr(hex(randomblob(18)), 1, 36), {columns}"
                    " FROM delivery WHERE seq % ? = 0",
                    [1 if number < 8 else 2],
                )
            db.commit()
            ((count,),) = db.execute("SELECT COUNT(*) FROM delivery").fetchall()
            assert count > 20_000
            steps = 0

            def step() -> None:
                nonlocal steps
                steps += 1

            db.set_progress_handler(step, 1)
            assert len(db.execute(delivery_table._QUEUES).fetchall()) == 2
            db.set_progress_handler(None, 1)
            assert steps < 1000

    run(main())


def test_old_deliveries_are_forgotten_with_their_payloads_and_what_is_due_is_not(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await ended(store, *[to(ONE)] * 100, ttl_seconds=1_000_000)
            deliveries = await every(store)
            await settle(store, hands, "delivered", *deliveries[:70])
            await settle(store, hands, "dead", *deliveries[70:90])
            hands.pass_(99)
            sweeper = Sweeper(store, JobSettings(), hands.clock, DeliverySettings(keep_seconds=100))
            await sweeper.sweep()
            assert len(await every(store)) == 100
            hands.pass_(1)
            await sweeper.sweep()
            assert [one.seq for one in await every(store)] == [one.seq for one in deliveries[90:]]
            assert rows(folder / "coatcheck.db", "SELECT COUNT(*) FROM delivery_payload") == [(10,)]

    run(main())


def test_a_clock_that_jumps_forgets_no_delivery(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await ended(store, to(ONE))
            await settle(store, hands, "dead", *await every(store))
            hands.jump(10_000_000)
            assert await store.outbox.forget(100, 10) == 0
            hands.pass_(100)
            assert await store.outbox.forget(100, 10) == 1

    run(main())


def test_a_secret_is_made_once_and_a_rotation_leaves_the_one_before_for_a_while(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            made = await asyncio.gather(*(store.outbox.secret("owner:key:alice") for _ in range(5)))
            assert len({one.secret for one in made}) == 1
            first = made[0]
            assert (len(first.secret), first.created_at, first.earlier) == (32, MORNING, None)
            assert (await store.outbox.secret("endpoint:orders")).secret != first.secret
            hands.pass_(10)
            second = await store.outbox.rotate_secret("owner:key:alice", 60)
            assert second.valid(hands.wall + 60 * SECOND - 1) == (second.secret, first.secret)
            assert second.valid(hands.wall + 60 * SECOND) == (second.secret,)
            assert second.created_at == hands.wall
            third = await store.outbox.rotate_secret("owner:key:alice", 0)
            assert third.valid(hands.wall) == (third.secret,)
            assert await store.outbox.secret("owner:key:alice") == third
            fresh = await store.outbox.rotate_secret("owner:key:carol", 60)
            assert fresh.earlier is None
        async with opened(folder, clock=hands.clock) as store:
            assert await store.outbox.secret("owner:key:alice") == third

    run(main())


@pytest.mark.parametrize("horizon", [0, 1])
def test_what_is_due_too_late_is_due_at_once(horizon: int, folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await ended(store, to(ONE))
            await settle(store, hands, "due", *await every(store), next_at=MORNING + 1)
            await store.outbox.hasten(MORNING + horizon)
            (one,) = await every(store)
            assert one.next_at == MORNING + horizon

    run(main())
