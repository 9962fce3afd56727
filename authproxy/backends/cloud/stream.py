"""A connected socket in the reactor, later with TLS on it: octets in, octets out, one end.

Not a Twisted transport: there a call costs nearly twice the processor, and a push that waits twice the memory. The
standard library's TLS reads and writes the socket itself, with no buffers between.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

READ_SIZE = 16_384  # a TLS record
# What is written and the peer doesn't take. A request is a few hundred octets; the peer that lets it grow is dead.
MAX_UNSENT = 1_048_576


class Receiver(Protocol):
    """Gets what arrives. Both methods are called from the reactor, never from within a method of the stream."""

    def received(self, octets: bytes) -> None: ...

    def ended(self, error: Exception | None) -> None:
        """Called once. None: the peer ended it properly (FIN; under TLS, close_notify). An error that isn't an OSError
        is our bug.
        """


class _Nobody:
    def received(self, octets: bytes) -> None:
        """Octets that nobody waits for: whoever comes next must not take them for an answer."""

    def ended(self, error: Exception | None) -> None: ...


@implementer(IReadWriteDescriptor)
class Stream:
    """`receiver` can be exchanged at any time."""

    def __init__(self, reactor: Any, connected: socket.socket) -> None:
        self._reactor = reactor
        self._socket = connected
        self._read: Callable[[int], bytes] = connected.recv
        self._descriptor = connected.fileno()
        self._unsent = b""
        self._handshake: Deferred[None] | None = None
        self.is_open = True
        self.receiver: Receiver = _Nobody()
        reactor.addReader(self)

    @property
    def is_quiet(self) -> bool:
        """Whether it is open, and nothing unread has arrived, neither octets nor an end."""
        if not self.is_open:
            return False
        arrived = select.poll()  # past TLS; asked, because the reactor may not have been told yet
        arrived.register(self._descriptor, select.POLLIN)
        return not arrived.poll(0)

    @property
    def peer_certificate(self) -> dict[str, Any]:
        """As the ssl module gives it; empty without TLS."""
        if isinstance(self._socket, ssl.SSLSocket) and self.is_open:
            return self._socket.getpeercert() or {}
        return {}

    def start_tls(self, context: ssl.SSLContext, name: str) -> Deferred[None]:
        """Fires when the peer has proved to be `name`; fails with the OSError that ended it. Cancelling it closes the
        stream.
        """
        self._handshake = Deferred(lambda _: self.close())
        handshake = self._handshake
        # The descriptor changes hands, and is closed when that fails: the reactor must not watch it meanwhile.
        self._reactor.removeReader(self)
        try:
            secured = context.wrap_socket(
                self._socket, server_hostname=name, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        except OSError as error:
            self._end(error)
            return handshake
        self._socket, self._read = secured, secured.read
        self._reactor.addReader(self)
        self._shake_hands()
        return handshake

    def write(self, octets: bytes) -> None:
        if not self.is_open:
            return
        if self._unsent:
            if len(self._unsent) + len(octets) > MAX_UNSENT:
                self._end_soon(BlockingIOError(errno.ENOBUFS, "the peer doesn't read"))
                return
            self._unsent += octets
            return
        self._unsent = octets
        error = self._send()
        if error is not None:
            self._end_soon(error)

    def close(self) -> None:
        """Close it at once, without telling the receiver."""
        if not self.is_open:
            return
        self.is_open = False
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._unsent = b""
        self._handshake = None
        self.receiver = _Nobody()
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.unwrap()  # says close_notify; the peer's is not waited for
        self._socket.close()

    # ---- what the reactor calls

    def fileno(self) -> int:
        # The same after the end: -1 would have the reactor search all its descriptors for the one that went.
        return self._descriptor

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's
        return "cloud"

    def doRead(self) -> None:  # noqa: N802 - Twisted's
        if not self.is_open:
            return
        if self._handshake is not None:
            self._shake_hands()
            return
        if self._unsent:
            self._reactor.addWriter(self)
        try:
            while octets := self._read(READ_SIZE):
                self.receiver.received(octets)
                # Only a read that got all it asked for has left something: with TLS it may be something that OpenSSL
                # has decrypted already, and the reactor doesn't know of it.
                if (
                    len(octets) < READ_SIZE
                    or not self.is_open
                    or not isinstance(self._socket, ssl.SSLSocket)
                    or not self._socket.pending()
                ):
                    return
            error = None
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except ssl.SSLWantWriteError:
            self._reactor.addWriter(self)
            return
        except ssl.SSLZeroReturnError:
            error = None
        except OSError as failed:
            error = failed
        self._end(error)
        # Its traceback holds this frame: in a circle, they and the connection stay until the garbage is looked for.
        del error

    def doWrite(self) -> None:  # noqa: N802 - Twisted's
        if not self.is_open:
            return
        self._reactor.removeWriter(self)
        if self._handshake is not None:
            self._shake_hands()
            return
        error = self._send()
        if error is not None:
            self._end(error)

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 - Twisted's
        """The reactor met an error on the descriptor, and no longer watches it."""
        bug = reason.value
        if isinstance(bug, Exception) and not isinstance(bug, ConnectionLost | ConnectionDone):
            self._end(bug)
            return
        self._end(error_of(self._socket))

    # ---- within

    def _shake_hands(self) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)  # noqa: S101 - start_tls saw to it
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self._reactor.addWriter(self)
            return
        except OSError as error:
            self._end(error)
            return
        done, self._handshake = self._handshake, None
        if done is not None:
            done.callback(None)

    def _send(self) -> OSError | None:
        """Send what can be sent. Returns the error that ends the stream."""
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._reactor.addWriter(self)
                return None
            except ssl.SSLWantReadError:
                return None  # doRead sends it
            except OSError as error:
                return error
            self._unsent = self._unsent[sent:]
        return None

    def _end_soon(self, error: Exception) -> None:
        self._reactor.callLater(0, self._end, error)

    def _end(self, error: Exception | None) -> None:
        if not self.is_open:
            return
        handshake, receiver = self._handshake, self.receiver
        self.close()
        if handshake is not None:
            handshake.errback(error or ConnectionResetError(errno.ECONNRESET, "closed in the handshake"))
        else:
            receiver.ended(error)


def error_of(connection: socket.socket) -> OSError:
    """The pending error of a socket."""
    try:
        number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    except OSError as error:
        return error
    return OSError(number or errno.ECONNRESET, os.strerror(number or errno.ECONNRESET))
