"""`coatcheck wait`: waits for the end of jobs."""

import argparse
import sys
import time

from . import ids
from .answers import code, head, present, print_json, reason
from .client import Server
from .options import EXIT_CODES, OK, UNFINISHED, duration
from .terminal import Terminal
from .watching import state, watch


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "wait",
        help="wait for the end of jobs",
        description="Prints the answer of one job, or a line for each of several.",
        epilog=EXIT_CODES,
    )
    command.add_argument("ids", nargs="+", metavar="ID", help=ids.HELP)
    command.add_argument("--timeout", type=duration, metavar="S", help="for so long at most, over all: 90, 10m, 1h")
    command.add_argument("--json", action="store_true", help='print JSON: {"data": [job, …]}')
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    server = Server.configured()
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    wanted = [ids.find(server, given) for given in options.ids]
    jobs, codes = [], set()
    for id in wanted:
        shown = watch(server, id, err, deadline=deadline)
        if shown is None:
            err.say(f"coatcheck: {id} has not ended within {options.timeout:g} s; it goes on")
            codes.add(UNFINISHED)
            continue
        jobs.append(shown)
        if options.json:
            codes.add(code(shown))
        elif len(wanted) == 1:
            codes.add(present(shown, out, err))
        else:
            out.say(head(shown, out))
            codes.add(code(shown))
            if state(shown) == "failed":
                err.show(f"coatcheck: {id[:8]}: {reason(shown)}")
    if options.json:
        print_json({"data": jobs})
    return max(codes, default=OK)
