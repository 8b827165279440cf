"""`coatcheck check`: what would keep a server from working, and what to do about it."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.migrations import MIGRATIONS

from .clients import ECHO
from .servers import Upstream, gateway, render_toml
from .shells import Done, Shell, answering

TOKEN = "sk-bf-" + "a" * 43


def lines(done: Done) -> dict[str, str]:
    """What was found, by its subject, with its mark."""
    found: dict[str, str] = {}
    for line in done.out.splitlines():
        if subject := line[2:18].strip():
            said = f"{line[0]} {line[19:]}"
            found[subject] = f"{found[subject]} | {said}" if subject in found else said
    return found


async def check(folder: Path, tables: Any, *more: str, **environ: str) -> Done:
    """Where no server runs, unless the environment says otherwise."""
    (folder / "config.toml").write_text(render_toml(tables))
    return await Shell(folder, "", {"COATCHECK_SERVER_PORT": "9", **environ})("check", *more)


def test_a_fresh_folder_passes_and_is_left_as_it_is(folder: Path, run: Any) -> None:
    async def main() -> None:
        done = await check(folder, {"providers": ECHO})
        assert done.code == 0
        found = lines(done)
        assert found["configuration"] == "✓ config.toml can be used; 1 provider"
        assert found["server"] == "✓ no server runs at http://127.0.0.1:9"
        assert found["database"].endswith("coatcheck.db is not there yet; the first start makes it")
        assert found["files"] == "✓ blobs is not there yet; the first start makes it"
        assert found["keys"] == "✓ none: the server is open to this machine"
        assert found["provider echo"] == "✓ answers"
        assert os.listdir(folder) == ["config.toml"]

    run(main())


def test_a_configuration_that_cannot_be_used_is_all_that_is_said(folder: Path, run: Any) -> None:
    async def main() -> None:
        done = await check(folder, {"jobs": {"max_pendin": 5}}, "--json")
        message = "[jobs]: unknown key 'max_pendin'; did you mean 'max_pending'?"
        cure = "change config.toml, or name another file with --config"
        finding = {"subject": "configuration", "level": "failed", "message": message, "cure": cure}
        assert (done.code, done.json) == (1, {"ok": False, "findings": [finding]})

    run(main())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (b"This is no database. " * 50, "cannot be read: file is not a database"),
        ("PRAGMA application_id = 7", "is of another application"),
        (f"PRAGMA user_version = {len(MIGRATIONS) + 1}", "was written by a newer Coatcheck"),
        ("PRAGMA user_version = 1", f"is sound; the next start brings it from schema 1 to {len(MIGRATIONS)}"),
    ],
)  # fmt: skip
def test_a_database_that_nobody_owns_is_looked_at(folder: Path, run: Any, spoil: bytes | str, reason: str) -> None:
    async def main() -> None:
        async with gateway(folder, providers=ECHO):
            pass
        path = folder / "coatcheck.db"
        if isinstance(spoil, bytes):
            path.write_bytes(spoil)
        else:
            with closing(sqlite3.connect(path)) as db:
                db.executescript(spoil)
        done = await check(folder, {"providers": ECHO})
        assert reason in lines(done)["database"]
        assert done.code == (0 if "is sound" in reason else 1)
        assert lines(done)["database"][0] == ("✓" if "is sound" in reason else "✗")

    run(main())


def test_the_folder_of_files_is_looked_at(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "other").mkdir()
        async with gateway(folder / "other", providers=ECHO):
            pass
        theirs = {"providers": ECHO, "store": {"blobs": "other/blobs"}}
        done = await check(folder, theirs)
        assert done.code == 1
        assert lines(done)["files"] == f"✗ other/blobs holds those of {folder}/other/coatcheck.db"
        (folder / "no folder").touch()
        done = await check(folder, {"providers": ECHO, "store": {"blobs": "no folder"}})
        assert (done.code, lines(done)["files"]) == (1, "✗ no folder cannot be written")
        done = await check(folder, {"providers": ECHO, "store": {"blobs": "s3://bucket"}}, "--json")
        assert done.json["findings"][0]["message"] == "[store]: blobs 's3://bucket' is not the path of a folder"
        async with gateway(folder, providers=ECHO):
            done = await check(folder, {"providers": ECHO})
            assert lines(done)["files"] == "✓ blobs can be used"

    run(main())


def test_a_damaged_database_is_found_out(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with gateway(folder, providers=ECHO):
            pass
        path = folder / "coatcheck.db"
        with closing(sqlite3.connect(path)) as db:
            ((page,),) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'job'")
            ((size,),) = db.execute("PRAGMA page_size")
        # Where the page's first free block begins.
        raw = bytearray(path.read_bytes())
        raw[(page - 1) * size + 1 : (page - 1) * size + 3] = b"\x0f\xff"
        path.write_bytes(raw)
        done = await check(folder, {"providers": ECHO})
        assert done.code == 1
        assert "coatcheck.db is damaged: " in lines(done)["database"]
        assert "→ bring back a copy of it" in done.out

    run(main())


def test_keys_are_counted_and_those_that_end_soon_are_named(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "config.toml").write_text(render_toml({"providers": ECHO}))
        sh = Shell(folder, "", {"COATCHECK_SERVER_PORT": "9"})
        assert (await sh("keys", "add", "root", "--admin")).code == 0
        assert (await sh("keys", "add", "brief", "--expires-in", "2d")).code == 0
        assert (await sh("keys", "add", "long", "--expires-in", "30d")).code == 0
        done = await check(folder, {"providers": ECHO})
        assert done.code == 0
        assert lines(done)["keys"].split(" | ") == ["✓ 3, one of them an admin's", "! brief ends in 2 d"]
        assert "→ `coatcheck keys rotate brief --expires-in 90d` gives it a new token and a later end\n" in done.out
        with closing(sqlite3.connect(folder / "coatcheck.db")) as db:
            db.execute("UPDATE key SET expires_at = created_at + 1 WHERE name IN ('brief', 'long')")
            db.commit()
        assert lines(await sh("check"))["keys"].split(" | ")[1:] == ["! brief has expired", "! long has expired"]
        for change in "UPDATE key SET expires_at = created_at + 1", "DELETE FROM key WHERE admin":
            with closing(sqlite3.connect(folder / "coatcheck.db")) as db:
                db.execute(change)
                db.commit()
            assert "! none is an admin's: nobody can look after the server" in lines(await sh("check"))["keys"]

    run(main())


def test_a_key_that_has_expired_is_rotated_with_a_new_end_only(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "config.toml").write_text(render_toml({"providers": ECHO}))
        sh = Shell(folder, "", {"COATCHECK_SERVER_PORT": "9"})
        root = (await sh("keys", "add", "root", "--admin")).out.strip()
        await sh("keys", "add", "brief", "--expires-in", "2d")
        with closing(sqlite3.connect(folder / "coatcheck.db")) as db:
            db.execute("UPDATE key SET expires_at = created_at + 1 WHERE name = 'brief'")
            db.commit()
        async with gateway(folder, providers=ECHO) as served:
            there = Shell(folder, served.url, {"COATCHECK_KEY": root})
            refused = await there("keys", "rotate", "brief")
            assert refused.code == 1
            assert refused.err.endswith("key 'brief' has expired; give --expires-in too\n")
            assert "! brief has expired" in lines(await there("check"))["keys"]
            assert (await there("keys", "rotate", "brief", "--expires-in", "90d")).code == 0
            assert lines(await there("check"))["keys"] == "✓ 2, one of them an admin's"

    run(main())


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"server": {"host": "0.0.0.0"}}, "✗ none, and 0.0.0.0 can be reached from elsewhere"),
        ({"auth": {"required": True}}, "✗ none, and one is required: nobody can submit"),
        ({"auth": {"keys": [{"name": "a", "key_env": "NOT_SET"}]}}, "✗ [[auth.keys]] 'a': the environment variable"),
        ({"auth": {"keys": [{"name": "a", "key": TOKEN}]}}, "! none is an admin's: nobody can look after the server"),
    ],
)
def test_a_server_that_could_not_be_used_for_want_of_a_key_fails(
    folder: Path, run: Any, tables: Any, reason: str
) -> None:
    async def main() -> None:
        done = await check(folder, {"providers": ECHO, **tables})
        assert reason in lines(done)["keys"]
        assert done.code == (1 if reason[0] == "✗" else 0)

    run(main())


def test_each_provider_is_asked_whether_it_is_there(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Upstream() as upstream:
            done = await check(
                folder,
                {
                    "providers": {
                        "here": {"kind": "openai", "base_url": upstream.url},
                        "gone": {"kind": "openai", "base_url": "http://me:hush@127.0.0.1:9/v1?key=hush"},
                        "keyed": {"kind": "openai", "api_key_env": "NOT_SET_HERE"},
                        "usual": {"kind": "anthropic"},
                        "bare": {"kind": "openai", "base_url": "https://nowhere.invalid/v1"},
                        "models": {"kind": "local", "models_dir": str(folder / "empty")},
                    }
                },
            )
            found = lines(done)
            assert done.code == 1
            assert found["provider here"].startswith("✓ answers")
            assert found["provider gone"].startswith("✗ provider gone could not be reached")
            way = "is base_url of [providers.gone] right? Tried: GET http://127.0.0.1:9/v1/models"
            assert f"→ {way}\n" in done.out
            assert found["provider keyed"] == "✗ api_key_env: the environment variable NOT_SET_HERE is not set"
            assert "→ set NOT_SET_HERE to the provider's key, where the server starts and here\n" in done.out
            assert "→ set ANTHROPIC_API_KEY to the provider's key, where the server starts and here\n" in done.out
            assert found["provider bare"].startswith("✗ ")
            assert "coatcheck models pull" in found["provider models"]
            assert "hush" not in done.out

    run(main())


def test_a_provider_that_refuses_its_key_is_told_so(folder: Path, run: Any) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no"}}, status=401)

    async def main() -> None:
        async with answering(refuse) as url:
            done = await check(
                folder, {"providers": {"up": {"kind": "openai", "base_url": url, "api_key_env": "UP_KEY"}}}, UP_KEY="k"
            )
            assert done.code == 1
            assert (
                f"→ is base_url of [providers.up] right, and the key in UP_KEY? Tried: GET {url}/models\n" in done.out
            )
            usual = {"kind": "groq", "base_url": url}
            assert (
                "and the key in GROQ_API_KEY?"
                in (await check(folder, {"providers": {"up": usual}}, GROQ_API_KEY="k")).out
            )

    run(main())


def test_the_providers_are_asked_at_once(folder: Path, run: Any) -> None:
    """Each is answered when all have been asked: one after the other they would never be."""
    asked = asyncio.Barrier(3)

    async def answer(request: web.Request) -> web.Response:
        await asked.wait()
        return web.json_response({"object": "list", "data": []})

    async def main() -> None:
        async with answering(answer) as url:
            done = await check(
                folder, {"providers": {name: {"kind": "openai", "base_url": f"{url}/v1"} for name in ("a", "b", "c")}}
            )
            assert done.code == 0, done.out

    run(main())
