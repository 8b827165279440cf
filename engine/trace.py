"""W3C trace context (https://www.w3.org/TR/trace-context/): from the submit's headers to the upstream call's.

Kept with the job as one text: the `traceparent`, and after a space the `tracestate` if there is one.
"""

import re
from collections.abc import Mapping

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", re.ASCII
)
_MOST_MEMBERS = 32
#: Characters that everyone carries; of a state that is longer, members over the second go first, then those at the end.
_LONGEST_STATE, _LONGEST_MEMBER = 512, 128
#: What is longer than that cannot be valid, spaces apart, and is not looked at.
_LONGEST_GIVEN = _MOST_MEMBERS * 514
#: The flags that are known (level 2): sampled, and that the trace's id is random. Others are not passed on.
_FLAGS = 0b11


def read(given: Mapping[str, str]) -> str | None:
    """The trace context that a request came with; None if there is none, or it is not valid."""
    if "traceparent" not in given:
        return None
    parents = _all(given, "traceparent")
    found = _PARENT.fullmatch(parents[0].strip(" \t")) if len(parents) == 1 else None
    if found is None:
        return None
    version, trace, span, flags, rest = found.groups()
    if version == "ff" or set(trace) == {"0"} or set(span) == {"0"} or (version == "00" and rest):
        return None
    kept = f"00-{trace}-{span}-{int(flags, 16) & _FLAGS:02x}"
    state = _state(",".join(_all(given, "tracestate")))
    return f"{kept} {state}" if state else kept


def headers(kept: str | None) -> dict[str, str]:
    """The headers of a call that is made on behalf of the job: as they came, since a span of ours that nobody exports
    would be a gap in the trace."""
    if kept is None:
        return {}
    parent, _, state = kept.partition(" ")
    return {"traceparent": parent, **({"tracestate": state} if state else {})}


def trace_id(kept: str | None) -> str | None:
    """The trace's own id, for logs."""
    return None if kept is None else kept[3:35]


def _all(given: Mapping[str, str], name: str) -> list[str]:
    """A header may come several times."""
    return [value for key, value in given.items() if key.lower() == name]


def _state(given: str) -> str:
    """The vendors' own part, as far as it is carried on; empty if it is not valid, which leaves the rest as it is."""
    if len(given) > _LONGEST_GIVEN:
        return ""
    members = [part.strip(" \t") for part in given.split(",") if part.strip(" \t")]
    found = [_MEMBER.fullmatch(member) for member in members]
    keys = {member[1] for member in found if member is not None}
    # A key that comes twice counts here as well as what is no member at all.
    if len(members) > _MOST_MEMBERS or len(keys) < len(members):
        return ""
    long = [member for member in members if len(member) > _LONGEST_MEMBER]
    while len(",".join(members)) > _LONGEST_STATE:
        members.remove(long.pop() if long else members[-1])
    return ",".join(members)
