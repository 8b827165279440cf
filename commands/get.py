"""`coatcheck get`: shows a job, and its answer if there is one."""

import argparse

from . import downloads, ids
from .client import Server
from .options import EXIT_CODES
from .tickets import finish
from .watching import job


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "get",
        help="show a job, and its answer if there is one",
        description="The answer goes to standard output, all else to standard error.",
        epilog=EXIT_CODES,
    )
    command.add_argument("id", metavar="ID", help=ids.HELP)
    command.add_argument("-o", "--output", metavar="FILE", help=downloads.HELP)
    command.add_argument("--json", action="store_true", help="print the job as JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    server = Server.configured()
    shown = job(server, ids.find(server, options.id))
    return finish(server, shown, as_json=options.json, output=options.output)
