"""Connections to the cloud that are kept open, and limits on opening more.

A connection carries one exchange at a time. The number of connections being opened is limited, because a storm of TLS
handshakes gives nobody an answer in time. A login that waits for a connection gives up at its own deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from authproxy.backends.cloud.failures import NoReply
from authproxy.backends.cloud.http1 import Connection, Reply
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class PoolLimits:
    connections: int = 16_384  # as many as logins may wait for a push
    connecting: int = 64  # connects and handshakes in progress
    idle: int = 256  # connections kept for later
    idle_seconds: float = 50.0  # services close at 60 to 75; better to be first
    # A connection that was silent for longer may be dead without our knowing: nothing that must not be sent twice
    # is sent on it.
    trusted_seconds: float = 5.0
    connect_seconds: float = 5.0


class Opens(Protocol):
    def open(self, deadline: float) -> Coroutine[Any, Any, Connection]: ...


class Pool:
    """Times and deadlines are in the reactor's seconds."""

    def __init__(self, opener: Opens, *, reactor: Any, limits: PoolLimits) -> None:
        self._opener = opener
        self._reactor = reactor
        self._limits = limits
        self._idle: deque[Connection] = deque()  # the newest at the right
        self._busy: set[Connection] = set()
        self._connecting = 0
        self._waiting: deque[Deferred[None]] = deque()
        # When, and what. Not the exception: its traceback holds the login that met it, with what its user typed.
        self._last_failure: tuple[float, FailureClass, str] | None = None
        self._sweep: Any = None
        self._closed = False

    @property
    def open_connections(self) -> int:
        return len(self._idle) + len(self._busy)

    async def send(self, request: bytes, deadline: float, *, repeatable: bool) -> Reply:
        """One exchange. Raises CloudFailure.

        Only a `repeatable` request is sent a second time, and only if a kept connection turns out to be closed, before
        the first octet of a reply.
        """
        connection = self._reusable(trusted=not repeatable) or await self._take(
            deadline, trusted=not repeatable
        )
        kept = connection.used
        while True:
            try:
                return await connection.exchange(request, deadline)
            except NoReply:
                if not (kept and repeatable):
                    raise
            finally:
                self._busy.discard(connection)
                self._keep(connection)
            connection, kept = await self._fresh(deadline), False

    async def send_alone(self, request: bytes, deadline: float) -> Reply:
        """One exchange on a connection of its own, not subject to any limit: for probes."""
        connection = await self._opener.open(deadline)
        try:
            return await connection.exchange(request, deadline)
        finally:
            connection.close()

    def close(self) -> None:
        """Close all connections; exchanges in progress fail."""
        self._closed = True
        if self._sweep is not None and self._sweep.active():
            self._sweep.cancel()
        for connection in [*self._idle, *self._busy]:
            connection.abort(_closing())
        self._idle.clear()
        while self._waiting:
            self._waiting.popleft().errback(_closing())

    # ---- within

    async def _take(self, deadline: float, *, trusted: bool) -> Connection:
        while not self._may_connect():
            await self._turn(deadline)
            connection = self._reusable(trusted=trusted)
            if connection is not None:
                return connection
        return await self._open(deadline)

    async def _fresh(self, deadline: float) -> Connection:
        while not self._may_connect():
            await self._turn(deadline)
        return await self._open(deadline)

    def _reusable(self, *, trusted: bool) -> Connection | None:
        """The one used last: it is the likeliest to live, and the others may grow old and go."""
        while self._idle:
            age = self._reactor.seconds() - self._idle[-1].idle_since
            if trusted and age > self._limits.trusted_seconds:
                return None
            connection = self._idle.pop()
            connection.on_lost = None
            if connection.is_quiet:
                self._busy.add(connection)
                return connection
            connection.close()
        return None

    def _may_connect(self) -> bool:
        """Whether there is room for one more, if need be for the idle one that is oldest."""
        if self._connecting >= self._limits.connecting:
            return False
        room = self._limits.connections - len(self._busy) - self._connecting
        return room > 0

    def _make_room(self) -> None:
        while self._idle and self.open_connections + self._connecting >= self._limits.connections:
            self._idle.popleft().close()

    async def _open(self, deadline: float) -> Connection:
        self._must_be_open()
        self._make_room()
        self._connecting += 1
        try:
            connection = await self._opener.open(
                min(deadline, self._reactor.seconds() + self._limits.connect_seconds)
            )
        except CloudFailure as failure:
            self._last_failure = (self._reactor.seconds(), failure.failure, failure.detail)
            raise
        else:
            # Counted before anybody else is woken.
            self._busy.add(connection)
        finally:
            self._connecting -= 1
            self._wake()
        if self._closed:
            self._busy.discard(connection)
            connection.close()
        self._must_be_open()
        return connection

    def _must_be_open(self) -> None:
        if self._closed:
            raise _closing()

    async def _turn(self, deadline: float) -> None:
        """Wait until there may be a connection. Raises CloudFailure at the deadline."""
        began = self._reactor.seconds()
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        timer = self._reactor.callLater(max(0.0, deadline - began), self._give_up, turn, began)
        try:
            await turn
        finally:
            if timer.active():
                timer.cancel()
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _give_up(self, turn: Deferred[None], began: float) -> None:
        """Nobody got through while this one waited: the cloud's doing. Others did: there are too many of us."""
        if self._last_failure is not None and self._last_failure[0] >= began:
            turn.errback(CloudFailure(*self._last_failure[1:]))
        else:
            turn.errback(CloudFailure(FailureClass.OVERLOAD, "no connection became free in time"))

    def _keep(self, connection: Connection) -> None:
        if not connection.is_open or self._closed or len(self._idle) >= self._limits.idle:
            connection.close()
        else:
            connection.idle_since = self._reactor.seconds()
            connection.on_lost = self._lost
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep = self._reactor.callLater(self._limits.idle_seconds, self._close_old)
        self._wake()

    def _lost(self, connection: Connection) -> None:
        self._idle.remove(connection)
        self._wake()

    def _wake(self) -> None:
        if self._waiting and (self._idle or self._may_connect()):
            self._waiting.popleft().callback(None)

    def _close_old(self) -> None:
        self._sweep = None
        now = self._reactor.seconds()
        while self._idle and self._idle[0].idle_since + self._limits.idle_seconds <= now:
            self._idle.popleft().close()
        if self._idle:
            left = self._idle[0].idle_since + self._limits.idle_seconds - now
            self._sweep = self._reactor.callLater(left, self._close_old)


def _closing() -> CloudFailure:
    return CloudFailure(FailureClass.INTERNAL, "shutting down")
