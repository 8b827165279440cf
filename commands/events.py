"""A job's events as a client reads them: server-sent events, line by line
(https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    #: None for progress, which is not told again.
    id: str | None
    kind: str
    data: dict[str, Any]


def events(lines: Iterable[str]) -> Iterator[Event]:
    """The events that these lines make; one that is cut off is none."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name:
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        elif not line:
            if "data" in fields:
                kind = fields.get("event", "message")
                yield Event(id=fields.get("id"), kind=kind, data=json.loads(fields["data"]))
            fields = {}
