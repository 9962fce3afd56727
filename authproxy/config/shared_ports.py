"""Sections that share a port: what has to be the same in them, and whose clients are whose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from authproxy.config.model import HttpProxy, LdapServerAuto, RadiusServer, Section, ServerSection
from authproxy.config.model.section import Between, Finding
from authproxy.config.options.addresses import Network
from authproxy.values import light_dataclass

# What is the port's rather than a section's.
_OF_THE_PORT = ("max_pending", "max_pending_per_client", "reject_delay", "reply_cache")


_OF_THE_RADSEC_PORT = (
    "radsec_certificate_file",
    "radsec_key_file",
    "radsec_client_ca_file",
    "radsec_idle_timeout",
    "radsec_max_connections",
    *_OF_THE_PORT,
)


_ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound


def faults_on_ports(sections: Mapping[str, Section]) -> Iterator[Between]:
    """Contradictions between settled sections that listen on the same port."""
    servers = {name: section for name, section in sections.items() if isinstance(section, ServerSection)}
    for (one, first), (other, second) in combinations(servers.items(), 2):
        if isinstance(first, RadiusServer) and isinstance(second, RadiusServer):
            if first.port == second.port and first.clients and second.clients:
                yield from _on_one_port(one, first, other, second)
            yield from _on_one_accounting_port(one, first, other, second)
            if first.radsec_port == second.radsec_port and first.radsec_clients and second.radsec_clients:
                yield from _on_one_radsec_port(one, first, other, second)
        if isinstance(first, LdapServerAuto) and isinstance(second, LdapServerAuto):
            yield from _same_tcp_port(one, first, other, second)
    yield from _ways_out(sections)


def _ways_out(sections: Mapping[str, Section]) -> Iterator[Between]:
    """A client is known by nothing but its address, so two sections can't share a port."""
    ways = {name: section for name, section in sections.items() if isinstance(section, HttpProxy)}
    for (one, first), (other, second) in combinations(ways.items(), 2):
        shared = not (first.interface and second.interface) or set(first.interface) & set(second.interface)
        if first.port == second.port != 0 and shared:
            yield other, Finding("port", f"{second.port} is already a port of {one}")


def _same_tcp_port(one: str, first: LdapServerAuto, other: str, second: LdapServerAuto) -> Iterator[Between]:
    """An application is known by the port that it comes to."""
    if not (
        _listens_to_all(first) or _listens_to_all(second) or set(first.interface) & set(second.interface)
    ):
        return
    taken = {first.port, first.ssl_port if first.has_tls else 0} - {0}
    for option in ("port", "ssl_port") if second.has_tls else ("port",):
        if getattr(second, option) in taken:
            yield other, Finding(option, f"{getattr(second, option)} is already a port of {one}")


def _on_one_port(one: str, first: RadiusServer, other: str, second: RadiusServer) -> Iterator[Between]:
    if (shared := _shared(one, first, other, second, "port", _OF_THE_PORT)) is not None:
        yield from shared
        yield from ((other, finding) for finding in _overlaps(one, first, other, second))


def _on_one_accounting_port(
    one: str, first: RadiusServer, other: str, second: RadiusServer
) -> Iterator[Between]:
    """R15, for accounting: none at another section's port of logins, and no client in two."""
    for here, name, there in ((first, other, second), (second, one, first)):
        if here.clients and there.accounting_client and there.accounting_port == here.port != 0:
            yield name, Finding("accounting_port", f"{here.port} is already a port for logins")
    if not (first.accounting_client and second.accounting_client):
        return
    if first.accounting_port != second.accounting_port or not (first.clients and second.clients):
        return
    if first.port == second.port:
        return  # told already
    shared = _shared(one, first, other, second, "accounting_port", _OF_THE_PORT)
    if shared is not None:
        yield from shared
        yield from ((other, finding) for finding in _overlaps(one, first, other, second))


def _on_one_radsec_port(one: str, first: RadiusServer, other: str, second: RadiusServer) -> Iterator[Between]:
    if (shared := _shared(one, first, other, second, "radsec_port", _OF_THE_RADSEC_PORT)) is None:
        return
    yield from shared
    taken = {identity: client.name for client in first.radsec_clients for identity in client.certificate}
    for index, client in enumerate(second.radsec_clients):
        for identity in client.certificate:
            if identity in taken:
                what = (
                    f"{identity} already belongs to client {taken[identity]} of {one}, and both share a port"
                )
                yield other, Finding(("radsec_clients", index, "certificate"), what)


def _shared(
    one: str, first: RadiusServer, other: str, second: RadiusServer, port: str, options: tuple[str, ...]
) -> list[Between] | None:
    """What two sections with the same port contradict each other in; None when it is at different addresses."""
    number = getattr(second, port)
    if _listens_to_all(first) is not _listens_to_all(second):
        what = f"{one} has {port} {number} too: either both sections listen on all addresses, or neither does"
        return [(other, Finding("interface", what))]
    if not _listens_to_all(first) and not set(first.interface) & set(second.interface):
        return None
    return [
        (
            other,
            Finding(option, f"differs from {one}: sections that share {port} {number} need the same value"),
        )
        for option in options
        if getattr(first, option) != getattr(second, option)
    ]


def _listens_to_all(section: ServerSection) -> bool:
    return not section.interface or bool(_ALL_ADDRESSES & set(section.interface))


@light_dataclass(frozen=True, slots=True)
class _Held:
    """A network, whose it is, and its client's place there."""

    network: Network
    section: str
    index: int
    client: str


def _overlaps(one: str, first: RadiusServer, other: str, second: RadiusServer) -> Iterator[Finding]:
    """R15: which section answers must not depend on which prefix is longer."""
    held = [*_held(one, first), *_held(other, second)]
    # Networks lie within each other or apart; in this order, those around one are the ones still open before it.
    held.sort(
        key=lambda each: (each.network.version, int(each.network.network_address), each.network.prefixlen)
    )
    around: list[_Held] = []
    for each in held:
        while around and not _within(each.network, around[-1].network):
            around.pop()
        clash = next((outer for outer in around if outer.section != each.section), None)
        if clash is not None:
            mine, its = (each, clash) if each.section == other else (clash, each)
            what = (
                f"{mine.network} overlaps client {its.client} ({its.network}) of {one} on port {second.port}"
            )
            yield Finding(("clients", mine.index, "ip"), f"{what}; use another port or other networks")
        around.append(each)


def _held(name: str, section: RadiusServer) -> Iterator[_Held]:
    for index, client in enumerate(section.clients):
        yield from (_Held(network, name, index, client.name) for network in client.ip)


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.network_address in outer
