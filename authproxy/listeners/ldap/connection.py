"""A client's connection: octets to messages and back, TLS, a balancer's PROXY header, and time limits (A9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.internet import interfaces, protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from authproxy.listeners.ldap.proxy_protocol import read_header
from authproxy.listeners.ldap.session import Session
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Framer
from authproxy.protocols.ldap.responses import notice_of_disconnection
from authproxy.protocols.ldap.result import ResultCode

if TYPE_CHECKING:
    from authproxy.listeners.ldap.listener import LdapListener

_LINGER = 10.0  # seconds that a client may take for our last words


@implementer(interfaces.IHandshakeListener, interfaces.IPushProducer)
class LdapClient(protocol.Protocol):
    """Implements ports.Client."""

    transport: Any

    def __init__(self, listener: LdapListener, address: str, *, behind_balancer: bool) -> None:
        self._listener = listener
        self.address = address
        self.counted = False  # among its address's connections; the listener's
        self.secure = False
        section = listener.section
        self._framer = Framer(section.limits.message)
        self._header: bytes | None = b"" if behind_balancer else None  # as much of it as is there
        self._shaking_hands = False
        now = listener.reactor.seconds()
        self._opened = now
        self._last = now  # when a whole message last came
        self._spoken = False  # one came at all
        self._partial_since: float | None = None
        self._stalled_since: float | None = None
        self._unread_for: set[str] = set()  # whom the client isn't read for, while they don't read
        self._closing_since: float | None = None
        self._gone = False
        self.session = Session(self, lambda: listener.section, reactor=listener.reactor, log=listener.log)

    # ---- ports.Client

    @property
    def partial(self) -> bool:
        return bool(self._framer.pending)

    def write(self, octets: bytes) -> None:
        if not self._gone and self._closing_since is None:
            self.transport.write(octets)

    def pause(self) -> None:
        self._unread_for.add("directory")
        self._read_or_not()

    def resume(self) -> None:
        self._unread_for.discard("directory")
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._unread_for and not self._gone:
            self.transport.pauseProducing()
        elif not self._gone and self._closing_since is None:
            if self._partial_since is not None:  # the rest of it may have been waiting for us
                self._partial_since = self._listener.reactor.seconds()
            self.transport.resumeProducing()

    def allow(self, message: int) -> None:
        self._framer.limit = message

    def start_tls(self, last: bytes) -> None:
        self.transport.write(last)
        self._start_tls()

    def close(self, cause: str, last: bytes = b"") -> None:
        if self._gone or self._closing_since is not None:
            return
        self._count(cause)
        if self._shaking_hands:
            self._abort()  # there is no TLS yet that it could be said in
            return
        self._closing_since = self._listener.reactor.seconds()
        if last:
            self.transport.write(last)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def abort(self, cause: str) -> None:
        if not self._gone:
            self._count(cause)
            self._abort()

    def _abort(self) -> None:
        self._gone = True
        self.session.end()
        self.transport.abortConnection()

    def _count(self, cause: str) -> None:
        """'' is the client's own wish."""
        if cause:
            self._listener.disconnected(cause, self.address)

    # ---- Twisted's side

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self.transport.registerProducer(self, True)
        if self._header is None:
            self._begin()

    def _begin(self) -> None:
        """Behind a balancer's header, if there has to be one."""
        if self._listener.tls_at_once:
            self._start_tls()

    def _start_tls(self) -> None:
        tls = self._listener.section.tls
        if tls is None:  # it went away with a reload
            self.abort("tls")
            return
        self._shaking_hands = True
        self._opened = self._last = self._listener.reactor.seconds()
        self._spoken = False
        self.transport.startTLS(tls)

    def handshakeCompleted(self) -> None:  # noqa: N802 - Twisted's name
        self._shaking_hands = False
        self.secure = True

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802 - Twisted's name
        if self._shaking_hands and not self._gone and reason.check(SSL.Error):
            self._count("tls")
        self._gone = True
        self.session.end()
        self._listener.closed(self)
        self.session.dissolve()
        del self.session

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Never raises: a bug of ours ends this client's connection only (A19)."""
        if self._gone or self._closing_since is not None:
            return
        try:
            if self._header is not None:
                self._proxied(data)
            else:
                self._received(data)
        except MalformedMessage as malformed:
            self._malformed(malformed)
        except Exception as bug:  # noqa: BLE001 - the listener's catch-all
            self._listener.log.failure("ldap.failed", bug, source=self.address)
            self.session.disconnect("internal", ResultCode.OTHER)

    def _received(self, data: bytes) -> None:
        frames = self._framer.feed(data)
        now = self._listener.reactor.seconds()
        if frames:
            self._last = now
            self._spoken = True
            self._partial_since = now if self._framer.pending else None
            self.session.received(frames)
        elif self._partial_since is None:
            self._partial_since = now

    def _malformed(self, malformed: MalformedMessage) -> None:
        self._listener.log.warn(
            "ldap.discarded", cause=malformed.cause, source=self.address, problem=str(malformed)
        )
        if self._header is not None:
            # Whoever speaks no PROXY protocol needn't speak LDAP.
            self.abort(malformed.cause)
        else:
            self.session.disconnect(malformed.cause, ResultCode.PROTOCOL_ERROR, malformed.cause)

    def _proxied(self, data: bytes) -> None:
        """The balancer's header, and what came with it."""
        octets = (self._header or b"") + data
        header = read_header(octets)
        if header is None:
            self._header = octets
            return
        self._header = None
        if header.address is not None and not self._listener.speaks_for(self, header.address):
            self.refuse_for_number()
            return
        rest = octets[header.length :]
        self._begin()
        if rest and self._listener.tls_at_once:
            self.transport.protocol.dataReceived(rest)
        elif rest:
            self._received(rest)

    def refuse_for_number(self) -> None:
        """A1: there are too many connections; the newest is closed, and told why if possible."""
        if self._listener.tls_at_once:
            self.abort("too_many_connections")
        else:
            self.session.end()
            self.close(
                "too_many_connections", notice_of_disconnection(ResultCode.BUSY, "Too many connections.")
            )

    # ---- the client doesn't read (IPushProducer)

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._stalled_since = self._listener.reactor.seconds()
        self.session.relay.pause()
        if not self._shaking_hands:  # a handshake can't be written without being read
            # A9: what it goes on asking is answered from here as well, and nobody takes that either.
            self._unread_for.add("client")
            self._read_or_not()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._stalled_since = None
        self.session.relay.resume()
        self._unread_for.discard("client")
        self._read_or_not()

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
        cause = self._too_long(now)
        if cause in ("stalled", "slow", "first_message"):
            # Nobody reads what we would say, or it would stand in the middle of a handshake.
            self.abort(cause)
        elif cause == "upstream_silent":
            self.session.give_up_waiting()
        elif cause:
            self.session.disconnect(cause, ResultCode.UNAVAILABLE, "Idle for too long.")
        elif self._listener.is_over(now, at_rest=self.session.at_rest, busy=self.session.busy):
            self.session.disconnect("stopping", ResultCode.UNAVAILABLE, "Stopping.")

    def _too_long(self, now: float) -> str:
        limits = self._listener.section.limits
        session = self.session
        if self._stalled_since is not None and now - self._stalled_since > limits.stalled:
            return "stalled"
        if not self._spoken and now - self._opened > limits.first:
            return "first_message"
        slow = self._partial_since is not None and now - self._partial_since > limits.message_time
        if slow and not self._unread_for:
            return "slow"
        silent_since = session.silent_since()
        if limits.network and silent_since is not None and now - silent_since > limits.network:
            return "upstream_silent"
        idle = limits.idle if session.bound else limits.idle_unbound
        if session.at_rest and now - max(self._last, session.relay.heard) > idle:
            return "idle"
        return ""
