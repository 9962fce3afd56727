"""Listening sockets that are bound before they are served, because pages contain their own address."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.protocols.tls import TLSMemoryBIOFactory

_BACKLOG = 1024


class PortUnusable(Exception):
    """The port is in use, not allowed, or not of this machine; the administrator has to act."""


def bind(host: str, port: int) -> socket.socket:
    """A bound socket. Port 0: any free one. Raises PortUnusable."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise PortUnusable(f"{host} port {port}: {error.strerror}") from None
    bound.setblocking(False)
    return bound


def number_of(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


def serve(reactor: Any, bound: socket.socket, factory: Any, tls: Any = None) -> IListeningPort:
    """Answer on a bound socket. `tls`: a context factory."""
    inner = factory if tls is None else TLSMemoryBIOFactory(tls, isClient=False, wrappedFactory=factory)
    listening: IListeningPort = reactor.adoptStreamPort(bound.fileno(), bound.family, inner)
    bound.close()
    return listening
