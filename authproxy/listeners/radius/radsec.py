"""One RadSec port (RFC 6614): its connections, their limits, and what is done for them once a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import field
from typing import Any, Protocol

from cryptography import x509
from OpenSSL import SSL
from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from authproxy.listeners.radius.identities import IdentityTable, names_of
from authproxy.listeners.radius.listener import RadiusListener, Served
from authproxy.listeners.radius.load import Limits
from authproxy.listeners.radius.radsec_connection import RadSecClient
from authproxy.listeners.radius.udp import Source, source_of
from authproxy.listeners.tls import ServerTls
from authproxy.observe.log import Log
from authproxy.secret import Secret
from authproxy.values import light_dataclass

# RFC 6614 §2.3: it protects nothing, TLS does; everybody has the same.
SECRET = Secret(b"radsec")
_LOOK = 1.0  # seconds
_MOST_SHOWN = 5  # names of a stranger's certificate in the log


@light_dataclass(frozen=True, slots=True)
class StreamLimits:
    """Counts and seconds, for one client's connection unless stated otherwise (A9)."""

    connections: int = 1024  # of all clients
    connections_per_address: int = 100
    pending: int = 256  # requests in progress; the identifier has no more values
    handshake: float = 10
    packet: float = 10  # until a packet that has begun is whole
    stalled: float = 30  # that a client may leave answers unread
    idle: float = 3600


@light_dataclass(frozen=True, slots=True)
class RadSecPlan:
    """What a port serves."""

    clients: IdentityTable[Served]
    limits: Limits
    tls: ServerTls
    stream: StreamLimits = field(default_factory=StreamLimits)


class Disconnects(Protocol):
    def radsec_disconnected(self, cause: str) -> None:
        """We closed a client's connection."""


class _OverTls(TLSMemoryBIOFactory):
    """A record for each answer: FreeRADIUS 3 as a client reads no more than the first of several in one."""

    noisy = False

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
        wrapped = self.wrappedFactory.buildProtocol(addr)
        return None if wrapped is None else TLSMemoryBIOProtocol(self, wrapped)


@implementer(IOpenSSLServerConnectionCreator)
class RadSecListener(protocol.ServerFactory):
    """Connects TLS connections with the listener that answers packets as it does by UDP."""

    noisy = False

    def __init__(
        self,
        plan: RadSecPlan,
        packets: RadiusListener[RadSecClient],
        *,
        reactor: Any,
        log: Log,
        disconnects: Disconnects,
    ) -> None:
        self.plan = plan
        self.packets = packets
        self.reactor = reactor
        self.log = log
        self._disconnects = disconnects
        self._open: dict[RadSecClient, None] = {}  # the oldest first
        self._by_address: Counter[str] = Counter()
        self._looking: Any = None
        self._drained: list[Deferred[None]] = []
        packets.send = lambda octets, client: client.send(octets)
        packets.began = lambda client: client.began()
        packets.ended = lambda client: client.ended()

    def serve(self, plan: RadSecPlan) -> None:
        """Change to another configuration. A client that wouldn't be accepted any more is closed once it has its
        answers (A13, R54).
        """
        self.plan = plan
        for client in list(self._open):
            client.review()

    @property
    def connections(self) -> int:
        return len(self._open)

    @property
    def draining(self) -> bool:
        return bool(self._drained)

    def drain(self) -> Deferred[None]:
        """Close each connection after its last answer. Fires when none is left (A12). The port has to be closed
        already.
        """
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        self.packets.drain()
        for client in list(self._open):
            client.finish("stopping")
        self._tell_drained()
        return drained

    def close(self) -> None:
        """Cut off all connections."""
        for client in list(self._open):
            client.abort("stopping")

    # ---- connections

    @property
    def over_tls(self) -> TLSMemoryBIOFactory:
        """The factory for the port."""
        return _OverTls(self, False, self, clock=self.reactor)

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803 - Twisted's
        """With the certificate as it is now (T5)."""
        connection = self.plan.tls.serverConnectionForTLS(tlsProtocol)
        tlsProtocol.wrappedProtocol.tls = connection
        return connection

    def buildProtocol(self, addr: Any) -> RadSecClient | None:  # noqa: N802 - Twisted's name
        source = source_of((addr.host, addr.port))
        limits = self.plan.stream
        if not self.plan.clients.expects(source.ip):
            # R9: with strangers not even a handshake.
            self.refused("unknown_client", source)
            return None
        if self.draining or not self._has_room(source, limits):
            self.refused("too_many_connections", source)
            return None
        client = RadSecClient(self, source)
        self._open[client] = None
        self._by_address[source.ip] += 1
        if self._looking is None:
            self._looking = self.reactor.callLater(_LOOK, self._look)
        return client

    def _has_room(self, source: Source, limits: StreamLimits) -> bool:
        """Anybody at such an address can begin a connection: the oldest that shows no certificate gives way (A9)."""
        if self._by_address[source.ip] >= limits.connections_per_address:
            return self._give_way(client for client in self._open if client.source.ip == source.ip)
        return len(self._open) < limits.connections or self._give_way(self._open)

    def _give_way(self, clients: Iterable[RadSecClient]) -> bool:
        stranger = next((client for client in clients if not client.is_known), None)
        if stranger is None:
            return False
        stranger.abort("crowded_out")
        self.closed(stranger)
        return True

    def identify(self, source: Source, certificate: x509.Certificate) -> Served | None:
        """The client with this certificate and address. None: there is none."""
        served = self.plan.clients.find(source.ip, certificate)
        if served is None:
            shown = names_of(certificate)
            self.packets.log.warn(
                "radius.certificate_unknown",
                source=source.ip,
                names=sorted(shown.names)[:_MOST_SHOWN],
                sha256=next(iter(shown.fingerprints)),
                todo="if it belongs to a client, add it to that client's certificate in radsec_clients",
            )
        return served

    def refused(self, cause: str, source: Source) -> None:
        self._disconnects.radsec_disconnected(cause)
        self.packets.log.warn("radius.disconnected", cause=cause, source=source.ip)

    def disconnected(self, cause: str, source: Source) -> None:
        self._disconnects.radsec_disconnected(cause)
        self.log.debug("radius.disconnected", cause=cause, source=source.ip)

    def closed(self, client: RadSecClient) -> None:
        if client not in self._open:
            return
        del self._open[client]
        self._by_address[client.source.ip] -= 1
        if not self._by_address[client.source.ip]:
            del self._by_address[client.source.ip]
        self._tell_drained()

    def _tell_drained(self) -> None:
        if self._open:
            return
        drained, self._drained = self._drained, []
        for waiting in drained:
            waiting.callback(None)

    # ---- time

    def _look(self) -> None:
        self._looking = None
        now = self.reactor.seconds()
        for client in list(self._open):
            client.look(now)
        if self._open:
            self._looking = self.reactor.callLater(_LOOK, self._look)
