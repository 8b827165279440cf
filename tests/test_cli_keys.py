"""Virtual keys from the command line: with a server that runs, and at the database where none does."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.clock import Clock
from coatcheck.engine.keys import KeyRing
from coatcheck.engine.store import Store
from coatcheck.schemas.keys import NewKey, NewToken

from .clients import ECHO, client
from .servers import ServerProcess, render_toml


def coatcheck(
    folder: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coatcheck.cli", "keys", *arguments],
        cwd=folder, env={**os.environ, **(environ or {})}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


LIMITED = (
    "--expires-in", "30d", "--max-concurrency", "4", "--requests-per-minute", "60", "--max-pending", "100"
)  # fmt: skip


def test_a_person_makes_rotates_lists_and_removes_keys_while_no_server_runs(folder: Path, run: Any) -> None:
    (folder / "config.toml").write_text(render_toml({"providers": ECHO}))
    made = coatcheck(folder, "add", "root", "--admin", *LIMITED)
    assert made.returncode == 0, made.stderr
    assert re.fullmatch(r"sk-bf-[\w-]{43}\n", made.stdout)
    again = coatcheck(folder, "add", "root")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "coatcheck: there is a key of the name 'root' already\n"
    rotated = coatcheck(folder, "rotate", "root", "--overlap", "12h")
    assert rotated.returncode == 0, rotated.stderr
    assert rotated.stdout != made.stdout
    assert "not shown again" in rotated.stderr

    async def stored() -> KeyRing:
        store = await Store.open(folder / "coatcheck.db")
        keys = await store.keys()
        await store.close()
        return KeyRing(keys)

    ring = run(stored())
    holders = [ring.caller(done.stdout.strip()) for done in (made, rotated)]
    assert holders[0] == holders[1] is not None
    listed = coatcheck(folder, "list")
    line = listed.stdout.splitlines()[1]
    assert re.match(r"root +\d{4}-\S+Z +\d{4}-\S+Z +admin, max_concurrency 4, requests_per_minute 60, max_pend", line)
    assert re.search(r"an earlier token until \d{4}-", line)
    (key,) = json.loads(coatcheck(folder, "list", "--json").stdout)["data"]
    assert key["limits"] == {"max_concurrency": 4, "requests_per_minute": 60, "max_pending": 100}
    assert coatcheck(folder, "remove", "root").returncode == 0
    assert json.loads(coatcheck(folder, "list", "--json").stdout) == {"data": []}
    assert coatcheck(folder, "list").stderr == "There are no keys.\n"


def test_a_person_makes_rotates_lists_and_removes_keys_of_a_server_that_runs(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server:
            environ = {"COATCHECK_URL": server.url or ""}

            async def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
                return await asyncio.to_thread(coatcheck, folder, *arguments, environ=environ)

            made = await ask("add", "root", "--admin", *LIMITED)
            assert made.returncode == 0, made.stderr
            closed = await ask("add", "user")
            assert closed.returncode == 1
            assert "refused: virtual key is required; set COATCHECK_KEY" in closed.stderr
            environ["COATCHECK_KEY"] = made.stdout.strip()
            again = await ask("add", "root")
            assert "refused: there is a key of the name 'root' already" in again.stderr
            rotated = await ask("rotate", "root", "--overlap", "0", "--expires-in", "1h")
            assert rotated.returncode == 0, rotated.stderr
            environ["COATCHECK_KEY"] = rotated.stdout.strip()
            for arguments in (["add", "user"], ["remove", "user"]):
                done = await ask(*arguments)
                assert done.returncode == 0, done.stderr
            (key,) = json.loads((await ask("list", "--json")).stdout)["data"]
            assert key["name"] == "root"
            assert key["limits"]["max_concurrency"] == 4
            assert "earlier_tokens_end_at" not in key
            assert (await ask("list")).stdout.splitlines()[1].startswith("root ")

    run(main())


def test_keys_of_the_configuration_are_listed_without_their_tokens_being_known(folder: Path) -> None:
    text = '[[auth.keys]]\nname = "ops"\nkey_env = "COATCHECK_TEST_UNSET"\nadmin = true\nmax_pending = 5\n'
    (folder / "config.toml").write_text(text)
    assert json.loads(coatcheck(folder, "list", "--json").stdout)["data"] == [
        {"id": "config/ops", "name": "ops", "admin": True, "configured": True, "limits": {"max_pending": 5}}
    ]
    assert re.match(
        r"ops +configuration +never +admin, max_pending 5", coatcheck(folder, "list").stdout.splitlines()[1]
    )
    taken = coatcheck(folder, "add", "ops")
    assert taken.stderr == "coatcheck: the configuration has a key of the name 'ops' already\n"


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["add", "a", "--expires-in", "soon"], 2, "'soon' is not a duration like 90, 1.5s, 10m, 1h30m or 2d"),
        (["add", "a", "--max-pending", "0"], 2, "'0' is not a number from 1 up"),
        (["add", "a", "--admin", "--expires-in", "0"], 1, "coatcheck: expires_in_seconds: Must be greater than"),
        (["rotate", "nobody"], 1, "coatcheck: there is no key of the name 'nobody'"),
        (["rotate", "a/b"], 1, "coatcheck: a key's name is 1 to 64 letters"),
    ],
)
def test_what_a_person_gets_wrong_is_named_with_its_cure(
    folder: Path, arguments: list[str], code: int, reason: str
) -> None:
    done = coatcheck(folder, *arguments)
    assert done.returncode == code
    assert reason in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_person_is_told_how_to_renew_an_expired_key(folder: Path, run: Any) -> None:
    async def expired() -> None:
        store = await Store.open(folder / "coatcheck.db")
        await store.add_key(NewKey(name="old", admin=True, expires_in_seconds=1).key("t", Clock().now() - 9_000_000))
        await store.close()

    run(expired())
    done = coatcheck(folder, "rotate", "old")
    assert (done.returncode, done.stderr) == (1, "coatcheck: key 'old' has expired; give --expires-in too\n")
    assert coatcheck(folder, "rotate", "old", "--expires-in", "1d").returncode == 0
    assert NewToken().overlap_seconds == 86_400


def test_the_last_admins_key_stays_while_others_have_keys(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            root = (await c.ask("POST", "/v1/keys", {"name": "root", "admin": True})).json["key"]
            admin = c.with_key(root)
            assert (await admin.ask("POST", "/v1/keys", {"name": "carol"})).status == 201
            answer = await admin.ask("DELETE", "/v1/keys/root")
            assert (answer.status, "last admin's key" in answer.message) == (409, True)
            assert (await admin.ask("DELETE", "/v1/keys/carol")).status == 204
            assert (await admin.ask("DELETE", "/v1/keys/root")).status == 204

    run(main())


def test_a_name_of_the_configuration_is_not_given_again(folder: Path, run: Any) -> None:
    async def main() -> None:
        keys = [{"name": "root", "key": "sk-bf-root", "admin": True}]
        async with client(folder, {"x-bf-vk": "sk-bf-root"}, auth={"keys": keys}) as c:
            answer = await c.ask("POST", "/v1/keys", {"name": "root"})
            assert (answer.status, answer.message) == (409, "the configuration has a key of the name 'root' already")

    run(main())
