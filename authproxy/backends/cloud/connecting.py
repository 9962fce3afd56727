"""One TCP connection to whichever of a name's addresses answers first (RFC 8305 §5; A4, A9)."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from authproxy.backends.cloud.stream import error_of

STAGGER = 0.25  # seconds until the next address is tried beside the ones that haven't answered
# A network that has gone away is noticed: unanswered data after this many seconds, silence after 15 + 3 × 5.
USER_TIMEOUT = 5.0
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
# Our own lack, not the other side's: nobody may be let in for it (A8, F3).
_LOCAL = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
        errno.EAFNOSUPPORT,
    }
)


class NotConnected(Exception):
    """No address accepted the connection. `local`: the reason is on this machine."""

    def __init__(self, detail: str, *, local: bool = False) -> None:
        super().__init__(detail)
        self.local = local


async def connect(reactor: Any, addresses: Sequence[str], port: int, timeout: float) -> socket.socket:
    """A connected, non-blocking socket. `timeout`: seconds, for all addresses together. Raises NotConnected."""
    return await _Race(reactor, addresses, port, timeout).won


class _Race:
    """The attempts of one connection. The first that succeeds ends the others."""

    def __init__(self, reactor: Any, addresses: Sequence[str], port: int, timeout: float) -> None:
        self.won: Deferred[socket.socket] = Deferred(lambda _: self._stop())
        self._reactor = reactor
        self._waiting = list(addresses)
        self._port = port
        self._running: set[_Attempt] = set()
        self._problems: list[tuple[str, OSError]] = []
        self._deadline = reactor.callLater(timeout, self._timed_out)
        self._stagger: Any = None
        self._next()

    def _next(self) -> None:
        """Try the next address, and the one after it when this one fails at once."""
        self._stagger = None
        while self._waiting:
            address = self._waiting.pop(0)
            try:
                attempt = _Attempt(self._reactor, address, self._port, self._done)
            except OSError as error:
                self._problems.append((address, error))
                continue
            self._running.add(attempt)
            if self._waiting:
                self._stagger = self._reactor.callLater(STAGGER, self._next)
            return
        if not self._running:
            self._lose()

    def _done(self, attempt: _Attempt, error: OSError | None) -> None:
        self._running.discard(attempt)
        if error is None:
            self._stop()
            self.won.callback(attempt.socket)
            return
        attempt.socket.close()
        self._problems.append((attempt.address, error))
        if self._stagger is not None:
            self._stagger.cancel()
        self._next()

    def _timed_out(self) -> None:
        silent = [attempt.address for attempt in self._running] + self._waiting
        self._problems += [
            (address, OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))) for address in silent
        ]
        self._lose()

    def _lose(self) -> None:
        self._stop()
        local = bool(self._problems) and all(error.errno in _LOCAL for _, error in self._problems)
        said = "; ".join(f"{address}: {error.strerror or error}" for address, error in self._problems)
        self.won.errback(NotConnected(said or "no address", local=local))

    def _stop(self) -> None:
        self._waiting.clear()
        for timer in (self._deadline, self._stagger):
            if timer is not None and timer.active():
                timer.cancel()
        for attempt in self._running:
            attempt.abandon()
        self._running.clear()


@implementer(IWriteDescriptor)
class _Attempt:
    """A socket that is connecting. Raises OSError when it fails at once."""

    def __init__(
        self, reactor: Any, address: str, port: int, done: Callable[[_Attempt, OSError | None], None]
    ) -> None:
        self.address = address
        self._reactor = reactor
        self._done = done
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        self._descriptor = self.socket.fileno()
        try:
            _prepare(self.socket)
            number = self.socket.connect_ex((address, port))
        except BaseException:
            self.socket.close()
            raise
        if number not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(number, os.strerror(number))
        reactor.addWriter(self)

    def abandon(self) -> None:
        self._reactor.removeWriter(self)
        self.socket.close()

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's
        return "cloud"

    def doWrite(self) -> None:  # noqa: N802 - Twisted's
        self._reactor.removeWriter(self)
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._done(self, OSError(number, os.strerror(number)) if number else None)

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 - Twisted's
        """How the reactor tells of a refusal."""
        self._done(self, error_of(self.socket))


def _prepare(connecting: socket.socket) -> None:
    connecting.setblocking(False)
    connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connecting.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(USER_TIMEOUT * 1000))
    for option, value in _KEEPALIVE:
        connecting.setsockopt(socket.IPPROTO_TCP, option, value)
