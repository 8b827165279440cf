"""Errors in Google's way of telling them (https://google.aip.dev/193), and what its filters keep back."""

import re
from typing import Any

from ...engine.errors import CallFailed, Refused

_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


def understood(failed: CallFailed) -> CallFailed:
    """The error with what only Google's way of telling it says: that a key is not valid (in a 400), when to come back
    (in the body), and the word for it."""
    body = failed.upstream.get("body") if isinstance(failed.upstream, dict) else None
    told = body.get("error") if isinstance(body, dict) else None
    if not isinstance(told, dict):
        return failed
    listed = told.get("details")
    details = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    if any(each.get("reason") == "API_KEY_INVALID" for each in details):
        return Refused(failed.message, status=502, type="provider_authentication_error", upstream=failed.upstream)
    if failed.retry_after is None:
        failed.retry_after = next((wait for each in details if (wait := _delay(each)) is not None), None)
    if isinstance(told.get("status"), str):
        failed.code = told["status"]
    return failed


def filtered(message: str, upstream: Any) -> Refused:
    """For a prompt that was blocked, or an answer: the same again would be kept back again."""
    return Refused(
        message,
        status=400,
        type="invalid_request_error",
        code="content_filter",
        upstream={"status": 200, "body": upstream},
    )


def _delay(detail: dict[str, Any]) -> float | None:
    """Seconds, as google.rpc.RetryInfo tells them: "37s", "0.5s"."""
    found = _SECONDS.fullmatch(str(detail.get("retryDelay")))
    return float(found[1]) if found else None
