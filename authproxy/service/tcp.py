"""TCP connections of the event loop: Twisted's, without what costs a short session much and gives it nothing.

An application's LDAP session is two of them, each opened, used for three messages, and closed. What a socket does is
the same; its names, its parts for the other layers and TLS over it stay Twisted's.
"""

from __future__ import annotations

import errno
import os
import socket
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from twisted.internet import error, tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IConnector
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure
from zope.interface import implementer

_CONNECTING = frozenset({0, errno.EINPROGRESS})
_TRY_LATER = frozenset({errno.EWOULDBLOCK, errno.ENOBUFS})


class _Connection(tcp.Connection):
    """What both ends have in common. Where it does as Twisted's, it does so in fewer steps."""

    reactor: Any
    producer: Any

    # close() does it: no other process has the socket.
    _shouldShutdown = False  # noqa: N815 - Twisted's name

    def doRead(self) -> Any:  # noqa: N802 - Twisted's name
        try:
            data = self.socket.recv(self.bufferSize)
        except OSError as problem:
            return None if problem.errno == errno.EWOULDBLOCK else CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def write(self, data: bytes) -> None:
        if self.TLS:
            super().write(data)
        elif data and self.connected and not self._writeDisconnected:
            self._tempDataBuffer.append(data)
            self._tempDataLen += len(data)
            if self._tempDataLen + len(self.dataBuffer) > self.bufferSize:
                self._maybePauseProducer()
            self.reactor.addWriter(self)

    def doWrite(self) -> Any:  # noqa: N802 - Twisted's name
        """Made for what goes in one piece, as nearly everything does. What doesn't is copied."""
        unsent = b"".join((self.dataBuffer, *self._tempDataBuffer))
        if unsent:
            try:
                sent = self.socket.send(unsent)
            except OSError as problem:
                if problem.errno not in _TRY_LATER:
                    return CONNECTION_LOST
                sent = 0
            self.dataBuffer = unsent[sent:]
            self._tempDataBuffer.clear()
            self._tempDataLen = 0
            if self.dataBuffer:
                return None
        self.reactor.removeWriter(self)
        if self.producer is not None and (self.producerPaused or not self.streamingProducer):
            self.producerPaused = False
            self.producer.resumeProducing()
        elif self.disconnecting:
            return CONNECTION_DONE
        elif self._writeDisconnecting:
            self._writeDisconnected = True
            self._closeWriteConnection()
        return None

    def loseConnection(self) -> None:  # noqa: N802 - Twisted's name
        if self.TLS or self._writeDisconnected:
            super().loseConnection()
        elif self.connected and not self.disconnecting:
            self.reactor.removeReader(self)
            self.reactor.addWriter(self)
            self.disconnecting = 1

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        if self.disconnected:
            return
        self.connected, self.disconnected = 0, 1
        self.reactor.removeReader(self)
        self.reactor.removeWriter(self)
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self._closeSocket(not isinstance(reason.value, error.ConnectionAborted))
        protocol = self.protocol
        del self.protocol, self.socket, self.fileno
        protocol.connectionLost(reason)


class Server(_Connection, tcp.Server):
    """A connection that was accepted. It has no name for Twisted's log, which nobody reads."""

    def __init__(
        self, sock: socket.socket, protocol: Any, client: Any, server: Any, sessionno: int, reactor: Any
    ) -> None:
        tcp.Connection.__init__(self, sock, protocol, reactor)
        if len(client) != 2:
            self._addressType = IPv6Address
        self.server, self.client, self.sessionno, self.hostname = server, client, sessionno, client[0]
        self.startReading()
        self.connected = 1

    def __repr__(self) -> str:
        return f"<{type(self).__name__} #{self.sessionno}>"


@implementer(IConnector)
class Client(_Connection):
    """A connection that is made, and the attempt at it: to an address, because nobody is asked for names here."""

    _tlsClientDefault = True  # noqa: N815 - Twisted's name

    def __init__(
        self, connecting: socket.socket, address: IPv4Address | IPv6Address, factory: Any, reactor: Any
    ) -> None:
        super().__init__(connecting, None, reactor)  # type: ignore[arg-type] # the factory makes the protocol
        self._peer = address
        self._factory = factory
        self._patience: Any = None

    def begin(self, timeout: float) -> None:
        """The factory is told of everything; of a failure not before this method has ended."""
        self._factory.doStart()
        try:
            number = self.socket.connect_ex((self._peer.host, self._peer.port))
        except OSError as problem:
            number = problem.errno or errno.EINVAL
        if number in _CONNECTING:
            self.doWrite = self._connected  # type: ignore[method-assign]
            self.startWriting()
            self._patience = self.reactor.callLater(timeout, self._give_up, error.TimeoutError())
        else:
            self._patience = self.reactor.callLater(0, self._refused, number)
        self._factory.startedConnecting(self)

    def getPeer(self) -> IPv4Address | IPv6Address:  # noqa: N802 - Twisted's name
        return self._peer

    def getHost(self) -> IPv4Address | IPv6Address:  # noqa: N802 - Twisted's name
        return type(self._peer)("TCP", *self.socket.getsockname()[:2])

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        if self.connected:
            super().connectionLost(reason)
            self._factory.clientConnectionLost(self, reason)
            self._factory.doStop()
        elif hasattr(self, "socket"):
            # How the event loop tells of a refusal.
            number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self._refused(number)
            else:
                self._give_up(error.ConnectError(string=reason))

    # ---- IConnector

    def connect(self) -> None:
        raise RuntimeError("a new attempt is another connection")

    def stopConnecting(self) -> None:  # noqa: N802 - Twisted's name
        self._give_up(error.UserError())

    def disconnect(self) -> None:
        if self.connected:
            self.loseConnection()
        else:
            self.stopConnecting()

    def getDestination(self) -> IPv4Address | IPv6Address:  # noqa: N802 - Twisted's name
        return self._peer

    # ---- the attempt

    def _connected(self) -> None:
        """The socket can be written to: it is connected, or has failed."""
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._refused(number)
            return
        self._end_attempt()
        self.connected = 1
        self.protocol = self._factory.buildProtocol(self._peer)
        self.startReading()
        self.protocol.makeConnection(self)

    def _refused(self, number: int) -> None:
        self._give_up(error.getConnectError((number, os.strerror(number))))

    def _give_up(self, why: Exception) -> None:
        if self.connected or self.disconnected:
            return
        self._end_attempt()
        self.disconnected = 1
        self.socket.close()
        del self.socket, self.fileno
        factory = self._factory
        del self._factory
        factory.clientConnectionFailed(self, Failure(why))
        factory.doStop()

    def _end_attempt(self) -> None:
        self.stopWriting()
        if self._patience.active():
            self._patience.cancel()
        self.__dict__.pop("doWrite", None)


@lru_cache(maxsize=64)  # asked for each connection anew; a configuration has a few
def address_of(host: str, port: int) -> IPv4Address | IPv6Address | None:
    """None: it is a name."""
    try:
        kind = IPv6Address if ip_address(host).version == 6 else IPv4Address
    except ValueError:
        return None
    return kind("TCP", host, port)


def socket_for(address: IPv4Address | IPv6Address) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM)
