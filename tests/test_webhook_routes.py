"""`/v1/webhooks`: deliveries listed, shown and sent again; endpoints and secrets; and who may do what."""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from coatcheck.engine.store import Store

from .clients import Client, client
from .jobs import Hands
from .owners import ADMIN, ALICE, AUTH, BOB
from .receivers import Receiver

NOBODYS = "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de"
SECRET = "whsec_" + base64.b64encode(b"a secret of exactly 32 bytes....").decode()
DELIVERIES, ENDPOINTS = "/v1/webhooks/deliveries", "/v1/webhooks/endpoints"


@asynccontextmanager
async def told(folder: Path, *answers: Any, **tables: Any) -> AsyncIterator[tuple[Client, Receiver]]:
    async with Receiver(*answers) as receiver:
        endpoints = [
            {"name": "orders", "url": receiver.url},
            {"name": "stock", "url": f"{receiver.url}/stock", "secret_env": "STOCK_SECRET"},
        ]
        webhooks = {"allow_private_networks": True, "endpoints": endpoints}
        async with client(folder, webhooks=webhooks, **tables) as c:
            yield c, receiver


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCK_SECRET", SECRET)


async def tell(c: Client, receiver: Receiver, where: str = "orders", key: str | None = None) -> str:
    """The id of a job whose end has been told."""
    id = await (c.with_key(key) if key else c).submit(headers={"x-bf-async-webhook": where})
    assert (await receiver.got()).json["data"]["job_id"] == id
    return id


async def settled(c: Client, **wanted: str) -> list[dict[str, Any]]:
    """The deliveries, newest first, once none of them is due."""
    store: Store = c.served.gateway.store
    while True:
        found = (await c.ask("GET", DELIVERIES)).json["data"]
        if not any(one["state"] == "due" for one in found):
            return [one for one in found if all(one.get(key) == value for key, value in wanted.items())]
        await store.alarms()


def test_a_delivery_is_shown_with_what_was_sent_and_what_came_of_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder, 418) as (c, receiver):
            job = await c.submit("embeddings", headers={"x-bf-async-webhook": receiver.url + "?a=b"})
            got = await receiver.got()
            (listed,) = await settled(c)
            assert listed["state"] == "dead"
            shown = (await c.ask("GET", f"{DELIVERIES}/{listed['id']}")).json
            assert shown.pop("payload") == got.json
            assert shown == listed
            times = {name: listed.pop(name) for name in ("created_at", "tried_at", "ended_at")}
            assert list(times.values()) == sorted(times.values())
            assert listed == {
                "id": got.headers["webhook-id"],
                "job_id": job,
                "dialect": "v1",
                "url": receiver.url + "?a=b",
                "event": "async_job.completed",
                "state": "dead",
                "attempts": 1,
                "status_code": 418,
                "error": "the receiver answered 418",
                "owner": "anon",
            }

    run(main())


def test_nothing_of_what_a_receiver_answers_is_kept(folder: Path, run: Any) -> None:
    async def main() -> None:
        async def chatty(request: web.Request) -> web.Response:
            return web.Response(
                status=418, reason="SECRET-REASON", text="SECRET-BODY", headers={"X-A": "SECRET-HEADER"}
            )

        async with told(folder, chatty) as (c, receiver):
            await tell(c, receiver)
            (listed,) = await settled(c)
            shown = await c.ask("GET", f"{DELIVERIES}/{listed['id']}")
            assert b"SECRET" not in shown.text

    run(main())
    assert all(b"SECRET" not in path.read_bytes() for path in folder.glob("coatcheck.db*"))


def test_deliveries_are_listed_newest_first_page_by_page_and_narrowed(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder, 418, 204, 418) as (c, receiver):
            jobs = [await tell(c, receiver, where) for where in ("orders", "stock", receiver.url)]
            everything = await settled(c)
            assert [one["job_id"] for one in everything] == jobs[::-1]

            async def ids(query: str) -> list[str]:
                answer = await c.ask("GET", f"{DELIVERIES}?{query}")
                assert answer.status == 200, answer.text
                return [one["job_id"] for one in answer.json["data"]]

            assert await ids("state=dead") == [jobs[2], jobs[0]]
            assert await ids("state=due") == []
            assert await ids("endpoint=stock") == [jobs[1]]
            assert await ids(f"job_id={jobs[0]}") == [jobs[0]]
            middle = everything[1]["created_at"]
            assert await ids(f"created_after={middle}") == [jobs[2]]
            assert await ids(f"created_before={middle}&owner=anon") == [jobs[0]]
            assert await ids("owner=key:nobody") == []
            seen, query = [], "limit=1"
            while True:
                page = (await c.ask("GET", f"{DELIVERIES}?{query}")).json
                seen += [one["job_id"] for one in page["data"]]
                if "next" not in page:
                    break
                query = f"limit=1&cursor={page['next']}"
            assert seen == jobs[::-1]

    run(main())


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("state=gone", "state: Must be one of: due, delivered, dead."),
        ("limit=0", "limit: Must be greater than or equal to 1 and less than or equal to 100."),
        ("cursor=x", "cursor: expected a whole number."),
        (
            "created_after=noon",
            "created_after: expected a time as 2026-01-31T12:00:00Z (a + is written %2B), got 'noon'.",
        ),
        ("states=due", "unknown parameter 'states'; did you mean 'state'?"),
    ],
)
def test_a_list_says_what_is_wrong_with_its_query(folder: Path, run: Any, query: str, reason: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("GET", f"{DELIVERIES}?{query}")
            assert (answer.status, answer.message) == (400, reason)

    run(main())


def test_deliveries_are_their_owners_and_admins(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder, 418, 418, auth=AUTH) as (c, receiver):
            await tell(c, receiver, receiver.url, ALICE)
            (dead,) = await settled(c.with_key(ADMIN))
            assert dead["owner"] == "key:config/alice"
            one = f"{DELIVERIES}/{dead['id']}"
            bob = c.with_key(BOB)
            for method, path in (("GET", one), ("POST", f"{one}/replay"), ("GET", f"{DELIVERIES}/{NOBODYS}")):
                answer = await bob.ask(method, path)
                assert (answer.status, answer.message) == (404, "delivery not found or forgotten")
            assert (await bob.ask("GET", DELIVERIES)).json == {"data": []}
            assert (await bob.ask("POST", f"{DELIVERIES}/replay", {"ids": [dead["id"]]})).json == {"replayed": 0}
            asked = await bob.ask("GET", f"{DELIVERIES}?owner=key:config/alice")
            assert asked.message == "owner: only an admin may ask for another owner's deliveries"
            (seen,) = (await c.with_key(ALICE).ask("GET", f"{DELIVERIES}?owner=key:config/alice")).json["data"]
            assert seen == {key: value for key, value in dead.items() if key != "owner"}
            assert (await c.with_key(ADMIN).ask("POST", f"{one}/replay")).status == 202
            await receiver.got()

    run(main())


def test_a_dead_letter_is_sent_again_with_the_same_id_and_body(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder, 418) as (c, receiver):
            await c.submit(headers={"x-bf-async-webhook": "orders"})
            first = await receiver.got()
            (dead,) = await settled(c)
            nobody = await c.ask("POST", f"{DELIVERIES}/replay", {"endpoint": "orders2"})
            assert nobody.status == 409
            assert nobody.message == "there is no endpoint 'orders2' in [[webhooks.endpoints]]"
            again = await c.ask("POST", f"{DELIVERIES}/{dead['id']}/replay")
            assert again.status == 202
            assert again.json["id"] == dead["id"]
            second = await receiver.got()
            assert (second.headers["webhook-id"], second.body) == (first.headers["webhook-id"], first.body)
            (now,) = await settled(c)
            assert (now["state"], now["attempts"], now["status_code"]) == ("delivered", 2, 204)
            assert "error" not in now
            # What was delivered can be had once more, too.
            await c.ask("POST", f"{DELIVERIES}/{dead['id']}/replay")
            assert (await receiver.got()).body == first.body

    run(main())


def test_a_range_of_dead_letters_is_sent_again(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder, *[418] * 4) as (c, receiver):
            jobs = [await tell(c, receiver, where) for where in ("orders", "orders", "stock", "stock")]
            last = await tell(c, receiver, "stock")
            dead = {one["job_id"]: one for one in await settled(c) if one["state"] == "dead"}
            assert set(dead) == set(jobs)

            async def replay(body: Any) -> tuple[int, set[str]]:
                answer = await c.ask("POST", f"{DELIVERIES}/replay", body)
                assert answer.status == 202, answer.text
                count = answer.json["replayed"]
                return count, {(await receiver.got()).json["data"]["job_id"] for _ in range(count)}

            receiver.answers = [418] * 3
            assert await replay({"ids": [dead[jobs[0]]["id"], NOBODYS]}) == (1, {jobs[0]})
            await settled(c)
            assert await replay({"endpoint": "stock", "created_after": dead[jobs[2]]["created_at"]}) == (1, {jobs[3]})
            await settled(c)
            assert await replay({"created_before": dead[jobs[1]]["created_at"]}) == (1, {jobs[0]})
            await settled(c)
            assert await replay({"state": "delivered"}) == (1, {last})
            await settled(c)
            assert await replay(None) == (4, set(jobs))
            assert {one["state"] for one in await settled(c)} == {"delivered"}
            assert await replay({}) == (0, set())

    run(main())


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        (f"{DELIVERIES}/replay", {"state": "done"}, "state: expected one of 'due', 'delivered', 'dead', got 'done'."),
        (f"{DELIVERIES}/replay", {"stat": "dead"}, "stat: unknown; did you mean 'state'?"),
        (f"{DELIVERIES}/replay", {"ids": "x"}, "ids: Not a valid list."),
        (f"{DELIVERIES}/replay", {"ids": ["x"] * 1001}, "ids: at most 1000, got 1001"),
        (
            f"{DELIVERIES}/replay",
            {"created_after": "noon"},
            "created_after: expected a time as 2026-01-31T12:00:00Z (a + is written %2B), got 'noon'.",
        ),
        (f"{DELIVERIES}/replay", [], "send a JSON object, not list"),
        ("/v1/webhooks/secret/rotate", {"overlap_seconds": -1}, "overlap_seconds: Must be greater than or equal to 0"),
        ("/v1/webhooks/secret/rotate", {"overlap": 1}, "overlap: unknown; did you mean 'overlap_seconds'?"),
    ],
)
def test_a_body_that_cannot_be_is_refused(folder: Path, run: Any, path: str, body: Any, reason: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", path, body)
            assert answer.status == 400
            assert answer.message.startswith(reason), answer.message

    run(main())


def test_an_endpoint_that_answers_410_is_off_until_an_admin_switches_it_on(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder, 410) as (c, receiver):
            await tell(c, receiver)
            (dead,) = await settled(c)
            assert (dead["state"], dead["status_code"]) == ("dead", 410)
            # That is written after the delivery's own end.
            while not await c.served.gateway.store.outbox.endpoints_off():
                pass
            orders, stock = (await c.ask("GET", ENDPOINTS)).json["data"]
            assert stock["state"] == "on"
            assert (orders["state"], orders["off_reason"]) == ("off", "the receiver answered 410: it is gone for good")
            refused = await c.ask(
                "POST", "/v1/async/embeddings", {"model": "echo/echo", "input": "a"}, {"x-bf-async-webhook": "orders"}
            )
            assert refused.status == 400
            assert refused.message == (
                "failed to resolve webhook endpoint: endpoint 'orders' is switched off: "
                "the receiver answered 410: it is gone for good"
            )
            for path, body in ((f"{dead['id']}/replay", None), ("replay", {"endpoint": "orders"})):
                late = await c.ask("POST", f"{DELIVERIES}/{path}", body)
                assert late.status == 409
                assert late.message == "endpoint 'orders' is switched off; an admin enables it first"
            on = await c.ask("POST", f"{ENDPOINTS}/orders/enable")
            assert (on.status, on.json["state"]) == (200, "on")
            assert (await c.ask("POST", f"{ENDPOINTS}/orders/enable")).json == on.json
            assert (await c.ask("POST", f"{DELIVERIES}/{dead['id']}/replay")).status == 202
            await receiver.got()
            await tell(c, receiver)

    run(main())


def test_the_secret_of_the_configuration_is_shown_to_nobody_and_changed_there(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, _receiver):
            listed = await c.ask("GET", ENDPOINTS)
            assert [one.get("secret") for one in listed.json["data"]] == [None, "STOCK_SECRET"]
            shown = await c.ask("GET", f"{ENDPOINTS}/stock/secret")
            assert shown.status == 409
            assert shown.message == "the secret of 'stock' is what STOCK_SECRET holds, where the server runs"
            rotated = await c.ask("POST", f"{ENDPOINTS}/stock/rotate")
            assert rotated.status == 409
            assert rotated.message == (
                "the secret of 'stock' is the configuration's: put a new one into STOCK_SECRET and the one before into "
                "the variable that its previous_secret_env names, and start the server again"
            )
            assert SECRET.encode() not in listed.text + shown.text + rotated.text
            for path in ("nowhere/secret", "nowhere/enable", "nowhere/rotate"):
                answer = await c.ask("GET" if path.endswith("secret") else "POST", f"{ENDPOINTS}/{path}")
                assert answer.status == 404
                assert answer.message == "there is no endpoint 'nowhere' in [[webhooks.endpoints]]"

    run(main())


def test_a_secret_stays_until_it_is_rotated_and_each_has_its_own(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with told(folder, auth=AUTH, clock=hands.clock) as (c, _receiver):
            alice, root = c.with_key(ALICE), c.with_key(ADMIN)
            first = (await alice.ask("GET", "/v1/webhooks/secret")).json
            assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", first["secret"])
            assert (await alice.ask("GET", "/v1/webhooks/secret")).json == first
            others = [
                (await c.with_key(BOB).ask("GET", "/v1/webhooks/secret")).json["secret"],
                (await root.ask("GET", f"{ENDPOINTS}/orders/secret")).json["secret"],
            ]
            made = (await alice.ask("POST", "/v1/webhooks/secret/rotate")).json
            assert made == (await alice.ask("GET", "/v1/webhooks/secret")).json
            assert made["earlier_secret_ends_at"] == "2030-01-02T00:00:00.000000Z"
            its = (await root.ask("POST", f"{ENDPOINTS}/orders/rotate", {"overlap_seconds": 60})).json
            assert its["earlier_secret_ends_at"] == "2030-01-01T00:01:00.000000Z"
            assert len({first["secret"], *others, made["secret"], its["secret"]}) == 5

    run(main())


def test_the_public_key_is_the_same_after_a_restart_and_its_file_is_nobody_elses(folder: Path, run: Any) -> None:
    async def main() -> None:
        path = folder / "webhook-key.pem"
        async with client(folder) as c:
            assert not path.exists()
            made = await c.ask("GET", "/v3/webhooks/public-key")
            assert (made.status, made.headers["Content-Type"]) == (200, "application/x-pem-file")
        assert path.stat().st_mode & 0o777 == 0o600
        async with client(folder, auth=AUTH) as c:
            assert (await c.ask("GET", "/v3/webhooks/public-key")).text == made.text
        key = load_pem_public_key(made.text)
        assert isinstance(key, RSAPublicKey)
        assert key.key_size == 3072

    run(main())
