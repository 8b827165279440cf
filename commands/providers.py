"""`coatcheck providers`: what the server can run jobs on, and how busy that is."""

import argparse
import sys
from typing import Any

from .answers import print_json
from .client import Server
from .moments import lasted
from .options import OK
from .terminal import Terminal

_HEAD = ("PROVIDER", "KIND", "LANE", "RUNNING", "WAITING", "PACE", "MODELS")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "providers",
        help="list what jobs can run on, and how busy it is",
        description="A line for each lane: how many jobs run of how many that may, how many wait, and how long one "
        "takes of late.",
    )
    command.add_argument("--json", action="store_true", help='print JSON: {"data": [provider, …]}')
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    told = Server.configured().ask("GET", "/v1/providers").json
    if options.json:
        print_json(told)
        return OK
    rows = [row for provider in told["data"] for row in _rows(provider)]
    if rows:
        Terminal(sys.stdout).table(_HEAD, rows, flexible=_HEAD.index("MODELS"))
    else:
        Terminal(sys.stderr).say("There are no providers: [providers.NAME] in the configuration makes one.")
    return OK


def _rows(provider: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for lane in provider["lanes"]:
        pace = lane.get("seconds_per_job")
        busy = f"{lane['running']}/{lane['concurrency']}", str(lane["waiting"]), "" if pace is None else lasted(pace)
        # What is said once for a provider stands in its first lane's line.
        first = not rows
        name, kind = (provider["name"], provider["kind"]) if first else ("", "")
        rows.append((name, kind, lane["name"], *busy, ", ".join(provider["models"]) if first else ""))
    return rows
