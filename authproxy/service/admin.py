"""`main.admin` joined to the service that it tells of."""

from __future__ import annotations

import socket
import time

from authproxy import __version__
from authproxy.config.model import Main
from authproxy.listeners.admin.guard import Guard
from authproxy.listeners.admin.overview import Overview
from authproxy.listeners.admin.page import About
from authproxy.listeners.admin.site import Admin, admin_factory, host_names
from authproxy.observe.metrics import CONTENT_TYPE
from authproxy.service.building.world import World


def serve_admin(sock: socket.socket, main: Main, overview: Overview, world: World) -> tuple[Admin, str]:
    """Serve the listening socket. The endpoint, and where it is, as ADDRESS:PORT."""
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
    factory = admin_factory(admin, world.reactor, world.descriptors)
    world.reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
    host, port = sock.getsockname()[:2]
    sock.close()  # the reactor has its own of it
    return admin, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
