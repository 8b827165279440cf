"""Everything that can go wrong, in one tree.

Two branches: a `Refusal` is an answer to a client whose request was not accepted; a `CallFailed` is the way an
attempt at a provider ended. The first line of a class's docstring is its default message.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

#: Where in a request a field is.
Place = Literal["body", "query", "path", "header"]


class CoatcheckError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        super().__init__(self.message)


class ConfigurationError(CoatcheckError):
    """The configuration cannot be used."""


class StoreLocked(CoatcheckError):
    """Another process owns this database."""


class StoreUnusable(CoatcheckError):
    """This file cannot serve as the job store."""


class Refusal(CoatcheckError):
    """The request was refused.

    `status` is the HTTP status, `code` a stable word for programs, `param` the field at fault and `place` where that
    is, `retry_after` the seconds after which the same request may do, where that is known, `headers` what else the
    answer says.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid_request"

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        place: Place = "body",
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.place: Place = place
        self.retry_after = retry_after
        self.headers = headers or {}


class InvalidRequest(Refusal):
    """The request is not valid."""


class UnknownModel(InvalidRequest):
    """No provider has this model."""


class Unacceptable(InvalidRequest):
    """What the request says is of the right form, and cannot be used: a tag, a source that cannot be fetched."""


class UnknownKey(Refusal):
    """virtual key not found"""

    code = "virtual_key_not_found"


class ExpiredKey(UnknownKey):
    """virtual key has expired"""

    status = 401
    code = "virtual_key_expired"


class Unauthorized(Refusal):
    """virtual key is required"""

    status = 401
    code = "virtual_key_required"


class InvalidToken(Refusal):
    """The bearer token is not valid."""

    status = 401
    code = "token_invalid"


class UnknownSigner(InvalidToken):
    """The bearer token is not valid: it was signed with a key that is not known.

    Its issuer may have a new key: the keys are loaded again, and the request is looked at once more.
    """


class Forbidden(Refusal):
    """This needs an admin key."""

    status = 403
    code = "forbidden"


class NotFound(Refusal):
    """There is nothing at this path."""

    status = 404
    code = "not_found"


class JobNotFound(NotFound):
    """job not found or expired"""

    code = "job_not_found"


class MethodNotAllowed(Refusal):
    """This path does not take that method."""

    status = 405
    code = "method_not_allowed"


class Conflict(Refusal):
    """The request does not fit the present state."""

    status = 409
    code = "conflict"


class KeyReused(Refusal):
    """This Idempotency-Key was used for another request; use a new key for a new request."""

    status = 422
    code = "idempotency_key_reused"


class Unprocessable(Refusal):
    """The request is well formed, but says what cannot be."""

    status = 422
    code = "unprocessable"


class UploadNotFound(NotFound):
    """file not found or expired"""

    code = "file_not_found"


class BodyTooLarge(Refusal):
    """The request's body is too large."""

    status = 413
    code = "body_too_large"


class UnsupportedEncoding(Refusal):
    """A request body must be sent without Content-Encoding."""

    status = 415
    code = "unsupported_encoding"


class Overloaded(Refusal):
    """Too many jobs are waiting."""

    status = 429
    code = "too_many_pending"


class RateLimited(Refusal):
    """Too many requests in a minute."""

    status = 429
    code = "rate_limited"


class Unavailable(Refusal):
    """The server cannot take jobs at the moment."""

    status = 503
    code = "unavailable"


class StoreUnavailable(Unavailable):
    """The database cannot be written or read at the moment."""

    code = "store_unavailable"


class CallFailed(CoatcheckError):
    """The provider could not carry out the call.

    `status` is what the job keeps as its `status_code`; `upstream` is the provider's own answer, redacted, as JSON;
    `retry_after` is in seconds, as the provider asked. What follows is decided by the class and the status: see
    `retries`.
    """

    status: int = 502
    type: str = "provider_error"
    code: str | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int | None = None,
        type: str | None = None,
        code: str | None = None,
        param: Any = None,
        retry_after: float | None = None,
        upstream: Any = None,
    ) -> None:
        super().__init__(message)
        # A provider can claim any status; the job's is one that HTTP knows as an error.
        self.status = min(max(status or self.status, 400), 599)
        self.type = type or self.type
        self.code = code or self.code
        self.param = param
        self.retry_after = retry_after
        self.upstream = upstream


class NotConnected(CallFailed):
    """The provider could not be reached.

    Nothing was sent, so nothing was paid: trying again costs no call.
    """

    code = "provider_unreachable"


class NotConfigured(CallFailed):
    """The provider is no longer configured.

    The next fallback may do; trying again would not.
    """

    status = 503
    code = "provider_not_configured"


class Refused(CallFailed):
    """The provider refused the call.

    It would refuse the same call again; the next fallback may do.
    """

    code = "refused"


class TimedOut(CallFailed):
    """The provider did not answer in time."""

    status = 504
    type = "request_timed_out"
    code = "timeout"


class Interrupted(CallFailed):
    """The connection to the provider was lost after the request was sent.

    Whether the provider carried it out, and charged for it, is unknown: `on_interrupt` decides what follows.
    """

    code = "interrupted"


class Stopped(Interrupted):
    """The server was stopped while the call was under way."""

    status = 503
    code = "server_stopped"


class Unusable(CallFailed):
    """The provider's answer cannot be used.

    The provider has done its work, and has probably charged for it: neither it nor another is called again.
    """

    code = "unusable_answer"


class Fault(CallFailed):
    """The server failed to carry out the call: a fault of its own."""

    status = 500
    type = "internal_error"
