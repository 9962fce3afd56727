"""Serves `main.admin` for the running service."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from authproxy import __version__
from authproxy.config.model import Main
from authproxy.listeners.admin.guard import Guard
from authproxy.listeners.admin.overview import Overview
from authproxy.listeners.admin.page import About
from authproxy.listeners.admin.site import Admin, admin_factory, host_names
from authproxy.listeners.tls import ServerTls
from authproxy.observe.metrics import CONTENT_TYPE
from authproxy.service.building.world import World


@implementer(IOpenSSLServerConnectionCreator)
class _Newest:
    """The certificate as it was last read (T5). Who began with TLS never speaks without."""

    def __init__(self, tls: ServerTls, read: Callable[[], ServerTls | None]) -> None:
        self._tls = tls
        self._read = read

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803 - Twisted's
        self._tls = self._read() or self._tls
        return self._tls.serverConnectionForTLS(tlsProtocol)


def serve_admin(
    sock: socket.socket,
    main: Main,
    overview: Overview,
    world: World,
    tls: Callable[[], ServerTls | None] = lambda: None,
) -> tuple[Admin, str]:
    """Serve the listening socket. Returns the endpoint, and its address as ADDRESS:PORT. `tls()` is the current
    configuration's; if it is None at the start, there is no TLS.
    """
    hostname = socket.gethostname()
    admin = Admin(
        overview,
        metrics=world.metrics.render,
        metrics_kind=CONTENT_TYPE,
        guard=Guard(host_names(hostname), main.admin_token),
        about=About(hostname, __version__, time.time()),
        reactor=world.reactor,
        log=world.log,
    )
    factory: Any = admin_factory(admin, world.reactor, world.descriptors)
    if (first := tls()) is not None:
        factory = TLSMemoryBIOFactory(_Newest(first, tls), False, factory)
        factory.noisy = False
    world.reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
    host, port = sock.getsockname()[:2]
    sock.close()  # the reactor has its own of it
    return admin, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
