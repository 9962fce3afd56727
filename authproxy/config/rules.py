"""What holds between sections: which client section belongs to which server section, and what contradicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
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
    SharedState,
    Transport,
)
from authproxy.config.model.kinds import PRIMARIES, kind_of
from authproxy.config.model.section import Between, Finding
from authproxy.config.options.addresses import Network
from authproxy.config.problems import suggestion
from authproxy.config.shared_ports import faults_on_ports
from authproxy.pipeline.fail_mode import FailMode


def client_of(section: ServerSection, main: Main, names: Iterable[str]) -> str | Finding:
    """The client section of a server section: its own, main's, or the only one. "": it needs none."""
    if isinstance(section, RadiusServerDuoOnly):
        return ""
    primaries = [name for name in names if kind_of(name) in PRIMARIES]
    named = section.client or main.client
    if named:
        return no_client(named, names) or named
    if not primaries:
        return Finding("", "there is no client section for it, such as ad_client")
    if len(primaries) > 1:
        return Finding(
            "client", f"missing: there is more than one client section ({', '.join(primaries)}), so name one"
        )
    return primaries[0]


def no_client(named: str, names: Iterable[str]) -> Finding | None:
    """None: there is a client section of this name."""
    primaries = [name for name in names if kind_of(name) in PRIMARIES]
    if named in primaries:
        return None
    return Finding("client", f"there is no client section {named}{suggestion(named, primaries)}")


def faults_between(sections: Mapping[str, Section]) -> Iterator[Between]:
    """Contradictions between settled sections."""
    servers = {name: section for name, section in sections.items() if isinstance(section, ServerSection)}
    for (one, first), (other, second) in combinations(servers.items(), 2):
        if first.name == second.name:
            yield other, Finding("name", f"{second.name} is already the name of {one}")
    yield from faults_on_ports(sections)
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


def server_of(main: Main, names: Iterable[str]) -> Iterator[Finding]:
    """`main.server` has to name an existing section."""
    servers = [name for name in names if kind_of(name) not in PRIMARIES and name != "main"]
    if main.server and main.server not in servers:
        yield Finding("server", f"there is no section {main.server}{suggestion(main.server, servers)}")


def shared_by_nobody(main: Main, sections: Mapping[str, Section]) -> Iterator[Between]:
    """What nodes leave for each other is sealed, with a key that only they have (H4)."""
    for name, section in sections.items():
        if isinstance(section, SharedState) and main.challenge_key is None:
            what = "needs main.challenge_key, the same on every node; `authproxy secret generate` makes one"
            yield name, Finding("", what)


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
        if isinstance(section, LdapServerAuto) and not (
            section.require_tls or _is_loopback(section.interface)
        ):
            what = "false: passwords cross the network unencrypted, unless each client uses TLS"
            yield name, Finding("require_tls", what)
        if isinstance(section, ServerSection) and main.drain_timeout < section.login_patience:
            what = (
                f"main.drain_timeout ({main.drain_timeout:g} s) is shorter: a restart ends logins that "
                "are still waiting"
            )
            yield name, Finding("login_patience", what)
        if isinstance(section, RadiusServer) and isinstance(sections.get(section.client), AdClient):
            yield from ((name, finding) for finding in _exempts_nobody(section))
        if isinstance(section, ServerSection) and checks_no_password(section, sections):
            yield from ((name, finding) for finding in _without_effect(section))
        elif isinstance(section, ServerSection) and section.failmode is FailMode.SAFE:
            what = "safe: while the cloud can't be reached, users get in on a password alone"
            yield name, Finding("failmode", what)


def checks_no_password(section: ServerSection, sections: Mapping[str, Section]) -> bool:
    """Whether its logins have no primary; then no outage lets anyone in, and nobody is exempt."""
    alone = isinstance(section, RadiusServerDuoOnly)
    return alone or isinstance(sections.get(section.client), DuoOnlyClient)


def _without_effect(section: ServerSection) -> Iterator[Finding]:
    if section.failmode is FailMode.SAFE:
        yield Finding("failmode", "safe: has no effect without a primary; an outage rejects")
    if isinstance(section, RadiusServer) and section.exempt_usernames:
        yield Finding("exempt_usernames", "have no effect without a primary")


def _exempts_nobody(section: RadiusServer) -> Iterator[Finding]:
    """The existing product compares what was typed."""
    for index, user in enumerate(section.exempt_usernames):
        domain, _, plain = user.rpartition("\\")
        if domain:
            what = f"{user} exempts nobody: the name that the directory has is compared, without a domain: {plain}"
            yield Finding(("exempt_usernames", index), what)


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


def _is_loopback(interface: tuple[str, ...]) -> bool:
    return bool(interface) and all(ip_address(address).is_loopback for address in interface)


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
