"""A RadSec client's connection: TLS, packets from the stream, answers to it, and time limits (A9)."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL, crypto
from twisted.internet import interfaces, protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from authproxy.listeners.radius.udp import Source
from authproxy.protocols.radius.packet import Malformed, MalformedPacket
from authproxy.protocols.radius.stream import PacketStream

if TYPE_CHECKING:
    from authproxy.listeners.radius.listener import Served
    from authproxy.listeners.radius.radsec import RadSecListener

_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
_UNACKNOWLEDGED = 60_000  # milliseconds that sent octets may stay unacknowledged
_LINGER = 10.0  # seconds that a client may take for its last answers
# RFC 6613 §2.6.4: what is behind them can't be believed either. Other causes cost the one packet.
_ENDING = frozenset((*Malformed, "message_authenticator", "accounting_authenticator"))


@implementer(interfaces.IHandshakeListener, interfaces.IPushProducer)
class RadSecClient(protocol.Protocol):
    """Before its certificate has proved who the client is, no octet of RADIUS is read."""

    transport: Any

    def __init__(self, listener: RadSecListener, source: Source) -> None:
        self._listener = listener
        self.source = source
        self.tls: SSL.Connection | None = None  # ours, given when it begins
        self._served: Served | None = None
        self._stream = PacketStream()
        self._pending = 0  # requests that wait for their answers
        self._last = listener.reactor.seconds()  # when a whole packet last came
        self._partial_since: float | None = None
        self._stalled_since: float | None = None
        self._closing_since: float | None = None
        self._finishing = ""  # why it ends behind its last answer
        self._paused = False
        self._gone = False

    @property
    def is_known(self) -> bool:
        """Its certificate has proved who it is (or had, before a reload ended that)."""
        return self._served is not None or bool(self._finishing) or self._closing_since is not None

    # ---- answers

    def send(self, octets: bytes) -> None:
        """Send an answer, if the connection is still open; on another one it would belong to nobody."""
        if not self._gone and self._closing_since is None:
            self.transport.write(octets)

    def began(self) -> None:
        """A request is being answered."""
        self._pending += 1

    def ended(self) -> None:
        """A request was answered, or never will be."""
        self._pending -= 1
        if self._finishing and not self._pending:
            self.close(self._finishing)
        else:
            self._flow()

    def finish(self, cause: str) -> None:
        """Close after the last answer; counted by this cause."""
        self._finishing = self._finishing or cause
        if not self._pending:
            self.close(cause)

    def review(self) -> None:
        """After a reload: whether it is still a client, or has to be closed (R54)."""
        certificate, chain = self._certificates()
        if self._served is None or certificate is None:
            return  # the handshake isn't over; its end asks
        plan = self._listener.plan
        if plan.tls.still_believes(certificate, chain) and plan.clients.expects(self.source.ip):
            self._served = self._listener.identify(self.source, certificate.to_cryptography())
        else:
            self._served = None
        if self._served is None:
            self.finish("client_removed")

    def close(self, cause: str) -> None:
        if self._gone or self._closing_since is not None:
            return
        if cause:
            self._listener.disconnected(cause, self.source)
        if self._served is None and not self._finishing:
            self._abort()
            return
        self._closing_since = self._listener.reactor.seconds()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def abort(self, cause: str) -> None:
        if not self._gone:
            self._listener.disconnected(cause, self.source)
            self._abort()

    def _abort(self) -> None:
        self._gone = True
        self.transport.abortConnection()

    # ---- Twisted's side

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        raw = getattr(self.transport, "socket", None)
        if isinstance(raw, socket.socket):
            with contextlib.suppress(OSError):
                for option, value in _KEEPALIVE:
                    raw.setsockopt(socket.IPPROTO_TCP, option, value)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)
        self.transport.registerProducer(self, True)

    def handshakeCompleted(self) -> None:  # noqa: N802 - Twisted's name
        certificate, _ = self._certificates()
        if certificate is not None:
            self._served = self._listener.identify(self.source, certificate.to_cryptography())
        self._last = self._listener.reactor.seconds()
        if self._served is None:
            self.abort("unknown_client")

    def _certificates(self) -> tuple[crypto.X509 | None, list[crypto.X509]]:
        if self.tls is None:
            return None, []
        return self.tls.get_peer_certificate(), self.tls.get_peer_cert_chain() or []

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802 - Twisted's name
        if self._served is None and not self._gone and reason.check(SSL.Error):
            # Another port's protocol, or a certificate that no authority of ours has made.
            self._listener.refused("tls", self.source)
        self._gone = True
        self._listener.closed(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Never raises: a bug of ours ends this client's connection only (A19)."""
        if self._gone or self._closing_since is not None:
            return
        self._stream.feed(data)
        try:
            self._take()
        except MalformedPacket as malformed:
            self._listener.packets.discarded(malformed.cause, self.source, str(malformed))
            self.abort("malformed")
        except Exception as bug:  # noqa: BLE001 - the connection's catch-all
            self._listener.log.failure("radius.failed", bug, source=self.source.ip)
            self.abort("internal")

    def _take(self) -> None:
        """Packets that are there, until there is as much to do as may be."""
        packets = self._stream.packets()
        # Looked at before each: what TLS had decrypted already comes in behind a pause, too.
        while not (self._gone or self._is_full) and (packet := next(packets, None)) is not None:
            self._last = self._listener.reactor.seconds()
            self._partial_since = None
            if self._served is None:
                return
            cause = self._listener.packets.take(packet, self.source, self, self._served)
            if cause in _ENDING:
                self.abort("malformed")
        if self._stream.partial and self._partial_since is None:
            self._partial_since = self._listener.reactor.seconds()
        self._flow()

    # ---- how much it may ask

    @property
    def _is_full(self) -> bool:
        """Whoever has so much open, or reads no answers, is read no further (RFC 6613 §2.6.5)."""
        return self._stalled_since is not None or self._pending >= self._listener.plan.stream.pending

    def _flow(self) -> None:
        if self._gone or self._closing_since is not None or self._is_full == self._paused:
            return
        self._paused = self._is_full
        if self._paused:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()
            # What came before the pause is looked at when the stack is another.
            self._listener.reactor.callLater(0, self.dataReceived, b"")

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._stalled_since = self._listener.reactor.seconds()
        self._flow()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._stalled_since = None
        self._flow()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The connection is lost; connectionLost follows."""

    # ---- time

    def look(self, now: float) -> None:
        """Called once a second: end what takes too long."""
        if self._gone:
            return
        if self._closing_since is not None:
            if now - self._closing_since > _LINGER:
                self._abort()
            return
        limits = self._listener.plan.stream
        if self._served is None and not self._finishing:
            if now - self._last > limits.handshake:
                self.abort("handshake")
        elif self._stalled_since is not None and now - self._stalled_since > limits.stalled:
            self.abort("stalled")
        elif (
            self._partial_since is not None and not self._paused and now - self._partial_since > limits.packet
        ):
            self.abort("slow")
        elif not self._pending and now - self._last > limits.idle:
            self.close("idle")
