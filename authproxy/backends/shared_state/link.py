"""The connection to the store: made again when it breaks, and never waited for longer than one answer takes (A3, H5).

txredisapi speaks the protocol; its connecting and reconnecting isn't used, as it knows no name that TLS has to prove,
nor its time-outs, which don't know whether an answer waits to be read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import txredisapi
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import ClientFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from authproxy.backends.resolve import NameUnresolved, Resolver
from authproxy.backends.shared_state.settings import SharedStateSettings
from authproxy.backends.tls import ServerCertificates, UnusableTrust, client_tls, describe
from authproxy.observe.log import Log

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 15.0  # seconds before the next try
_LATE = 0.02  # seconds for what has come already to be read
_STEADY = 60.0  # seconds; a connection that has lasted that long is no part of an outage
_BEGINNINGS = frozenset("+-:$*")  # of an answer's lines
_MOST_OCTETS = 1 << 20  # of one answer; the largest that is asked for is some 4,096


# A script, its keys, its values.
Asked = tuple[str, Sequence[bytes], Sequence[bytes | int]]


class Unreachable(Exception):
    """The store doesn't answer, or not as a store does. The text is for the log."""


class _Connection(txredisapi.BaseRedisProtocol):  # type: ignore[misc]
    """Bounded in time and size, and with the reason why it was lost."""

    def __init__(self, timeout: float, reactor: Any) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self._timeout = timeout
        self._reactor = reactor
        self.why = ""
        self._octets = 0  # of the answers that are being read
        self._read = 0  # how often something came
        self._left = b""
        self._asked: deque[float] = deque()  # when, of what isn't answered yet
        self._timer: Any = None

    def execute_command(self, *command: Any, **options: Any) -> Any:
        self._asked.append(self._reactor.seconds())
        if self._timer is None:
            self._timer = self._reactor.callLater(self._timeout, self._look)
        return super().execute_command(*command, **options)

    def replyReceived(self, reply: Any) -> None:  # noqa: N802 - the library's name
        if self._asked:
            self._asked.popleft()
        super().replyReceived(reply)

    def _look(self, read: int = -1) -> None:
        """`read`: as `_read`, when the answer was late already."""
        self._timer = None
        if not self._asked:
            return
        left = self._asked[0] + self._timeout - self._reactor.seconds()
        if left > 0:
            self._timer = self._reactor.callLater(left, self._look)
        elif read == self._read or left <= -self._timeout:
            self._refuse("no answer in time")
        else:
            # Where it is this node that is late, answers wait to be read. They are, for as long again at most.
            self._timer = self._reactor.callLater(_LATE, self._look, self._read)

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:  # noqa: N802 - Twisted's name
        self._read += 1
        self._octets += len(data)
        if self._octets > _MOST_OCTETS:
            self._refuse("an answer of more than a megabyte")
            return
        try:
            while data:
                self._left = b""
                super().dataReceived(data)
                data = self._left
        except Exception as garbage:  # noqa: BLE001 - the library parses what a stranger may have sent
            self._refuse(f"no answer of a Redis server ({type(garbage).__name__})")
        if self.replyQueue.pending:
            self._refuse("an answer that nothing was asked for")  # the next question would get it
        if not self.replyQueue.waiting:
            self._octets = 0

    def setLineMode(self, extra: bytes = b"") -> None:  # noqa: N802 - the library's name
        """The library would take a turn of the loop for each value, and a thousand answers half a second."""
        self.line_mode = 1
        self._left = extra

    def lineReceived(self, line: str) -> None:  # noqa: N802 - the library's name
        if line[:1] not in _BEGINNINGS:
            raise ValueError("the library would skip it, and wait")
        super().lineReceived(line)

    def connectionLost(self, why: Failure) -> None:  # noqa: N802 - Twisted's name
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.why:
            lost = why.check(ConnectionDone, ConnectionLost)
            self.why = "the connection was closed" if lost else describe(why)
        super().connectionLost(why)

    def _refuse(self, why: str) -> None:
        self.why = self.why or why
        self.transport.abortConnection()


class _Attempt(ClientFactory):
    """One connection being made. The library tells its factory of what went wrong; that is known here otherwise."""

    noisy = False
    isLazy = True  # noqa: N815 - the library's name

    def __init__(self, timeout: float, reactor: Any) -> None:
        self._timeout = timeout
        self._reactor = reactor
        self.made: Deferred[_Connection] = Deferred()

    def buildProtocol(self, addr: Any) -> _Connection:  # noqa: N802 - Twisted's name
        connection = _Connection(self._timeout, self._reactor)
        connection.factory = self
        connection.whenConnected().chainDeferred(self.made)
        return connection

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        if not self.made.called:
            self.made.errback(reason)

    def stopTrying(self) -> None:  # noqa: N802 - the library's name
        """It never tries again by itself."""


class Link:
    """`run` asks the store while it is up."""

    def __init__(
        self,
        settings: SharedStateSettings,
        *,
        reactor: Any,
        resolver: Resolver,
        log: Log,
        certificates: ServerCertificates | None = None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._resolver = resolver
        self._log = log
        self._certificates = certificates
        self._connection: _Connection | None = None
        self._timer: Any = None
        self._wait = _FIRST_WAIT
        self._since = 0.0  # when it came up last
        self._closed = False
        self.greeting: Asked | None = None  # what the store has to be able to do before it counts as up
        self.why = ""  # it is down
        self.changed: Callable[[], None] = lambda: None  # called whenever it has come up, or gone

    @property
    def at(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    @property
    def is_up(self) -> bool:
        return self._connection is not None

    def start(self) -> None:
        """Connect, and again whenever the connection is lost, until `close`."""
        self._try()

    def close(self) -> None:
        self._closed = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.transport.loseConnection()

    async def run(self, script: str, keys: Sequence[bytes], values: Sequence[bytes | int]) -> Any:
        """What the script returns: octets, integers and lists of them. Raises Unreachable."""
        connection = self._connection
        if connection is None:
            raise Unreachable(self.why or "not connected yet")
        try:
            return await connection.eval(script, list(keys), list(values))
        except txredisapi.RedisError as error:
            # A replica, a full disk, a right that is missing: nothing that is asked of it would be kept.
            why = _said(connection, error)
            self._lost(connection, why)
            connection.transport.abortConnection()
            raise Unreachable(why) from None

    def refused(self, why: str) -> Unreachable:
        """What the store answers makes no sense: it is none. Returns what to raise."""
        connection = self._connection
        if connection is not None:
            self._lost(connection, why)
            connection.transport.abortConnection()
        return Unreachable(why)

    async def examine(self, script: str, keys: Sequence[bytes], values: Sequence[bytes | int]) -> float:
        """Connect once, and run this. Returns the answer's seconds. Raises Unreachable."""
        connection = await self._connect()
        try:
            began = self._reactor.seconds()
            await self._greet(connection, (script, keys, values))
            return float(self._reactor.seconds() - began)
        finally:
            connection.transport.abortConnection()

    # ---- connecting

    def _try(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._tried()).addErrback(self._broken)

    async def _tried(self) -> None:
        try:
            connection = await self._connect()
            if self.greeting is not None:
                await self._greet(connection, self.greeting)
        except Unreachable as unreachable:
            self._down(str(unreachable))
            return
        if self._closed:
            connection.transport.abortConnection()
            return
        self._connection, self._since, self.why = connection, self._reactor.seconds(), ""
        connection.whenDisconnected().addCallback(lambda _: self._lost(connection, connection.why))
        self._log.info("shared_state.up", server=self.at)
        self.changed()

    async def _connect(self) -> _Connection:
        """A connection on which we are who we have to be. Raises Unreachable."""
        settings = self._settings
        problem = Unreachable("no address")
        try:
            tls = None
            if settings.trust is not None:
                tls = client_tls(settings.tls_name or settings.host, settings.trust, self._certificates)
            addresses = await self._resolver.addresses(settings.host, settings.timeout)
        except (NameUnresolved, UnusableTrust) as unusable:
            raise Unreachable(str(unusable)) from None
        for address in addresses:
            attempt = _Attempt(settings.timeout, self._reactor)
            factory: Any = attempt
            if tls is not None:
                factory = TLSMemoryBIOFactory(tls, True, attempt, clock=self._reactor)
                factory.noisy = False
            self._reactor.connectTCP(address, settings.port, factory, timeout=settings.timeout)
            try:
                connection = await attempt.made
                await self._introduce(connection)
            except Unreachable as unreachable:
                problem = unreachable
            except Exception as error:  # noqa: BLE001 - whatever the system says of a connection
                problem = Unreachable(describe(error))
            else:
                return connection
        try:
            raise problem
        finally:
            del problem  # its traceback holds this frame

    async def _introduce(self, connection: _Connection) -> None:
        settings = self._settings
        if settings.password is not None:
            name = () if settings.username is None else (settings.username,)
            await self._ask(connection, "AUTH", *name, settings.password.reveal())
        if settings.database:
            await self._ask(connection, "SELECT", settings.database)
        await self._ask(connection, "PING")  # TLS is proven, and no password is asked for

    async def _ask(self, connection: _Connection, *command: object) -> None:
        """Raises Unreachable, with nothing of the command in it."""
        try:
            await connection.execute_command(*command)
        except txredisapi.RedisError as error:
            why = _said(connection, error)
            connection.transport.abortConnection()
            raise Unreachable(why) from None

    async def _greet(self, connection: _Connection, asked: Asked) -> None:
        """A replica, a full store, a user without rights: they connect, and do nothing. Raises Unreachable."""
        script, keys, values = asked
        try:
            await connection.eval(script, list(keys), list(values))
        except txredisapi.RedisError as error:
            why = _said(connection, error)
            connection.transport.abortConnection()
            raise Unreachable(why) from None

    # ---- losing it

    def _lost(self, connection: _Connection, why: str) -> None:
        if self._connection is connection:
            self._connection = None
            if self._reactor.seconds() - self._since >= _STEADY:
                self._wait = _FIRST_WAIT
            self._down(why)

    def _down(self, why: str) -> None:
        """Say so once, and try again a little later each time."""
        if self._closed:
            return
        first, self.why = not self.why, why or "no answer"
        if first:
            self._log.error(
                "shared_state.down",
                server=self.at,
                problem=self.why,
                effect="each node decides alone, with its part of each limit",
                todo="look at that server and the way to it; logins go on meanwhile",
            )
        self.changed()
        if self._timer is None or not self._timer.active():
            self._timer = self._reactor.callLater(self._wait, self._try)
            self._wait = min(self._wait * 2, _LONGEST_WAIT)

    def _broken(self, failure: Failure) -> None:
        """Our bug: without a next try, nodes would stay apart for ever."""
        self._log.failure("shared_state.failed", failure.value or RuntimeError("cancelled"))
        self._down(f"internal: {failure.type.__name__ if failure.type else ''}")


def _said(connection: _Connection, error: Exception) -> str:
    """What the server said, or why there is no answer."""
    if isinstance(error, txredisapi.ConnectionError):
        return connection.why or "the connection was closed"
    return " ".join(str(error).split())[:200]
