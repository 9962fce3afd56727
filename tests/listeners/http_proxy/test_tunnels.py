"""Who gets a tunnel, where to, and for how long; and that nothing else gets in or out by it."""

from __future__ import annotations

import socket
from collections import Counter
from http import HTTPStatus
from ipaddress import ip_network
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from authproxy.listeners.descriptors import Descriptors
from authproxy.listeners.http_proxy.listener import HttpProxyListener, TunnelRules
from authproxy.listeners.http_proxy.tunnel import Tunnel
from authproxy.observe.log import NullLog
from authproxy.protocols.http.tunnel import GRANTED, NoTunnel

ASK = b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n"


class Wire(StringTransport):
    """A transport that remembers how it ended."""

    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def abortConnection(self) -> None:
        self.aborted = True

    @property
    def stopped(self) -> bool:
        return self.producerState == "paused"


class Reactor(Clock):
    """Adopts what was dialled as a Wire."""

    def __init__(self) -> None:
        super().__init__()
        self.far: list[Any] = []

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> None:
        end = factory.buildProtocol(None)
        end.makeConnection(Wire())
        self.far.append(end)


class Bench:
    """A listener with one place to lead to."""

    def __init__(self, most: int = 10, most_per_client: int = 2, descriptors: int = 100) -> None:
        self.reactor = Reactor()
        self.causes: Counter[str] = Counter()
        self.dialled: list[Deferred[socket.socket]] = []
        self.descriptors = Descriptors(descriptors)
        clients = [ip_network("10.0.0.0/24"), ip_network("2001:db8::/32")]
        rules = TunnelRules("way-out", "api.example", 443, clients, 60, most, most_per_client)
        self.listener = HttpProxyListener(
            rules,
            self._dial,
            reactor=self.reactor,
            log=NullLog(),
            refusals=self,
            descriptors=self.descriptors,
        )

    def tunnel_refused(self, cause: str) -> None:
        self.causes[cause] += 1

    async def _dial(self) -> socket.socket:
        waiting: Deferred[socket.socket] = Deferred()
        self.dialled.append(waiting)
        return await waiting

    def connect(self, host: str = "10.0.0.7") -> tuple[Tunnel, Wire] | None:
        kind = IPv6Address if ":" in host else IPv4Address
        tunnel = self.listener.buildProtocol(kind("TCP", host, 50000))
        if tunnel is None:
            return None
        wire = Wire()
        tunnel.makeConnection(wire)
        return tunnel, wire

    def reach(self) -> tuple[Any, Wire]:
        """The last one dialled has got through."""
        here, there = socket.socketpair()
        self.dialled[-1].callback(here)
        there.close()
        far = self.reactor.far[-1]
        return far, far.transport

    def open(self) -> tuple[Tunnel, Wire, Any, Wire]:
        connected = self.connect()
        assert connected is not None
        tunnel, wire = connected
        tunnel.dataReceived(ASK)
        far, far_wire = self.reach()
        assert wire.value() == GRANTED
        wire.clear()
        return tunnel, wire, far, far_wire


def lost(end: Any) -> None:
    end.connectionLost(Failure(ConnectionDone()))


def test_octets_cross_as_they_are() -> None:
    tunnel, wire, far, far_wire = Bench().open()
    tunnel.dataReceived(b"\x16hello")
    far.dataReceived(b"\x16there")
    assert (far_wire.value(), wire.value()) == (b"\x16hello", b"\x16there")


@pytest.mark.parametrize("cut", [1, 7, len(ASK)])
def test_what_comes_too_early_waits_and_is_not_lost(cut: int) -> None:
    bench = Bench()
    connected = bench.connect()
    assert connected is not None
    tunnel, wire = connected
    octets = ASK + b"early"
    for at in range(0, len(octets), cut):
        tunnel.dataReceived(octets[at : at + cut])
    assert len(bench.dialled) == 1
    assert wire.stopped
    assert not wire.value()
    _, far_wire = bench.reach()
    assert (wire.value(), far_wire.value()) == (GRANTED, b"early")
    assert not wire.stopped


def test_who_is_too_fast_for_the_other_waits() -> None:
    tunnel, wire, far, far_wire = Bench().open()
    assert far_wire.producer is wire
    assert wire.producer is far_wire
    assert wire.streaming
    assert far_wire.streaming
    del tunnel, far


@pytest.mark.parametrize(
    ("octets", "status", "cause"),
    [
        (ASK.replace(b"CONNECT api", b"CONNECT intranet"), 403, "destination"),
        (ASK.replace(b"example:443 HTTP", b"example:22 HTTP"), 403, "destination"),
        (b"CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n", 403, "destination"),
        (b"GET / HTTP/1.1\r\n\r\n", 405, "method"),
        (b"\x16\x03\x01\r\n\r\n", 400, "malformed"),
        (b"CONNECT " + b"a" * 9000, 431, "malformed"),
    ],
)
def test_who_gets_none(octets: bytes, status: int, cause: str) -> None:
    bench = Bench()
    connected = bench.connect()
    assert connected is not None
    tunnel, wire = connected
    tunnel.dataReceived(octets)
    tunnel.dataReceived(ASK)
    assert wire.value().startswith(b"HTTP/1.1 %d " % status)
    assert wire.value().endswith(b"\r\n\r\n")
    assert wire.disconnecting
    assert bench.causes == {cause: 1}
    assert not bench.dialled


def test_a_cloud_out_of_reach() -> None:
    bench = Bench()
    connected = bench.connect()
    assert connected is not None
    tunnel, wire = connected
    tunnel.dataReceived(ASK)
    bench.dialled[0].errback(NoTunnel(HTTPStatus.BAD_GATEWAY, "unreachable"))
    assert wire.value().startswith(b"HTTP/1.1 502 ")
    assert bench.causes == {"unreachable": 1}


@pytest.mark.parametrize(
    ("host", "in_"),
    [
        ("10.0.0.9", True),
        ("::ffff:10.0.0.9", True),
        ("2001:db8::1", True),
        ("10.0.1.9", False),
        ("::1", False),
    ],
)
def test_who_may(host: str, in_: bool) -> None:
    bench = Bench()
    assert (bench.connect(host) is not None) is in_
    assert bench.causes == ({} if in_ else {"unknown_client": 1})


def test_how_many() -> None:
    bench = Bench(most=3, most_per_client=2)
    tunnels = [bench.connect("10.0.0.7"), bench.connect("10.0.0.7"), bench.connect("10.0.0.8")]
    assert all(tunnels)
    assert bench.connect("10.0.0.9") is None
    assert tunnels[2] is not None
    lost(tunnels[2][0])
    assert bench.connect("10.0.0.7") is None
    assert bench.connect("10.0.0.9") is not None
    assert bench.causes == {"too_many_connections": 2}
    assert bench.descriptors.taken == 6
    few = Bench(descriptors=3)
    assert few.connect() is not None
    assert few.connect() is None
    assert few.causes == {"no_descriptors": 1}


def test_when_either_end_goes_the_other_does() -> None:
    bench = Bench()
    tunnel, wire, far, far_wire = bench.open()
    lost(tunnel)
    assert far_wire.disconnecting
    assert bench.listener.tunnels == 1, "what is on its way still goes out"
    lost(far)
    assert bench.listener.tunnels == 0
    tunnel, wire, far, far_wire = bench.open()
    lost(far)
    assert wire.disconnecting
    lost(tunnel)
    assert bench.listener.tunnels == 0
    assert bench.descriptors.taken == 0


def test_who_goes_before_it_is_open_is_dialled_for_no_more() -> None:
    bench = Bench()
    connected = bench.connect()
    assert connected is not None
    tunnel, _ = connected
    tunnel.dataReceived(ASK)
    lost(tunnel)
    assert bench.dialled[0].called
    assert bench.listener.tunnels == 0
    assert not bench.causes


def test_nobody_sits_there_for_ever() -> None:
    bench = Bench()
    connected = bench.connect()
    assert connected is not None
    _, silent = connected
    _, wire, far, far_wire = bench.open()
    bench.reactor.pump([1] * 12)
    assert silent.aborted
    assert bench.causes == {"slow": 1}
    bench.reactor.pump([1] * 40)
    far.dataReceived(b"x")
    bench.reactor.pump([1] * 40)
    assert not wire.aborted
    bench.reactor.pump([1] * 30)
    assert wire.aborted
    assert far_wire.aborted


def test_draining_waits_for_whom_an_answer_is_due() -> None:
    """A12: a client of the cloud holds its request until the user has answered; a kept connection holds nothing."""
    bench = Bench()
    kept, kept_wire, kept_far, _ = bench.open()
    kept.dataReceived(b"a question")
    kept_far.dataReceived(b"its answer")
    tunnel, wire, far, _ = bench.open()
    tunnel.dataReceived(b"a question")
    gone: list[object] = []
    assert bench.listener.pending == 1
    bench.listener.drain().addCallback(gone.append)
    assert kept_wire.aborted
    lost(kept)
    lost(kept_far)
    bench.reactor.pump([1] * 5)
    assert not wire.aborted
    assert not gone
    far.dataReceived(b"its answer")
    bench.reactor.pump([1] * 2)
    assert wire.aborted
    lost(tunnel)
    lost(far)
    assert gone == [None]
