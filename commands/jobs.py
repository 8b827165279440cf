"""`coatcheck jobs`: lists jobs, newest first."""

import argparse
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from .client import Server
from .moments import between, brief, lasted, moment, now
from .options import OK, duration
from .pages import Pages, limit, limits, print_json
from .terminal import Terminal
from .watching import state

_STATUSES = ("pending", "processing", "completed", "failed", "cancelled")
_HEAD = ("ID", "STATUS", "OPERATION", "MODEL", "AGE", "TOOK")
#: A terminal narrower than this is shown no operations.
_NARROW = 72


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "jobs",
        help="list jobs, newest first",
        description="Your key's jobs, newest first; an admin's key sees every owner's. What has expired is gone.",
    )
    command.add_argument(
        "--status",
        choices=_STATUSES,
        metavar="STATUS",
        help=f"{', '.join(_STATUSES[:-1])} (which includes cancelled) or {_STATUSES[-1]}",
    )
    command.add_argument("--operation", metavar="NAME", help="as chat/completions")
    command.add_argument("--provider", metavar="NAME", help="that runs, ran or is next")
    command.add_argument("--model", metavar="NAME", help="as the submit named it")
    command.add_argument("--since", type=duration, metavar="S", help="submitted within the last 90s, 10m, 1h, 2d")
    limits(command)
    command.add_argument("--json", action="store_true", help='print JSON: {"data": [job, …]}')
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    pages = Pages(Server.configured(), "/v1/async/jobs", _filters(options), limit(options))
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    if options.json:
        print_json(pages)
    elif not _print_table(pages, out):
        err.say("There are no such jobs." if _filters(options) else "There are no jobs.")
    if pages.more:
        err.say("more: --limit N or --all")
    return OK


def _print_table(pages: Iterable[list[dict[str, Any]]], out: Terminal) -> bool:
    """Whether there were any jobs."""
    shown = [index for index, name in enumerate(_HEAD) if name != "OPERATION" or out.width >= _NARROW]
    head = [_HEAD[index] for index in shown]
    widths: list[int] = []
    for page in pages:
        rows = [[_row(job)[index] for index in shown] for job in page]
        widths = out.table(head, rows, flexible=head.index("MODEL"), widths=widths)
    return bool(widths)


def _filters(options: argparse.Namespace) -> dict[str, str]:
    given = {name: getattr(options, name) for name in ("status", "operation", "provider", "model")}
    found = {name: value for name, value in given.items() if value is not None}
    if options.since is not None:
        found["created_after"] = (now() - timedelta(seconds=options.since)).isoformat()
    return found


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    age = (now() - moment(job["created_at"])).total_seconds()
    took = lasted(between(job["created_at"], job["completed_at"])) if "completed_at" in job else ""
    return job["id"][:8], state(job), job["operation"], job["model"], brief(age), took
