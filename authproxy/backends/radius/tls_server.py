"""One RADIUS server over TLS (RFC 6614): connections are kept, opened again after growing pauses, and watched while in
use.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ConnectError
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from authproxy.backends.attempt import Attempt
from authproxy.backends.radius.liveness import Liveness, Silent
from authproxy.backends.radius.stream import Build, ConnectionGone, ServerStream
from authproxy.backends.tls import ClientTls, UnusableTrust, describe
from authproxy.observe.log import Log
from authproxy.protocols.radius.packet import Packet
from authproxy.protocols.radius.request import status_server
from authproxy.secret import Secret

MOST_CONNECTIONS = 16  # of 255 requests each
CONNECT = 5.0  # seconds for TCP and TLS together
# How often one request is sent, each time on another connection, because the one before was lost.
_SENDS = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds between two attempts to connect that fail
WATCH = 30.0  # seconds of silence before a connection is asked whether it lives (RFC 3539 §3.4.1)
_ANSWER = 10.0  # seconds that it has for that


class TlsServer:
    """`address` is numeric; `tls` verifies the server's certificate. Every wait ends at the caller's deadline."""

    def __init__(
        self,
        address: str,
        port: int,
        secret: Secret,
        *,
        tls: Callable[[], ClientTls],
        retry_wait: float,
        reactor: Any,
        log: Log,
    ) -> None:
        """`tls` raises UnusableTrust. `retry_wait`: as by UDP, it says how long to wait for an answer."""
        self.address, self.port = address, port
        self._secret = secret
        self._tls = tls
        self._retry_wait = retry_wait
        self._reactor = reactor
        self._log = log
        self._liveness = Liveness(str(self), self._look, reactor=reactor, log=log)
        self._connections: list[ServerStream] = []
        self._waiting: list[Deferred[None]] = []  # for the attempt to connect that is under way
        self._connecting = False
        self._pause = 0.0
        self._not_before = float("-inf")
        self._problem = ""
        # Whether it has ever answered Status-Server: only then does silence on it mean anything.
        self._answers_status = False
        self._watching: Any = None
        self._closed = False

    def __str__(self) -> str:
        at = f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
        return f"{at} (TLS)"

    def is_alive(self) -> bool:
        return self._liveness.is_alive

    @property
    def dead_since(self) -> float | None:
        """The reactor's seconds."""
        return self._liveness.dead_since

    async def ask(self, build: Build, *, sends: int, deadline: float) -> tuple[Packet, Packet]:
        """The reply, and the request that it answers. Raises Silent.

        It is waited for as long as by UDP it would be sent `sends` times. When the connection goes meanwhile, the
        request is made anew and sent on another; a reply, a Reject above all, ends that (A5).
        """
        began = self._reactor.seconds()
        until = min(deadline, began + self._retry_wait * (2**sends - 1))
        problem = ""
        for _ in range(_SENDS):
            connection = await self._connected(until)
            try:
                return await connection.ask(build, until)
            except ConnectionGone as gone:
                problem = str(gone)
            except Silent:
                self._liveness.silent(began)
                raise
        self._liveness.die(problem)
        raise Silent(problem)

    async def probe(self, timeout: float) -> Packet:
        """Status-Server. Raises Silent; it does not count as a silence of a login."""
        until = self._reactor.seconds() + timeout
        connection = await self._connected(until)
        try:
            reply = await connection.status(self._status, until)
        except ConnectionGone as gone:
            raise Silent(str(gone)) from None
        self._answers_status = True
        return reply

    def close(self) -> None:
        """Whoever waits gets Silent."""
        self._closed = True
        self._liveness.close()
        if self._watching is not None and self._watching.active():
            self._watching.cancel()
        for connection in list(self._connections):
            connection.close()
        self._connections.clear()

    def _status(self, identifier: int, authenticator: bytes, _: str) -> Packet:
        return status_server(identifier=identifier, authenticator=authenticator, secret=self._secret)

    async def _look(self, timeout: float) -> None:
        """Of a dead one. Where Status-Server was never answered, a connection has to be enough."""
        if self._answers_status:
            await self.probe(timeout)
            return
        await self._connected(self._reactor.seconds() + timeout)
        self._liveness.heard()

    # ---- connections

    async def _connected(self, until: float) -> ServerStream:
        """A connection with room. Raises Silent."""
        while True:
            for connection in self._connections:
                if connection.spent:
                    connection.close()
            self._connections = [one for one in self._connections if one.usable]
            for connection in self._connections:
                if connection.free:
                    return connection
            await self._another(until)

    async def _another(self, until: float) -> None:
        """Until the attempt to connect that is under way, or a new one, has ended well. Raises Silent."""
        if self._closed:
            raise Silent(f"{self}: closed")
        if len(self._connections) >= MOST_CONNECTIONS:
            raise Silent(f"{self}: {MOST_CONNECTIONS} connections are full")
        left = until - self._reactor.seconds()
        if left <= 0:
            raise Silent(f"{self}: no connection in time")
        if not self._connecting:
            if self._reactor.seconds() < self._not_before:
                raise Silent(self._problem)
            self._connecting = True
            Deferred.fromCoroutine(self._connect()).addErrback(self._bug)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        waiting.addTimeout(left, self._reactor)
        try:
            await waiting
        except TimeoutError:
            raise Silent(f"{self}: no connection in time") from None

    async def _connect(self) -> None:
        try:
            connection = await self._attempt()
        except ConnectionGone as gone:
            self._failed(str(gone))
        else:
            self._connections.append(connection)
            self._pause, self._not_before = 0.0, float("-inf")
            self._log.info("primary.connected", server=str(self))
            self._watch()
            self._tell(None)

    async def _attempt(self) -> ServerStream:
        """A connection to a server that is who it should be. Raises ConnectionGone."""
        try:
            tls = self._tls()
        except UnusableTrust as unusable:
            raise ConnectionGone(str(unusable)) from None
        attempt = Attempt[ServerStream](self._protocol)
        over_tls = TLSMemoryBIOFactory(tls, True, attempt, clock=self._reactor)
        # A record for each packet: FreeRADIUS 3 reads no more than the first of several in one, and then hangs.
        over_tls.protocol = TLSMemoryBIOProtocol
        over_tls.noisy = False
        connected = attempt.connected
        self._reactor.connectTCP(self.address, self.port, over_tls, timeout=CONNECT)
        try:
            connection = await connected
        except (ConnectError, OSError) as error:
            raise ConnectionGone(f"{self}: cannot connect: {describe(error)}") from None
        connection.ready.addTimeout(CONNECT, self._reactor)
        try:
            await connection.ready
        except TimeoutError:
            connection.abort("no TLS in time")
            raise ConnectionGone(f"{self}: no TLS in time") from None
        if self._closed:
            connection.close()
            raise ConnectionGone(f"{self}: closed")
        return connection

    def _protocol(self, made: Callable[[ServerStream], None]) -> ServerStream:
        return ServerStream(
            str(self),
            self._secret,
            reactor=self._reactor,
            log=self._log,
            made=made,
            heard=self._liveness.heard,
        )

    def _failed(self, problem: str) -> None:
        """RFC 6614 has no word on it; RFC 3539 §3.4.1: don't hammer."""
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._not_before = self._reactor.seconds() + self._pause
        if problem != self._problem:
            self._log.warn("primary.not_connected", server=str(self), problem=problem)
        self._problem = problem
        self._liveness.die(problem)
        self._tell(Silent(problem))

    def _tell(self, problem: Silent | None) -> None:
        self._connecting = False
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.called:
                one.errback(problem) if problem is not None else one.callback(None)

    def _bug(self, failure: Failure) -> None:
        self._log.failure(
            "primary.connect_failed", failure.value or RuntimeError("cancelled"), server=str(self)
        )
        self._tell(Silent(f"{self}: internal"))

    # ---- the watchdog

    def _watch(self) -> None:
        if self._watching is None and not self._closed:
            # RFC 3539 §3.4.1: a bit more or less, so that many clients don't beat in time.
            self._watching = self._reactor.callLater(WATCH + random.uniform(-2, 2), self._beat)  # noqa: S311

    def _beat(self) -> None:
        self._watching = None
        now = self._reactor.seconds()
        self._connections = [one for one in self._connections if one.usable]
        for connection in self._connections:
            if now - connection.last_heard >= WATCH / 2:
                Deferred.fromCoroutine(self._check(connection)).addErrback(self._bug)
        if self._connections:
            self._watch()

    async def _check(self, connection: ServerStream) -> None:
        """Whether this connection still leads anywhere; one that doesn't ends, and what waits on it goes to another."""
        try:
            await connection.status(self._status, self._reactor.seconds() + _ANSWER)
        except ConnectionGone:
            return
        except Silent:
            if self._answers_status:
                connection.abort("silent")
        else:
            self._answers_status = True
