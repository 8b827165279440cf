"""Endpoints of webhooks in the configuration: what is read, what is refused, what `coatcheck check` says of them."""

import base64
from pathlib import Path
from typing import Any

import pytest

from coatcheck.app import load_config
from coatcheck.engine.errors import ConfigurationError
from coatcheck.engine.hooks import Endpoint
from coatcheck.schemas.endpoints import endpoints

from .clients import ECHO, client
from .servers import render_toml
from .shells import Done, Shell

URL = "https://orders.example.com/hook"


def secret(letter: bytes, size: int = 32) -> str:
    return "whsec_" + base64.b64encode(letter * size).decode()


def read(*tables: Any, **environ: str) -> dict[str, Endpoint]:
    return endpoints(load_config({"webhooks": {"endpoints": list(tables)}}, {}).webhooks, environ)


def test_secrets_come_from_the_environment_the_newest_first() -> None:
    named = {"name": "a", "url": URL, "secret_env": "NOW", "previous_secret_env": "BEFORE"}
    assert read({"name": "a", "url": URL})["a"].secrets == ()
    assert read(named, NOW=secret(b"n"))["a"].secrets == (b"n" * 32,)
    assert read(named, NOW=secret(b"n"), BEFORE=secret(b"b"))["a"].secrets == (b"n" * 32, b"b" * 32)
    assert read(named, NOW=secret(b"n"), BEFORE=secret(b"n"))["a"].secrets == (b"n" * 32,)


def test_private_networks_are_allowed_or_not_for_each() -> None:
    found = read({"name": "a", "url": URL}, {"name": "b", "url": URL, "allow_private_networks": False})
    assert (found["a"].allow_private, found["b"].allow_private) == (None, False)


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (
            [{"name": "a b", "url": URL}],
            "[[webhooks.endpoints]] 'a b': a name is 1 to 64 letters, digits, dots, dashes",
        ),
        ([{"name": "a", "url": URL}] * 2, "[[webhooks.endpoints]] 'a': two endpoints have this name"),
        ([{"name": "a", "url": "ftp://a/b"}], "[[webhooks.endpoints]] 'a': url is no http or https address"),
        ([{"name": "a", "url": URL, "secret_env": "NO"}], "'a': the environment variable NO is not set"),
        ([{"name": "a", "url": URL, "secret_env": "SHORT"}], "'a': SHORT: a webhook secret has 24 to 64 bytes, not 8"),
        ([{"name": "a", "url": URL, "secret_env": "BARE"}], "'a': BARE: a webhook secret begins with whsec_"),
        ([{"name": "a", "url": URL, "previous_secret_env": "X"}], "'a': previous_secret_env is of no use without"),
    ],
)
def test_a_mistake_is_named_and_no_secret_is(tables: Any, reason: str) -> None:
    short, bare = secret(b"s", 8), "a-secret-that-must-not-be-shown"
    with pytest.raises(ConfigurationError) as caught:
        read(*tables, SHORT=short, BARE=bare)
    assert reason in caught.value.message
    assert short not in caught.value.message
    assert bare not in caught.value.message


def test_a_server_does_not_start_without_the_secret_it_was_told_of(folder: Path, run: Any) -> None:
    async def main() -> None:
        webhooks = {"endpoints": [{"name": "a", "url": URL, "secret_env": "NOT_SET_ANYWHERE"}]}
        async with client(folder, webhooks=webhooks):
            raise AssertionError("it started")

    with pytest.raises(ConfigurationError, match="NOT_SET_ANYWHERE is not set"):
        run(main())


async def check(folder: Path, tables: Any, **environ: str) -> tuple[int, list[tuple[str, str, str | None]]]:
    """The exit code, and what is said of webhooks: how bad it is, what, and the cure."""
    # With a key of the configuration, so that any host will do.
    auth = {"required": "false"}
    (folder / "config.toml").write_text(render_toml({"providers": ECHO, "auth": auth, **tables}))
    done: Done = await Shell(folder, "", {"COATCHECK_SERVER_PORT": "9", **environ})("check", "--json")
    found = [one for one in done.json["findings"] if one["subject"] == "webhooks"]
    return done.code, [(one["level"], one["message"], one.get("cure")) for one in found]


def test_check_names_the_endpoints_and_says_nothing_where_there_are_none(folder: Path, run: Any) -> None:
    async def main() -> None:
        assert await check(folder, {}) == (0, [])
        two = {"endpoints": [{"name": "a", "url": URL}, {"name": "b", "url": URL, "secret_env": "B"}]}
        code, found = await check(folder, {"webhooks": two}, B=secret(b"b"))
        assert (code, found) == (0, [("ok", "2 endpoints: a, b", None)])

    run(main())


def test_check_says_which_secret_is_missing_and_how_to_make_one(folder: Path, run: Any) -> None:
    async def main() -> None:
        table = {"webhooks": {"endpoints": [{"name": "a", "url": URL, "secret_env": "NOT_SET_ANYWHERE"}]}}
        message = "[[webhooks.endpoints]] 'a': the environment variable NOT_SET_ANYWHERE is not set"
        cure = "set NOT_SET_ANYWHERE, where the server starts and here: whsec_ and the base64 of 32 random bytes"
        assert await check(folder, table) == (1, [("failed", message, cure)])
        message = "[[webhooks.endpoints]] 'a': NOT_SET_ANYWHERE: a webhook secret begins with whsec_"
        assert await check(folder, table, NOT_SET_ANYWHERE="hunter2") == (1, [("failed", message, cure)])

    run(main())


def test_check_finds_endpoints_that_are_never_sent_anything(folder: Path, run: Any) -> None:
    async def main() -> None:
        hosts = {
            "127.0.0.1": "is this machine's own",
            "localhost": "is this machine's own",
            "10.1.2.3": "is in a private network",
        }
        endpoints = [{"name": f"at-{host}", "url": f"http://{host}:9/hook"} for host in hosts]
        code, (_, *found) = await check(folder, {"webhooks": {"endpoints": endpoints}})
        assert (code, {level for level, *_ in found}) == (1, {"failed"})
        assert [message for _, message, _ in found] == [
            f"at-{host}: {host} {why}, and is not dialled" for host, why in hosts.items()
        ]
        allowed = [{**endpoint, "allow_private_networks": True} for endpoint in endpoints]
        assert [level for level, *_ in (await check(folder, {"webhooks": {"endpoints": allowed}}))[1]] == ["ok"]

    run(main())


def test_check_looks_at_what_others_can_reach(folder: Path, run: Any) -> None:
    async def main() -> None:
        tables: dict[str, dict[str, Any]] = {
            "server": {"host": "0.0.0.0"},
            "webhooks": {"allow_private_networks": True, "endpoints": [{"name": "a", "url": URL}]},
        }
        _, found = await check(folder, tables)
        assert [(level, message) for level, message, _ in found] == [
            ("ok", "1 endpoint: a"),
            ("warning", "clients may have this server ask addresses in private networks and on this machine"),
            ("warning", "what is sent names jobs by paths: receivers do not learn where this server is"),
        ]
        tables["server"] = {"host": "0.0.0.0", "base_url": "https://ai.example.com"}
        tables["webhooks"]["allow_private_networks"] = False
        assert (await check(folder, tables))[1] == [("ok", "1 endpoint: a", None)]

    run(main())
