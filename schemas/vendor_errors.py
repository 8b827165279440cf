"""Errors in the shapes and words of OpenAI's and Anthropic's APIs, as their own packages read them."""

from collections.abc import Mapping
from typing import Any

import orjson

from ..engine.errors import Refusal, UnknownKey, UnknownModel
from ..engine.jobs import State, Ticket
from . import v1

#: What ours are called there; None: they have no word for it.
_OPENAI_CODES = {
    "invalid_request": None,
    "not_found": None,
    "virtual_key_required": "invalid_api_key",
    "virtual_key_not_found": "invalid_api_key",
    "virtual_key_expired": "invalid_api_key",
    "token_invalid": "invalid_api_key",
    "rate_limited": "rate_limit_exceeded",
    "too_many_pending": "rate_limit_exceeded",
}
_OPENAI_TYPES = {403: "permission_error", 429: "rate_limit_error"}

_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}

#: A failure's type where its provider said none.
_NO_TYPE = "provider_error"


def status(refusal: Refusal) -> int:
    """The refusal's status there: for a key that is not known, and for a model, both vendors have one of their own."""
    if isinstance(refusal, UnknownKey):
        return 401
    return 404 if isinstance(refusal, UnknownModel) else refusal.status


def openai_refusal(refusal: Refusal, _request_id: str) -> bytes:
    code = "model_not_found" if isinstance(refusal, UnknownModel) else refusal.code
    return _openai(status(refusal), {"message": refusal.message, "code": code, "param": refusal.param})


def anthropic_refusal(refusal: Refusal, request_id: str) -> bytes:
    return _anthropic(status(refusal), refusal.message, request_id)


def openai_failure(ticket: Ticket) -> bytes:
    """The error of a job that has failed or was cancelled."""
    return _openai(ticket.job.status_code or 500, _said(ticket))


def anthropic_failure(ticket: Ticket, request_id: str) -> bytes:
    return _anthropic(ticket.job.status_code or 500, str(_said(ticket).get("message")), request_id)


def _said(ticket: Ticket) -> Mapping[str, Any]:
    """The message and, where they are known, the type, the code and the field."""
    if ticket.job.state is State.CANCELLED:
        return v1.cancelled(ticket.job)
    failure: Mapping[str, Any] = orjson.loads(ticket.body or b"{}")
    return failure


def _openai(status: int, said: Mapping[str, Any]) -> bytes:
    code, type = said.get("code"), said.get("type")
    if type in (None, _NO_TYPE):
        type = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    shown = {
        "message": said.get("message"),
        "type": type,
        "param": said.get("param"),
        "code": _OPENAI_CODES.get(code, code) if isinstance(code, str) else code,
    }
    return orjson.dumps({"error": shown}) + b"\n"


def _anthropic(status: int, message: str, request_id: str) -> bytes:
    type = _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    shown = {"type": "error", "error": {"type": type, "message": message}, "request_id": request_id}
    return orjson.dumps(shown) + b"\n"
