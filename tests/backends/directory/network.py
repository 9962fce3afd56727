"""A network in memory with a clock that tests turn: connections, faults and time-outs without a wait or a socket."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTCP, IReactorTime, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")
Endpoint = tuple[str, int]


@implementer(IReactorTime, IReactorTCP)
class Network(Clock):
    """A reactor. What listens is a factory of protocols; BLACK_HOLE swallows; nothing there refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.listening: dict[Endpoint, Callable[[], Any]] = {}
        self.attempts: list[Endpoint] = []

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,  # noqa: N803
    ) -> Any:
        self.attempts.append((host, port))
        connector = Connector(self, factory, host, port)
        factory.doStart()
        factory.startedConnecting(connector)
        listener = self.listening.get((host, port))
        if listener is None:
            connector.later = self.callLater(0, connector.failed, error.ConnectionRefusedError())
        elif listener is BLACK_HOLE:
            connector.later = self.callLater(timeout, connector.failed, error.TimeoutError())
        else:
            connector.later = self.callLater(0, connector.connected, listener)
        return connector

    def listenTCP(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, T], patience: float = 1000) -> T:
        """The result, as soon as the clock has brought it about."""
        outcome = self.begin(work)
        self.wait_for(lambda: bool(outcome), patience)
        (result,) = outcome
        if isinstance(result, Failure):
            result.raiseException()
        return result  # type: ignore[no-any-return]

    def begin(self, work: Coroutine[Any, Any, T]) -> list[Any]:
        """A list that will hold the result, or the Failure."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(outcome.append)
        return outcome

    def wait_for(self, condition: Callable[[], bool], patience: float = 1000) -> None:
        """Turn the clock to each next event until it holds."""
        until = self.seconds() + patience
        while not condition():
            calls = self.getDelayedCalls()
            assert calls, "nothing will ever happen"
            step = max(0.0, min(call.getTime() for call in calls) - self.seconds())
            assert self.seconds() + step <= until, "it takes too long"
            self.advance(step)

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        while any(call.getTime() <= self.seconds() for call in self.getDelayedCalls()):
            self.advance(0)


def BLACK_HOLE() -> Any:
    raise AssertionError("never called")


class Connector:
    """Twisted's word for a connection attempt."""

    def __init__(self, network: Network, factory: Any, host: str, port: int) -> None:
        self._network, self._factory, self._host, self._port = network, factory, host, port
        self.later: Any = None

    def failed(self, why: Exception) -> None:
        self._factory.clientConnectionFailed(self, Failure(why))

    def connected(self, listener: Callable[[], Any]) -> None:
        client, server = self._factory.buildProtocol((self._host, self._port)), listener()
        one, other = Pipe(self._network), Pipe(self._network)
        one.join(client, other)
        other.join(server, one)
        server.makeConnection(other)
        client.makeConnection(one)

    def stopConnecting(self) -> None:
        if self.later.active():
            self.later.cancel()

    def disconnect(self) -> None:
        self.stopConnecting()


@implementer(ITCPTransport)
class Pipe:
    """One end of a connection."""

    disconnecting = False

    def __init__(self, network: Network) -> None:
        self._network = network
        self._protocol: Any = None
        self._peer: Pipe | None = None
        self._open = True

    def join(self, protocol: Any, peer: Pipe) -> None:
        self._protocol, self._peer = protocol, peer

    def write(self, data: bytes) -> None:
        if self._open:
            self._network.callLater(0, self._other.receive, bytes(data))

    def writeSequence(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def receive(self, data: bytes) -> None:
        if self._open:
            self._protocol.dataReceived(data)

    def loseConnection(self, *_: Any) -> None:
        self._close(error.ConnectionDone(), error.ConnectionDone())

    def abortConnection(self) -> None:
        self._close(error.ConnectionAborted(), error.ConnectionLost("reset"))

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    def _close(self, here: Exception, there: Exception) -> None:
        if self._open:
            self.disconnecting = True
            self._network.callLater(0, self._lost, here)
            self._network.callLater(0, self._other._lost, there)

    def _lost(self, why: Exception) -> None:
        if self._open:
            self._open = False
            self._protocol.connectionLost(Failure(why))

    @property
    def _other(self) -> Pipe:
        assert self._peer is not None
        return self._peer

    def getPeer(self) -> Any:
        return None

    def getHost(self) -> Any:
        return IPv4Address("TCP", "127.0.0.1", 40000)

    def setTcpNoDelay(self, _: bool) -> None:
        pass

    def setTcpKeepAlive(self, _: bool) -> None:
        pass

    def getTcpNoDelay(self) -> bool:
        return True

    def getTcpKeepAlive(self) -> bool:
        return True

    def registerProducer(self, *_: Any) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass
