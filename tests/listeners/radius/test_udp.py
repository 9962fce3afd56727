"""R12: the answer leaves from the address that was asked, whatever the socket is bound to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from authproxy.listeners.radius.udp import DatagramPort, Route, Source, bind, source_of


def echo(on_reactor: Callable[..., Any], reactor: Any, interface: str) -> tuple[DatagramPort, list[Source]]:
    """A port that sends back what it gets."""
    seen: list[Source] = []

    def received(octets: bytes, source: Source, route: Route) -> None:
        seen.append(source)
        port.send(octets, route)

    port = DatagramPort(bind(interface, 0), reactor, received)
    on_reactor(port.start)
    return port, seen


@pytest.mark.parametrize(
    ("interface", "asked"),
    [
        ("", "127.0.0.1"),
        ("", "127.0.0.2"),
        ("", "::1"),
        ("::", "::1"),
        ("0.0.0.0", "127.0.0.3"),
        ("127.0.0.4", "127.0.0.4"),
    ],
)
def test_a_connected_client_is_answered(
    on_reactor: Callable[..., Any], reactor_thread: Any, interface: str, asked: str
) -> None:
    port, seen = echo(on_reactor, reactor_thread, interface)
    number = port._socket.getsockname()[1]
    family = socket.AF_INET6 if ":" in asked else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((asked, number))  # the kernel drops answers from any other address
        client.send(b"hello")
        assert client.recv(100) == b"hello"
        assert seen == [Source(client.getsockname()[0], client.getsockname()[1])]
    on_reactor(port.close)


def test_addresses_are_normalised() -> None:
    """R11: one host, one spelling."""
    assert source_of(("::ffff:192.0.2.1", 1, 0, 0)) == Source("192.0.2.1", 1)
    assert source_of(("fe80::1%eth0", 1, 0, 2)) == Source("fe80::1", 1)
    assert source_of(("192.0.2.1", 1)) == Source("192.0.2.1", 1)
    assert source_of(("::1", 1, 0, 0)) == Source("::1", 1)


def test_a_taken_port_is_said() -> None:
    taken = bind("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", taken.getsockname()[1])
    taken.close()


def test_both_families_can_be_named() -> None:
    """`0.0.0.0` and `::` beside each other, on one port."""
    four = bind("0.0.0.0", 0)
    six = bind("::", four.getsockname()[1])
    assert six.getsockname()[1] == four.getsockname()[1]
    four.close()
    six.close()


@pytest.mark.parametrize("wrong", [MemoryError, RuntimeError, OSError])
def test_one_datagram_that_goes_wrong_closes_no_port(
    on_reactor: Callable[..., Any], reactor_thread: Any, wrong: type[Exception]
) -> None:
    """A19: the reactor gives up what raised, as it may for want of memory; the port is open for the next one."""

    def received(octets: bytes, source: Source, route: Route) -> None:
        if octets == b"bad":
            raise wrong
        port.send(octets, route)

    port = DatagramPort(bind("127.0.0.1", 0), reactor_thread, received)
    on_reactor(port.start)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(port._socket.getsockname())
        for _ in range(3):
            client.send(b"bad")
            client.send(b"hello")
            assert client.recv(100) == b"hello"
    on_reactor(port.close)
    on_reactor(lambda: port.connectionLost(None))
