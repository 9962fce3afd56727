"""The connection to the store: made again when it breaks, and never waited for longer than one answer takes (A3, H5).

hiredis writes and reads the protocol (RESP2).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import hiredis
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from authproxy.backends.resolve import NameUnresolved, Resolver
from authproxy.backends.shared_state.settings import SharedStateSettings
from authproxy.backends.tls import ServerCertificates, UnusableTrust, client_tls, describe
from authproxy.observe.log import Log

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 15.0  # seconds before the next try
_LATE = 0.02  # seconds for what has come already to be read
_STEADY = 60.0  # seconds; a connection that has lasted that long is no part of an outage
_MOST_OCTETS = 1 << 20  # of one answer

# A script, its keys, its values.
Asked = tuple[str, Sequence[bytes], Sequence[bytes | int]]


class Unreachable(Exception):
    """The store doesn't answer, or not as a store does. The text is for the log."""


class _Refused(Exception):
    """The store's own words for why it doesn't."""


class _Garbage(Exception):
    """What no Redis server says."""


class _Connection(Protocol):
    """Bounded in time and size, and with the reason why it was lost."""

    def __init__(self, reactor: Any, timeout: float, made: Callable[[_Connection], None]) -> None:
        """`made` is called when it can be used."""
        self._reactor = reactor
        self._timeout = timeout
        self._made: Callable[[_Connection], None] | None = made
        self._reader = hiredis.Reader(protocolError=_Garbage, replyError=_Refused)
        self._octets = 0  # of the answer that is being read
        self._came = 0  # how often something came
        self._asked: deque[tuple[float, Deferred[Any]]] = deque()  # since when, and for whom
        self._timer: Any = None
        self.transport: Any = None
        self.why = ""
        self.lost: Callable[[], None] = lambda: None

    async def ask(self, *command: bytes | str | int) -> Any:
        """Octets, integers, None, and lists of them. Raises Unreachable, with nothing of the command in it."""
        if self.why:
            raise Unreachable(self.why)
        answer: Deferred[Any] = Deferred()
        self._asked.append((self._reactor.seconds(), answer))
        if self._timer is None:
            self._timer = self._reactor.callLater(self._timeout, self._look)
        self.transport.write(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]  # of any length
        said = await answer
        if isinstance(said, _Refused):
            raise Unreachable(" ".join(str(said).split())[:200]) from None
        return said

    async def run(self, script: str, keys: Sequence[bytes], values: Sequence[bytes | int]) -> Any:
        """As `ask`. The server knows a script by its digest, once it has had it."""
        numbered = (len(keys), *keys, *values)
        try:
            return await self.ask("EVALSHA", _digest(script), *numbered)
        except Unreachable as unreachable:
            if not str(unreachable).startswith("NOSCRIPT"):
                raise
        return await self.ask("EVAL", script, *numbered)

    def abort(self, why: str) -> None:
        self.why = self.why or why
        self.transport.abortConnection()

    # ---- Twisted's side

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        made, self._made = self._made, None
        if made is not None:
            made(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self._came += 1
        self._octets += len(data)
        try:
            self._reader.feed(data)
            while not self.why and (said := self._reader.gets()) is not False:
                self._answered(said)
        except _Garbage:
            self.abort("no answer of a Redis server")
        if not self._reader.has_data():
            self._octets = 0
        elif self._octets > _MOST_OCTETS:
            self.abort("an answer of more than a megabyte")

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: N802 - Twisted's name
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.why:
            lost = reason.check(ConnectionDone, ConnectionLost)
            self.why = "the connection was closed" if lost else describe(reason)
        self.lost()
        while self._asked:
            _, answer = self._asked.popleft()
            if not answer.called:
                answer.errback(Unreachable(self.why))

    def _answered(self, said: object) -> None:
        if not self._asked:
            self.abort("an answer that nothing was asked for")  # the next question would get it
            return
        _, answer = self._asked.popleft()
        if not answer.called:  # who asked may not wait any more
            answer.callback(said)

    def _look(self, came: int = -1) -> None:
        """`came`: as `_came`, when the answer was late already."""
        self._timer = None
        if not self._asked:
            return
        left = self._asked[0][0] + self._timeout - self._reactor.seconds()
        if left > 0:
            self._timer = self._reactor.callLater(left, self._look)
        elif came == self._came or left <= -self._timeout:
            self.abort("no answer in time")
        else:
            # Where it is this node that is late, answers wait to be read. They are, for as long again at most.
            self._timer = self._reactor.callLater(_LATE, self._look, self._came)


class _Attempt(ClientFactory):
    """One connection being made."""

    noisy = False

    def __init__(self, reactor: Any, timeout: float) -> None:
        self._reactor = reactor
        self._timeout = timeout
        self.made: Deferred[_Connection] = Deferred()

    def buildProtocol(self, addr: Any) -> _Connection:  # noqa: N802 - Twisted's name
        return _Connection(self._reactor, self._timeout, self.made.callback)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        if not self.made.called:
            self.made.errback(reason)


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
            return await connection.run(script, keys, values)
        except Unreachable as unreachable:
            # A replica, a full disk, a right that is missing: nothing that is asked of it would be kept.
            self._give_up(connection, str(unreachable))
            raise

    def refused(self, why: str) -> Unreachable:
        """What the store answers makes no sense: it is none. Returns what to raise."""
        if self._connection is not None:
            self._give_up(self._connection, why)
        return Unreachable(why)

    async def examine(self, script: str, keys: Sequence[bytes], values: Sequence[bytes | int]) -> float:
        """Connect once, and run this. Returns the answer's seconds. Raises Unreachable."""
        connection = await self._connect(None)
        try:
            began = self._reactor.seconds()
            await connection.run(script, keys, values)
            return float(self._reactor.seconds() - began)
        finally:
            connection.abort("closed")

    # ---- connecting

    def _try(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._tried()).addErrback(self._broken)

    async def _tried(self) -> None:
        try:
            connection = await self._connect(self.greeting)
        except Unreachable as unreachable:
            self._down(str(unreachable))
            return
        if self._closed:
            connection.abort("closed")
            return
        self._connection, self._since, self.why = connection, self._reactor.seconds(), ""
        connection.lost = lambda: self._lost(connection, connection.why)
        self._log.info("shared_state.up", server=self.at)
        self.changed()

    async def _connect(self, greeting: Asked | None) -> _Connection:
        """A connection on which we are who we have to be, and are served. Raises Unreachable."""
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
            attempt = _Attempt(self._reactor, settings.timeout)
            factory: Any = attempt
            if tls is not None:
                factory = TLSMemoryBIOFactory(tls, True, attempt, clock=self._reactor)
                factory.noisy = False
            self._reactor.connectTCP(address, settings.port, factory, timeout=settings.timeout)
            try:
                connection = await attempt.made
            except Exception as error:  # noqa: BLE001 - whatever the system says of a connection
                problem = Unreachable(describe(error))
                continue
            try:
                await self._introduce(connection, greeting)
            except Unreachable as unreachable:
                connection.abort(str(unreachable))
                problem = unreachable
            else:
                return connection
        try:
            raise problem
        finally:
            del problem  # its traceback holds this frame

    async def _introduce(self, connection: _Connection, greeting: Asked | None) -> None:
        """Raises Unreachable."""
        settings = self._settings
        if settings.password is not None:
            name = () if settings.username is None else (settings.username,)
            await connection.ask("AUTH", *name, settings.password.reveal())
        if settings.database:
            await connection.ask("SELECT", settings.database)
        await connection.ask("PING")  # no password is asked for
        if greeting is not None:
            # A replica, a full store, a user without rights: they connect, and do nothing.
            await connection.run(*greeting)

    # ---- losing it

    def _give_up(self, connection: _Connection, why: str) -> None:
        self._lost(connection, why)
        connection.abort(why)

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


@lru_cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
