"""What a vendor's own format has no word for: told to the client before the vendor is called."""

from ..engine.errors import CallFailed


def unsupported(message: str, param: str) -> CallFailed:
    """For a field that cannot be honoured."""
    return _refusal(message, "unsupported_parameter", param)


def unreadable(message: str, param: str) -> CallFailed:
    """For content of a kind that the vendor does not read."""
    return _refusal(message, "unsupported_content", param)


def invalid(message: str, param: str) -> CallFailed:
    """For a value that makes no sense where it stands."""
    return _refusal(message, "invalid_value", param)


def _refusal(message: str, code: str, param: str) -> CallFailed:
    return CallFailed(message, status=400, type="invalid_request_error", code=code, param=param)
