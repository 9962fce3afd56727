"""R10, R11: the most specific prefix wins, in both families."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from authproxy.listeners.radius.clients import PrefixTable

TABLE = PrefixTable(
    [
        (ip_network(network), network)
        for network in (
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3/32",
            "192.0.2.0/24",
            "2001:db8::/32",
            "2001:db8:1::/64",
            "2001:db8:1::5/128",
            "fe80::/10",
        )
    ]
)


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("10.9.9.9", "10.0.0.0/8"),
        ("10.1.9.9", "10.1.0.0/16"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("10.1.2.4", "10.1.0.0/16"),
        ("192.0.2.255", "192.0.2.0/24"),
        ("192.0.3.0", None),
        ("2001:db8:ffff::1", "2001:db8::/32"),
        ("2001:db8:1::6", "2001:db8:1::/64"),
        ("2001:db8:1::5", "2001:db8:1::5/128"),
        ("fe80::1", "fe80::/10"),
        ("::1", None),
        ("0.0.0.0", None),
        # 10.1.2.3 as the last octets of an IPv6 address is another address
        ("::a01:203", None),
    ],
)
def test_most_specific(ip: str, network: str | None) -> None:
    assert TABLE.find(ip) == network
    assert TABLE.find(ip) == network, "and the same from memory"


def test_one_prefix_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/8"):
        PrefixTable([(ip_network("10.0.0.0/8"), "a"), (ip_network("10.0.0.0/8"), "b")])


def test_strangers_are_not_remembered() -> None:
    """A flood from made-up addresses must not grow anything (R9, R13)."""
    table = PrefixTable([(ip_network("10.0.0.0/8"), "known")])
    for number in range(1000):
        assert table.find(f"192.0.{number // 256}.{number % 256}") is None
    assert table._known == {}
