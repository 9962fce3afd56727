"""Every way to an Accept without both factors that a configuration opens, for the auditor (F10).

Each option of the model is either in OPENS, with what it opens at which value, or in ways_shut; a test walks
the model, so that a new option can't be forgotten here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from authproxy.config.model import (
    AdClient,
    Client,
    Config,
    LdapServerAuto,
    RadiusClient,
    RadiusServer,
    RadiusServerDuoOnly,
    RequireMessageAuthenticator,
    ServerSection,
    Transport,
)
from authproxy.config.model.radius_client import EapOuterName, RadiusTransport
from authproxy.config.model.section import Options
from authproxy.config.way import Found, How, Kind, Way
from authproxy.config.ways_shut import BOUNDS, SHUT
from authproxy.pipeline.fail_mode import FailMode, SlowCloud

_GATES = (
    "the cloud credentials have worked before (proven)",
    "an independent probe fails too",
    "the cloud's name doesn't resolve to a loopback or private address",
    "the event has been written",
)
_WITHOUT_GATE_3 = tuple(gate for gate in _GATES if "resolves" not in gate)


def ways_in(config: Config) -> tuple[Way, ...]:
    """In the order of the file, the cloud's last in each section."""
    return tuple(way for name, section in config.sections.items() for way in _section(name, section))


def classes_of(kind: type[Options]) -> Iterator[type[Options]]:
    """A model's class and its bases, those with options of their own, the most special first."""
    return (base for base in kind.__mro__ if base in OPENS or base in SHUT or base in BOUNDS)


def _section(name: str, section: Options) -> Found:
    for base in classes_of(type(section)):
        for how in OPENS.get(base, {}).values():
            yield from how(name, section)
    if isinstance(section, ServerSection):
        yield from _primary_only(name, section)
        yield Way(
            name,
            Kind.CLOUD,
            "api_host",
            f"users whom {section.api_host} lets in without a factor: those with bypass status, "
            "those whom its policy or network rules exempt, and those who are not enrolled, if it "
            "allows them",
            "cloud_allow",
        )


def _primary_only(name: str, section: ServerSection) -> Found:
    """No option: an order, of the one who may write main.state_dir."""
    if section.failmode is FailMode.SAFE and not _checks_no_password(section):
        who = tuple(bound for bound in bounds_of(section) if "_never_" in bound or "_seen_" in bound)
        yield Way(
            name,
            Kind.ORDER,
            "authproxy primary-only",
            "anyone with a correct password, while root or the proxy's user has switched the second "
            "factor off",
            "primary_only",
            ("it was ordered at most four hours ago", *who),
        )


# ---- what each option opens


def _failmode(name: str, section: ServerSection) -> Found:
    if section.failmode is not FailMode.SAFE or _checks_no_password(section):
        return
    gates = _WITHOUT_GATE_3 if section.allow_local_api else _GATES
    yield Way(
        name,
        Kind.OUTAGE,
        "failmode",
        "anyone with a correct password, while the cloud can't be reached",
        "fail_open",
        (*gates, *bounds_of(section)),
    )


def _slow(name: str, section: ServerSection) -> Found:
    if section.slow_cloud is not SlowCloud.FAILMODE or section.failmode is not FailMode.SAFE:
        return
    if not _checks_no_password(section):
        gates = ("the cloud credentials have worked before (proven)", "its probe is slow too", _GATES[-1])
        yield Way(
            name,
            Kind.OUTAGE,
            "slow_cloud",
            "anyone with a correct password, while the cloud takes longer than "
            f"{section.slow_cloud_seconds:g} s",
            "fail_open",
            (*gates, *bounds_of(section)),
        )


def bounds_of(section: ServerSection) -> tuple[str, ...]:
    """The limits of the section's open door that are set, as option: value."""
    names = {option for base in classes_of(type(section)) for option in BOUNDS.get(base, ())}
    return tuple(
        f"{option}: {_words(value)}"
        for option in type(section).model_fields
        if option in names and (value := getattr(section, option)) not in (None, (), False, 0)
    )


def _checks_no_password(section: ServerSection) -> bool:
    """By its own kind; a client without a password is told by that client."""
    return isinstance(section, RadiusServerDuoOnly) or section.client.startswith("duo_only_client")


def _local(name: str, section: ServerSection) -> Found:
    if section.allow_local_api and section.failmode is FailMode.SAFE and not _checks_no_password(section):
        yield Way(
            name,
            Kind.FORGERY,
            "allow_local_api",
            "whoever can change this machine's hosts file or resolver can simulate an outage",
            "fail_open",
        )


def _authority(name: str, section: ServerSection) -> Found:
    if section.api_ca_certs_file is not None:
        yield Way(
            name,
            Kind.FORGERY,
            "api_ca_certs_file",
            f"whoever has the key of a CA in {section.api_ca_certs_file} can impersonate the cloud",
            "both_factors",
        )


def _no_client(name: str, section: ServerSection) -> Found:
    if _checks_no_password(section):
        yield Way(
            name,
            Kind.ONE_FACTOR,
            "client",
            "anyone with the second factor: no password is checked",
            "duo_only",
        )


def _exempt_usernames(name: str, section: RadiusServer) -> Found:
    if section.exempt_usernames and not _checks_no_password(section):
        who = f"with a correct password: {_words(section.exempt_usernames)}"
        yield Way(name, Kind.RULE, "exempt_usernames", who, "exempt")


def _client_ip(name: str, section: RadiusServer) -> Found:
    if section.trust_unsigned_client_ip:
        yield Way(
            name,
            Kind.FORGERY,
            "trust_unsigned_client_ip",
            "whoever can change packets on the way can choose the address to which the cloud's "
            "network rules apply",
            "cloud_allow",
        )


def _clients(name: str, section: RadiusServer) -> Found:
    for at, client in enumerate(section.clients):
        for option, says in OPENS[Client].items():
            for way in says(name, client):
                yield Way(way.section, way.kind, f"clients[{at}].{option}", way.who, way.reason)


def _unsigned(name: str, client: Client) -> Found:
    if client.require_message_authenticator is RequireMessageAuthenticator.NO:
        yield Way(
            name, Kind.FORGERY, "", f"whoever can change packets on the way to {client.name} (CVE-2024-3596)"
        )


def _unsigned_replies(name: str, client: Client) -> Found:
    if client.omit_message_authenticator:
        yield Way(
            name, Kind.FORGERY, "", f"whoever can change packets on the way to {client.name} (CVE-2024-3596)"
        )


def _exempt_ous(name: str, section: LdapServerAuto) -> Found:
    if section.exempt_ous:
        who = (
            f"with a correct password, each of these and everything below it: {'; '.join(section.exempt_ous)}"
        )
        yield Way(name, Kind.RULE, "exempt_ous", who, "exempt")


def _exempt_groups(name: str, section: LdapServerAuto) -> Found:
    if section.exempt_groups:
        who = (
            f"with a correct password, members (including nested ones) of: {'; '.join(section.exempt_groups)}"
        )
        yield Way(name, Kind.RULE, "exempt_groups", who, "exempt")


def _exempt_primary_bind(name: str, section: LdapServerAuto) -> Found:
    if section.exempt_primary_bind:
        who = "with a correct password: whoever binds first on a connection"
        yield Way(name, Kind.RULE, "exempt_primary_bind", who, "exempt")


def _approval_memory(name: str, section: LdapServerAuto) -> Found:
    if section.approval_memory:
        who = (
            f"for {section.approval_memory:g} seconds after an approval: whoever binds with the same "
            "password from the same address"
        )
        yield Way(name, Kind.RULE, "approval_memory", who, "recent_approval")


def _anonymous(name: str, section: LdapServerAuto) -> Found:
    if section.allow_anonymous_bind:
        who = "anybody can read what the directory shows to everybody; nobody is logged in"
        yield Way(name, Kind.UNBOUND, "allow_anonymous_bind", who)


def _balancers(name: str, section: LdapServerAuto) -> Found:
    if section.proxy_protocol_from:
        who = (
            f"whoever sends from {_words(section.proxy_protocol_from)} can choose the address to "
            "which the cloud's network rules apply"
        )
        yield Way(name, Kind.FORGERY, "proxy_protocol_from", who, "cloud_allow")


def _readable(name: str, section: LdapServerAuto) -> Found:
    if not section.require_tls:
        yield Way(
            name,
            Kind.FORGERY,
            "require_tls",
            "without TLS, whoever can change packets on the way can answer a bind, or take over a "
            "bound connection",
        )


def _transport(name: str, section: AdClient) -> Found:
    if section.transport is Transport.CLEAR:
        yield Way(
            name,
            Kind.FORGERY,
            "transport",
            "clear: whoever is on the way to the directory can impersonate it; they then need no "
            "password, but still the second factor",
        )


def _any_name(name: str, section: AdClient) -> Found:
    if not section.ssl_verify_hostname and section.transport is not Transport.CLEAR:
        yield Way(
            name,
            Kind.FORGERY,
            "ssl_verify_hostname",
            "whoever has a certificate of the same CA can impersonate the directory; they then need "
            "no password, but still the second factor",
        )


def _unsigned_primary(name: str, section: RadiusClient) -> Found:
    if not section.require_message_authenticator and section.transport is RadiusTransport.UDP:
        yield Way(
            name,
            Kind.FORGERY,
            "require_message_authenticator",
            "whoever can change packets on the way from the server; they then need no password, but "
            "still the second factor (CVE-2024-3596)",
        )


def _outer_name(name: str, section: RadiusClient) -> Found:
    if section.eap_outer_name is EapOuterName.REFUSE:
        return
    or_none = ", or none if that user needs none" if section.eap_outer_name is EapOuterName.TRUST else ""
    yield Way(
        name,
        Kind.FORGERY,
        "eap_outer_name",
        "whoever knows a password, and logs in by EAP in a tunnel with another name outside than inside, unless the "
        f"server refuses that or names the user inside: the second factor is that of the user outside{or_none}",
        "both_factors",
    )


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


OPENS: Mapping[type[Options], Mapping[str, How]] = {
    ServerSection: {
        "failmode": _failmode,
        "slow_cloud": _slow,
        "allow_local_api": _local,
        "api_ca_certs_file": _authority,
        "client": _no_client,
    },
    RadiusServer: {
        "exempt_usernames": _exempt_usernames,
        "trust_unsigned_client_ip": _client_ip,
        "clients": _clients,
    },
    Client: {
        "require_message_authenticator": _unsigned,
        "omit_message_authenticator": _unsigned_replies,
    },
    LdapServerAuto: {
        "exempt_ous": _exempt_ous,
        "exempt_groups": _exempt_groups,
        "exempt_primary_bind": _exempt_primary_bind,
        "approval_memory": _approval_memory,
        "allow_anonymous_bind": _anonymous,
        "proxy_protocol_from": _balancers,
        "require_tls": _readable,
    },
    AdClient: {"transport": _transport, "ssl_verify_hostname": _any_name},
    RadiusClient: {
        "require_message_authenticator": _unsigned_primary,
        "eap_outer_name": _outer_name,
    },
}
