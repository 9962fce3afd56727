"""A UDP socket that answers from the address at which it was asked (R12), which Twisted's own port doesn't do."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

IP_PKTINFO = 8  # <linux/in.h>; the socket module has no name for it before Python 3.14
_IN_PKTINFO = struct.Struct("@i4s4s")  # interface, local address, header destination
_IN6_PKTINFO = struct.Struct("@16sI")
_ANCILLARY_SPACE = socket.CMSG_SPACE(_IN6_PKTINFO.size) + socket.CMSG_SPACE(_IN_PKTINFO.size)

MAX_DATAGRAM = 65_535
RECEIVE_BUFFER = 4 * 1024 * 1024  # octets; a burst of some 5,000 packets waits in it (A18)
# How many datagrams one turn of the event loop takes before others get theirs.
_PER_TURN = 64
# Seconds until a socket that could not be read is read again: what was wrong may still be.
_PAUSE = 0.05
_MAPPED = "::ffff:"


class Source(NamedTuple):
    """Where a datagram came from. `ip`: an IPv4-mapped address is written as IPv4, without a scope."""

    ip: str
    port: int


class Route(NamedTuple):
    """The way back: the peer's socket address, and our address to which it sent."""

    peer: Any
    ancillary: tuple[tuple[int, int, bytes], ...]


Received = Callable[[bytes, Source, Route], object]


def bind(interface: str, port: int) -> socket.socket:
    """A bound, non-blocking socket. `interface` "" is every address, IPv6 and IPv4 alike; `::` is IPv6's.

    Raises OSError: in use, no such address, not permitted.
    """
    if interface:
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        return _bind(family, interface, port)
    try:
        return _bind(socket.AF_INET6, "::", port, dual=True)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return _bind(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - as configured: every address


def _bind(family: socket.AddressFamily, address: str, port: int, *, dual: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


@implementer(IReadDescriptor)
class DatagramPort:
    """Reads and writes the socket while it is open."""

    def __init__(self, sock: socket.socket, reactor: Any, received: Received) -> None:
        """`reactor`: IReactorFDSet and IReactorTime."""
        self._is_reading = False
        self._socket = sock
        self._reactor = reactor
        self._received = received
        self.address = _own_address(sock)

    def start(self) -> None:
        self._is_reading = True
        self._reactor.addReader(self)

    def stop(self) -> None:
        """Stop reading. Answers can still be sent."""
        self._is_reading = False
        self._reactor.removeReader(self)

    def close(self) -> None:
        self.stop()
        self._socket.close()

    def send(self, octets: bytes, route: Route) -> None:
        """Best effort, as UDP is: what the kernel can't take now is lost, and the NAS asks again.

        Whose login a stop has cut off hears nothing from a closed port, and asks its next server (A12).

        Raises OSError for what retransmission won't mend.
        """
        try:
            self._socket.sendmsg([octets], route.ancillary, 0, route.peer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            if self._socket.fileno() < 0:
                return
            if error.errno not in (errno.ENOBUFS, errno.EPERM, errno.ENETUNREACH, errno.EHOSTUNREACH):
                raise

    # IReadDescriptor

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        return "radius"

    def connectionLost(self, reason: object) -> None:  # noqa: N802 - Twisted's name
        """What one datagram met, such as no memory for it, is no end of the port (A19); the reactor has let it go."""
        if self._is_reading:
            self._reactor.callLater(_PAUSE, self._read_on)

    def _read_on(self) -> None:
        if self._is_reading:
            self._reactor.addReader(self)

    def doRead(self) -> None:  # noqa: N802 - Twisted's name
        try:
            self._read()
        except MemoryError:
            # Not even the reactor's own way of letting a reader go can be relied on now; what waits is read again.
            return

    def _read(self) -> None:
        for _ in range(_PER_TURN):
            try:
                octets, ancillary, _flags, peer = self._socket.recvmsg(MAX_DATAGRAM, _ANCILLARY_SPACE)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionRefusedError:
                continue  # an ICMP answer to something we sent; it says nothing about this read
            source, route = _arrival(peer, tuple(ancillary))
            self._received(octets, source, route)


@lru_cache(maxsize=256)  # a NAS asks from a few ports; one that takes a new one each time finds nothing here
def _arrival(peer: Any, ancillary: tuple[tuple[int, int, bytes], ...]) -> tuple[Source, Route]:
    return source_of(peer), Route(peer, _way_back(ancillary))


def source_of(peer: Any) -> Source:
    """The peer's address, normalised: `::ffff:192.0.2.1` is 192.0.2.1, `fe80::1%eth0` is fe80::1 (R11)."""
    ip: str = peer[0]
    if ip.startswith(_MAPPED) and "." in ip:
        ip = ip.removeprefix(_MAPPED)
    return Source(ip.partition("%")[0], peer[1])


def _way_back(ancillary: tuple[tuple[int, int, bytes], ...]) -> tuple[tuple[int, int, bytes], ...]:
    """What to send so that the answer leaves from the address that the datagram came to."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return ((level, kind, data[: _IN6_PKTINFO.size]),)
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            _interface, local, _destination = _IN_PKTINFO.unpack(data[: _IN_PKTINFO.size])
            # The kernel takes the source address from `local`; interface 0 leaves the route to it.
            return ((level, kind, _IN_PKTINFO.pack(0, local, b"\0\0\0\0")),)
    return ()


def _own_address(sock: socket.socket) -> str:
    address = sock.getsockname()
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
