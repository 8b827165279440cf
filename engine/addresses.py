"""Which IP addresses are dialled for somebody who names an address: those of the public Internet, and none beside.

IPv4 is all but what the IANA IPv4 Special-Purpose Address Registry lists. Of that list four blocks are globally
reachable, and refused all the same: 192.0.0.0/24 (two of its addresses are), 192.31.196.0/24 and 192.175.48.0/24
(AS112), 192.52.193.0/24 (AMT): whichever network is nearest answers there, and nobody's files or receivers do. Refused
as well are 192.88.99.0/24 (relays of 6to4, deprecated), multicast, and the addresses at which clouds tell a machine its
secrets, wherever they lie.

IPv6 is 2000::/3, the only block from which global unicast addresses are given, without what the IANA IPv6 registry
takes out of it: 2001::/23 (Teredo, ORCHID, benchmarks, AS112), 2001:db8::/32 and 3fff::/20 (documentation), 2002::/16
(6to4), 2620:4f:8000::/48 (AS112). So whatever stands for an IPv4 address (mapped, compatible, translated by NAT64) is
refused, as is what is not listed anywhere.

`ipaddress` has properties of similar names, whose answers depend on the version of Python; none is used.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IPAddress = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

_PRIVATE = "is in a private network"
_OWN = "is this machine's own"
_LINK_LOCAL = "is link-local"
_MULTICAST = "is multicast"
_METADATA = "is where a cloud keeps what is the machine's alone"
_RESERVED = "is reserved"
_EMBEDS = "stands for another address"


def _listed(blocks: Iterable[tuple[str, str]]) -> tuple[tuple[_Network, str], ...]:
    return tuple((ip_network(block), why) for block, why in blocks)


#: What `allow_private` allows.
_LOCAL = _listed(
    (
        ("10.0.0.0/8", _PRIVATE),
        ("100.64.0.0/10", _PRIVATE),
        ("127.0.0.0/8", _OWN),
        ("172.16.0.0/12", _PRIVATE),
        ("192.168.0.0/16", _PRIVATE),
        ("::1/128", _OWN),
        ("fc00::/7", _PRIVATE),
    )
)

#: What is never dialled, wherever it lies.
_NEVER = _listed(
    (
        ("100.100.100.200/32", _METADATA),
        ("168.63.129.16/32", _METADATA),
        ("169.254.169.254/32", _METADATA),
        ("fd00:ec2::254/128", _METADATA),
        ("fd20:ce::254/128", _METADATA),
        ("0.0.0.0/8", _RESERVED),
        ("169.254.0.0/16", _LINK_LOCAL),
        ("192.0.0.0/24", _RESERVED),
        ("192.0.2.0/24", _RESERVED),
        ("192.31.196.0/24", _RESERVED),
        ("192.52.193.0/24", _RESERVED),
        ("192.88.99.0/24", _RESERVED),
        ("192.175.48.0/24", _RESERVED),
        ("198.18.0.0/15", _RESERVED),
        ("198.51.100.0/24", _RESERVED),
        ("203.0.113.0/24", _RESERVED),
        ("224.0.0.0/4", _MULTICAST),
        ("240.0.0.0/4", _RESERVED),
        ("::ffff:0:0/96", _EMBEDS),
        ("64:ff9b::/96", _EMBEDS),
        ("64:ff9b:1::/48", _EMBEDS),
        ("2001::/23", _RESERVED),
        ("2001:db8::/32", _RESERVED),
        ("2002::/16", _EMBEDS),
        ("2620:4f:8000::/48", _RESERVED),
        ("3fff::/20", _RESERVED),
        ("fe80::/10", _LINK_LOCAL),
        ("ff00::/8", _MULTICAST),
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")


def refusal(ip: str | IPAddress, allow_private: bool = False) -> str | None:
    """Why this address is not dialled, as a clause without the address ("is in a private network"); None: it is.

    `allow_private`: those of private networks and of this machine are dialled as well. What is no IP address, a name
    for instance, is not dialled."""
    if isinstance(ip, str):
        if not is_address(ip):
            return "is no IP address"
        ip = ip_address(ip)
    if why := _found(ip, _NEVER):
        return why
    if why := _found(ip, _LOCAL):
        return None if allow_private else why
    return None if isinstance(ip, IPv4Address) or ip in _GLOBAL_UNICAST else _RESERVED


def is_address(text: str) -> bool:
    """Whether this is an IP address, and not a name."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_public(ip: str | IPAddress) -> bool:
    """Whether anybody on the Internet can have this address."""
    return refusal(ip) is None


def _found(ip: IPAddress, blocks: Iterable[tuple[_Network, str]]) -> str | None:
    return next((why for network, why in blocks if ip in network), None)
