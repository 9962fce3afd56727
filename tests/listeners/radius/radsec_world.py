"""RadSec clients in memory: real TLS on both sides, a clock that the test moves, and no sockets."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.python.failure import Failure

from authproxy.listeners.radius.clients import Client, PrefixTable, RequireMessageAuthenticator
from authproxy.listeners.radius.identities import CertificateNames, IdentityTable, Known
from authproxy.listeners.radius.listener import ACCOUNTING, LOGINS, Limits, RadiusListener, Served
from authproxy.listeners.radius.radsec import SECRET, RadSecListener, RadSecPlan, StreamLimits
from authproxy.listeners.radius.radsec_connection import RadSecClient
from authproxy.listeners.tls import ServerFiles, ServerTls
from authproxy.protocols.radius.stream import PacketStream
from tests.backends.certificates import Authority
from tests.listeners.radius.world import LIMITS, World


class Peer:
    def __init__(self, address: str, port: int) -> None:
        self.host, self.port = address, port


class Transport:
    """What the connection writes into; it carries TLS to the client and back."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.server: SSL.Connection | None = None
        self.paused = self.closed = self.aborted = False
        self.producer: Any = None

    def setTcpNoDelay(self, on: bool) -> None: ...

    def setTcpKeepAlive(self, on: bool) -> None: ...

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def begin(self, listener: RadSecListener, client: RadSecClient) -> None:
        self.wrappedProtocol = client
        self.server = listener.serverConnectionForTLS(self)
        self.server.set_accept_state()

    def write(self, octets: bytes) -> None:
        assert self.server is not None
        self.server.send(octets)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def loseConnection(self) -> None:
        self.closed = True

    def abortConnection(self) -> None:
        self.closed = self.aborted = True


class Wire:
    """One client's end."""

    def __init__(
        self,
        listener: RadSecListener,
        own: Path | None,
        authority: Path,
        address: str,
        *,
        shake: bool = True,
        version: int | None = None,
    ) -> None:
        self.transport = Transport(self)
        self.stream = PacketStream()
        self.problem: SSL.Error | None = None
        self._shaken = False
        self.client = listener.buildProtocol(Peer(address, 40000))
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.load_verify_locations(str(authority))
        context.set_verify(SSL.VERIFY_PEER)
        if version is not None:
            context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
        if own is not None:
            context.use_certificate_file(str(own))
            context.use_privatekey_file(str(own))
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        if self.client is not None:
            self.transport.begin(listener, self.client)
            self.client.makeConnection(self.transport)
            if shake:
                self.pump()

    @property
    def closed(self) -> bool:
        return self.client is None or self.transport.closed

    def send(self, *packets: bytes) -> list[bytes]:
        """All of it in one segment. What was answered at once."""
        self.tls.send(b"".join(packets))
        self.pump()
        return self.read()

    def read(self) -> list[bytes]:
        self.pump()
        return list(self.stream.packets())

    def pump(self) -> None:
        """Carry octets to and fro until there are none."""
        server = self.transport.server
        if server is None or self.transport.aborted:
            return
        moved = True
        while moved and not self.transport.aborted:
            self._shake(self.tls)
            moved = self._carry(self.tls, server) and not self.transport.paused
            self._serve(server)
            moved = self._carry(server, self.tls) or moved
        self._hear()

    def _carry(self, source: SSL.Connection, target: SSL.Connection) -> bool:
        try:
            octets = source.bio_read(65536)
        except SSL.WantReadError:
            return False
        target.bio_write(octets)
        return True

    def _shake(self, connection: SSL.Connection) -> bool:
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as problem:
            self.problem = problem
            return False
        return True

    def _serve(self, server: SSL.Connection) -> None:
        assert self.client is not None
        if not self._shaken:
            try:
                server.do_handshake()
            except SSL.WantReadError:
                return
            except SSL.Error as problem:
                self.transport.closed = self.transport.aborted = True
                self.client.connectionLost(Failure(problem))
                return
            self._shaken = True
            self.client.handshakeCompleted()
        while not self.transport.paused and not self.transport.aborted:
            try:
                octets = server.recv(65536)
            except SSL.WantReadError:
                return
            self.client.dataReceived(octets)

    def _hear(self) -> None:
        try:
            while True:
                self.stream.feed(self.tls.recv(65536))
        except SSL.Error:
            return

    def hang_up(self) -> None:
        assert self.client is not None
        self.client.connectionLost(Failure(ConnectionError("gone")))


class RadSecWorld(World):
    """`connect()` is the client `switch`, whose certificate and address are right."""

    def __init__(
        self, folder: Path, *, stream: StreamLimits | None = None, limits: Limits = LIMITS, **more: Any
    ) -> None:
        super().__init__(limits=limits, **more)
        self.authority = Authority(folder / "clients")
        self.servers = Authority(folder / "servers", "Servers")
        self.certificate = self.servers.issue("proxy.example")
        self.right = self.issue("switch.example")
        self.stream = stream or StreamLimits()
        self.causes: Counter[str] = Counter()
        self.accounting: Any = None
        self.known = {"switch": ("10.2.0.0/24", "switch.example"), "other": ("10.3.0.0/24", "other.example")}
        packets: RadiusListener[RadSecClient] = RadiusListener(
            receiver="tls",
            served=PrefixTable(()),
            limits=limits,
            latches=self.latches,
            reactor=self.clock,
            log=self.log,
            discards=self.discards,
            workload=self.workload,
            codes=LOGINS | ACCOUNTING,
        )
        self.port = RadSecListener(self.plan(), packets, reactor=self.clock, log=self.log, disconnects=self)

    def radsec_disconnected(self, cause: str) -> None:
        self.causes[cause] += 1

    def issue(self, *names: str, **more: Any) -> Path:
        return self.authority.issue(*names, **{"usage": ExtendedKeyUsageOID.CLIENT_AUTH, **more})

    def plan(self, authority: Path | None = None) -> RadSecPlan:
        files = ServerFiles(
            self.certificate, self.certificate, client_authorities=authority or self.authority.ca
        )
        known = [
            Known(
                (ip_network(network),),
                CertificateNames(
                    frozenset(n for n in names.split() if ":" not in n),
                    frozenset(n.removeprefix("sha256:") for n in names.split() if n.startswith("sha256:")),
                ),
                Served(
                    Client(
                        name,
                        f"vpn/{name}/tls",
                        (ip_network(network),),
                        SECRET,
                        RequireMessageAuthenticator.NO,
                        over_tls=True,
                    ),
                    self.section,
                    self.accounting,
                ),
            )
            for name, (network, names) in self.known.items()
        ]
        return RadSecPlan(IdentityTable(known), LIMITS, ServerTls(files), self.stream)

    def connect(self, own: Path | None = None, address: str = "10.2.0.1", **more: Any) -> Wire:
        return Wire(self.port, own or self.right, self.servers.ca, address, **more)

    def connect_without_certificate(self) -> Wire:
        return Wire(self.port, None, self.servers.ca, "10.2.0.1")

    def seconds(self, count: int) -> None:
        """In steps, as the listener looks."""
        for _ in range(count):
            self.clock.advance(1)
