"""What a vendor's own format has no word for: told to the client before the vendor is called."""

from ..engine.errors import CallFailed


def unsupported(message: str, param: str) -> CallFailed:
    """For a field that cannot be honoured."""
    return refusal(message, param)


def unreadable(message: str, param: str) -> CallFailed:
    """For content of a kind that the vendor does not read."""
    return refusal(message, param, "unsupported_content")


def invalid(message: str, param: str) -> CallFailed:
    """For a value that makes no sense where it stands."""
    return refusal(message, param, "invalid_value")


def refusal(message: str, param: str | None, code: str = "unsupported_parameter") -> CallFailed:
    """For whatever else cannot be done."""
    return CallFailed(message, status=400, type="invalid_request_error", code=code, param=param)
