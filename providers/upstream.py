"""What every adapter needs of a vendor's HTTP answer: a counted read, and its errors as ours, without secrets."""

import re
import time
from collections.abc import Collection
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from ..engine.errors import CallFailed, Refused, Unusable

#: Of an error's body, this much is kept with the job.
_MAX_ERROR_BYTES = 16_384
_MAX_TEXT = 500

_SECRET = re.compile(r"\b(sk|pk|rk|key|gsk|xai)-[\w*.\-]{4,}|(?i:bearer)\s+[\w.~+/\-]{8,}=*", re.ASCII)


async def read_answer(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, up to `most` bytes. Raises `Unusable` if it is larger, or compressed although nobody asked."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise Unusable(f"the provider answered in {encoding!r} although it was asked not to compress")
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            if response.status >= 400:
                break
            raise Unusable(f"the provider's answer is larger than {most} bytes", code="result_too_large")
        chunks.append(chunk)
    return b"".join(chunks)


def failure(provider: str, response: aiohttp.ClientResponse, body: bytes, secrets: Collection[str] = ()) -> CallFailed:
    """The error that a vendor answered with, as the job keeps it."""
    status = response.status
    upstream = _redacted_json(_parsed(body, secrets), secrets)
    said = upstream.get("error", upstream) if isinstance(upstream, dict) else upstream
    details = said if isinstance(said, dict) else {}
    text = details.get("message") if details else said
    message = f"provider {provider} answered {status}: {str(text or response.reason or 'no text')[:_MAX_TEXT]}"
    kept = {"status": status, "body": upstream}
    if status in (401, 403):
        # The gateway's own credentials are at fault, not the client's.
        return Refused(message, status=502, type="provider_authentication_error", upstream=kept)
    if status < 400:
        return Refused(message, status=502, code="unexpected_status", upstream=kept)
    return CallFailed(
        message,
        status=status,
        type=_word(details.get("type")),
        code=_word(details.get("code")),
        param=details.get("param"),
        retry_after=retry_after(response.headers.get("Retry-After")),
        upstream=kept,
    )


def retry_after(value: str | None) -> float | None:
    """Seconds, from a Retry-After header of either form (RFC 9110, 10.2.3); None if there is none or it is garbage."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def redacted(text: str, secrets: Collection[str] = ()) -> str:
    """The text without the secrets, and without what looks like a part of one."""
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    return _SECRET.sub("[redacted]", text)


def _redacted_json(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, str):
        return redacted(value, secrets)
    if isinstance(value, list):
        return [_redacted_json(item, secrets) for item in value]
    if isinstance(value, dict):
        return {redacted(key, secrets): _redacted_json(item, secrets) for key, item in value.items()}
    return value


def _parsed(body: bytes, secrets: Collection[str]) -> Any:
    if len(body) <= _MAX_ERROR_BYTES:
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(body)
    # Redacted before it is cut: half a secret would not be recognised.
    return redacted(body.decode("utf-8", "replace"), secrets)[:_MAX_TEXT]


def _word(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None
