"""A client's connection from its CONNECT to its end. Octets pass unchanged, and are held back while the other side
can't take them.
"""

from __future__ import annotations

from http import HTTPStatus
from socket import socket
from typing import TYPE_CHECKING, Any, cast

from twisted.internet import protocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.python.failure import Failure

from authproxy.observe.bridge import with_traceback
from authproxy.protocols.http.tunnel import END, GRANTED, MAX_HEAD, NoTunnel, read_request, refusal

if TYPE_CHECKING:
    from authproxy.listeners.http_proxy.listener import HttpProxyListener

_PATIENCE = 10.0  # seconds for a request, and for what is on its way out when one end has gone


class _End(protocol.Protocol):
    """One of a tunnel's two connections."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.other: _End | None = None
        self.moved_at = 0.0
        self.gone = False

    @property
    def wire(self) -> ITCPTransport:
        return cast(ITCPTransport, self.transport)

    def join(self, other: _End) -> None:
        """What comes in there goes out here; who is too fast for the other has to wait."""
        self.other = other
        cast(Any, self.transport).registerProducer(cast(IPushProducer, other.transport), True)

    def end(self) -> None:
        """Send what is left, then close."""
        cast(Any, self.transport).unregisterProducer()
        self.wire.loseConnection()


class _Far(_End):
    """The cloud's end."""

    def __init__(self, near: Tunnel) -> None:
        super().__init__()
        self._near = near

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's
        self._near.reached(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's
        self._near.moved()
        self._near.asks = False
        self._near.wire.write(data)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802 - Twisted's
        self.gone = True
        self._near.other_end_gone()


class Tunnel(_End):
    """The client's side."""

    def __init__(self, listener: HttpProxyListener, address: str) -> None:
        super().__init__(address)
        self._listener = listener
        self._rules = listener.rules
        self._head = b""
        # Whether the last word was the client's: somebody may be looking for a phone until there is an answer.
        self.asks = False
        self._dialling: Deferred[socket] | None = None
        self._ending = False

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's
        self.wire.setTcpNoDelay(True)
        self.moved()

    def moved(self) -> None:
        self.moved_at = self._listener.reactor.seconds()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's
        if self.other is not None:
            self.moved()
            self.asks = True
            self.other.wire.write(data)
            return
        if self._ending:
            return
        self._head += data
        if self._dialling is None:
            self._read()

    def _read(self) -> None:
        head, end, behind = self._head.partition(END)
        if len(head) > MAX_HEAD:
            self._refuse(NoTunnel(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "malformed"))
            return
        if not end:
            return
        try:
            self._listener.may_lead_to(*read_request(head))
        except NoTunnel as refused:
            self._refuse(refused)
            return
        # What a client sends before it has been answered waits, here and in its own machine.
        self._head = behind
        self.asks = True
        cast(Any, self.transport).pauseProducing()
        self._dialling = Deferred.fromCoroutine(self._listener.dial())  # type: ignore[arg-type]
        self._dialling.addCallbacks(self._connected, self._not_connected)

    def _connected(self, connected: socket) -> None:
        reactor = self._listener.reactor
        factory = protocol.Factory.forProtocol(lambda: _Far(self))
        factory.noisy = False
        reactor.adoptStreamConnection(connected.fileno(), connected.family, factory)
        connected.close()  # the reactor has its own of it

    def reached(self, far: _Far) -> None:
        """The connection to the cloud is there."""
        self.moved()
        self.wire.write(GRANTED)
        far.wire.write(self._head)
        self._head = b""
        self.join(far)
        far.join(self)
        cast(Any, self.transport).resumeProducing()

    def _not_connected(self, failure: Failure) -> None:
        refused = failure.value
        if failure.check(CancelledError):
            return
        if not isinstance(refused, NoTunnel):
            self._listener.log.failure("http_proxy.bug", with_traceback(failure))
            refused = NoTunnel(HTTPStatus.INTERNAL_SERVER_ERROR, "internal")
        self._refuse(refused)

    def _refuse(self, refused: NoTunnel) -> None:
        self._listener.refused(refused.cause, self.address, refused.detail)
        self._ending = True
        self.moved()
        self.wire.write(refusal(refused.status))
        self.wire.loseConnection()

    # ---- the end

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802 - Twisted's
        self.gone = True
        self.moved()
        if self._dialling is not None and self.other is None:
            self._dialling.cancel()
        if self.other is None or self.other.gone:
            self._listener.closed(self)
        else:
            self._ending = True
            self.other.end()

    def other_end_gone(self) -> None:
        self.moved()
        if self.gone:
            self._listener.closed(self)
        else:
            self._ending = True
            self.end()

    def abort(self) -> None:
        for end in (self, self.other):
            if end is not None and not end.gone:
                end.wire.abortConnection()

    def look(self, now: float, *, draining: bool) -> None:
        """Called once a second: end it if its time is over. `draining`: end it unless an answer is due (A12)."""
        if draining and not self.asks:
            self.abort()
            return
        waiting = self.other is None or self._ending
        if now - self.moved_at > (_PATIENCE if waiting else self._rules.idle):
            if self.other is None and not self._ending and self._dialling is None:
                self._listener.refused("slow", self.address)
            self._ending = True
            self.abort()
