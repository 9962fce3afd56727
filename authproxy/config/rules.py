"""What holds between sections: whose client is whose, and who shares a port."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from authproxy.config.model import (
    AdClient,
    DuoOnlyClient,
    HttpProxy,
    LdapServerAuto,
    Main,
    RadiusClient,
    RadiusServer,
    RadiusServerDuoOnly,
    Section,
    ServerSection,
    Transport,
)
from authproxy.config.model.kinds import PRIMARIES, kind_of
from authproxy.config.model.section import Finding
from authproxy.config.options.addresses import Network
from authproxy.config.problems import suggestion
from authproxy.pipeline.fail_mode import FailMode

# A finding and the section it is about.
Between = tuple[str, Finding]

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


def client_of(section: ServerSection, main: Main, names: Iterable[str]) -> str | Finding:
    """The client section of a server section: its own word, main's, or the only one there is. "": it needs none."""
    if isinstance(section, RadiusServerDuoOnly):
        return ""
    primaries = [name for name in names if kind_of(name) in PRIMARIES]
    named = section.client or main.client
    if named and named in primaries:
        return named
    if named:
        return Finding("client", f"there is no client section {named}{suggestion(named, primaries)}")
    if not primaries:
        return Finding("", "there is no client section for it, such as ad_client")
    if len(primaries) > 1:
        return Finding(
            "client", f"missing: there is more than one client section ({', '.join(primaries)}), so name one"
        )
    return primaries[0]


def faults_between(sections: Mapping[str, Section]) -> Iterator[Between]:
    """Contradictions between settled sections."""
    servers = {name: section for name, section in sections.items() if isinstance(section, ServerSection)}
    for (one, first), (other, second) in combinations(servers.items(), 2):
        if first.name == second.name:
            yield other, Finding("name", f"{second.name} is already the name of {one}")
        if isinstance(first, RadiusServer) and isinstance(second, RadiusServer):
            if first.port == second.port and first.clients and second.clients:
                yield from _on_one_port(one, first, other, second)
            yield from _on_one_accounting_port(one, first, other, second)
            if first.radsec_port == second.radsec_port and first.radsec_clients and second.radsec_clients:
                yield from _on_one_radsec_port(one, first, other, second)
        if isinstance(first, LdapServerAuto) and isinstance(second, LdapServerAuto):
            yield from _same_tcp_port(one, first, other, second)
    yield from _ways_out(sections)
    for name, section in servers.items():
        if isinstance(section, RadiusServer):
            yield from ((name, finding) for finding in _twice(section))
            yield from ((name, finding) for finding in _passed_to_nobody(section, sections))
            yield from ((name, finding) for finding in _groups_of_nobody(section, sections))
            yield from ((name, finding) for finding in _accounting(section, sections))
        if _asks_nobody_for_groups(section, sections):
            what = "only a directory knows groups: this section needs an ad_client"
            yield name, Finding("fail_open_never_groups", what)
        if isinstance(section, LdapServerAuto) and not isinstance(sections.get(section.client), AdClient):
            yield (
                name,
                Finding("client", f"{section.client} is not a directory: an LDAP section needs an ad_client"),
            )


def _ways_out(sections: Mapping[str, Section]) -> Iterator[Between]:
    """A client is known by nothing but its address, so two sections can't share a port."""
    ways = {name: section for name, section in sections.items() if isinstance(section, HttpProxy)}
    for (one, first), (other, second) in combinations(ways.items(), 2):
        shared = not (first.interface and second.interface) or set(first.interface) & set(second.interface)
        if first.port == second.port != 0 and shared:
            yield other, Finding("port", f"{second.port} is already a port of {one}")


def server_of(main: Main, names: Iterable[str]) -> Iterator[Finding]:
    """`main.server` names a section that is there."""
    servers = [name for name in names if kind_of(name) not in PRIMARIES and name != "main"]
    if main.server and main.server not in servers:
        yield Finding("server", f"there is no section {main.server}{suggestion(main.server, servers)}")


def risks_between(main: Main, sections: Mapping[str, Section]) -> Iterator[Between]:
    if main.http_proxy_host is not None:
        # The existing product refuses both together: what comes here would be sent on by itself.
        for name, section in sections.items():
            if isinstance(section, HttpProxy):
                what = "its tunnels connect directly: main.http_proxy_host doesn't apply to them"
                yield name, Finding("", what)
    used = {section.client for section in sections.values() if isinstance(section, ServerSection)}
    used |= {
        section.accounting_client
        for section in sections.values()
        if isinstance(section, RadiusServer) and section.accounting_client
    }
    for name, section in sections.items():
        if kind_of(name) in PRIMARIES and name not in used:
            yield name, Finding("", "no server section uses it")
        if isinstance(section, LdapServerAuto) and _in_clear(sections.get(section.client)):
            yield (
                section.client,
                Finding(
                    "transport", f"clear: passwords from {name} go to the directory unencrypted; use ldaps"
                ),
            )
        if isinstance(section, ServerSection) and main.drain_timeout < section.login_patience:
            what = (
                f"main.drain_timeout ({main.drain_timeout:g} s) is shorter: a restart ends logins that "
                "are still waiting"
            )
            yield name, Finding("login_patience", what)
        if isinstance(section, ServerSection) and checks_no_password(section, sections):
            yield from ((name, finding) for finding in _without_effect(section))
        elif isinstance(section, ServerSection) and section.failmode is FailMode.SAFE:
            what = "safe: while the cloud can't be reached, users get in on a password alone"
            yield name, Finding("failmode", what)


def checks_no_password(section: ServerSection, sections: Mapping[str, Section]) -> bool:
    """Its logins have no primary: nothing opens, and nobody is exempt."""
    alone = isinstance(section, RadiusServerDuoOnly)
    return alone or isinstance(sections.get(section.client), DuoOnlyClient)


def _without_effect(section: ServerSection) -> Iterator[Finding]:
    if section.failmode is FailMode.SAFE:
        yield Finding("failmode", "safe: has no effect without a primary; an outage rejects")
    if isinstance(section, RadiusServer) and section.exempt_usernames:
        yield Finding("exempt_usernames", "have no effect without a primary")


def _passed_to_nobody(section: RadiusServer, sections: Mapping[str, Section]) -> Iterator[Finding]:
    if isinstance(section, RadiusServerDuoOnly) or isinstance(sections.get(section.client), RadiusClient):
        return
    for option in ("pass_through_attr_names", "pass_through_all"):
        if getattr(section, option):
            yield Finding(option, "has no effect: it is for a radius_client, and this section has none")


def _asks_nobody_for_groups(section: ServerSection, sections: Mapping[str, Section]) -> bool:
    """Without effect in a section that isn't safe, and warned of there."""
    applies = section.failmode is FailMode.SAFE and bool(section.fail_open_never_groups)
    return applies and not isinstance(sections.get(section.client), AdClient)


def _groups_of_nobody(section: RadiusServer, sections: Mapping[str, Section]) -> Iterator[Finding]:
    if isinstance(sections.get(section.client), AdClient):
        return
    for index, rule in enumerate(section.attributes):
        if rule.group is not None:
            yield Finding(
                ("attributes", index, "group"),
                "only a directory knows groups: this section needs an ad_client",
            )


def _in_clear(client: Section | None) -> bool:
    return isinstance(client, AdClient) and client.transport is Transport.CLEAR


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


def _twice(section: RadiusServer) -> Iterator[Finding]:
    """R11: the most specific network wins, so the same one twice has no winner."""
    seen: dict[Network, str] = {}
    for index, client in enumerate(section.clients):
        for network in client.ip:
            if network in seen:
                yield Finding(
                    ("clients", index, "ip"), f"{network} already belongs to client {seen[network]}"
                )
            seen[network] = client.name


def _on_one_port(one: str, first: RadiusServer, other: str, second: RadiusServer) -> Iterator[Between]:
    if (shared := _shared(one, first, other, second, "port", _OF_THE_PORT)) is not None:
        yield from shared
        yield from ((other, finding) for finding in _overlaps(one, first, other, second))


def _accounting(section: RadiusServer, sections: Mapping[str, Section]) -> Iterator[Finding]:
    """Where it goes, and that it doesn't come to the port of logins."""
    if section.accounting_client is None:
        return
    if not isinstance(sections.get(section.accounting_client), RadiusClient):
        known = [name for name, other in sections.items() if isinstance(other, RadiusClient)]
        what = f"there is no radius_client section {section.accounting_client}"
        yield Finding("accounting_client", what + suggestion(section.accounting_client, known))
    if section.accounting_port == section.port != 0:
        yield Finding("accounting_port", f"{section.port} is already the port for logins")


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


@dataclass(frozen=True, slots=True)
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
