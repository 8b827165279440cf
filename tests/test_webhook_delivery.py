"""The deliverer, with real receivers: what it sends, how often, and when it stops."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from coatcheck.engine.deliveries import Delivery, DeliveryFilter, backoff
from coatcheck.engine.hooks import Endpoint, Notice
from coatcheck.engine.jobs import SECOND, Hook
from coatcheck.engine.signatures import EdenKey, new_secret, whsec
from coatcheck.engine.store import Store

from .deliveries import delivering, ended, every, settled, to
from .jobs import MORNING, Hands, completed, opened
from .receivers import Receiver

Run = Callable[[Awaitable[Any]], Any]


class Held:
    """Answers 204 when it is let, and knows how many wait."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)
        self.waiting = 0
        self.most = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.arrived.release()
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        return web.Response(status=204)


async def later(store: Store, hands: Hands, seconds: float) -> None:
    """So much time passes, and the deliverer looks at the clock."""
    hands.pass_(seconds)
    store.outbox.wake.set()


async def payload(store: Store, delivery: Delivery) -> bytes:
    found = await store.outbox.delivery(delivery.id, None)
    assert found is not None
    assert found.payload is not None
    return found.payload


async def counted(store: Store, **outcomes: int) -> None:
    """Returns once so much has been counted, and logged: that is done a moment after it was written."""
    async with asyncio.timeout(30):
        while outcomes != {name: count for (name,), count in store.meters.deliveries.values.items() if count}:
            await every(store)


def test_what_is_sent_is_the_frozen_payload_with_headers_that_the_standard_s_library_takes(
    folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with opened(folder) as store, Receiver() as receiver, delivering(store, folder):
            (id,) = await ended(store, to(receiver.url))
            got = await receiver.got()
            one = await settled(store, id)
            assert (one.attempts, one.status_code, one.error) == (1, 204, None)
            assert one.ended_at == one.tried_at
            assert got.body == await payload(store, one)
            assert got.headers["Content-Type"] == "application/json"
            assert got.headers["User-Agent"] == "Coatcheck-Webhooks/1.0"
            assert got.headers["X-Bifrost-Event"] == one.event
            assert got.headers["webhook-id"] == one.id
            secret = await store.outbox.secret("owner:key:alice")
            headers = {name.lower(): value for name, value in got.headers.items()}
            assert Webhook(whsec(secret.secret)).verify(got.body, headers) == got.json

    run(main())


def test_an_endpoint_has_its_own_secret_and_both_of_them_while_it_changes(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, Receiver() as receiver:
            before = await store.outbox.secret("endpoint:made")
            after = await store.outbox.rotate_secret("endpoint:made", 60)
            configured = new_secret()
            endpoints = {
                "made": Endpoint(url=receiver.url + "?made"),
                "set": Endpoint(url=receiver.url + "?set", secrets=(configured,)),
            }
            async with delivering(store, folder, endpoints=endpoints):
                await ended(store, to(endpoint="made"), to(endpoint="set"))
                for _ in range(2):
                    got = await receiver.got()
                    headers = {name.lower(): value for name, value in got.headers.items()}
                    secrets = [before.secret, after.secret] if got.path.endswith("made") else [configured]
                    assert len(headers["webhook-signature"].split()) == len(secrets)
                    for secret in secrets:
                        Webhook(whsec(secret)).verify(got.body, headers)

    run(main())


def test_v3_is_told_in_eden_s_headers_with_a_signature_that_the_public_key_takes(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, Receiver(503) as receiver, delivering(store, folder) as deliverer:
            assert deliverer
            (id,) = await ended(store, to(receiver.url), dialect="v3")
            got = await receiver.got()
            one = await settled(store, id, "due", tries=1)
            own = {"Content-Type", "User-Agent", "webhook-id"}
            assert {name: value for name, value in got.headers.items() if name in own or name.startswith("X-")} == {
                "Content-Type": "application/json",
                "User-Agent": "EdenAI/Ai-Features",
                "X-Edenai-Webhook": "true",
                "X-Edenai-Signature": got.headers["X-Edenai-Signature"],
                "X-Edenai-Hash-Algorithm": "SHA256",
                "webhook-id": one.id,
            }
            public = load_pem_public_key(EdenKey(folder / "webhook-key.pem").public_pem())
            assert isinstance(public, rsa.RSAPublicKey)
            canonical = json.dumps(json.loads(got.body), sort_keys=True, indent=2, ensure_ascii=False).encode()
            public.verify(
                bytes.fromhex(got.headers["X-Edenai-Signature"]),
                hashlib.sha256(canonical).hexdigest().encode(),
                padding.PKCS1v15(),
                SHA256(),
            )

    run(main())


def test_a_large_payload_is_signed_and_sent_too(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, Receiver() as receiver, delivering(store, folder):
            text = orjson.dumps({"text": "x" * 3_000_000})

            def announce(ticket: Any, hook: Hook) -> Any:
                return Notice("big", ticket.body)

            store.outbox.arrivals.announce = announce
            await ended(store, to(receiver.url), outcome=completed(text))
            got = await receiver.got()
            assert got.body == text
            secret = await store.outbox.secret("owner:key:alice")
            Webhook(whsec(secret.secret)).verify(got.body, {n.lower(): v for n, v in got.headers.items()})

    run(main())


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 599])
def test_a_passing_failure_is_tried_again_with_the_same_id_and_payload(status: int, folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with (
            opened(folder, clock=hands.clock) as store,
            Receiver(status) as receiver,
            delivering(store, folder, hands.clock),
        ):
            (id,) = await ended(store, to(receiver.url))
            first = await receiver.got()
            one = await settled(store, id, "due", tries=1)
            assert (one.attempts, one.status_code, one.error) == (1, status, f"the receiver answered {status}")
            assert one.next_at == MORNING + 5 * SECOND
            await later(store, hands, 5)
            second = await receiver.got()
            assert (second.headers["webhook-id"], second.body) == (first.headers["webhook-id"], first.body)
            assert second.headers["webhook-timestamp"] == str(int(first.headers["webhook-timestamp"]) + 5)
            one = await settled(store, id)
            assert (one.attempts, one.status_code, one.error) == (2, 204, None)

    run(main())


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 413, 418, 422, 451])
def test_any_other_answer_is_final(status: int, folder: Path, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with opened(folder) as store, Receiver(status) as receiver, delivering(store, folder):
            url = receiver.url.replace("http://", "http://user:hidden@") + "?token=hidden"
            (id,) = await ended(store, to(url))
            one = await settled(store, id, "dead")
            assert (one.attempts, one.status_code, one.error) == (1, status, f"the receiver answered {status}")
            await counted(store, dead=1)
            (line,) = [record for record in caplog.records if record.levelname == "WARNING"]
            where = f"http://127.0.0.1:{receiver.port}"
            assert line.message == (
                f"delivery {one.id} of job {id} to {where} is a dead letter: the receiver answered {status}"
            )
            assert "hidden" not in caplog.text

    run(main())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Receiver() as elsewhere, Receiver((status, {"Location": elsewhere.url})) as receiver:
            async with opened(folder) as store, delivering(store, folder):
                (id,) = await ended(store, to(receiver.url))
                one = await settled(store, id, "dead")
                assert one.status_code == status
                assert one.error == f"the receiver answered {status}: redirects are not followed"
            assert elsewhere.waiting == 0

    run(main())


def test_an_address_that_is_gone_is_not_tried_again_by_its_owner_s_other_deliveries(
    folder: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(folder) as store, Receiver(410) as receiver:
            ids = await ended(store, *[to(receiver.url)] * 3, to(receiver.url + "/else"))
            (other,) = await ended(store, to(receiver.url), owner="key:bob")
            async with delivering(store, folder):
                await settled(store, other)
                await settled(store, ids[3])
                dead = [await settled(store, id, "dead") for id in ids[:3]]
            why = "the receiver answered 410: it is gone for good"
            assert sorted((one.attempts, one.error) for one in dead) == [
                (0, why), (0, why), (1, "the receiver answered 410"),
            ]  # fmt: skip
            await counted(store, dead=3, delivered=2)
            assert "2 more deliveries" in caplog.text

    run(main())


def test_an_endpoint_that_is_gone_is_switched_off_until_somebody_switches_it_on(
    folder: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(folder) as store, Receiver(410) as receiver:
            endpoints = {"orders": Endpoint(url=receiver.url)}
            async with delivering(store, folder, endpoints=endpoints):
                (first,) = await ended(store, to(endpoint="orders"))
                await settled(store, first, "dead")
                await counted(store, dead=1)
                assert "endpoint orders is switched off until an admin enables it: it answered 410" in caplog.text
                (second,) = await ended(store, to(endpoint="orders"), owner="key:bob")
                off = await settled(store, second, "dead")
                assert (off.attempts, off.tried_at, off.status_code) == (0, None, None)
                assert off.error == "the endpoint is switched off: the receiver answered 410: it is gone for good"
                assert await store.outbox.endpoint_on("orders")
                assert await store.outbox.replay(DeliveryFilter(), (off.id,)) == 1
                assert (await settled(store, second)).attempts == 1

    run(main())


def test_an_endpoint_that_the_configuration_no_longer_has_is_a_dead_letter_that_says_so(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, delivering(store, folder):
            (id,) = await ended(store, to(endpoint="orders"))
            one = await settled(store, id, "dead")
            assert (one.attempts, one.error) == (0, "the endpoint is not in the configuration")
            assert await store.outbox.endpoints_off() == {}

    run(main())


def test_a_receiver_that_does_not_answer_in_time_is_tried_again(folder: Path, run: Run) -> None:
    async def main() -> None:
        held = Held()
        async with (
            opened(folder) as store,
            Receiver(held.answer) as receiver,
            delivering(store, folder, timeout_seconds=0.1),
        ):
            (id,) = await ended(store, to(receiver.url))
            one = await settled(store, id, "due", tries=1)
            assert (one.status_code, one.error) == (None, "the receiver did not answer within 0.1 seconds")

    run(main())


def test_a_clock_that_jumps_while_what_is_due_is_looked_up_puts_nothing_off(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands, go_on = Hands(), asyncio.Event()
        async with opened(folder, clock=hands.clock) as store, Receiver(503) as receiver:
            busy = asyncio.create_task(store._searches.alone(lambda _db: go_on.wait()))
            async with delivering(store, folder, hands.clock):
                (id,) = await ended(store, to(receiver.url))
                hands.pass_(3600)
                go_on.set()
                await busy
                await receiver.got()
                await settled(store, id, "due", tries=1)
                async with asyncio.timeout(10):
                    await later(store, hands, 5)
                    await receiver.got()
                await settled(store, id)

    run(main())


def test_a_receiver_that_is_down_is_told_when_it_is_up_again(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        receiver = Receiver()
        async with receiver:
            pass
        async with opened(folder, clock=hands.clock) as store, delivering(store, folder, hands.clock):
            (id,) = await ended(store, to(receiver.url))
            one = await settled(store, id, "due", tries=1)
            assert (one.status_code, one.error) == (None, "the receiver cannot be reached")
            async with receiver:
                await later(store, hands, 5)
                await receiver.got()
                await settled(store, id)
        await counted(store, failed=1, delivered=1)

    run(main())


def test_waits_double_until_the_time_is_over_and_the_last_try_is_when_it_is(
    folder: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        caplog.set_level("INFO", "coatcheck")
        hands = Hands()
        async with (
            opened(folder, clock=hands.clock) as store,
            Receiver(*[500] * 9) as receiver,
            delivering(store, folder, hands.clock, retry_seconds=100),
        ):
            (id,) = await ended(store, to(receiver.url))
            waits = []
            for tries in range(1, 6):
                one = await settled(store, id, "due", tries=tries)
                waits.append((one.next_at - hands.wall) / SECOND)
                await later(store, hands, waits[-1])
            assert waits == [5, 10, 20, 40, 25]
            one = await settled(store, id, "dead", tries=6)
            assert one.ended_at == MORNING + 100 * SECOND
            await counted(store, failed=5, dead=1)
            levels = [record.levelname for record in caplog.records if one.id in record.message]
            assert levels == ["INFO", "WARNING"], "the first failure and the end, not every try"
            # Its time begins anew, and so do the waits.
            hands.pass_(50)
            assert await store.outbox.replay(DeliveryFilter()) == 1
            one = await settled(store, id, "due", tries=1)
            assert (one.attempts, one.next_at - hands.wall) == (7, 5 * SECOND)

    run(main())


@pytest.mark.parametrize(
    ("asked", "wait"), [("60", 60), ("1", 5), ("100000", 1000), ("-5", 5), ("soon", 5), ("999999999999", 1000)]
)
def test_a_receiver_says_how_long_it_wants_to_be_left_alone(asked: str, wait: int, folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with (
            opened(folder, clock=hands.clock) as store,
            Receiver((429, {"Retry-After": asked})) as receiver,
            delivering(store, folder, hands.clock, retry_seconds=1000),
        ):
            (id,) = await ended(store, to(receiver.url))
            one = await settled(store, id, "due", tries=1)
            assert one.next_at - hands.wall == wait * SECOND

    run(main())


def test_who_asks_to_be_left_alone_is_sent_nothing_else_by_that_owner_meanwhile(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with Receiver((429, {"Retry-After": "60"})) as receiver, opened(folder, clock=hands.clock) as store:
            ids = await ended(store, *[to(receiver.url)] * 3)
            async with delivering(store, folder, hands.clock):
                await settled(store, ids[0], "due", tries=1)
                (other,) = await ended(store, to(receiver.url), owner="key:bob")
                await settled(store, other)
                await later(store, hands, 59)
                assert [one.tries for one in await every(store, owner="key:alice")] == [1, 0, 0]
                await later(store, hands, 1)
                for id in ids:
                    await settled(store, id)

    run(main())


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_six_hours_or_shorter_than_some_seconds(tries: int, chance: float) -> None:
    longest = min(5.0 * 2 ** min(max(tries - 1, 0), 50), 21_600.0)
    assert 0.75 * longest <= backoff(tries, lambda: chance) <= longest


def test_an_address_on_a_private_network_is_a_dead_letter_and_a_name_that_leads_there_is_tried_again(
    folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with Receiver() as receiver, opened(folder) as store, delivering(store, folder, allow_private=False):
            (number,) = await ended(store, to(receiver.url))
            (name,) = await ended(store, to(receiver.url.replace("127.0.0.1", "localhost")))
            dead = await settled(store, number, "dead")
            due = await settled(store, name, "due", tries=1)
            assert dead.error == due.error == "the receiver is refused: what it leads to is this machine's own"
            assert receiver.waiting == 0

    run(main())


@pytest.mark.parametrize("everywhere", [True, False])
def test_an_endpoint_may_be_where_other_receivers_may_not_and_the_other_way_round(
    everywhere: bool, folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with Receiver() as receiver, opened(folder) as store:
            endpoints = {"orders": Endpoint(url=receiver.url, allow_private=not everywhere)}
            async with delivering(store, folder, endpoints=endpoints, allow_private=everywhere):
                (named, given) = await ended(store, to(endpoint="orders"), to(receiver.url))
                await settled(store, named, "dead" if everywhere else "delivered")
                await settled(store, given, "delivered" if everywhere else "dead")

    run(main())


def test_a_receiver_is_told_of_so_many_ends_at_once_and_no_more(folder: Path, run: Run) -> None:
    async def main() -> None:
        held = Held()
        async with Receiver(204, *[held.answer] * 19) as receiver, opened(folder) as store:
            ids = await ended(store, *[to(receiver.url)] * 20)
            async with delivering(store, folder, receiver_concurrency=3):
                for _ in range(4):
                    await receiver.got()
                assert held.waiting == 3
                held.open.set()
                for id in ids:
                    await settled(store, id)
            assert held.most == 3

    run(main())


def test_receivers_that_hang_keep_nobody_else_waiting(folder: Path, run: Run) -> None:
    """500 of them, with 10,000 deliveries that are due: another owner's receiver is told of all there is at once."""

    async def main() -> None:
        held = Held()
        hanging = web.Application()
        hanging.router.add_post("/", held.answer)
        runner = web.AppRunner(hanging, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", 0, backlog=1024).start()
        port = runner.addresses[0][1]
        async with Receiver() as receiver, opened(folder) as store:
            hosts = [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(500)]
            await ended(store, *[to(f"http://{host}:{port}/") for host in hosts * 20])
            async with delivering(store, folder, concurrency=16):
                for _ in range(8):
                    await held.arrived.acquire()
                ids = await ended(store, *[to(receiver.url)] * 50, owner="key:bob")
                for id in ids:
                    await settled(store, id)
                assert held.waiting == held.most == 8
                held.open.set()
        await runner.cleanup()

    run(main())


def test_what_an_earlier_process_left_is_sent_at_the_start(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Receiver() as receiver:
            async with opened(folder) as store:
                ids = await ended(store, to(receiver.url), to(receiver.url))
            async with opened(folder) as store, delivering(store, folder):
                for id in ids:
                    await settled(store, id)

    run(main())


def test_what_was_frozen_is_sent_when_its_job_is_gone(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with Receiver() as receiver, opened(folder, clock=hands.clock) as store:
            (id,) = await ended(store, to(receiver.url))
            hands.pass_(100)
            assert await store.sweep(10) == 1
            async with delivering(store, folder, hands.clock):
                got = await receiver.got()
                assert got.json["data"] == {"job_id": id, "status": "completed", "status_code": 200}
                await settled(store, id)

    run(main())


def test_a_stop_waits_for_what_is_under_way(folder: Path, run: Run) -> None:
    async def main() -> None:
        held = Held()
        async with Receiver(held.answer) as receiver, opened(folder) as store:
            async with delivering(store, folder):
                (id,) = await ended(store, to(receiver.url))
                await receiver.got()
                asyncio.get_running_loop().call_soon(held.open.set)
            (one,) = await every(store, job_id=id)
            assert (one.state, one.attempts) == ("delivered", 1)

    run(main())


def test_what_has_ended_just_before_a_stop_is_told_of(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Receiver() as receiver, opened(folder) as store:
            async with delivering(store, folder):
                (id,) = await ended(store, to(receiver.url))
            (one,) = await every(store, job_id=id)
            assert one.state == "delivered"

    run(main())


def test_what_a_stop_cuts_off_is_sent_again_at_the_next_start(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coatcheck.engine.webhooks._GRACE_SECONDS", 0.05)

    async def main() -> None:
        async with Receiver(Held().answer) as receiver, opened(folder) as store:
            async with delivering(store, folder):
                (id,) = await ended(store, to(receiver.url))
                first = await receiver.got()
            (one,) = await every(store, job_id=id)
            assert (one.state, one.attempts) == ("due", 0)
            async with delivering(store, folder):
                second = await receiver.got()
                assert second.headers["webhook-id"] == first.headers["webhook-id"]
                await settled(store, id)

    run(main())


def test_a_clock_that_goes_back_holds_a_delivery_no_longer_than_the_longest_wait(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with Receiver(500) as receiver, opened(folder, clock=hands.clock) as store:
            async with delivering(store, folder, hands.clock):
                (id,) = await ended(store, to(receiver.url))
                await settled(store, id, "due", tries=1)
            hands.jump(-400_000)
            async with delivering(store, folder, hands.clock):
                await receiver.got()
                await settled(store, id)

    run(main())


def test_a_clock_that_jumps_ahead_makes_no_dead_letters(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with (
            Receiver(500, 500) as receiver,
            opened(folder, clock=hands.clock) as store,
            delivering(store, folder, hands.clock, retry_seconds=1000),
        ):
            (id,) = await ended(store, to(receiver.url))
            await settled(store, id, "due", tries=1)
            hands.jump(10_000_000)
            store.outbox.wake.set()
            one = await settled(store, id, "due", tries=2)
            assert one.next_at - hands.wall == 10 * SECOND

    run(main())


def test_what_cannot_be_written_down_is_not_sent_again_and_again(folder: Path, run: Run) -> None:
    async def main() -> None:
        held = Held()
        async with Receiver(held.answer) as receiver, opened(folder) as store, delivering(store, folder):
            (id,) = await ended(store, to(receiver.url))
            await receiver.got()
            store._writes.refuse("the disk is full")
            held.open.set()
            for _ in range(5):
                store.outbox.wake.set()
                assert [one.state for one in await every(store)] == ["due"]
            store._writes.refuse(None)
            assert (await settled(store, id)).attempts == 1
            assert receiver.waiting == 0

    run(main())


def test_a_key_that_cannot_be_read_puts_deliveries_off(
    folder: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        (folder / "webhook-key.pem").write_text("no key")
        async with Receiver() as receiver, opened(folder) as store, delivering(store, folder):
            (id,) = await ended(store, to(receiver.url), dialect="v3")
            one = await settled(store, id, "due", tries=1)
            assert one.error == "it could not be sent; the server's log says why"
            assert f"delivery {one.id} could not be sent" in caplog.text
            assert receiver.waiting == 0

    run(main())
