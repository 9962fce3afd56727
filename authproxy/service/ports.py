"""The sockets that are listened on, bound before anything else happens (S8)."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from authproxy.config.model import Config, RadiusServer
from authproxy.config.options.addresses import Endpoint
from authproxy.listeners.radius import udp


class CannotBind(Exception):
    """The administrator: ports that are taken, forbidden, or of another machine. All of them at once."""


@dataclass(slots=True)
class Sockets:
    """Bound, not yet read from."""

    radius: dict[Endpoint, socket.socket]
    admin: socket.socket | None = None

    def close(self) -> None:
        for sock in self.radius.values():
            sock.close()
        if self.admin is not None:
            self.admin.close()


def radius_endpoints(section: RadiusServer) -> list[Endpoint]:
    """Where a section listens; the host "" is every address."""
    return [Endpoint(address, section.port) for address in section.interface or ("",)]


def bind(config: Config, kept: Iterable[Endpoint] = (), *, admin: bool = True) -> Sockets:
    """Every socket of the configuration but those that are `kept` open already. Raises CannotBind, with none open."""
    problems: list[str] = []
    bound = Sockets({})
    wanted = {
        endpoint for section in config.all(RadiusServer).values() for endpoint in radius_endpoints(section)
    }
    for endpoint in sorted(wanted - set(kept), key=str):
        try:
            bound.radius[endpoint] = udp.bind(endpoint.host, endpoint.port)
        except OSError as error:
            problems.append(_problem("udp", endpoint, error))
    if admin and config.main.admin is not None:
        try:
            bound.admin = _listen(config.main.admin)
        except OSError as error:
            problems.append(_problem("tcp", config.main.admin, error))
    if problems:
        bound.close()
        raise CannotBind("; ".join(problems))
    return bound


def _problem(transport: str, endpoint: Endpoint, error: OSError) -> str:
    place = str(endpoint) if endpoint.host else f"*:{endpoint.port}"
    return f"{transport} {place}: {error.strerror}"


def _listen(endpoint: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((endpoint.host, endpoint.port))
        sock.listen(128)
    except BaseException:
        sock.close()
        raise
    return sock
