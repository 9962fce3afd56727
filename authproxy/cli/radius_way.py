"""How to reach a section as one of its clients: its address, our address, and the client's secret."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import TypeVar

from authproxy.cli.radius_client import own_address
from authproxy.config.model.radius_server import Client, RadiusServer
from authproxy.config.model.server import ServerSection
from authproxy.values import light_dataclass

_LOOPBACKS = {4: "127.0.0.1", 6: "::1"}


class Unusable(Exception):
    """The user has to act; the text says how."""


@light_dataclass(frozen=True, slots=True)
class Way:
    """How to reach a section as one of its clients."""

    section: str
    server: tuple[str, int]
    source: str
    client: Client
    timeout: float
    file: Path


def find_way(
    sections: Mapping[str, RadiusServer],
    file: Path,
    *,
    section: str | None,
    server: str | None,
    source: str,
    timeout: float | None,
) -> Way:
    """Fill in what wasn't given. Raises Unusable."""
    name, found = find_section(section, sections)
    if not found.clients:
        raise Unusable(f"{name} has clients over TLS only, and this command sends by UDP")
    address = server_given(server) if server is not None else _server(found)
    own, client = _client(source, address, found)
    # A little longer than the proxy: its own answer to a login that is given up is worth having.
    return Way(name, address, own, client, timeout or found.login_patience + found.reject_delay + 2, file)


S = TypeVar("S", bound=ServerSection)


def find_section(wanted: str | None, sections: Mapping[str, S]) -> tuple[str, S]:
    """The name and options of the wanted section, or of the only one. Raises Unusable."""
    found = [
        (name, section)
        for name, section in sections.items()
        if wanted is None or wanted in (name, section.name)
    ]
    match found:
        case [one]:
            return one
        case []:
            known = ", ".join(sections) or "none"
            raise Unusable(f"no server section {wanted or ''} in the configuration; there is: {known}")
        case _:
            raise Unusable(f"which section? --section {' | '.join(name for name, _ in found)}")


def _server(section: RadiusServer) -> tuple[str, int]:
    if not section.port:
        raise Unusable(
            "the section listens on any free port: give --server HOST:PORT, as in the daemon's `ready` line"
        )
    return _reachable(str(section.interface[0]) if section.interface else ""), section.port


def server_given(given: str) -> tuple[str, int]:
    """The host and port in ADDRESS:PORT. Raises Unusable."""
    host, _, port = given.rpartition(":")
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 65_536:
        raise Unusable(f"--server {given}: ADDRESS:PORT is expected, such as 127.0.0.1:1812")
    return str(address), number


def _reachable(interface: str) -> str:
    """Where to send to, when the section listens there."""
    if not interface or ip_address(interface).is_unspecified:
        return _LOOPBACKS[6 if interface == "::" else 4]
    return interface


def _client(source: str, server: tuple[str, int], section: RadiusServer) -> tuple[str, Client]:
    """The client that the proxy will take us for, by the address that it sees (R10)."""
    try:
        address = source or own_address(server)
    except OSError as error:
        raise Unusable(f"{server[0]} can't be reached: {error.strerror}") from None
    client = _most_specific(address, section)
    if client is None and not source:
        # On this machine every address of 127.0.0.0/8 is ours to send from.
        address = _loopback_of(section) if ip_address(server[0]).is_loopback else ""
        client = _most_specific(address, section) if address else None
    if client is not None:
        return address, client
    networks = ", ".join(str(network) for one in section.clients for network in one.ip)
    raise Unusable(
        f"this command would send from {source or own_address(server)}, which is not a client of "
        f"{section.name} ({networks}): add a client with that address, or choose another address "
        "of this machine with --source"
    )


def _most_specific(address: str, section: RadiusServer) -> Client | None:
    try:
        ip = ip_address(address)
    except ValueError:
        raise Unusable(f"--source {address}: not an IP address") from None
    matching = [
        (network.prefixlen, at)
        for at, client in enumerate(section.clients)
        for network in client.ip
        if ip.version == network.version and ip in network
    ]
    return section.clients[max(matching)[1]] if matching else None


def _loopback_of(section: RadiusServer) -> str:
    for client in section.clients:
        for network in client.ip:
            if network.is_loopback:
                return str(_first_host(network))
    return ""


def _first_host(network: IPv4Network | IPv6Network) -> object:
    return next(iter(network.hosts()))


def spelled(server: tuple[str, int]) -> str:
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
