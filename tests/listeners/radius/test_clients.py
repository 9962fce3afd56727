"""R10, R11: the most specific prefix wins, in both families."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from authproxy.listeners.radius.clients import PrefixTable
from authproxy.listeners.radius.listener import Served
from authproxy.listeners.radius.udp import Source
from tests.listeners.radius.world import LIMITS, World, client, login

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


def test_two_sections_on_one_port() -> None:
    """R15: whose login it is goes by the address, and the other section hears nothing of it."""
    world, other = World(), World()
    branch = client(name="branch", key="branch/nas", networks=(ip_network("10.2.0.0/16"),))
    table = PrefixTable(
        [
            (ip_network("10.1.0.0/24"), Served(client(), world.section)),
            (ip_network("10.2.0.0/16"), Served(branch, other.section)),
        ]
    )
    world.listener.serve(table, LIMITS)
    world.ask(login(), Source("10.1.0.1", 40000))
    world.ask(login(), Source("10.2.0.1", 40000))
    world.ask(login(), Source("10.3.0.1", 40000))
    assert [asked.client for asked in world.logins.requests] == ["asa"]
    assert [asked.client for asked in other.logins.requests] == ["branch"]
    assert world.discards.causes == {"unknown_client": 1}
