"""`coatcheck providers`: what the server can run jobs on, and how busy that is."""

import argparse
import sys
from typing import Any

from .answers import print_json
from .client import Server
from .moments import lasted
from .options import OK
from .terminal import Terminal, columns

_HEAD = ("PROVIDER", "KIND", "LANE", "RUNNING", "WAITING", "PACE", "MODELS")
#: What a narrow terminal is not shown, the first first.
_SPARED = ("KIND", "PACE", "MODELS")
#: Models are cut to no less.
_MODELS_COLUMNS = 12


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
        out = Terminal(sys.stdout)
        shown = _fitting(rows, out.width)
        head = [_HEAD[index] for index in shown]
        flexible = head.index("MODELS" if "MODELS" in head else "LANE")
        out.table(head, [[row[index] for index in shown] for row in rows], flexible=flexible)
    else:
        Terminal(sys.stderr).say("There are no providers: [providers.NAME] in the configuration makes one.")
    return OK


def _fitting(rows: list[tuple[str, ...]], width: int) -> list[int]:
    """The columns that there is room for."""
    widest = {name: max(map(columns, (name, *(row[index] for row in rows)))) for index, name in enumerate(_HEAD)}
    widest["MODELS"] = min(widest["MODELS"], _MODELS_COLUMNS)
    for name in _SPARED:
        if sum(widest.values()) + 2 * (len(widest) - 1) > width:
            del widest[name]
    return [index for index, name in enumerate(_HEAD) if name in widest]


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
