"""Receivers of webhooks as they are: down, slow, moved, gone, overloaded, or not where a name says they are."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from .clients import Client, client
from .jobs import Hands
from .receivers import Receiver

HERE: Mapping[str, Any] = {"allow_private_networks": True}
DELIVERIES = "/v1/webhooks/deliveries"


class House:
    """A client of a gateway whose clock the test moves."""

    def __init__(self, c: Client, hands: Hands) -> None:
        self.client = c
        self._hands = hands

    async def submit(self, receiver: str, **headers: str) -> str:
        return await self.client.submit(headers={"x-bf-async-webhook": receiver, **headers})

    async def tried(self, job: str, attempts: int = 1) -> dict[str, Any]:
        """The delivery that tells of the job, once it was tried so often."""
        async with asyncio.timeout(30):
            while True:
                found = (await self.client.ask("GET", f"{DELIVERIES}?job_id={job}")).json["data"]
                if found and found[0]["attempts"] >= attempts:
                    return dict(found[0])

    def pass_(self, seconds: float) -> None:
        """So many seconds pass, also for what waits for its time."""
        self._hands.pass_(seconds)
        self.client.served.gateway.store.outbox.wake.set()


@asynccontextmanager
async def house(folder: Path, **webhooks: Any) -> AsyncIterator[House]:
    hands = Hands()
    async with client(folder, webhooks={**HERE, **webhooks}, clock=hands.clock) as c:
        yield House(c, hands)


def seconds(delivery: Mapping[str, Any], earlier: str, later: str) -> float:
    return (datetime.fromisoformat(delivery[later]) - datetime.fromisoformat(delivery[earlier])).total_seconds()


def test_a_receiver_that_fails_is_asked_again_after_seconds(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Receiver(500, 503) as receiver, house(folder) as h:
            job = await h.submit(receiver.url)
            first = await receiver.got()
            failed = await h.tried(job)
            assert (failed["state"], failed["status_code"]) == ("due", 500)
            assert failed["error"] == "the receiver answered 500"
            assert 3.7 < seconds(failed, "tried_at", "next_at") <= 5
            h.pass_(5)
            assert (await receiver.got()).body == first.body
            again = await h.tried(job, 2)
            assert 7.5 <= seconds(again, "tried_at", "next_at") <= 10
            h.pass_(10)
            third = await receiver.got()
            assert third.headers["webhook-id"] == first.headers["webhook-id"]
            assert int(third.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 15
            assert third.headers["webhook-signature"] != first.headers["webhook-signature"]
            assert (await h.tried(job, 3))["state"] == "delivered"

    run(main())


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_heeded_as_seconds_and_as_a_date(folder: Path, run: Any, status: int) -> None:
    async def main() -> None:
        # By this machine's clock, as a receiver's answer has it; the gateway's is the test's.
        late = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        answers = ((status, {"Retry-After": "120"}), (status, {"Retry-After": late}))
        async with Receiver(*answers) as receiver, house(folder) as h:
            job = await h.submit(receiver.url)
            assert seconds(await h.tried(job), "tried_at", "next_at") == 120
            h.pass_(120)
            assert 3500 < seconds(await h.tried(job, 2), "tried_at", "next_at") <= 3600

    run(main())


def test_a_receiver_that_was_down_is_told_when_it_is_back(folder: Path, run: Any) -> None:
    async def main() -> None:
        receiver = Receiver()
        async with receiver:
            url = receiver.url
        async with house(folder) as h:
            job = await h.submit(url)
            down = await h.tried(job)
            assert (down["state"], "status_code" in down) == ("due", False)
            assert down["error"] == "the receiver cannot be reached"
            async with receiver:
                h.pass_(5)
                assert (await receiver.got()).json["data"]["job_id"] == job
                assert (await h.tried(job, 2))["state"] == "delivered"

    run(main())


def test_one_that_does_not_answer_keeps_nobody_else_waiting(folder: Path, run: Any) -> None:
    async def main() -> None:
        spoken = asyncio.Event()

        async def silent(request: web.Request) -> web.StreamResponse:
            await spoken.wait()
            return web.Response(status=204)

        async with Receiver(*[silent] * 20) as slow, Receiver() as quick, house(folder, timeout_seconds=600) as h:
            jobs = [await h.submit(slow.url) for _ in range(20)]
            await slow.got()
            told = await h.submit(quick.url)
            assert (await quick.got()).json["data"]["job_id"] == told
            assert slow.waiting == 0, "a receiver of which nothing good is known is asked one thing at a time"
            assert len((await h.client.ask("GET", f"{DELIVERIES}?state=due")).json["data"]) == len(jobs)
            spoken.set()

    run(main())


def test_an_answer_that_does_not_come_in_time_is_none(folder: Path, run: Any) -> None:
    async def main() -> None:
        async def silent(request: web.Request) -> web.StreamResponse:
            await asyncio.Event().wait()
            raise AssertionError

        async with Receiver(silent) as slow, house(folder, timeout_seconds=0.2) as h:
            job = await h.submit(slow.url)
            late = await h.tried(job)
            assert (late["state"], late["error"]) == ("due", "the receiver did not answer within 0.2 seconds")

    run(main())


def test_gone_for_one_is_gone_for_all_that_wait_for_the_same_address(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Receiver(503, 503, 410) as receiver, house(folder) as h:
            first, second = await h.submit(receiver.url), await h.submit(receiver.url)
            await h.tried(first)
            await h.tried(second)
            other = await h.submit(f"{receiver.url}/other")
            gone = await h.tried(other)
            assert (gone["state"], gone["status_code"]) == ("dead", 410)
            receiver.answers = [410]
            h.pass_(5)
            async with asyncio.timeout(30):
                while {one["state"] for one in [await h.tried(first), await h.tried(second)]} != {"dead"}:
                    pass
            assert [(await h.tried(job))["attempts"] for job in (first, second)] in ([2, 1], [1, 2], [2, 2])

    run(main())


def test_what_is_not_taken_for_so_long_is_a_dead_letter_until_it_is_replayed(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Receiver(500, 500, 500) as receiver, house(folder, retry_seconds=12) as h:
            job = await h.submit(receiver.url)
            await h.tried(job)
            h.pass_(5)
            assert (await h.tried(job, 2))["state"] == "due"
            h.pass_(7)
            dead = await h.tried(job, 3)
            assert (dead["state"], dead["error"]) == ("dead", "the receiver answered 500")
            for _ in range(3):
                await receiver.got()
            assert (await h.client.ask("POST", f"{DELIVERIES}/{dead['id']}/replay")).status == 202
            assert (await receiver.got()).headers["webhook-id"] == dead["id"]
            assert (await h.tried(job, 4))["state"] == "delivered"

    run(main())


def test_a_job_that_is_gone_is_told_of_as_it_was(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Receiver(503, 503) as receiver, house(folder) as h:
            deleted = await h.submit(receiver.url)
            frozen = {(await receiver.got()).body}
            await h.tried(deleted)
            expired = await h.submit(f"{receiver.url}/b", **{"x-bf-async-job-result-ttl": "1"})
            frozen.add((await receiver.got()).body)
            await h.tried(expired)
            assert (await h.client.ask("DELETE", f"/v1/async/jobs/{deleted}")).status == 204
            h.pass_(6)
            for job in (deleted, expired):
                assert (await h.client.ask("GET", f"/v1/async/jobs/{job}")).status == 404
            again = [await receiver.got(), await receiver.got()]
            assert {one.body for one in again} == frozen
            assert all("response" in one.json["data"] for one in again)

    run(main())


class Fickle(AbstractResolver):
    """A name server that answers every question with the next address of a list."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        found = self._addresses.pop(0)
        return [{"hostname": host, "host": found, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    async def close(self) -> None: ...


def test_a_name_that_leads_to_what_is_not_public_is_not_dialled_whatever_it_led_to_before(
    folder: Path, run: Any
) -> None:
    async def main() -> None:
        async with Receiver() as receiver, house(folder, allow_private_networks=False) as h:
            h.client.served.gateway.sending._resolver = Fickle("127.0.0.1", "10.0.0.1", "169.254.169.254")
            job = await h.submit(f"http://public.example:{receiver.port}/hook")
            reasons = set()
            for attempt in range(1, 4):
                refused = await h.tried(job, attempt)
                assert refused["state"] == "due"
                assert "status_code" not in refused
                reasons.add(refused["error"])
                h.pass_(20)
            assert all(reason.startswith("the receiver ") for reason in reasons)
            assert not any(number in reason for reason in reasons for number in ("127.", "10.0", "169.")), reasons
            assert receiver.waiting == 0

    run(main())


def test_a_name_that_changes_its_mind_for_the_better_is_dialled(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Receiver() as receiver, house(folder) as h:
            # The address of clouds' metadata services is not dialled even where private networks are.
            h.client.served.gateway.sending._resolver = Fickle("169.254.169.254", "127.0.0.1")
            job = await h.submit(f"http://receiver.example:{receiver.port}/hook")
            assert (await h.tried(job))["state"] == "due"
            h.pass_(5)
            got = await receiver.got()
            assert got.headers["Host"] == f"receiver.example:{receiver.port}"
            assert (await h.tried(job, 2))["state"] == "delivered"

    run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.1.2.3", "169.254.169.254", "[::ffff:127.0.0.1]"])
def test_an_address_that_can_lead_nowhere_else_is_dead_at_once(folder: Path, run: Any, host: str) -> None:
    async def main() -> None:
        async with house(folder, allow_private_networks=False) as h:
            dead = await h.tried(await h.submit(f"http://{host}:9/hook"))
            assert (dead["state"], "status_code" in dead) == ("dead", False)
            assert dead["error"].startswith("the receiver ")

    run(main())


def test_one_endpoint_may_be_in_a_private_network_where_no_other_address_may(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Receiver() as receiver:
            orders = {"name": "orders", "url": receiver.url, "allow_private_networks": True}
            async with house(folder, allow_private_networks=False, endpoints=[orders]) as h:
                assert (await h.tried(await h.submit("orders")))["state"] == "delivered"
                assert (await h.tried(await h.submit(receiver.url)))["state"] == "dead"

    run(main())
