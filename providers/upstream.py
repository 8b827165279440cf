"""What every adapter needs of a vendor's HTTP answer: a counted read, and its errors as ours, without secrets."""

import re
from collections.abc import AsyncGenerator, Collection
from contextlib import suppress
from typing import Any

import aiohttp
import orjson

from ..engine.errors import CallFailed, Refused, Unusable
from ..engine.retries import retry_after

#: Of an error's body, this much is looked at, and of that this much is kept with the job.
_MAX_READ_BYTES = 65_536
_MAX_ERROR_BYTES = 16_384
_MAX_TEXT = 500

#: Words that stand for a status where there is none.
_STATUSES = {"rate_limit_exceeded": 429, "server_error": 500}
_ERROR_STATUS = re.compile(r"[45]\d\d", re.ASCII)

#: The code of an error that lasts until the account is paid for.
NO_QUOTA = "insufficient_quota"

_SECRET = re.compile(r"\b(sk|pk|rk|key|gsk|xai)-[\w*.\-]{4,}|(?i:bearer)\s+[\w.~+/\-]{8,}=*", re.ASCII)


async def read_answer(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, up to `most` bytes. Raises `Unusable` as `pieces` does."""
    return b"".join([piece async for piece in pieces(response, most)])


async def read_error(response: aiohttp.ClientResponse) -> bytes:
    """What can be had of an error's body: the beginning is enough, and what it says matters less than its status."""
    said = b""
    if not _compressed(response):
        with suppress(aiohttp.ClientError):
            async for piece in response.content.iter_any():
                said += piece
                if len(said) >= _MAX_READ_BYTES:
                    break
    return said[:_MAX_READ_BYTES]


def _compressed(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("Content-Encoding", "identity").lower() != "identity"


async def pieces(response: aiohttp.ClientResponse, most: int) -> AsyncGenerator[bytes]:
    """The body as it comes, up to `most` bytes.

    Raises `Unusable` if it is larger, or compressed although nobody asked.
    """
    if _compressed(response):
        raise Unusable("the provider answered compressed, although it was asked not to")
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > most:
            raise Unusable(f"the provider's answer is larger than {most} bytes", code="result_too_large")
        yield piece


def failure(provider: str, response: aiohttp.ClientResponse, body: bytes, secrets: Collection[str] = ()) -> CallFailed:
    """The error that a vendor answered with, as the job keeps it."""
    status = response.status
    kept, details, text = _told(body, secrets)
    message = f"provider {provider} answered {status}: {text or brief(response.reason or '', secrets) or 'no text'}"
    return _failure(message, status, kept, details, retry_after(response.headers.get("Retry-After")))


def stream_failure(provider: str, data: bytes, secrets: Collection[str] = ()) -> CallFailed:
    """The error that a vendor sent in its stream: it has answered 200 by then, and only the error's words can say with
    which status it would have. Without one it is `Refused`, as an error in any other 200."""
    kept, details, text = _told(data, secrets)
    message = f"provider {provider} ended its stream with an error: {text or 'no text'}"
    words = (details.get(key) for key in ("code", "status_code", "type"))
    status = next((status for status in map(_status, words) if status is not None), None)
    if status is None:
        return Refused(message, upstream={"status": 200, "body": kept})
    return _failure(message, status, kept, details)


def _failure(
    message: str, status: int, body: Any, details: dict[str, Any], retry_after: float | None = None
) -> CallFailed:
    upstream = {"status": status, "body": body}
    if status in (401, 403):
        # The gateway's own credentials are at fault, not the client's.
        return Refused(message, status=502, type="provider_authentication_error", upstream=upstream)
    if status < 400:
        return Refused(message, status=502, code="unexpected_status", upstream=upstream)
    if NO_QUOTA in (details.get("code"), details.get("type")):
        # OpenAI says 429, but no waiting will help: the account has no money left.
        return Refused(message, status=status, type=_word(details.get("type")), code=NO_QUOTA, upstream=upstream)
    return CallFailed(
        message,
        status=status,
        type=_word(details.get("type")),
        code=_word(details.get("code")),
        param=details.get("param"),
        retry_after=retry_after,
        upstream=upstream,
    )


def _told(body: bytes, secrets: Collection[str]) -> tuple[Any, dict[str, Any], str | None]:
    """What is kept of an error's body, its error object if it has one, and what it says to a reader."""
    kept = _parsed(body[:_MAX_READ_BYTES], secrets)
    said = kept.get("error", kept) if isinstance(kept, dict) else kept
    details = said if isinstance(said, dict) else {}
    text = (details.get("message") or details.get("detail")) if details else said
    return kept, details, str(text)[:_MAX_TEXT] if text else None


def _status(word: object) -> int | None:
    if isinstance(word, str):
        return _STATUSES.get(word) or (int(word) if _ERROR_STATUS.fullmatch(word) else None)
    return word if isinstance(word, int) and 400 <= word <= 599 else None


def brief(text: str, secrets: Collection[str] = ()) -> str:
    """The beginning of the text, redacted before it is cut: half a secret would not be recognised."""
    return redacted(text[:_MAX_READ_BYTES], secrets)[:_MAX_TEXT]


def unquoted(answer: bytes, secrets: Collection[str]) -> bytes:
    """A success's body without the secrets, should it quote them; what only looks like one may be its text."""
    for secret in secrets:
        answer = answer.replace(secret.encode(), b"***")
    return answer


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
        with suppress(orjson.JSONDecodeError, RecursionError):
            return _redacted_json(orjson.loads(body), secrets)
    return brief(body.decode("utf-8", "replace"), secrets)


def _word(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None
