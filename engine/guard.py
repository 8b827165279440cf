"""Refuses to connect to what is not public, at the moment of connecting; and says why an address cannot be fetched."""

import errno
import socket

import aiohttp
from aiohttp import AddrInfoType
from yarl import URL

from .addresses import is_address, refusal
from .errors import CoatcheckError


class FetchFailed(CoatcheckError):
    """could not be reached

    The message is a clause about the address, and names neither it nor where it leads. `status` is what was answered,
    if anything was.
    """

    def __init__(self, message: str | None = None, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class AddressRefused(FetchFailed):
    """is not dialled

    `final`: it never will be, for it is no address at all, or one without a name that could lead elsewhere later.
    """

    def __init__(self, message: str | None = None, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class Guard:
    """Makes the sockets for one request, or refuses to, by the address that each is to be connected to."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        #: Why an address was refused.
        self.refused: str | None = None
        #: Whether any was not.
        self.dialled = False

    def __call__(self, info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        why = refusal(str(address[0]), self._allow_private)
        if why is not None:
            self.refused = why
            raise PermissionError(errno.EACCES, why)
        self.dialled = True
        return socket.socket(family, kind, protocol)


def failure(error: Exception, guard: Guard, url: URL) -> FetchFailed:
    """What went wrong, in words that tell nothing of where the address leads."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return FetchFailed("has a name that is not known")
        case aiohttp.ClientSSLError():
            return FetchFailed("has no TLS that can be trusted")
        case aiohttp.ClientConnectorError() if guard.refused is not None and not guard.dialled:
            return AddressRefused(f"is refused: what it leads to {guard.refused}", final=is_address(url.host or ""))
        case aiohttp.ClientConnectorError():
            return FetchFailed("cannot be reached")
        case aiohttp.InvalidURL():
            return AddressRefused("is no URL", final=True)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return FetchFailed("broke off")
        case aiohttp.ClientResponseError():
            return FetchFailed("answers with what is no HTTP")
    return FetchFailed()
