"""The sockets that are listened on, bound before anything else happens (S8)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from authproxy.config.model import Config, LdapServerAuto, RadiusServer
from authproxy.config.options.addresses import Endpoint
from authproxy.listeners.radius import udp


class CannotBind(Exception):
    """The administrator: ports that are taken, forbidden, or of another machine. All of them at once."""


@dataclass(slots=True)
class Sockets:
    """Bound, not yet read from."""

    radius: dict[Endpoint, socket.socket]
    ldap: dict[Endpoint, socket.socket] = field(default_factory=dict)
    radsec: dict[Endpoint, socket.socket] = field(default_factory=dict)
    admin: socket.socket | None = None

    def close(self) -> None:
        for sock in (*self.radius.values(), *self.ldap.values(), *self.radsec.values()):
            sock.close()
        if self.admin is not None:
            self.admin.close()


def radius_endpoints(section: RadiusServer) -> list[Endpoint]:
    """Where a section listens by UDP; the host "" is every address."""
    if not section.clients:
        return []
    return [Endpoint(address, section.port) for address in section.interface or ("",)]


def accounting_endpoints(section: RadiusServer) -> list[Endpoint]:
    """Where a section listens for accounting by UDP; the host "" is every address."""
    if not section.clients or section.accounting_client is None:
        return []
    return [Endpoint(address, section.accounting_port) for address in section.interface or ("",)]


def radsec_endpoints(section: RadiusServer) -> list[Endpoint]:
    """Where a section listens for TLS; the host "" is every address."""
    if not section.radsec_clients:
        return []
    return [Endpoint(address, section.radsec_port) for address in section.interface or ("",)]


def ldap_endpoints(section: LdapServerAuto) -> dict[Endpoint, bool]:
    """Where a section listens, and whether it is LDAPS there; the host "" is every address."""
    addresses = section.interface or ("",)
    endpoints = {Endpoint(address, section.port): False for address in addresses}
    if section.has_tls:
        endpoints |= {Endpoint(address, section.ssl_port): True for address in addresses}
    return endpoints


def bind(
    config: Config,
    kept: Iterable[Endpoint] = (),
    kept_tcp: Iterable[Endpoint] = (),
    kept_radsec: Iterable[Endpoint] = (),
    *,
    admin: bool = True,
) -> Sockets:
    """Every socket of the configuration but those that are `kept` open already. Raises CannotBind, with none open."""
    problems: list[str] = []
    bound = Sockets({})
    wanted = {
        endpoint
        for section in config.all(RadiusServer).values()
        for endpoint in (*radius_endpoints(section), *accounting_endpoints(section))
    }
    for endpoint in sorted(wanted - set(kept), key=str):
        try:
            bound.radius[endpoint] = udp.bind(endpoint.host, endpoint.port)
        except OSError as error:
            problems.append(_problem("udp", endpoint, error))
    wanted = {
        endpoint for section in config.all(RadiusServer).values() for endpoint in radsec_endpoints(section)
    }
    for endpoint in sorted(wanted - set(kept_radsec), key=str):
        try:
            bound.radsec[endpoint] = listen(endpoint, 1024)
        except OSError as error:
            problems.append(_problem("tcp", endpoint, error))
    for section in config.all(LdapServerAuto).values():
        for endpoint in sorted(set(ldap_endpoints(section)) - set(kept_tcp), key=str):
            try:
                bound.ldap[endpoint] = listen(endpoint, 1024)
            except OSError as error:
                problems.append(_problem("tcp", endpoint, error))
    if admin and config.main.admin is not None:
        try:
            bound.admin = listen(config.main.admin)
        except OSError as error:
            problems.append(_problem("tcp", config.main.admin, error))
    if problems:
        bound.close()
        raise CannotBind("; ".join(problems))
    return bound


def _problem(transport: str, endpoint: Endpoint, error: OSError) -> str:
    place = str(endpoint) if endpoint.host else f"*:{endpoint.port}"
    return f"{transport} {place}: {error.strerror}"


def listen(endpoint: Endpoint, backlog: int = 128) -> socket.socket:
    """A listening TCP socket. Raises OSError."""
    if endpoint.host:
        return _listen_at(endpoint, backlog)
    try:
        return _listen_at(Endpoint("::", endpoint.port), backlog)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return _listen_at(Endpoint("0.0.0.0", endpoint.port), backlog)  # noqa: S104 - as configured


def _listen_at(endpoint: Endpoint, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if endpoint.host == "::" else 1)
        sock.bind((endpoint.host, endpoint.port))
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock
