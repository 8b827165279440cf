"""`coatcheck webhooks`: who was told of the end of jobs, and how that went."""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from coatcheck.engine.errors import CoatcheckError

from .answers import print_json
from .client import Server
from .deliveries import find, print_one, print_table
from .moments import now
from .options import OK, Misunderstood, duration
from .pages import Pages, limit, limits
from .pages import print_json as print_pages
from .terminal import Terminal

_PATH = "/v1/webhooks"
_STATES = ("due", "delivered", "dead")
_ID = "a delivery's id, or its first characters: 4 or more"
_ENDPOINT_HEAD = ("NAME", "STATE", "URL", "SECRET")


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    command = commands.add_parser(
        "webhooks",
        help="list, show and replay deliveries of webhooks; look after their endpoints and secrets",
        description="Your key's deliveries; an admin's key sees every owner's, and looks after endpoints.",
    )
    actions = command.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("list", help="list deliveries, newest first")
    action.add_argument("--state", choices=_STATES, metavar="STATE", help="due, delivered or dead")
    action.add_argument("--endpoint", metavar="NAME", help="to an endpoint of the configuration")
    action.add_argument("--job", metavar="ID", help="of one job; its whole id")
    action.add_argument("--since", type=duration, metavar="S", help="made within the last 90s, 10m, 1h, 2d")
    limits(action)
    _json(action)
    action.set_defaults(run=_list)
    action = actions.add_parser("show", help="show a delivery and what it sends")
    action.add_argument("id", metavar="ID", help=_ID)
    _json(action)
    action.set_defaults(run=_show)
    action = actions.add_parser("replay", help="send deliveries again: those named, or all of a kind")
    action.add_argument("ids", nargs="*", metavar="ID", help=_ID)
    action.add_argument(
        "--state", choices=_STATES, metavar="STATE", help="all that are dead, delivered, or due (at once)"
    )
    action.add_argument("--endpoint", metavar="NAME", help="all dead ones to an endpoint of the configuration")
    action.add_argument("--since", type=duration, metavar="S", help="all dead ones made within the last 90s, 10m, 2d")
    _json(action)
    action.set_defaults(run=_replay)
    action = actions.add_parser("endpoints", help="list the endpoints of the configuration")
    _json(action)
    action.set_defaults(run=_endpoints)
    action = actions.add_parser("enable", help="switch an endpoint on again")
    action.add_argument("name", metavar="NAME")
    action.set_defaults(run=_enable)
    action = actions.add_parser("secret", help="print the secret that signs what you are sent")
    action.add_argument("name", nargs="?", metavar="NAME", help="instead: that of an endpoint")
    action.set_defaults(run=_secret)
    action = actions.add_parser("rotate", help="make a new secret and print it")
    action.add_argument("name", nargs="?", metavar="NAME", help="instead: that of an endpoint")
    action.add_argument(
        "--overlap",
        type=duration,
        default=86_400,
        metavar="TIME",
        help="for how long the one before is signed with as well (1d by default); 0: not at all",
    )
    action.set_defaults(run=_rotate)


def _list(options: argparse.Namespace) -> int:
    given = {"state": options.state, "endpoint": options.endpoint, "job_id": options.job, **_since(options)}
    wanted = {name: value for name, value in given.items() if value is not None}
    pages = Pages(Server.configured(), f"{_PATH}/deliveries", wanted, limit(options))
    err = Terminal(sys.stderr)
    if options.json:
        print_pages(pages)
    elif not print_table(pages, Terminal(sys.stdout)):
        err.say("There are no such deliveries." if wanted else "There are no deliveries.")
    if pages.more:
        err.say("more: --limit N or --all")
    return OK


def _show(options: argparse.Namespace) -> int:
    server = Server.configured()
    found = server.ask("GET", f"{_PATH}/deliveries/{find(server, options.id)}").json
    if options.json:
        print_json(found)
    else:
        print_one(found, Terminal(sys.stdout))
    return OK


def _replay(options: argparse.Namespace) -> int:
    kind = {"state": options.state, "endpoint": options.endpoint, **_since(options)}
    wish: dict[str, Any] = {name: value for name, value in kind.items() if value is not None}
    if bool(options.ids) == bool(wish):
        raise Misunderstood("name deliveries, or say which: --state dead, --endpoint NAME, --since 2h")
    server = Server.configured()
    if options.ids:
        return _replay_each(server, options.ids, as_json=options.json)
    answer = server.ask("POST", f"{_PATH}/deliveries/replay", wish).json
    if options.json:
        print_json(answer)
    else:
        count = answer["replayed"]
        Terminal(sys.stdout).say(f"{count} deliver{'y is' if count == 1 else 'ies are'} sent again")
    return OK


def _replay_each(server: Server, ids: Sequence[str], *, as_json: bool) -> int:
    out = Terminal(sys.stdout)
    found = []
    for given in ids:
        found.append(server.ask("POST", f"{_PATH}/deliveries/{find(server, given)}/replay").json)
        if not as_json:
            out.say(f"{found[-1]['id']} is sent again")
    if as_json:
        print_json({"data": found})
    return OK


def _endpoints(options: argparse.Namespace) -> int:
    answer = Server.configured().ask("GET", f"{_PATH}/endpoints").json
    if options.json:
        print_json(answer)
    elif answer["data"]:
        rows = [(one["name"], _switch(one), one["url"], one.get("secret", "made here")) for one in answer["data"]]
        Terminal(sys.stdout).table(_ENDPOINT_HEAD, rows, flexible=_ENDPOINT_HEAD.index("URL"))
    else:
        Terminal(sys.stderr).say("There are no endpoints; [[webhooks.endpoints]] makes one.")
    return OK


def _switch(endpoint: dict[str, Any]) -> str:
    return f"off: {endpoint['off_reason']}" if endpoint["state"] == "off" else "on"


def _enable(options: argparse.Namespace) -> int:
    Server.configured().ask("POST", f"{_PATH}/endpoints/{_named(options)}/enable")
    Terminal(sys.stderr).say(
        f"{options.name} is on; `coatcheck webhooks replay --endpoint {options.name}` sends again what is dead"
    )
    return OK


def _secret(options: argparse.Namespace) -> int:
    path = f"{_PATH}/secret" if options.name is None else f"{_PATH}/endpoints/{_named(options)}/secret"
    print(Server.configured().ask("GET", path).json["secret"])
    return OK


def _rotate(options: argparse.Namespace) -> int:
    path = f"{_PATH}/secret/rotate" if options.name is None else f"{_PATH}/endpoints/{_named(options)}/rotate"
    made = Server.configured().ask("POST", path, {"overlap_seconds": int(options.overlap)}).json
    print(made["secret"])
    if "earlier_secret_ends_at" in made:
        Terminal(sys.stderr).say(f"The one before is signed with as well until {made['earlier_secret_ends_at']}.")
    return OK


def _named(options: argparse.Namespace) -> str:
    """The endpoint, as a part of a path."""
    if not options.name or options.name in (".", ".."):
        raise CoatcheckError(f"{options.name!r} is no endpoint's name")
    return quote(options.name, safe="")


def _since(options: argparse.Namespace) -> dict[str, str]:
    if options.since is None:
        return {}
    return {"created_after": (now() - timedelta(seconds=options.since)).isoformat()}


def _json(action: argparse.ArgumentParser) -> None:
    action.add_argument("--json", action="store_true", help="print JSON, as the API has it")
