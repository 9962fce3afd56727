"""One connection over TLS to a RADIUS server: an identifier for each request, and whose answer came back (R53)."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet import interfaces, protocol
from twisted.internet.defer import Deferred, TimeoutError
from twisted.python.failure import Failure
from zope.interface import implementer

from authproxy.backends.radius.liveness import Silent
from authproxy.backends.tls import describe, is_untrusted
from authproxy.observe.log import Log
from authproxy.protocols.radius.packet import MalformedPacket, Packet
from authproxy.protocols.radius.request import ReplyProblem, UnacceptableReply, read_reply
from authproxy.protocols.radius.stream import PacketStream
from authproxy.secret import Secret

Build = Callable[[int, bytes, str], Packet]  # identifier, authenticator, our address towards the server

# RFC 6613 §2.6.5: kept for Status-Server, so that the question whether it lives always has room.
STATUS_IDENTIFIER = 0
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
_UNACKNOWLEDGED = 30_000  # milliseconds that sent octets may stay unacknowledged
# RFC 6613 §2.6.4: behind them nothing on the stream can be believed. Others cost the one packet.
_ENDING = frozenset(
    (ReplyProblem.MALFORMED, ReplyProblem.RESPONSE_AUTHENTICATOR, ReplyProblem.MESSAGE_AUTHENTICATOR)
)


class ConnectionGone(Exception):
    """The connection was lost; its requests may be sent again on another. `untrusted`: TLS failed because of what the
    peer is.
    """

    def __init__(self, why: str, *, untrusted: bool = False) -> None:
        super().__init__(why)
        self.untrusted = untrusted


@implementer(interfaces.IHandshakeListener)
class ServerStream(protocol.Protocol):
    """`ready` fires when TLS has proved who the server is, or fails with ConnectionGone."""

    transport: Any

    def __init__(
        self,
        name: str,
        secret: Secret,
        *,
        reactor: Any,
        log: Log,
        made: Callable[[ServerStream], None],
        heard: Callable[[], None],
    ) -> None:
        """`made` is called when it is connected, before TLS; `heard` for each acceptable reply."""
        self._name = name
        self._secret = secret
        self._made = made
        self._reactor = reactor
        self._log = log
        self._heard = heard
        self._stream = PacketStream()
        self._pending: dict[int, tuple[Packet, Deferred[Packet]]] = {}
        # Nobody waits for their answers any more; they aren't used again before those have come.
        self._late: set[int] = set()
        identifiers = list(range(1, 256))
        random.SystemRandom().shuffle(identifiers)
        self._free = deque(identifiers)
        self._gone: ConnectionGone | None = None
        self.ready: Deferred[None] = Deferred()
        self.last_heard: float = reactor.seconds()

    @property
    def usable(self) -> bool:
        return self._gone is None

    @property
    def free(self) -> int:
        """How many identifiers are unused."""
        return len(self._free) if self._gone is None else 0

    @property
    def spent(self) -> bool:
        """No request is pending, and no identifier is left: some answers never came."""
        return not self._pending and not self._free

    async def ask(self, build: Build, until: float) -> tuple[Packet, Packet]:
        """The reply, and the request. `until`: the reactor's seconds. Raises Silent, ConnectionGone."""
        identifier = self._free.popleft()
        try:
            request = self._build(build, identifier)
        except BaseException:
            self._free.append(identifier)
            raise
        try:
            reply = await self._exchange(request, until)
        except BaseException:
            self._late.add(identifier)
            raise
        self._free.append(identifier)
        return reply, request

    async def status(self, build: Build, until: float) -> Packet:
        """Like `ask`, with the identifier that is reserved for Status-Server; one at a time."""
        if STATUS_IDENTIFIER in self._pending:
            raise Silent(f"{self._name}: asked already")
        return await self._exchange(self._build(build, STATUS_IDENTIFIER), until)

    def _build(self, build: Build, identifier: int) -> Packet:
        if self._gone is not None:
            raise self._gone
        return build(identifier, os.urandom(16), self.transport.getHost().host)

    async def _exchange(self, request: Packet, until: float) -> Packet:
        waiting: Deferred[Packet] = Deferred()
        self._pending[request.identifier] = (request, waiting)
        waiting.addTimeout(max(0.0, until - self._reactor.seconds()), self._reactor)
        # RFC 6613 §2.6.1: sent once; TCP does the repeating.
        self.transport.write(request.octets)
        try:
            return await waiting
        except TimeoutError:
            raise Silent(f"{self._name}: no answer") from None
        finally:
            self._pending.pop(request.identifier, None)

    def close(self) -> None:
        """Close it; pending requests fail with ConnectionGone."""
        self._end(ConnectionGone(f"{self._name}: closed"))
        if self.transport is not None:
            self.transport.loseConnection()

    def abort(self, why: str) -> None:
        self._end(ConnectionGone(f"{self._name}: {why}"))
        if self.transport is not None:
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
        self._made(self)

    def handshakeCompleted(self) -> None:  # noqa: N802 - Twisted's name
        self.last_heard = self._reactor.seconds()
        if not self.ready.called:
            self.ready.callback(None)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802 - Twisted's name
        why = f"{self._name}: connection lost: {describe(reason)}"
        self._end(ConnectionGone(why, untrusted=is_untrusted(reason)))

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        if self._gone is not None:
            return
        self._stream.feed(data)
        try:
            for packet in self._stream.packets():
                self._received(packet)
                if not self.usable:
                    return
        except MalformedPacket as malformed:
            self._log.warn("primary.reply_refused", server=self._name, problem=str(malformed))
            self.abort("what it sends is no RADIUS")

    def _received(self, packet: bytes) -> None:
        identifier = packet[1]
        found = self._pending.get(identifier)
        if found is None:
            if identifier in self._late:
                self._late.discard(identifier)
                self._free.append(identifier)
            self._log.debug("primary.reply_unexpected", server=self._name, identifier=identifier)
            return
        request, waiting = found
        try:
            # TLS has carried it, so nobody has forged it on the way (RFC 6614 §2.3).
            reply = read_reply(packet, request, self._secret, require_message_authenticator=False)
        except UnacceptableReply as unacceptable:
            self._log.warn("primary.reply_refused", server=self._name, problem=str(unacceptable))
            if unacceptable.problem in _ENDING:
                self.abort(f"its reply was refused: {unacceptable}")
            return
        self.last_heard = self._reactor.seconds()
        self._heard()
        if not waiting.called:
            waiting.callback(reply)

    def _end(self, gone: ConnectionGone) -> None:
        if self._gone is not None:
            return
        self._gone = gone
        if not self.ready.called:
            self.ready.errback(gone)
        pending, self._pending = self._pending, {}
        for _, waiting in pending.values():
            if not waiting.called:
                waiting.errback(gone)
