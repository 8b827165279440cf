"""Deliveries of webhooks as a person reads them, and which one is meant."""

import json
import re
from collections.abc import Iterable
from typing import Any

from coatcheck.engine.errors import CoatcheckError

from .client import Server
from .moments import brief, clock, moment, now
from .options import Misunderstood
from .pages import Pages
from .terminal import Terminal

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_BEGINNING = re.compile(r"[0-9a-f-]{4,35}", re.ASCII)
#: Among so many of the newest the beginning of an id is looked for.
_NEWEST = 1000

_HEAD = ("ID", "STATE", "RECEIVER", "JOB", "TRIES", "AGE", "LAST")
#: A terminal narrower than this is shown no jobs.
_NARROW = 90
_TIMES = (("made", "created_at"), ("tried", "tried_at"), ("next", "next_at"), ("ended", "ended_at"))


def find(server: Server, given: str) -> str:
    """The id of the delivery that is meant; raises `CoatcheckError` if there is none, or more than one. A whole id is
    taken as it is."""
    text = given.strip().lower()
    if _ID.fullmatch(text):
        return text
    if not _BEGINNING.fullmatch(text):
        raise Misunderstood(f"{given!r} is no delivery's id, and not the beginning of one (4 characters or more)")
    pages = Pages(server, "/v1/webhooks/deliveries", {}, _NEWEST)
    found = [one["id"] for page in pages for one in page if one["id"].startswith(text)]
    if not found:
        raise CoatcheckError(f"none of the newest deliveries has an id that begins with {text}")
    if len(found) > 1:
        raise CoatcheckError(f"more than one delivery has an id that begins with {text}: {', '.join(found[:5])}")
    return str(found[0])


def print_table(pages: Iterable[list[dict[str, Any]]], out: Terminal) -> bool:
    """Whether there were any."""
    shown = [index for index, name in enumerate(_HEAD) if name != "JOB" or out.width >= _NARROW]
    head = [_HEAD[index] for index in shown]
    widths: list[int] = []
    for page in pages:
        rows = [[_row(delivery)[index] for index in shown] for delivery in page]
        widths = out.table(head, rows, flexible=head.index("RECEIVER"), widths=widths)
    return bool(widths)


def print_one(delivery: dict[str, Any], out: Terminal) -> None:
    tries = delivery["attempts"]
    lines = [
        ("delivery", delivery["id"]),
        ("job", delivery["job_id"]),
        ("receiver", _receiver(delivery)),
        ("event", delivery["event"]),
        ("state", f"{delivery['state']}, after {tries} attempt{'' if tries == 1 else 's'}"),
        *((name, clock(delivery[key])) for name, key in _TIMES if key in delivery),
        ("last", _last(delivery)),
    ]
    for name, value in lines:
        if value:
            out.hang(f"{name:<9} ", 10, value)
    out.show(json.dumps(delivery["payload"], indent=2, ensure_ascii=False))


def _row(delivery: dict[str, Any]) -> tuple[str, ...]:
    age = (now() - moment(delivery["created_at"])).total_seconds()
    tries = str(delivery["attempts"])
    shown = (delivery["id"][:8], delivery["state"], _receiver(delivery), delivery["job_id"][:8], tries, brief(age))
    return (*shown, str(delivery.get("status_code", _last(delivery).removeprefix("the receiver "))))


def _receiver(delivery: dict[str, Any]) -> str:
    return str(delivery.get("endpoint") or delivery["url"])


def _last(delivery: dict[str, Any]) -> str:
    """What came of the last attempt."""
    return str(delivery.get("error", delivery.get("status_code", "")))
