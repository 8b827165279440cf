"""Keeps web pages from driving a server that listens on the same machine.

A page of any site can send requests to localhost, and can point a name of its own there (DNS rebinding). So the Host
must be one of ours, and a request that a browser marks as coming from elsewhere is refused. No cookie ever counts.
Links to files of results may stand on any page: they say themselves who may read them.
"""

from collections.abc import Callable

from aiohttp import hdrs, web
from multidict import istr

from ..engine.errors import Forbidden
from ..schemas.config import ServerSettings
from .auth import host_name, is_loopback
from .health import PROBES
from .links import is_link

_SITE = istr("Sec-Fetch-Site")


def host_rule(server: ServerSettings) -> Callable[[str], bool]:
    """Whether a Host header, without its port, is allowed."""
    names = {name.lower() for name in server.allowed_hosts}
    if "*" in names or (not names and not is_loopback(server.host)):
        return lambda _host: True
    if names:
        return lambda host: host in names
    return is_loopback


def guard(allowed: Callable[[str], bool]) -> Callable[[web.Request], None]:
    """A check that raises `Forbidden` for a request that a page of another site may have made."""
    # Hosts are few, and each request has one: those that were allowed need not be parsed again.
    known: set[str] = set()

    def check(request: web.Request) -> None:
        headers = request.headers
        host = headers.get(hdrs.HOST, "")
        if host not in known:
            if allowed(host_name(host)):
                if len(known) < 1000:
                    known.add(host)
            elif request.match_info.handler not in PROBES:
                raise Forbidden(f"the Host {host[:100]!r} is not one of [server] allowed_hosts")
        if headers.get(_SITE) == "cross-site" and not is_link(request):
            raise Forbidden("requests from pages of other sites are refused")
        origin = headers.get(hdrs.ORIGIN)
        if origin is not None and origin.partition("://")[2] != host:
            raise Forbidden(f"requests from the origin {origin[:100]!r} are refused")

    return check
