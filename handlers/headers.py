"""What the headers of a submit say of the job, apart from who asks and what for."""

import re
from collections.abc import Mapping

from ..engine.errors import InvalidRequest
from ..engine.jobs import SECOND
from ..engine.settings import JobSettings

_TTL = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_URGENCY = re.compile(r"(?:^|,)\s*u=([0-7])\s*(?:[,;]|$)", re.ASCII)
#: Characters that a request id may bring along.
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
#: Hours, minutes and seconds, each optional, and a bare number for seconds: 90, 90s, 1m30s, 1h.
_DURATION = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,8})m)?(?:([0-9]{1,9})s?)?", re.ASCII)
#: The draft's quoted string, or the bare word that most clients send.
_KEY = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"|([\x21\x23-\x7e]{1,255})', re.ASCII)

_DEFAULT_PRIORITY = 3
_LONGEST_CANCEL_SECONDS = 31_536_000


def ttl_seconds(header: str | None, settings: JobSettings, dialect: str = "v1") -> int:
    """How long the outcome is kept; what is not a positive integer means the dialect's default, and is never an
    error."""
    asked = 0
    if header is not None and _TTL.fullmatch(header):
        asked = int(header)
    usual = settings.v3_result_ttl_seconds if dialect == "v3" else settings.result_ttl_seconds
    return min(asked if asked > 0 else usual, settings.max_result_ttl_seconds)


def priority(header: str | None) -> int:
    """The urgency in a Priority header (RFC 9218), 0 first to 7 last."""
    found = _URGENCY.search(header) if header else None
    return int(found[1]) if found else _DEFAULT_PRIORITY


def request_id(headers: Mapping[str, str]) -> str | None:
    """The caller's own request id; None if there is none that could be a header of an answer."""
    given = headers.get("x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else None


def cancel_at(header: str | None, now: int) -> int | None:
    """When the job is to be cancelled, from a Cancel-After header: a duration from now, as `90`, `90s`, `1m30s` or
    `1h`. Raises `InvalidRequest` for anything else: a limit that is not kept would be worse."""
    if header is None:
        return None
    found = _DURATION.fullmatch(header.strip())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if not 0 < total <= _LONGEST_CANCEL_SECONDS:
        raise InvalidRequest(
            f"Cancel-After: expected a time from now, as 90, 90s, 1m30s or 1h, got {header[:40]!r}",
            param="Cancel-After",
            place="header",
        )
    return now + total * SECOND


def idempotency_key(header: str | None) -> str | None:
    """The key of an Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header), in quotes or bare."""
    if header is None:
        return None
    found = _KEY.fullmatch(header.strip())
    if found is None:
        raise InvalidRequest(
            "Idempotency-Key: expected 1 to 255 printable ASCII characters, in quotes if there are spaces",
            param="Idempotency-Key",
            place="header",
        )
    return re.sub(r'\\(["\\])', r"\1", found[1]) if found[1] is not None else found[2]
