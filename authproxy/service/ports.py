"""The sockets of the configuration, bound before anything else happens (S8)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from authproxy.config.model import Config, HttpProxy, LdapServerAuto, RadiusServer
from authproxy.config.options.addresses import Endpoint
from authproxy.listeners.radius import udp

S = TypeVar("S")
BACKLOG = 1024


class CannotBind(Exception):
    """Ports that are in use, forbidden or of another machine; the administrator has to act. The text names them."""


@dataclass(slots=True)
class Sockets:
    """Bound sockets, from which nothing was read yet."""

    radius: dict[Endpoint, socket.socket]
    ldap: dict[Endpoint, socket.socket] = field(default_factory=dict)
    radsec: dict[Endpoint, socket.socket] = field(default_factory=dict)
    http_proxy: dict[Endpoint, socket.socket] = field(default_factory=dict)
    admin: socket.socket | None = None

    def close(self) -> None:
        for kind in (self.radius, self.ldap, self.radsec, self.http_proxy):
            for sock in kind.values():
                sock.close()
        if self.admin is not None:
            self.admin.close()


def radius_endpoints(section: RadiusServer) -> list[Endpoint]:
    """Where a section listens by UDP; host "": every address."""
    if not section.clients:
        return []
    return [Endpoint(address, section.port) for address in section.interface or ("",)]


def accounting_endpoints(section: RadiusServer) -> list[Endpoint]:
    """Where a section listens for accounting by UDP; host "": every address."""
    if not section.clients or section.accounting_client is None:
        return []
    return [Endpoint(address, section.accounting_port) for address in section.interface or ("",)]


def radsec_endpoints(section: RadiusServer) -> list[Endpoint]:
    """Where a section listens for RADIUS over TLS; host "": every address."""
    if not section.radsec_clients:
        return []
    return [Endpoint(address, section.radsec_port) for address in section.interface or ("",)]


def ldap_endpoints(section: LdapServerAuto) -> dict[Endpoint, bool]:
    """Where a section listens, and whether the port is LDAPS; host "": every address."""
    addresses = section.interface or ("",)
    endpoints = {Endpoint(address, section.port): False for address in addresses}
    if section.has_tls:
        endpoints |= {Endpoint(address, section.ssl_port): True for address in addresses}
    return endpoints


def http_proxy_endpoints(section: HttpProxy) -> list[Endpoint]:
    """Where a section accepts connections for tunnels; host "": every address."""
    return [Endpoint(address, section.port) for address in section.interface or ("",)]


def bind(
    config: Config,
    kept: Iterable[Endpoint] = (),
    kept_tcp: Iterable[Endpoint] = (),
    kept_radsec: Iterable[Endpoint] = (),
    kept_http_proxy: Iterable[Endpoint] = (),
    *,
    admin: bool = True,
) -> Sockets:
    """Bind all sockets of the configuration, except those in `kept`. Raises CannotBind, with none left open."""
    problems: list[str] = []
    bound = Sockets({})
    radius = config.all(RadiusServer).values()

    def open_all(
        sockets: dict[Endpoint, socket.socket], wanted: Iterable[Endpoint], kept: Iterable[Endpoint]
    ) -> None:
        by_udp = sockets is bound.radius
        for endpoint in sorted({*wanted} - {*kept}, key=str):
            try:
                sockets[endpoint] = (
                    udp.bind(endpoint.host, endpoint.port) if by_udp else listen(endpoint, BACKLOG)
                )
            except OSError as error:
                problems.append(_problem("udp" if by_udp else "tcp", endpoint, error))

    open_all(bound.radius, _of(radius, radius_endpoints, accounting_endpoints), kept)
    open_all(bound.radsec, _of(radius, radsec_endpoints), kept_radsec)
    open_all(bound.ldap, _of(config.all(LdapServerAuto).values(), ldap_endpoints), kept_tcp)
    open_all(bound.http_proxy, _of(config.all(HttpProxy).values(), http_proxy_endpoints), kept_http_proxy)
    if admin and config.main.admin is not None:
        try:
            bound.admin = listen(config.main.admin)
        except OSError as error:
            problems.append(_problem("tcp", config.main.admin, error))
    if problems:
        bound.close()
        raise CannotBind("; ".join(problems))
    return bound


def _of(sections: Iterable[S], *where: Callable[[S], Iterable[Endpoint]]) -> Iterator[Endpoint]:
    for section in sections:
        for endpoints in where:
            yield from endpoints(section)


# What to do about it, where the system's own words don't say.
_HINTS = {
    errno.EADDRINUSE: "`authproxy probe` says by whom",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE, or to be started by root",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


def _problem(transport: str, endpoint: Endpoint, error: OSError) -> str:
    place = str(endpoint) if endpoint.host else f"*:{endpoint.port}"
    hint = _HINTS.get(error.errno or 0, "")
    return f"{transport} {place}: {error.strerror}{f' ({hint})' if hint else ''}"


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
