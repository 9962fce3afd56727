"""RADIUS on a stream: any octets in any pieces through a client's connection, behind its handshake."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from authproxy.listeners.radius.clients import Client, PrefixTable, RequireMessageAuthenticator
from authproxy.listeners.radius.identities import CertificateNames, IdentityTable, Known
from authproxy.listeners.radius.listener import ACCOUNTING, LOGINS, RadiusListener, Served
from authproxy.listeners.radius.radsec import SECRET, RadSecListener, RadSecPlan
from authproxy.listeners.radius.radsec_connection import RadSecClient
from authproxy.protocols.radius.accounting import accounting_request
from authproxy.protocols.radius.packet import MalformedPacket, Packet, decode
from tests.fuzz.mutate import mutated
from tests.fuzz.radius import Welcoming
from tests.fuzz.report import Report, drive
from tests.listeners.radius.world import LIMITS, World, login

_NETWORK = ip_network("10.2.0.0/24")


class Peer:
    host, port = "10.2.0.1", 40000


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, octets: bytes) -> None:
        assert not self.closed
        self.written.append(octets)

    def abortConnection(self) -> None:
        self.closed = True

    def loseConnection(self) -> None:
        self.closed = True

    def __getattr__(self, _: str) -> Callable[..., None]:
        """What only a socket minds."""
        return lambda *_: None


class Books:
    """Takes all accounting."""

    async def forward(self, packet: Packet) -> Packet:
        return Packet.of(5, packet.identifier, packet.authenticator, packet.attributes, packet.octets)


class Listening:
    def __init__(self) -> None:
        self._logins = Welcoming()
        self._world = World(limits=LIMITS, logins=self._logins)
        known = Client("switch", "switch", (_NETWORK,), SECRET, RequireMessageAuthenticator.NO, over_tls=True)
        self._served = Served(known, self._world.section, Books())
        entry = Known(
            (_NETWORK,), CertificateNames(frozenset(("switch.example",)), frozenset()), self._served
        )
        packets: RadiusListener[RadSecClient] = RadiusListener(
            receiver="tls",
            served=PrefixTable(()),
            limits=replace(LIMITS, pending=300, pending_per_client=300),
            latches=self._world.latches,
            reactor=self._world.clock,
            log=self._world.log,
            discards=self._world.discards,
            codes=LOGINS | ACCOUNTING,
        )
        tls: Any = None
        self._listener = RadSecListener(
            RadSecPlan(IdentityTable([entry]), LIMITS, tls),
            packets,
            reactor=self._world.clock,
            log=self._world.log,
            disconnects=self,
        )
        self._ports = 0

    def radsec_disconnected(self, cause: str) -> None: ...

    def receive(self, octets: bytes) -> str:
        """In pieces, on a connection of its own."""
        self._world.clock.advance(31)  # nothing is a repetition of what another input said
        client = self._listener.buildProtocol(Peer)
        assert client is not None
        transport = Transport()
        client.makeConnection(transport)  # type: ignore[arg-type]
        client._served = self._served
        for piece in _pieces(octets):
            client.dataReceived(piece)
        whole, ended = _second_opinion(octets)
        for event in self._world.log.events():
            assert not event.endswith("failed"), self._world.log.lines
        assert len(transport.written) <= len(whole)
        assert len(self._logins.requests) <= sum(packet[0] == 1 for packet in whole)
        if ended:
            assert transport.closed, "what is no packet has to end the stream"
        outcome = "closed" if transport.closed else f"{len(transport.written)} answers"
        client.connectionLost(Failure(ConnectionDone()))
        self._world.log.lines.clear()
        self._logins.requests.clear()
        assert not self._listener.connections
        return outcome


def _pieces(octets: bytes) -> Iterator[bytes]:
    dice = random.Random(octets)
    while octets:
        length = dice.choice((1, 3, 20, 500, len(octets)))
        yield octets[:length]
        octets = octets[length:]


def _second_opinion(octets: bytes) -> tuple[list[bytes], bool]:
    """The packets, up to the first that is none; whether there is such a one (RFC 6613 §2.6.4)."""
    found: list[bytes] = []
    while len(octets) >= 4:
        length = int.from_bytes(octets[2:4], "big")
        if not 20 <= length <= 4096:
            return found, True
        if len(octets) < length:
            break
        found.append(octets[:length])
        try:
            decode(octets[:length])
        except MalformedPacket:
            return found, True
        octets = octets[length:]
    return found, False


def _seeds() -> list[bytes]:
    requests = [
        login(
            secret=SECRET, identifier=number, authenticator=bytes((number,)) * 16, signed=number % 2 > 0
        ).octets
        for number in range(4)
    ]
    account = accounting_request([], identifier=9, secret=SECRET).octets
    return [*requests, account, b"".join(requests), b"".join((requests[0], account, requests[1])) * 3]


def target() -> Callable[[bytes], str]:
    return Listening().receive


def run(seconds: float, seed: int) -> Report:
    return drive("radsec", target(), _inputs(seed), seconds=seconds)


def run_count(count: int, seed: int) -> Report:
    return drive("radsec", target(), _inputs(seed), count=count)


def _inputs(seed: int) -> Iterator[bytes]:
    return mutated(_seeds(), random.Random(seed))
