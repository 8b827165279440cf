"""Keys: where they are looked for, what follows without one, and who sees whose jobs."""

import base64
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from coatcheck.app import create_app
from coatcheck.handlers.auth import is_loopback

from .clients import ECHO, client, request

ALICE, BOB, ADMIN = "alice-token", "sk-bf-bob", "sk-bf-admin"
AUTH = {
    "keys": [
        {"name": "alice", "key": ALICE},
        {"name": "bob", "key": BOB},
        {"name": "root", "key": ADMIN, "admin": True},
    ]
}
SUBMIT = "/v1/async/embeddings"


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "owner"),
    [
        ({"x-bf-vk": ALICE}, "alice"),
        ({"Authorization": f"Bearer {ALICE}"}, "alice"),
        ({"Authorization": f"bearer   {ALICE} "}, "alice"),
        ({"x-api-key": ALICE}, "alice"),
        ({"x-goog-api-key": ALICE}, "alice"),
        (basic(ADMIN), "root"),
        ({"x-bf-vk": ALICE, "Authorization": f"Bearer {BOB}", "x-api-key": ADMIN}, "alice"),
        ({"Authorization": f"Bearer {BOB}", "x-api-key": ALICE, "x-goog-api-key": ADMIN}, "bob"),
        ({"x-api-key": ALICE, "x-goog-api-key": BOB}, "alice"),
    ],
)
def test_the_first_header_that_carries_a_key_counts(
    folder: Path, run: Any, headers: Mapping[str, str], owner: str
) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            id = await c.submit("embeddings", headers=headers)
            ticket = await c.served.gateway.store.ticket(id, None)
            assert ticket is not None
            assert ticket.job.owner == f"key:config/{owner}"

    run(main())


def test_without_a_key_where_one_is_needed_it_is_401(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            id = await c.with_key(ALICE).submit("embeddings")
            for method, path in (("POST", SUBMIT), ("GET", f"{SUBMIT}/{id}"), ("POST", f"/v1/async/jobs/{id}/cancel")):
                answer = await c.ask(method, path, request("embeddings"))
                assert (answer.status, answer.message) == (401, "virtual key is required")
                assert answer.json["type"] == "virtual_key_required"
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    run(main())


@pytest.mark.parametrize(
    "headers",
    [
        {"x-bf-vk": "wrong"}, {"Authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"x-goog-api-key": "wrong"},
        basic("wrong"), basic(ALICE), {"Authorization": "Basic é"}, {"Authorization": "Basic !!!"},
        {"x-bf-vk": "wrong", "x-api-key": ALICE},
        {"x-bf-vk": "é"},
    ],
)  # fmt: skip
def test_an_unknown_key_is_400_on_submit_and_404_on_poll(folder: Path, run: Any, headers: Mapping[str, str]) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            id = await c.with_key(ALICE).submit("embeddings")
            answer = await c.ask("POST", SUBMIT, request("embeddings"), headers)
            assert (answer.status, answer.message) == (400, "virtual key not found")
            for path in (f"{SUBMIT}/{id}", f"/v1/async/jobs/{id}"):
                answer = await c.ask("GET", path, None, headers)
                assert (answer.status, answer.message) == (404, "job not found or expired")

    run(main())


def test_anothers_job_is_as_unknown_as_a_wrong_id_but_an_admin_sees_all(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            id = await c.with_key(ALICE).submit("embeddings", "echo/hang")
            bob, root = c.with_key(BOB), c.with_key(ADMIN)
            for method, path in (
                ("GET", f"{SUBMIT}/{id}"),
                ("GET", f"/v1/async/jobs/{id}"),
                ("POST", f"/v1/async/jobs/{id}/cancel"),
            ):
                answer = await bob.ask(method, path)
                assert (answer.status, answer.message) == (404, "job not found or expired")
            assert (await root.ask("GET", f"{SUBMIT}/{id}")).status == 202
            assert (await root.ask("POST", f"/v1/async/jobs/{id}/cancel")).status == 200
            assert (await c.with_key(ALICE).ask("GET", f"{SUBMIT}/{id}")).json["state"] == "cancelled"

    run(main())


def test_an_open_server_takes_made_up_keys_but_not_unknown_virtual_keys(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            await c.submit("embeddings", headers={"Authorization": "Bearer sk-something-of-openai"})
            await c.submit("embeddings", headers={"x-api-key": "anything"})
            for headers in ({"x-bf-vk": "any"}, {"Authorization": "Bearer sk-bf-x"}, {"x-api-key": "SK-BF-x"}):
                answer = await c.ask("POST", SUBMIT, request("embeddings"), headers)
                assert (answer.status, answer.message) == (400, "virtual key not found")

    run(main())


def test_keys_are_optional_where_the_operator_says_so(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth={**AUTH, "required": False}) as c:
            anonymous = await c.submit("embeddings")
            mine = await c.with_key(ALICE).submit("embeddings")
            assert (await c.ask("GET", f"{SUBMIT}/{anonymous}")).status in (200, 202)
            assert (await c.ask("GET", f"{SUBMIT}/{mine}")).status == 404
            assert (await c.ask("GET", "/v1/keys")).status == 403

    run(main())


def test_the_first_key_closes_an_open_server(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            before = await c.submit("embeddings")
            made = await c.ask("POST", "/v1/keys", {"name": "root", "admin": True})
            assert made.status == 201
            root = c.with_key(made.json["key"])
            user = c.with_key((await root.ask("POST", "/v1/keys", {"name": "user"})).json["key"])
            assert (await c.ask("GET", f"{SUBMIT}/{before}")).status == 401
            assert (await user.ask("GET", f"{SUBMIT}/{before}")).status == 404
            assert (await root.ask("GET", f"{SUBMIT}/{before}")).status in (200, 202)
            for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("DELETE", "/v1/keys/user")):
                answer = await user.ask(method, path, {"name": "x"})
                assert (answer.status, answer.message) == (403, "This needs an admin key.")
            listed = (await root.ask("GET", "/v1/keys")).json["data"]
            assert [(key["name"], key["admin"]) for key in listed] == [("root", True), ("user", False)]
            assert "key" not in listed[0]
            assert (await root.ask("DELETE", "/v1/keys/user")).status == 204
            assert (await user.ask("POST", SUBMIT, request("embeddings"))).message == "virtual key not found"
            assert (await root.ask("DELETE", "/v1/keys/user")).status == 404

    run(main())


@pytest.mark.parametrize("body", [{}, {"name": 5}, {"name": "a b"}, {"name": "x" * 65}, {"name": "x", "admin": 1}])
def test_a_bad_key_request_names_the_field(folder: Path, run: Any, body: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", "/v1/keys", body)
            assert answer.status == 400
            assert answer.message.startswith(answer.json["error"]["param"])

    run(main())


def test_a_name_is_given_once(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            made = await c.ask("POST", "/v1/keys", {"name": "root", "admin": True})
            answer = await c.with_key(made.json["key"]).ask("POST", "/v1/keys", {"name": "root"})
            assert (answer.status, answer.code) == (409, "conflict")

    run(main())


def test_keys_survive_a_restart_as_hashes(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            token = (await c.ask("POST", "/v1/keys", {"name": "root", "admin": True})).json["key"]
            id = await c.with_key(token).submit("embeddings")
        assert len(token) >= len("sk-bf-") + 22
        async with client(folder) as c:
            assert (await c.with_key(token).ended(id, "embeddings")).status == 200
        assert token.encode() not in (folder / "coatcheck.db").read_bytes()

    run(main())


def test_another_vendors_key_does_not_hide_ours_in_a_later_header(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            both = {"Authorization": "Bearer sk-of-another-vendor", "x-api-key": ALICE}
            ticket = await c.served.gateway.store.ticket(await c.submit("embeddings", headers=both), None)
            assert ticket is not None
            assert ticket.job.owner == "key:config/alice"

    run(main())


def test_the_first_key_must_be_an_admins(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", "/v1/keys", {"name": "alice"})
            assert (answer.status, answer.json["error"]["param"]) == (400, "admin")
            assert "the first key must be an admin's" in answer.message

    run(main())


def test_a_server_that_others_reach_stays_closed_when_its_last_key_goes(folder: Path, run: Any) -> None:
    """The connection decides, not the configuration: an embedding application listens where it likes."""

    async def main() -> None:
        inner = create_app({"providers": ECHO, "server": {"allowed_hosts": ["*"]}}, data=folder)
        runner = web.AppRunner(inner)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", 0).start()
        port = runner.addresses[0][1]
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with probe:
            # Nothing is sent: the routing table names the address of this machine that others see.
            probe.connect(("192.0.2.1", 9))
            outside = probe.getsockname()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{outside}:{port}/v1/keys") as response:
                assert response.status == (401 if not is_loopback(outside) else 200)
            async with session.get(f"http://127.0.0.1:{port}/v1/keys") as response:
                assert response.status == 200
            # By a name that a page, or a proxy on this machine, has given it.
            for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
                async with session.get(f"http://127.0.0.1:{port}/v1/keys", headers={"Host": host}) as response:
                    assert response.status == 401, host
        await runner.cleanup()

    run(main())
