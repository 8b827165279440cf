"""`coatcheck retry`: does a failed or cancelled job again, as a new one."""

import argparse

from . import ids
from .client import Server
from .options import EXIT_CODES, limit_seconds, time_limit
from .tickets import follow


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "retry",
        parents=[time_limit()],
        help="do a failed or cancelled job again, as a new one",
        epilog=EXIT_CODES,
    )
    command.add_argument("id", metavar="ID", help=ids.HELP)
    command.add_argument("--json", action="store_true", help="print JSON: the ticket, with --wait the job")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    limit = limit_seconds(options)
    server = Server.configured()
    answer = server.ask("POST", f"/v1/async/jobs/{ids.find(server, options.id)}/retry")
    return follow(server, answer.json, wait_seconds=limit, as_json=options.json)
