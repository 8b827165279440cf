"""A part of an answer, as a request's headers ask for it (RFC 9110, 14)."""

import re
from typing import NamedTuple

from aiohttp import hdrs, web

from ..engine.errors import Refusal

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


class NotInRange(Refusal):
    """The range begins after the end of the content."""

    status = 416
    code = "range_not_satisfiable"


class Range(NamedTuple):
    start: int
    #: Not included.
    end: int


def asked(request: web.BaseRequest, size_bytes: int, tag: str) -> Range | None:
    """The range that is asked for of content with that entity tag; None: all of it, since none is asked for, or
    several, or in a way that is not understood, or of content with another tag. Raises `NotInRange`."""
    found = _RANGE.fullmatch(request.headers.get(hdrs.RANGE, ""))
    if found is None or request.method != "GET" or request.headers.get(hdrs.IF_RANGE, tag).strip() != tag:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        # The last so many bytes.
        start, end = max(size_bytes - int(last), 0), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= size_bytes or start == end:
        raise NotInRange(f"the content has {size_bytes} bytes", headers={hdrs.CONTENT_RANGE: f"bytes */{size_bytes}"})
    return Range(start, end)
