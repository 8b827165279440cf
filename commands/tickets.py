"""What becomes of a ticket: it is printed, or its job is watched to the end."""

import sys
import time
from typing import Any

from .answers import code, present, print_json
from .client import Server
from .downloads import save
from .options import OK, UNFINISHED
from .terminal import Terminal
from .watching import watch


def follow(
    server: Server,
    ticket: dict[str, Any],
    *,
    wait_seconds: float | None,
    as_json: bool,
    output: str | None = None,
) -> int:
    """Prints the ticket; or, with `wait_seconds` not None, waits for so long and prints the job, or saves its answer
    under the name `output`. The exit code."""
    id = ticket["id"]
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    if wait_seconds is None:
        if as_json:
            print_json(ticket)
        else:
            out.say(id)
            err.say(err.paint(f"{ticket['status']}; `coatcheck wait {id[:8]}` waits for the answer", "dim"))
        return OK
    try:
        shown = watch(server, id, err, deadline=time.monotonic() + wait_seconds)
    except KeyboardInterrupt:
        err.say(f"coatcheck: the job goes on: {_ways(id)}")
        raise
    if shown is None:
        if as_json:
            print_json(ticket)
        err.say(f"coatcheck: not ended within {wait_seconds:g} s; the job goes on: {_ways(id)}")
        return UNFINISHED
    return finish(server, shown, as_json=as_json, output=output)


def finish(server: Server, shown: dict[str, Any], *, as_json: bool, output: str | None = None) -> int:
    """Prints the job as it is, and its answer, or saves the answer under the name `output`. The exit code."""
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    if as_json and output != "-":
        print_json(shown)
        exit_code = code(shown)
    else:
        exit_code = present(shown, out, err, answer=output is None)
    if output is not None and "result" in shown:
        save(server, shown, output, err)
    return exit_code


def _ways(id: str) -> str:
    return f"`coatcheck get {id}` shows it, `coatcheck cancel {id}` ends it"
