"""LiteLLM's exceptions as our failures: one table, by the names of their classes.

The library stays in its own process; of an exception it tells the names of its classes, its words and its status.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ...engine.errors import CallFailed, Fault, Interrupted, NotConfigured, NotConnected, Refused, TimedOut, Unusable
from ...engine.retries import retry_after
from ..upstream import brief


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is known of an exception outside of the library's process."""

    #: Of its class and those above it, the nearest first.
    names: tuple[str, ...]
    message: str
    #: What it says the vendor answered with; None if it does not say.
    status: int | None = None
    #: The same, from the answer itself, which is among its causes.
    answered: int | None = None
    #: The vendor's own header.
    retry_after: str | None = None
    #: What went wrong below: "unsent", "lost", "garbled"; None where that is not known.
    how: str | None = None


Make = Callable[[str, Told], CallFailed]


def _answered(status: int, code: str | None = None) -> Make:
    """The vendor's answer, where the exception does not hold it."""

    def make(message: str, told: Told) -> CallFailed:
        said = told.answered or (told.status if told.status and told.status // 100 == status // 100 else status)
        if said in (401, 403):
            return _refused_key(message, told)
        upstream = {"status": said, "body": message}
        return CallFailed(message, status=said, code=code, retry_after=retry_after(told.retry_after), upstream=upstream)

    return make


def _refused_key(message: str, told: Told) -> CallFailed:
    upstream = {"status": told.answered or told.status, "body": message}
    return Refused(message, type="provider_authentication_error", upstream=upstream)


def _unknown(message: str, told: Told) -> CallFailed:
    """The library gives this name to whatever it cannot name better: what the vendor did is unknown."""
    return _answered(502)(message, told) if told.answered else Interrupted(message)


def _untranslated(message: str, told: Told) -> CallFailed:
    """An exception of one vendor's part of the library, which says with which status it answered; 500 is said where
    there was no answer."""
    if told.answered or told.status in (None, 500):
        return _unknown(message, told)
    return Unusable(message) if told.status < 400 else _answered(told.status)(message, told)


#: By what went wrong below, whatever the library calls it.
HOW: Mapping[str, Make] = {
    "unsent": lambda message, _: NotConnected(message),
    "lost": lambda message, _: Interrupted(message),
    "garbled": lambda message, _: Unusable(message),
}

#: By the names of the library's classes.
TABLE: Mapping[str, Make] = {
    "APIConnectionError": _unknown,
    "APIError": _unknown,
    "APIResponseValidationError": lambda message, _: Unusable(message),
    "AuthenticationError": _refused_key,
    "BadGatewayError": _answered(502),
    "BadRequestError": _answered(400),
    "BaseLLMException": _untranslated,
    "BlockedPiiEntityError": lambda message, _: Refused(message),
    "BudgetExceededError": lambda message, _: Refused(message),
    "ContentPolicyViolationError": _answered(400, "content_policy_violation"),
    "ContextWindowExceededError": _answered(400, "context_length_exceeded"),
    "GuardrailRaisedException": lambda message, _: Refused(message),
    "ImageFetchError": _answered(400),
    "InternalServerError": _unknown,
    "InvalidRequestError": _answered(400),
    "JSONSchemaValidationError": lambda message, _: Unusable(message),
    "LiteLLMUnknownProvider": lambda message, _: NotConfigured(message),
    "MidStreamFallbackError": _unknown,
    "MockException": _unknown,
    "ModelNotMappedError": lambda message, _: NotConfigured(message),
    "ModifyResponseException": lambda message, _: Refused(message),
    "NotFoundError": _answered(404),
    "OpenAIError": _unknown,
    "PaymentRequiredError": _answered(402),
    "PermissionDeniedError": _refused_key,
    "RateLimitError": _answered(429),
    "RejectedRequestError": _answered(400),
    "SensitiveDataRouteException": lambda message, _: Refused(message),
    "ServiceUnavailableError": _answered(503),
    "Timeout": lambda message, told: _answered(504)(message, told) if told.answered else TimedOut(message),
    "UnprocessableEntityError": _answered(422),
    "UnsupportedParamsError": _answered(400, "unsupported_parameter"),
    "VectorStoreSearchError": _answered(400),
}


def failure(provider: str, described: Mapping[str, Any], secrets: Collection[str]) -> CallFailed:
    """The failure that an exception of the library stands for; one that is not its own is a fault of ours."""
    told = Told(**{**described, "names": tuple(described["names"])})
    # Some have a traceback behind what went wrong, which names folders of this machine.
    text = told.message.partition("\nTraceback (most recent call last):")[0]
    for name in told.names:
        # The library puts the names of its classes before what the vendor said.
        text = text.removeprefix(f"litellm.{name}: ").removeprefix(f"{name}: ")
    message = f"provider {provider}: {brief(text, secrets) or told.names[0]}"
    make = HOW.get(told.how or "") or next((TABLE[name] for name in told.names if name in TABLE), None)
    return make(message, told) if make is not None else Fault(f"{message} ({told.names[0]})")
