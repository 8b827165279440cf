"""What a server's refusal means to whoever gave the command: its reason, and what to do about it."""

import json
from collections.abc import Mapping
from email.message import Message
from typing import Any

from coatcheck.engine.errors import CoatcheckError

#: Where no server was found, or another one.
WHERE = "is COATCHECK_URL right, and does `coatcheck serve` run there?"


class ServerRefused(CoatcheckError):
    """The server refused.

    `status`, `code` and `reason` are the answer's, the message has the reason and what to do.
    """

    def __init__(self, message: str, *, status: int, code: str | None, reason: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.reason = reason


def refusal(url: str, path: str, status: int, headers: Message, body: bytes, *, keyed: bool) -> ServerRefused | None:
    """The refusal in the answer of the server at `url`; None if it is none. What is no answer of this API is one.
    `keyed`: a key was sent."""
    if status == 204:
        return None
    told = _object(body)
    if told is not None and status < 300:
        return None
    error = (told or {}).get("error")
    details: Mapping[str, Any] = error if isinstance(error, dict) else {}
    code = details.get("code")
    # Other servers have numbers there.
    code = code if isinstance(code, str) else None
    said = details.get("message") or (told or {}).get("reason")
    if said:
        cure = _cure(status, code, path, headers.get("Retry-After"), keyed)
        message = f"{url} refused: {said}" if cure is None else f"{url} refused: {str(said).removesuffix('.')}; {cure}"
    elif elsewhere := headers.get("Location"):
        message = f"{url} leads to {elsewhere}: set COATCHECK_URL to that"
    else:
        message = f"what answers at {url} is no Coatcheck server (status {status}): {WHERE}"
    return ServerRefused(message, status=status, code=code, reason=str(said) if said else None)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(body)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _cure(status: int, code: str | None, path: str, retry_after: str | None, keyed: bool) -> str | None:
    """What to do, where that is not in the message."""
    admins = path.startswith(("/v1/keys", "/v1/webhooks/endpoints"))
    kind = "an admin's key" if admins else "a key"
    if status == 401 or (code or "").startswith("virtual_key"):
        return "COATCHECK_KEY is not valid here (any more)" if keyed else f"set COATCHECK_KEY to {kind}"
    if code == "forbidden" and admins:
        return f"set COATCHECK_KEY to {kind}"
    if code == "job_not_found" and keyed:
        return "or the key in COATCHECK_KEY may not see it"
    return f"try again in {retry_after} s" if retry_after is not None else None
