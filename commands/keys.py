"""`coatcheck keys`: makes, lists and removes virtual keys, in the database or through the server that owns it."""

import argparse
import asyncio
import os
import re
import sys
from typing import Any

import aiohttp

from coatcheck.app import config_keys, database_path
from coatcheck.engine.clock import Clock
from coatcheck.engine.errors import CoatcheckError, StoreLocked
from coatcheck.engine.keys import FIRST_KEY, NAME, new_key, new_token
from coatcheck.engine.store import Store
from coatcheck.schemas.config import Config
from coatcheck.schemas.v1 import timestamp

from .options import FAILED, OK, common, read_config


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "keys",
        help="make, list and remove virtual keys",
        description="Works on the database; while a server owns it, through that server (COATCHECK_URL, and an admin's "
        "key in COATCHECK_KEY once keys exist).",
    )
    actions = command.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("add", parents=[common()], help="make a key and print its token, once")
    action.add_argument("name")
    action.add_argument("--admin", action="store_true", help="may see every owner's jobs and look after keys")
    action.set_defaults(run=run, action=_add)
    action = actions.add_parser("list", parents=[common()], help="list the keys")
    action.set_defaults(run=run, action=_list)
    action = actions.add_parser("remove", parents=[common()], help="remove a key; an admin still sees its jobs")
    action.add_argument("name")
    action.set_defaults(run=run, action=_remove)


def run(options: argparse.Namespace) -> int:
    config = read_config(options)
    code: int = asyncio.run(options.action(options, config))
    return code


async def _add(options: argparse.Namespace, config: Config) -> int:
    _check(options.name)
    if options.name in {key.name for key in config_keys(config)}:
        raise CoatcheckError(f"the configuration has a key of the name {options.name!r} already")
    store = await _store(options, config)
    if store is None:
        made = await _ask(config, "POST", "/v1/keys", {"name": options.name, "admin": options.admin})
        token = str(made["key"])
    else:
        token = new_token()
        try:
            if not (options.admin or config.auth.keys or await store.keys()):
                raise CoatcheckError(f"{FIRST_KEY}; use --admin")
            if not await store.add_key(new_key(options.name, token, admin=options.admin, now=Clock().now())):
                raise CoatcheckError(f"there is a key of the name {options.name!r} already")
        finally:
            await store.close()
    print(token)
    print("This token is not shown again; send it as x-bf-vk, Authorization: Bearer or x-api-key.", file=sys.stderr)
    return OK


async def _list(options: argparse.Namespace, config: Config) -> int:
    rows = [(key.name, key.admin, "in the configuration") for key in config_keys(config)]
    store = await _store(options, config)
    if store is None:
        answer = await _ask(config, "GET", "/v1/keys")
        rows += [(key["name"], key["admin"], key["created_at"]) for key in answer["data"]]
    else:
        rows += [(key.name, key.admin, timestamp(key.created_at)) for key in await store.keys()]
        await store.close()
    for name, is_admin, made in rows:
        print(f"{name:<32} {'admin' if is_admin else '':<6} {made}")
    if not rows:
        print("There are no keys.", file=sys.stderr)
    return OK


async def _remove(options: argparse.Namespace, config: Config) -> int:
    _check(options.name)
    store = await _store(options, config)
    if store is None:
        await _ask(config, "DELETE", f"/v1/keys/{options.name}")
        return OK
    try:
        removed = await store.remove_key(options.name)
    finally:
        await store.close()
    if removed is None:
        print(f"coatcheck: there is no key of the name {options.name!r}", file=sys.stderr)
        return FAILED
    return OK


def _check(name: str) -> None:
    if not re.fullmatch(NAME, name):
        raise CoatcheckError("a key's name is 1 to 64 letters, digits, dots, dashes or underscores")


async def _store(options: argparse.Namespace, config: Config) -> Store | None:
    """The database, or None if a running server owns it."""
    try:
        return await Store.open(database_path(config, options.data))
    except StoreLocked:
        return None


async def _ask(config: Config, method: str, path: str, body: Any = None) -> Any:
    """Asks the running server; raises `CoatcheckError` with its reason if it refuses."""
    server = config.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    url = os.environ.get("COATCHECK_URL", f"http://{host}:{server.port}").rstrip("/")
    key = os.environ.get("COATCHECK_KEY")
    headers = {"x-bf-vk": key} if key else {}
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, url + path, json=body) as response,
        ):
            answer = await response.json() if response.content_type == "application/json" else None
    except aiohttp.ClientError as error:
        raise CoatcheckError(
            f"a server owns the database, but none answers at {url} (set COATCHECK_URL): {error}"
        ) from error
    if response.status >= 400:
        hint = "; set COATCHECK_KEY to an admin's key" if response.status in (400, 401, 403) and not key else ""
        raise CoatcheckError(f"{url} refused: {_reason(answer) or response.reason}{hint}")
    return answer


def _reason(answer: Any) -> str | None:
    """The message of a BifrostError; None if it is something else."""
    try:
        return str(answer["error"]["message"])
    except (KeyError, TypeError):
        return None
