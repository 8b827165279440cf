"""`coatcheck explain`: one job's story for a person, and why it is where it is."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from . import ids
from .answers import print_json, reason
from .client import Server
from .course import released, standing
from .moments import between, clock, lasted, moment, now
from .options import OK
from .terminal import STATUS_COLOURS, Terminal, fitted
from .watching import ENDS, job, state

_WORD_COLUMNS = 11

#: A step: when, a word, and what there is to say.
Step = tuple[str, str, str]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "explain",
        help="tell one job's story, and why it has not started",
        description="Each step with its time and cause, how long the job waited and ran, its cost, what comes next.",
    )
    command.add_argument("id", metavar="ID", help=ids.HELP)
    command.add_argument("--json", action="store_true", help="print the job with its attempts and its plan as JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    server = Server.configured()
    shown = job(server, ids.find(server, options.id), story=True)
    if options.json:
        print_json(shown)
        return OK
    out = Terminal(sys.stdout)
    status = state(shown)
    out.say(f"{out.paint(shown['id'], 'bold')}  {out.paint(status, STATUS_COLOURS[status])}")
    out.show(f"{shown['operation']}, {_route(shown)}")
    out.say("")
    for at, word, text in _story(shown):
        colour = STATUS_COLOURS.get(word)
        head = f"{out.paint(clock(at), 'dim')}  {out.paint(fitted(word, _WORD_COLUMNS), colour)} "
        out.hang(head, len(clock(at)) + 3 + _WORD_COLUMNS, text)
    out.say("")
    for line in _ending(shown) if status in ENDS else _prospects(shown):
        out.hang("", 0, line)
    return OK


def _route(shown: dict[str, Any]) -> str:
    """Where it may run, in order."""
    names = [f"{target['provider']}/{target['model']}" for target in shown["plan"]["targets"]]
    return ", then ".join(names)


def _story(shown: dict[str, Any]) -> Iterator[Step]:
    plan = shown["plan"]
    again = f"again, after {shown['parent']}; " if "parent" in shown else ""
    yield shown["created_at"], "submitted", f"{again}priority {plan['priority']}"
    since, told = shown["created_at"], False
    lanes = {(target["provider"], target["model"]): target["lane"] for target in plan["targets"]}
    for attempt in shown["attempts"]:
        lane = lanes.get((attempt["provider"], attempt["model"]))
        at = f"{attempt['provider']}/{attempt['model']}"
        waited = lasted(between(since, attempt["started_at"]))
        yield (
            attempt["started_at"],
            "claimed",
            f"attempt {attempt['attempt']} at {at} in lane {lane}, after a wait of {waited}",
        )
        if "ended_at" not in attempt:
            continue
        since = attempt["ended_at"]
        ran = f"after {lasted(between(attempt['started_at'], since))}"
        if attempt["status"] == "released":
            yield since, "released", f"{ran}: {released(attempt, at)}"
        else:
            told = True
            yield since, attempt["status"], f"{ran}{_outcome(shown)}"
    if not told and "completed_at" in shown:
        yield shown["completed_at"], state(shown), f"while it waited{_outcome(shown)}"


def _outcome(shown: dict[str, Any]) -> str:
    if "error" not in shown:
        return ""
    words = reason(shown)
    return f", status {shown['status_code']}: {words}" if state(shown) == "failed" else f": {words}"


def _ending(shown: dict[str, Any]) -> Iterator[str]:
    plan = shown["plan"]
    whole = between(shown["created_at"], shown["completed_at"])
    ran = sum(between(a["started_at"], a["ended_at"]) for a in shown["attempts"] if "ended_at" in a)
    cost = f", cost {_money(shown['cost'])}" if "cost" in shown else ""
    calls = f"{plan['calls']} call{'' if plan['calls'] == 1 else 's'}"
    yield f"It took {lasted(whole)}: waited {lasted(whole - ran)}, ran {lasted(ran)}; {calls}{cost}."
    left = (moment(shown["expires_at"]) - now()).total_seconds()
    yield f"Kept until {clock(shown['expires_at'])}, {lasted(left)} from now, then deleted."
    if state(shown) != "completed":
        yield f"`coatcheck retry {shown['id'][:8]}` does it again."


def _prospects(shown: dict[str, Any]) -> Iterator[str]:
    plan = shown["plan"]
    at = plan["targets"][plan["target"]]
    name = f"{at['provider']}/{at['model']}"
    if shown["status"] == "pending":
        before = "It has not started" if not shown["attempts"] else "It waits to be tried again"
        why = standing(shown.get("queue"))
        yield f"{before}: {why}." if why else f"{before}."
    else:
        since = (now() - moment(shown["attempts"][-1]["started_at"])).total_seconds()
        yield f"It runs at {name} for {lasted(since)}{_so_far(shown.get('progress'))}."
    rest = [f"{target['provider']}/{target['model']}" for target in plan["targets"][plan["target"] + 1 :]]
    tries = plan["tries_left"]
    more = "more " if shown["attempts"] else ""
    again = f"{tries} {more}{'try' if tries == 1 else 'tries'} at {name}" if tries else ""
    if then := ", then ".join([*([again] if again else []), *rest]):
        head = "It has" if shown["status"] == "pending" else "If that fails:"
        yield f"{head} {then}; {plan['calls_left']} calls at most."
    else:
        yield "If that fails, the job fails: no try and no fallback is left."
    if "ends_by" in plan:
        yield f"It fails if it has not ended by {clock(plan['ends_by'])}."
    if "cancel_at" in shown:
        yield f"It is cancelled if it has not ended by {clock(shown['cancel_at'])}."
    yield f"From its end the outcome is kept for {lasted(plan['ttl_seconds'])}."


def _so_far(progress: dict[str, Any] | None) -> str:
    if progress is None:
        return ""
    total = f" of {progress['total']}" if "total" in progress else ""
    return (
        f", {progress['done']} %"
        if progress["unit"] == "percent"
        else f", {progress['done']}{total} {progress['unit']}"
    )


def _money(dollars: str) -> str:
    return "nothing" if dollars == "0" else f"${dollars}"
