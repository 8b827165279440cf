"""`coatcheck cancel`: ends jobs that have not ended."""

import argparse
import sys

from . import ids
from .answers import head, print_json
from .client import Server
from .options import FAILED, OK
from .refusals import ServerRefused
from .terminal import Terminal


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("cancel", help="end jobs that have not ended, and their calls with them")
    command.add_argument("ids", nargs="+", metavar="ID", help=ids.HELP)
    command.add_argument("--json", action="store_true", help='print JSON: {"data": [job, …]}')
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    server = Server.configured()
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    jobs, result = [], OK
    for id in [ids.find(server, given) for given in options.ids]:
        try:
            shown = server.ask("POST", f"/v1/async/jobs/{id}/cancel").json
        except ServerRefused as error:
            # What has ended is no reason to let the others run.
            err.show(f"coatcheck: {id[:8]}: {error}")
            result = FAILED
            continue
        jobs.append(shown)
        if not options.json:
            out.say(head(shown, out))
    if options.json:
        print_json({"data": jobs})
    return result
