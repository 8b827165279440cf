"""Which addresses are dialled: each block of the special-purpose registries, its edges, and all that lies between."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.engine.addresses import is_public, refusal

#: Allowed where private networks are.
LOCAL = ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"]

#: Never allowed.
NEVER = [
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
    "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
    "240.0.0.0/4", "168.63.129.16/32",
    "::/128", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
    "100:0:0:1::/64", "2001::/32", "2001:1::1/128", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001::/23",
    "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fe80::/10", "fec0::/10", "ff00::/8",
    "4000::/3", "8000::/1",
]  # fmt: skip

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "168.63.129.15", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0",
    "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
    "2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff::1", "2001:db9::1", "2001:ffff::1", "2003::1",
    "2606:4700:4700::1111", "2620:4f:7fff::1", "2a00:1450::1", "3ffe:ffff::1", "3fff:1000::1",
]  # fmt: skip


def edges(block: str) -> list[str]:
    network = ip_network(block)
    return [str(network[0]), str(network[-1]), str(network[network.num_addresses // 2])]


@pytest.mark.parametrize("address", PUBLIC)
def test_what_anybody_may_have_is_dialled(address: str) -> None:
    assert (refusal(address), refusal(address, True), is_public(address)) == (None, None, True)


@pytest.mark.parametrize("block", LOCAL)
def test_private_networks_are_dialled_only_where_that_is_allowed(block: str) -> None:
    for address in edges(block):
        assert refusal(address) in ("is in a private network", "is this machine's own")
        assert not is_public(address)
        assert refusal(address, True) is None


@pytest.mark.parametrize("block", NEVER)
def test_what_is_reserved_or_stands_for_another_address_is_never_dialled(block: str) -> None:
    for address in edges(block):
        assert refusal(address), address
        # The one block that holds another: ::1 is allowed where private networks are.
        assert refusal(address, True), address


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"]
)
def test_a_clouds_own_addresses_are_not_dialled_in_a_private_network_either(address: str) -> None:
    assert refusal(address, True) == "is where a cloud keeps what is the machine's alone"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.0.0.1.",
        " 127.0.0.1",
        "::g",
        "1.1.1.1/32",
    ],
)
def test_what_is_no_address_is_not_dialled(text: str) -> None:
    assert refusal(text, True) == "is no IP address"


@pytest.mark.parametrize("address", ["fe80::1%eth0", "::1%lo", "fc00::1%25eth0"])
def test_a_scope_changes_nothing(address: str) -> None:
    bare = address.partition("%")[0]
    assert refusal(address) == refusal(bare) is not None
    assert refusal(address, True) == refusal(bare, True)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_public_or_in_exactly_one_list(address: IPv4Address) -> None:
    local = any(address in IPv4Network(block) for block in LOCAL if "." in block)
    never = any(address in IPv4Network(block) for block in NEVER if "." in block) or str(address) == "100.100.100.200"
    assert is_public(address) is not (local or never)
    assert (refusal(address, True) is None) is not never


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_is_public_only_within_global_unicast(address: IPv6Address) -> None:
    taken = any(address in IPv6Network(block) for block in NEVER if ":" in block)
    assert is_public(address) is (address in IPv6Network("2000::/3") and not taken)


@given(st.sampled_from(["::ffff:0:0", "::", "64:ff9b::", "2002::"]), st.ip_addresses(v=4))
def test_an_ipv4_address_in_other_clothes_is_never_dialled(prefix: str, inner: IPv4Address) -> None:
    shift = 80 if prefix == "2002::" else 0
    address = IPv6Address(int(ip_address(prefix)) | int(inner) << shift)
    assert not is_public(address)
    assert address == IPv6Address("::1") or refusal(address, True)
