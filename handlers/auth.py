"""Who calls: the virtual key in a request's headers, and what follows when there is none."""

import base64
import binascii
from ipaddress import ip_address

from multidict import CIMultiDictProxy

from ..engine.errors import Forbidden, Unauthorized, UnknownKey
from ..engine.keys import ANONYMOUS, PREFIX, Caller
from ..schemas.config import AuthRequired
from .gateway import Gateway

_ANYONE = Caller(ANONYMOUS)
#: While the server is open, since nobody has made a key, whoever reaches its loopback address is the operator.
_OPERATOR = Caller(ANONYMOUS, admin=True)


def is_loopback(host: str) -> bool:
    """Whether the name or address is this machine's own, and reachable from it alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def caller(gateway: Gateway, headers: CIMultiDictProxy[str]) -> Caller:
    """The owner in whose name the request is made.

    The first header that carries a token counts: x-bf-vk, Authorization, x-api-key, x-goog-api-key. Raises
    `Unauthorized` if a key is needed and none is given, `UnknownKey` if the one given is not valid.
    """
    token, certain = _token(gateway, headers)
    if token is not None:
        known = gateway.keys.caller(token)
        if known is not None:
            return known
    required = gateway.config.auth.required
    is_open = required is AuthRequired.FALSE or (required is AuthRequired.AUTO and not gateway.keys)
    if token is not None and (certain or not is_open):
        raise UnknownKey
    if not is_open:
        raise Unauthorized
    return _ANYONE if required is AuthRequired.FALSE else _OPERATOR


def admin(gateway: Gateway, headers: CIMultiDictProxy[str]) -> Caller:
    """The caller, if it is an admin; raises `Forbidden` if not."""
    who = caller(gateway, headers)
    if not who.admin:
        raise Forbidden
    return who


def _token(gateway: Gateway, headers: CIMultiDictProxy[str]) -> tuple[str | None, bool]:
    """The token, and whether it is meant for us: on an open server, clients send made-up keys of other vendors."""
    token = headers.get("x-bf-vk")
    if token:
        return token, True
    authorization = headers.get("Authorization", "")
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if value and scheme.lower() == "bearer":
        return value, _ours(value)
    if value and scheme.lower() == "basic":
        return _password(gateway, value), True
    for name in ("x-api-key", "x-goog-api-key"):
        token = headers.get(name)
        if token:
            return token, _ours(token)
    return None, False


def _ours(token: str) -> bool:
    return token[: len(PREFIX)].lower() == PREFIX


def _password(gateway: Gateway, value: str) -> str:
    """The password of Basic credentials, which must be an admin's key; else a token that nobody has."""
    try:
        password = base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
    known = gateway.keys.caller(password)
    return password if known is not None and known.admin else ""
