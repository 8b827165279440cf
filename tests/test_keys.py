"""Virtual keys through their lives: made with limits and an end, rotated without a gap, listed, removed."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from coatcheck.app import config_keys, create_app, load_config
from coatcheck.engine import key_table
from coatcheck.engine.keys import KeyRing
from coatcheck.engine.limits import Limits
from coatcheck.handlers.gateway import GATEWAY
from coatcheck.schemas.keys import NewKey
from coatcheck.schemas.v1 import timestamp

from .clients import ECHO, Client, client, request
from .jobs import Hands
from .servers import Served

ADMIN = "root-token"
AUTH = {"keys": [{"name": "root", "key": ADMIN, "admin": True}]}
SUBMIT = "/v1/async/embeddings"
DAY = 86_400


async def make(root: Client, name: str, **more: Any) -> str:
    """The token of a new key."""
    made = await root.ask("POST", "/v1/keys", {"name": name, **more})
    assert made.status == 201, made.text
    return str(made.json["key"])


async def rotate(root: Client, name: str, **more: Any) -> str:
    """The key's new token."""
    rotated = await root.ask("POST", f"/v1/keys/{name}/rotate", more or None)
    assert rotated.status == 200, rotated.text
    return str(rotated.json["key"])


async def owner(c: Client, key: str) -> str:
    id = await c.with_key(key).submit("embeddings")
    ticket = await c.served.gateway.store.ticket(id, None)
    assert ticket is not None
    return ticket.job.owner


async def refusal(c: Client, key: str) -> tuple[int, str]:
    answer = await c.with_key(key).ask("POST", SUBMIT, request("embeddings"))
    return answer.status, answer.code


def test_a_key_that_has_expired_is_unknown_and_a_submit_says_why(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, auth=AUTH, clock=hands.clock) as c:
            alice = await make(c.with_key(ADMIN), "alice", expires_in_seconds=60)
            id = await c.with_key(alice).submit("embeddings")
            hands.pass_(59.9)
            assert (await c.with_key(alice).ask("GET", f"{SUBMIT}/{id}")).status in (200, 202)
            hands.pass_(0.1)
            refused = await c.with_key(alice).ask("POST", SUBMIT, request("embeddings"))
            assert (refused.status, refused.code) == (401, "virtual_key_expired")
            assert refused.message == "virtual key has expired"
            assert refused.json["type"] == "virtual_key_expired"
            assert refused.headers["WWW-Authenticate"].startswith("Bearer")
            for headers in ({"Authorization": f"Bearer {alice}"}, {"x-api-key": alice}):
                assert (await c.ask("POST", SUBMIT, request("embeddings"), headers)).status == 401
            poll = await c.with_key(alice).ask("GET", f"{SUBMIT}/{id}")
            assert (poll.status, poll.message) == (404, "job not found or expired")

    run(main())


def test_a_server_whose_only_key_has_expired_does_not_open(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, clock=hands.clock) as c:
            await make(c, "root", admin=True, expires_in_seconds=60)
            hands.pass_(61)
            assert (await c.ask("POST", SUBMIT, request("embeddings"))).code == "virtual_key_required"
        async with client(folder, clock=hands.clock) as c:
            assert (await c.ask("POST", SUBMIT, request("embeddings"))).code == "virtual_key_required"

    run(main())


def test_a_rotation_leaves_no_gap_and_the_owner_stays(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, auth=AUTH, clock=hands.clock) as c:
            root = c.with_key(ADMIN)
            tokens = [await make(root, "alice")]
            alice = await owner(c, tokens[0])
            for _ in range(3):
                hands.pass_(60)
                tokens.append(await rotate(root, "alice", overlap_seconds=3600))
                assert {await owner(c, token) for token in tokens} == {alice}
            hands.pass_(3480)
            assert await refusal(c, tokens[0]) == (401, "virtual_key_expired")
            assert {await owner(c, token) for token in tokens[1:]} == {alice}
            hands.pass_(3600)
            for token in tokens[:3]:
                assert await refusal(c, token) == (401, "virtual_key_expired")
            assert await owner(c, tokens[3]) == alice

    run(main())


def test_earlier_tokens_outlive_a_restart_no_longer_than_their_overlap(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, auth=AUTH, clock=hands.clock) as c:
            old = await make(c.with_key(ADMIN), "alice", limits={"max_pending": 7})
            new = await rotate(c.with_key(ADMIN), "alice")
            alice = await owner(c, old)
        async with client(folder, auth=AUTH, clock=hands.clock) as c:
            assert {await owner(c, token) for token in (old, new)} == {alice}
            assert c.served.gateway.keys.limits(alice) == Limits(max_pending=7)
            hands.pass_(DAY)
            assert await refusal(c, old) == (401, "virtual_key_expired")
            assert await owner(c, new) == alice

    run(main())


def test_without_an_overlap_every_earlier_token_ends_at_once(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            root = c.with_key(ADMIN)
            first = await make(root, "alice")
            second = await rotate(root, "alice")
            third = await rotate(root, "alice", overlap_seconds=0)
            for token in (first, second):
                assert await refusal(c, token) == (400, "virtual_key_not_found")
            await owner(c, third)

    run(main())


def test_a_rotation_can_renew_a_key_and_revives_no_token(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, auth=AUTH, clock=hands.clock) as c:
            root = c.with_key(ADMIN)
            first = await make(root, "alice", expires_in_seconds=DAY)
            alice = await owner(c, first)
            second = await rotate(root, "alice", overlap_seconds=10 * DAY)
            hands.pass_(DAY)
            for token in (first, second):
                assert await refusal(c, token) == (401, "virtual_key_expired")
            refused = await root.ask("POST", "/v1/keys/alice/rotate")
            assert (refused.status, refused.json["error"]["param"]) == (409, "expires_in_seconds")
            assert "has expired; give expires_in_seconds too" in refused.message
            third = await rotate(root, "alice", expires_in_seconds=DAY)
            assert await owner(c, third) == alice
            for token in (first, second):
                assert (await refusal(c, token))[1].startswith("virtual_key_")

    run(main())


def test_keys_are_listed_with_their_limits_and_ends_and_without_tokens(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, auth=AUTH, clock=hands.clock) as c:
            root = c.with_key(ADMIN)
            limits = {"max_concurrency": 2, "requests_per_minute": 60}
            token = await make(root, "alice", limits=limits, expires_in_seconds=3 * DAY)
            made = timestamp(hands.wall)
            hands.pass_(60)
            again = await rotate(root, "alice")
            await make(root, "plain", expires_in_seconds=None)
            answer = await root.ask("GET", "/v1/keys")
            alice, plain = answer.json["data"]
            assert alice == {
                "id": alice["id"],
                "name": "alice",
                "admin": False,
                "limits": limits,
                "created_at": made,
                "expires_at": timestamp(hands.wall + (3 * DAY - 60) * 1_000_000),
                "earlier_tokens_end_at": [timestamp(hands.wall + DAY * 1_000_000)],
            }
            assert set(plain) == {"id", "name", "admin", "created_at"}
            assert token.encode() not in answer.text
            assert again.encode() not in answer.text

    run(main())


def test_a_removed_key_takes_its_earlier_tokens_and_limits_along(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            root = c.with_key(ADMIN)
            tokens = [await make(root, "alice", limits={"max_pending": 5})]
            alice = await owner(c, tokens[0])
            tokens.append(await rotate(root, "alice"))
            assert (await root.ask("DELETE", "/v1/keys/alice")).status == 204
            for token in tokens:
                assert await refusal(c, token) == (400, "virtual_key_not_found")
            assert c.served.gateway.keys.limits(alice) == Limits()
            assert (await root.ask("POST", "/v1/keys/alice/rotate")).status == 404
            assert await owner(c, await make(root, "alice")) != alice, "an id is never given again"

    run(main())


@pytest.mark.parametrize(
    ("body", "param", "reason"),
    [
        ({"name": "x", "admn": True}, "admn", "unknown; did you mean 'admin'?"),
        ({"name": "x", "expires_in_seconds": 0}, "expires_in_seconds", "Must be greater than or equal to 1"),
        ({"name": "x", "expires_in_seconds": 1.5}, "expires_in_seconds", "expected an integer, got 1.5."),
        ({"name": "x", "expires_in_seconds": 10**12}, "expires_in_seconds", "less than or equal to 3153600000"),
        ({"name": "x", "limits": {"max_pendin": 1}}, "limits.max_pendin", "unknown; did you mean 'max_pending'?"),
        ({"name": "x", "limits": {"max_concurrency": 0}}, "limits.max_concurrency", "Must be greater than or equal"),
        ({"name": "x", "limits": {"requests_per_minute": True}}, "limits.requests_per_minute", "expected an integer"),
        ({"name": "x", "limits": 5}, "limits", "Invalid input type."),
        ({"name": "x\n"}, "name", "1 to 64 letters"),
    ],
)
def test_a_wrong_request_for_a_key_is_told_the_field_and_the_cure(
    folder: Path, run: Any, body: Any, param: str, reason: str
) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            answer = await c.with_key(ADMIN).ask("POST", "/v1/keys", body)
            assert (answer.status, answer.json["error"].get("param")) == (400, param)
            assert answer.message.startswith(f"{param}: ")
            assert reason in answer.message

    run(main())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"overlap_seconds": -1}, "overlap_seconds: Must be greater than or equal to 0"),
        ({"overlap": 1}, "overlap: unknown; did you mean 'overlap_seconds'?"),
        ([], "send a JSON object, not list"),
        (b"{", "invalid request format"),
    ],
)
def test_a_wrong_request_for_a_rotation_changes_nothing(folder: Path, run: Any, body: Any, reason: str) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            token = await make(c.with_key(ADMIN), "alice")
            answer = await c.with_key(ADMIN).ask("POST", "/v1/keys/alice/rotate", body)
            assert answer.status == 400
            assert reason in answer.message
            await owner(c, token)
            assert (await c.with_key(token).ask("POST", "/v1/keys/alice/rotate")).status == 403

    run(main())


def test_rotations_at_the_same_instant_all_count(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            root = c.with_key(ADMIN)
            first = await make(root, "alice")
            tokens = await asyncio.gather(*(rotate(root, "alice") for _ in range(10)))
            assert len({await owner(c, token) for token in (first, *tokens)}) == 1

    run(main())


@pytest.mark.parametrize("how", ["remove", "rotate"])
def test_a_change_of_a_key_counts_even_if_its_admin_leaves_before_the_answer(folder: Path, run: Any, how: str) -> None:
    """An application that embeds the gateway may cancel the handlers of clients that have left."""

    async def main() -> None:
        app = create_app({"auth": AUTH, "providers": ECHO}, data=folder)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        gateway = app[GATEWAY]
        try:
            async with aiohttp.ClientSession() as session:
                root = Client(session, Served(f"http://127.0.0.1:{runner.addresses[0][1]}", gateway, app), {})
                root = root.with_key(ADMIN)
                token = await make(root, "alice")
                assert gateway.keys.caller(token) is not None
                method, path, change = (
                    ("DELETE", "/v1/keys/alice", key_table.remove)
                    if how == "remove"
                    else ("POST", "/v1/keys/alice/rotate", key_table.rotate)
                )
                # The writer is held up, so that the change waits until its client has left.
                begun, go_on = asyncio.Event(), asyncio.Event()

                async def chore(_connection: object) -> None:
                    begun.set()
                    await go_on.wait()

                writes = gateway.store._writes
                held = asyncio.create_task(writes.alone(chore))
                await begun.wait()
                asked = asyncio.create_task(root.ask(method, path, {"overlap_seconds": 0} if how == "rotate" else None))
                while not any(work is change for work, *_ in writes._waiting):
                    await gateway.store.keys()
                handlers = {task for task in asyncio.all_tasks() if "_handle_request" in repr(task)}
                assert handlers
                asked.cancel()
                await asyncio.wait(handlers)
                go_on.set()
                await held
                await gateway.store.add_key(NewKey(name="later").key("sk-bf-later", 0))
                await asyncio.sleep(0)
                assert gateway.keys.caller(token) is None
        finally:
            await runner.cleanup()

    run(main())


def test_a_key_of_the_configuration_is_rotated_by_its_environment() -> None:
    config = load_config({"auth": {"keys": [{"name": "a", "key_env": "NEW", "previous_key_env": "OLD"}]}}, {})
    for environ, known in (
        ({"NEW": "new", "OLD": "old"}, ["new", "old"]),
        ({"NEW": "new"}, ["new"]),
        ({"NEW": "new", "OLD": "new"}, ["new"]),
    ):
        ring = KeyRing(config_keys(config, environ))
        for token in ("new", "old"):
            found = ring.caller(token)
            assert (found.owner if found else None) == ("key:config/a" if token in known else None)


def test_a_ring_with_many_keys_ends_each_at_its_own_time() -> None:
    hands = Hands()
    keys = [NewKey(name=f"k{n}", expires_in_seconds=n or None).key(f"t{n}", hands.wall) for n in range(100)]
    ring = KeyRing(keys, clock=hands.clock)
    for passed in (0, 1, 50, 99):
        hands.pass_(passed - (hands.wall - keys[0].created_at) / 1_000_000)
        alive = [n for n in range(100) if ring.caller(f"t{n}") is not None]
        assert alive == [0, *range(passed + 1, 100)]
        assert [n for n in range(100) if ring.expired(f"t{n}")] == list(range(1, passed + 1))
    assert not ring.expired("another's")
    assert len(ring) == 100
