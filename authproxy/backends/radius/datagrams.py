"""Connected UDP sockets towards one server: a random port each, 256 identifiers, nobody else is heard (R35, R36)."""

from __future__ import annotations

import errno
import random
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

MAX_DATAGRAM = 65_535
RECEIVE_BUFFER = 1024 * 1024  # octets
_PER_TURN = 64  # datagrams that one turn of the event loop takes before others get theirs


@implementer(IReadDescriptor)
class ServerSocket:
    """The kernel chooses a random port (RFC 6056), and drops datagrams that don't come from the server."""

    def __init__(
        self,
        address: str,
        port: int,
        reactor: Any,
        received: Callable[[ServerSocket, int, bytes], None],
        refused: Callable[[ServerSocket], None],
    ) -> None:
        """`received(self, identifier, datagram)`. `refused(self)`: the server's host says that nobody listens. Raises
        OSError.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.connect((address, port))
        except BaseException:
            self._socket.close()
            raise
        self.local_address: str = self._socket.getsockname()[0]  # a connected socket's stays what it is
        self._reactor = reactor
        self._received = received
        self._refused = refused
        # RFC 5080 §2.2.2: the least recently used first; the order of the first round is nobody's to guess.
        identifiers = list(range(256))
        random.SystemRandom().shuffle(identifiers)
        # Unused ones: taken from the left, given back at the right.
        self.free = deque(identifiers)
        reactor.addReader(self)

    def send(self, octets: bytes) -> None:
        """Best effort: what can't be sent now is retransmitted, like what the network loses."""
        try:
            self._socket.send(octets)
        except ConnectionRefusedError:
            self._refused(self)
        except OSError:
            return

    def close(self) -> None:
        self._reactor.removeReader(self)
        self._socket.close()

    # IReadDescriptor

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        return "radius primary"

    def connectionLost(self, reason: object) -> None:  # noqa: N802 - Twisted's name
        """An error and nothing to read is the end to the reactor; to UDP it is news from the server's host."""
        if self._socket.fileno() < 0:
            return
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._reactor.addReader(self)
        if error == errno.ECONNREFUSED:
            self._refused(self)

    def doRead(self) -> None:  # noqa: N802 - Twisted's name
        for _ in range(_PER_TURN):
            try:
                datagram = self._socket.recv(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionRefusedError:
                self._refused(self)
                continue
            except (OSError, MemoryError):
                return  # what waits is read again
            if len(datagram) > 1:
                self._received(self, datagram[1], datagram)
