"""One RADIUS server, by UDP: requests pending there, and retransmission (RFC 5080 §2.2.1)."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from authproxy.backends.radius.datagrams import ServerSocket
from authproxy.backends.radius.liveness import Liveness, Silent
from authproxy.backends.radius.retransmission import Retransmission
from authproxy.observe.log import Log
from authproxy.protocols.radius.packet import Code, Packet
from authproxy.protocols.radius.request import UnacceptableReply, read_reply, status_server
from authproxy.secret import Secret

MOST_SOCKETS = 64  # of 256 requests each
MOST_WAIT = 16.0  # seconds between two retransmissions at most: RFC 5080's MRT
Build = Callable[[int, bytes, str], Packet]  # identifier, authenticator, our address towards the server


@dataclass(slots=True, eq=False)
class _Exchange:
    """`waiting` fires with the reply, with None when it is time to send again, or fails with Silent."""

    socket: ServerSocket
    request: Packet
    waiting: Deferred[Packet | None]

    def fire(self, outcome: Packet | Silent | None) -> None:
        waiting = self.waiting
        if not waiting.called:
            waiting.errback(outcome) if isinstance(outcome, Silent) else waiting.callback(outcome)


class Server:
    """`address` is numeric. Every wait ends at the caller's deadline."""

    def __init__(
        self,
        address: str,
        port: int,
        secret: Secret,
        *,
        require_message_authenticator: bool,
        retry_wait: float,
        reactor: Any,
        log: Log,
    ) -> None:
        """`retry_wait`: seconds before the first retransmission; each later one waits about twice as long."""
        self.address, self.port = address, port
        self._secret = secret
        self._require = require_message_authenticator
        self._retry_wait = retry_wait
        self._reactor = reactor
        self._log = log
        self._sockets: list[ServerSocket] = []
        self._pending: dict[tuple[ServerSocket, int], _Exchange] = {}
        self._retransmission = Retransmission(reactor)
        self._liveness = Liveness(str(self), self.probe, reactor=reactor, log=log)
        self._closed = False

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def pending(self) -> int:
        return len(self._pending)

    def is_alive(self) -> bool:
        """Whether to ask it: it isn't known to be dead, or has been dead so long that it is worth a try."""
        return self._liveness.is_alive

    @property
    def dead_since(self) -> float | None:
        """The reactor's seconds; None: it isn't known to be dead."""
        return self._liveness.dead_since

    async def ask(
        self, build: Build, *, sends: int, deadline: float, counts: bool = True
    ) -> tuple[Packet, Packet]:
        """The reply, and the request, which is sent up to `sends` times with the same octets (R37).

        `deadline`: the reactor's seconds. `counts`: whether silence says that the server is dead. Raises Silent.
        """
        began = now = self._reactor.seconds()
        exchange = self._begin(build)
        wait = self._retry_wait
        try:
            for _ in range(sends):
                left = deadline - now
                if left <= 0:
                    break
                # RFC 5080 §2.2.1: a tenth more or less, so that many clients don't beat in time.
                pause = min(wait * random.uniform(0.9, 1.1), left)  # noqa: S311 - no secret in it
                self._retransmission.at(now + pause, exchange.waiting)
                exchange.socket.send(exchange.request.octets)
                reply = await exchange.waiting
                if reply is not None:
                    return reply, exchange.request
                exchange.waiting = Deferred()
                wait = min(wait * 2, MOST_WAIT)
                now = self._reactor.seconds()
            raise Silent(f"{self}: no answer")  # noqa: TRY301 - it counts as one that `fire` was told does
        except Silent:
            if counts:
                self._liveness.silent(began)
            raise
        finally:
            del self._pending[exchange.socket, exchange.request.identifier]
            exchange.socket.free.append(exchange.request.identifier)

    def close(self) -> None:
        """Pending requests fail with Silent."""
        self._closed = True
        self._liveness.close()
        for exchange in list(self._pending.values()):
            exchange.fire(Silent(f"{self}: closed"))
        self._retransmission.close()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    # ---- one exchange

    def _begin(self, build: Build) -> _Exchange:
        sock = self._socket_with_room()
        identifier = sock.free.popleft()
        try:
            request = build(identifier, os.urandom(16), sock.local_address)
        except BaseException:
            sock.free.append(identifier)
            raise
        exchange = _Exchange(sock, request, Deferred())
        self._pending[sock, identifier] = exchange
        return exchange

    def _socket_with_room(self) -> ServerSocket:
        if self._closed:
            raise Silent(f"{self}: closed")
        for sock in self._sockets:
            if sock.free:
                return sock
        if len(self._sockets) >= MOST_SOCKETS:
            raise Silent(f"{self}: {self.pending} requests are pending there, that is all it gets")
        try:
            sock = ServerSocket(self.address, self.port, self._reactor, self._received, self._refused)
        except OSError as error:
            raise Silent(f"{self}: {error.strerror}") from None
        self._sockets.append(sock)
        return sock

    def _received(self, sock: ServerSocket, identifier: int, datagram: bytes) -> None:
        exchange = self._pending.get((sock, identifier))
        if exchange is None:
            self._log.debug("primary.reply_unexpected", server=str(self), identifier=identifier)
            return
        # RFC 5997 §3 asks for no signature in the answer to Status-Server; all that it could do is to bring a server
        # back, and there is no attribute of anybody's in it that a forger could choose (CVE-2024-3596).
        require = self._require and exchange.request.code != Code.STATUS_SERVER
        try:
            reply = read_reply(
                datagram, exchange.request, self._secret, require_message_authenticator=require
            )
        except UnacceptableReply as unacceptable:
            # R35: not an answer, whoever it is from; the right one may still come.
            self._log.warn("primary.reply_refused", server=str(self), problem=str(unacceptable))
            return
        self._liveness.heard()
        exchange.fire(reply)

    def _refused(self, sock: ServerSocket) -> None:
        """Nobody listens there: no use in waiting. It only moves logins to another server."""
        self._liveness.die("connection refused")
        for (of, _), exchange in list(self._pending.items()):
            if of is sock:
                exchange.fire(Silent(f"{self}: connection refused"))

    async def probe(self, timeout: float) -> Packet:
        """Send Status-Server. Raises Silent, which isn't counted as the silence of a login."""
        reply, _ = await self.ask(
            self._status, sends=1, deadline=self._reactor.seconds() + timeout, counts=False
        )
        return reply

    def _status(self, identifier: int, authenticator: bytes, _: str) -> Packet:
        return status_server(identifier=identifier, authenticator=authenticator, secret=self._secret)
