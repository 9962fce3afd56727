"""One TCP connection being made. Twisted's endpoints do no more, take an eighth of a short session's time, and bring a
megabyte of code along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure

P = TypeVar("P", bound=Protocol)


class Attempt(ClientFactory, Generic[P]):
    """The factory of one connection, for `connectTCP`. `connected` fires with its protocol, before TLS if there is any;
    cancelling it ends the attempt.
    """

    noisy = False

    def __init__(self, protocol: Callable[[Callable[[P], None]], P]) -> None:
        """`protocol(made)` is the connection's protocol, which calls `made` with itself when it is connected."""
        self._protocol = protocol
        self._connector: Any = None
        self.connected: Deferred[P] = Deferred(self._give_up)

    def startedConnecting(self, connector: Any) -> None:  # noqa: N802 - Twisted's name
        self._connector = connector

    def buildProtocol(self, addr: Any) -> P:  # noqa: N802 - Twisted's name
        return self._protocol(self._made)

    def _made(self, connection: P) -> None:
        connected = self.connected
        # What holds each other stays until the garbage is looked for.
        del self.connected, self._connector
        connected.callback(connection)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        connected = self.connected
        del self.connected, self._connector  # as above
        if not connected.called:
            connected.errback(reason)

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        del connector.transport  # as above

    def _give_up(self, connected: Deferred[P]) -> None:
        connected.errback(CancelledError())
        self._connector.stopConnecting()
