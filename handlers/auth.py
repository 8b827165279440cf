"""Who calls: the virtual key or bearer token in a request's headers, and what follows when there is none."""

import base64
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from ..engine.errors import ExpiredKey, Forbidden, Unauthorized, UnknownKey
from ..engine.keys import ANONYMOUS, PREFIX, Caller
from ..schemas.config import AuthRequired
from .gateway import Gateway

_ANYONE = Caller(ANONYMOUS)
#: While a server is open, whoever reaches the server on a loopback address is its operator.
_OPERATOR = Caller(ANONYMOUS, admin=True)


def is_loopback(host: str) -> bool:
    """Whether the name or address is this machine's own, and reachable from it alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """The name in a Host header, without its port; empty if it has none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def caller(gateway: Gateway, request: web.BaseRequest) -> Caller:
    """The owner in whose name the request is made. To be asked before anything else is done: for `UnknownSigner` the
    handler is called a second time.

    Headers count in this order: x-bf-vk, Authorization, x-api-key, x-goog-api-key. A token that is not known and does
    not look like a virtual key is another vendor's: the next header counts. Raises `Unauthorized` if a key is needed
    and none is given, `UnknownKey` if the one given is not valid, `ExpiredKey` if it no longer is, `InvalidToken` if it
    is a JWT that is not valid, `UnknownSigner` if its key is not known.
    """
    given = False
    for token, certain, bearer in _tokens(gateway, request):
        known = gateway.keys.caller(token)
        if known is None and bearer and gateway.tokens is not None:
            known = gateway.tokens.caller(token)
        if known is not None:
            return known
        if gateway.keys.expired(token):
            raise ExpiredKey
        if certain:
            raise UnknownKey
        given = True
    required = gateway.config.auth.required
    if required is AuthRequired.FALSE:
        return _ANYONE
    if required is AuthRequired.AUTO and not guarded(gateway) and _is_local(request):
        return _OPERATOR
    raise UnknownKey if given else Unauthorized


def guarded(gateway: Gateway) -> bool:
    """Whether anybody has been given a key or token."""
    return bool(gateway.keys) or gateway.tokens is not None


def admin(gateway: Gateway, request: web.BaseRequest) -> Caller:
    """The caller, if it is an admin; raises `Forbidden` if not."""
    who = caller(gateway, request)
    if not who.admin:
        raise Forbidden
    return who


def _is_local(request: web.BaseRequest) -> bool:
    """Whether the connection came in at an address that only this machine reaches, and was meant for it. Asked of the
    connection, not of the configuration: an application that embeds the gateway listens where it likes. And of the
    Host, whatever is allowed there: a page of another site can have a name that leads here, as can a proxy."""
    address = request.get_extra_info("sockname")
    near = isinstance(address, str) or (bool(address) and is_loopback(address[0]))
    return near and _means_us(request.headers.get(hdrs.HOST, ""))


@lru_cache(maxsize=100)
def _means_us(host: str) -> bool:
    return is_loopback(host_name(host))


def _tokens(gateway: Gateway, request: web.BaseRequest) -> Iterator[tuple[str, bool, bool]]:
    """The tokens; whether each is certainly meant for us, since clients send made-up keys of other vendors too; and
    whether it is a bearer's, which may be a JWT."""
    headers = request.headers
    token = headers.get("x-bf-vk")
    if token:
        yield token, True, False
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    value = value.strip()
    if value and scheme.lower() == "bearer":
        yield value, _ours(value), True
    elif value and scheme.lower() == "basic":
        yield _password(gateway, value), True, False
    for name in ("x-api-key", "x-goog-api-key"):
        token = headers.get(name)
        if token:
            yield token, _ours(token), False


def _ours(token: str) -> bool:
    return token[: len(PREFIX)].lower() == PREFIX


def _password(gateway: Gateway, value: str) -> str:
    """The password of Basic credentials, which must be an admin's key; else a token that nobody has."""
    try:
        password = base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""
    known = gateway.keys.caller(password)
    return password if known is not None and known.admin else ""
