"""`coatcheck keys`: makes, lists, rotates and removes virtual keys, in the database or through its server."""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from coatcheck.app import database_path
from coatcheck.engine.clock import Clock
from coatcheck.engine.errors import CoatcheckError, StoreLocked
from coatcheck.engine.keys import FIRST_KEY, NAME, new_token
from coatcheck.engine.store import Store
from coatcheck.schemas.config import Config, KeySettings
from coatcheck.schemas.keys import NewKey, NewToken, load, shown, shown_limits

from .client import Server
from .options import OK, common, duration, read_config
from .refusals import ServerRefused
from .terminal import Terminal

T = TypeVar("T")

_HEAD = ("NAME", "MADE", "EXPIRES", "")
#: What a key is limited in, and how many that means.
_LIMITS: Mapping[str, str] = {
    "max_concurrency": "jobs running at once, over all lanes",
    "requests_per_minute": "submits and retries a minute",
    "max_pending": "jobs that wait",
}


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    command = commands.add_parser(
        "keys",
        help="make, list, rotate and remove virtual keys",
        description="Works on the database; while a server owns it, through that server (COATCHECK_URL, and an admin's "
        "key in COATCHECK_KEY once keys exist).",
    )
    actions = command.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("add", parents=[common()], help="make a key and print its token, once")
    action.add_argument("name")
    action.add_argument("--admin", action="store_true", help="may see every owner's jobs and look after keys")
    action.add_argument("--expires-in", type=_seconds, metavar="TIME", help="valid for so long, as in 30d or 12h")
    for name, help in _LIMITS.items():
        action.add_argument(f"--{name.replace('_', '-')}", type=_count, metavar="N", help=f"at most N {help}")
    action.set_defaults(run=run, action=_add)
    action = actions.add_parser("rotate", parents=[common()], help="give a key a new token and print it, once")
    action.add_argument("name")
    action.add_argument(
        "--overlap",
        type=_seconds,
        default=86_400,
        metavar="TIME",
        help="no earlier token is valid for longer (1d by default); 0: they end at once",
    )
    action.add_argument("--expires-in", type=_seconds, metavar="TIME", help="the key's new end; as before without it")
    action.set_defaults(run=run, action=_rotate)
    action = actions.add_parser("list", parents=[common()], help="list the keys")
    action.add_argument("--json", action="store_true", help="as JSON")
    action.set_defaults(run=run, action=_list)
    action = actions.add_parser("remove", parents=[common()], help="remove a key; an admin still sees its jobs")
    action.add_argument("name")
    action.set_defaults(run=run, action=_remove)


def run(options: argparse.Namespace) -> int:
    if not re.fullmatch(NAME, getattr(options, "name", "any")):
        raise CoatcheckError("a key's name is 1 to 64 letters, digits, dots, dashes or underscores")
    config = read_config(options)
    code: int = asyncio.run(options.action(options, config))
    return code


async def _add(options: argparse.Namespace, config: Config) -> int:
    name = options.name
    if name in {key.name for key in config.auth.keys}:
        raise CoatcheckError(f"the configuration has a key of the name {name!r} already")
    limits = {limit: getattr(options, limit) for limit in _LIMITS if getattr(options, limit) is not None}
    wish = {"name": name, "admin": options.admin, "expires_in_seconds": options.expires_in, "limits": limits}

    async def here(store: Store) -> str:
        if not (options.admin or config.auth.keys or config.auth.jwt or await store.keys()):
            raise CoatcheckError(f"{FIRST_KEY}; use --admin")
        asked, token = load(NewKey, wish), new_token()
        if not await store.add_key(asked.key(token, Clock().now())):
            raise CoatcheckError(f"there is a key of the name {name!r} already")
        return token

    return _print_token(await _in_store(options, config, here) or _made(options, "/v1/keys", wish))


async def _rotate(options: argparse.Namespace, config: Config) -> int:
    name = options.name
    wish = {"overlap_seconds": options.overlap, "expires_in_seconds": options.expires_in}

    async def here(store: Store) -> str:
        asked, token = load(NewToken, wish), new_token()
        if await store.rotate_key(asked.rotation(name, token, Clock().now())) is None:
            if any(key.name == name for key in await store.keys()):
                raise CoatcheckError(f"key {name!r} has expired; give --expires-in too")
            raise CoatcheckError(f"there is no key of the name {name!r}")
        return token

    return _print_token(await _in_store(options, config, here) or _made(options, f"/v1/keys/{name}/rotate", wish))


async def _list(options: argparse.Namespace, config: Config) -> int:
    async def here(store: Store) -> list[dict[str, Any]]:
        return [shown(key) for key in await store.keys()]

    found = await _in_store(options, config, here)
    if found is None:
        found = Server.configured(options.config).ask("GET", "/v1/keys").json["data"]
    configured = [_configured(settings) for settings in config.auth.keys]
    if options.json:
        print(json.dumps({"data": [*configured, *found]}, indent=2))
        return OK
    if configured or found:
        Terminal(sys.stdout).table(_HEAD, map(_row, [*configured, *found]), flexible=len(_HEAD) - 1)
    else:
        print("There are no keys.", file=sys.stderr)
    return OK


async def _remove(options: argparse.Namespace, config: Config) -> int:
    name = options.name

    async def here(store: Store) -> bool:
        return await store.remove_key(name) is not None

    removed = await _in_store(options, config, here)
    if removed is None:
        Server.configured(options.config).ask("DELETE", f"/v1/keys/{name}")
    elif not removed:
        raise CoatcheckError(f"there is no key of the name {name!r}")
    return OK


async def _in_store(options: argparse.Namespace, config: Config, work: Callable[[Store], Awaitable[T]]) -> T | None:
    """Does the work in the database; None if a running server owns it."""
    try:
        store = await Store.open(database_path(config, options.data))
    except StoreLocked:
        return None
    try:
        return await work(store)
    finally:
        await store.close()


def _made(options: argparse.Namespace, path: str, wish: Any) -> str:
    """The token that the running server makes."""
    try:
        return str(Server.configured(options.config).ask("POST", path, wish).json["key"])
    except ServerRefused as error:
        raise CoatcheckError(str(error).replace("expires_in_seconds", "--expires-in")) from error


def _print_token(token: str) -> int:
    print(token)
    print("This token is not shown again; send it as x-bf-vk, Authorization: Bearer or x-api-key.", file=sys.stderr)
    return OK


def _configured(settings: KeySettings) -> dict[str, Any]:
    """A key of the configuration, as the others are shown; its tokens need not be known here."""
    key = {"id": f"config/{settings.name}", "name": settings.name, "admin": settings.admin, "configured": True}
    limits = shown_limits(settings.limits)
    return {**key, "limits": limits} if limits else key


def _row(key: Mapping[str, Any]) -> tuple[str, ...]:
    words = ["admin"] if key["admin"] else []
    words += [f"{name} {most}" for name, most in key.get("limits", {}).items()]
    words += [f"an earlier token until {_brief(end)}" for end in key.get("earlier_tokens_end_at", ())]
    made = "configuration" if key.get("configured") else _brief(key["created_at"])
    return key["name"], made, _brief(key.get("expires_at", "never")), ", ".join(words)


def _brief(moment: str) -> str:
    """A timestamp to the second."""
    return re.sub(r"\.\d+Z$", "Z", moment)


def _seconds(text: str) -> int:
    return int(duration(text))


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)
