"""What each port serves: the sections behind it, their clients, the limits that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from authproxy.backends.radius.accounting import RadiusAccounting
from authproxy.config.model import LdapServerAuto, RadiusServer
from authproxy.config.options.addresses import Endpoint
from authproxy.listeners.radius.clients import Client, PrefixTable, RequireMessageAuthenticator
from authproxy.listeners.radius.listener import ACCOUNTING, LOGINS, Limits, Served
from authproxy.listeners.radius.radsec import RadSecPlan
from authproxy.listeners.tls import ServerTls, UnusableCertificate
from authproxy.service import ldap
from authproxy.service.building.draft import Draft
from authproxy.service.building.parts import AccountingPart, PortPlan, Section
from authproxy.service.ldap import LdapPlan
from authproxy.service.ports import accounting_endpoints, radius_endpoints, radsec_endpoints
from authproxy.service.radsec import Behind, radsec_plan, radsec_tls


def radius_ports(sections: Mapping[str, Section]) -> dict[Endpoint, PortPlan]:
    behind: dict[Endpoint, list[Behind]] = {}
    for section in sections.values():
        if isinstance(section.options, RadiusServer) and section.radius is not None:
            for endpoint in radius_endpoints(section.options):
                behind.setdefault(endpoint, []).append(Behind(section.options, section.radius))
    return {endpoint: port_plan(sharing) for endpoint, sharing in behind.items()}


def accounting_ports(
    sections: Mapping[str, Section], accounting: Mapping[str, AccountingPart]
) -> dict[Endpoint, PortPlan]:
    behind: dict[Endpoint, list[Behind]] = {}
    for section in sections.values():
        if isinstance(section.options, RadiusServer) and section.radius is not None:
            shared = Behind(section.options, section.radius, _relay(section.options, accounting))
            for endpoint in accounting_endpoints(section.options):
                behind.setdefault(endpoint, []).append(shared)
    return {endpoint: port_plan(sharing, ACCOUNTING) for endpoint, sharing in behind.items()}


def radsec_ports(
    draft: Draft, sections: Mapping[str, Section], accounting: Mapping[str, AccountingPart]
) -> dict[Endpoint, RadSecPlan]:
    behind: dict[Endpoint, list[Behind]] = {}
    tls: dict[Endpoint, ServerTls] = {}
    for name, section in sections.items():
        if isinstance(section.options, RadiusServer) and section.radius is not None:
            mine = _radsec_tls(draft, name, section.options)
            if mine is None:
                continue
            shared = Behind(section.options, section.radius, _relay(section.options, accounting))
            for endpoint in radsec_endpoints(section.options):
                behind.setdefault(endpoint, []).append(shared)
                tls.setdefault(endpoint, mine)
    return {
        endpoint: radsec_plan(sharing, port_limits(sharing), tls[endpoint])
        for endpoint, sharing in behind.items()
    }


def _radsec_tls(draft: Draft, name: str, options: RadiusServer) -> ServerTls | None:
    try:
        tls = radsec_tls(options)
    except UnusableCertificate as unusable:
        draft.problem(name, "radsec_certificate_file", str(unusable))
        return None
    if tls is not None:
        draft.expiries[f"{options.name} (RadSec)"] = tls.not_after
    return tls


def ldap_ports(sections: Mapping[str, Section]) -> dict[Endpoint, LdapPlan]:
    return ldap.plans(
        [
            (section.options, section.ldap)
            for section in sections.values()
            if isinstance(section.options, LdapServerAuto) and section.ldap is not None
        ]
    )


def _relay(options: RadiusServer, accounting: Mapping[str, AccountingPart]) -> RadiusAccounting | None:
    part = accounting.get(options.accounting_client or "")
    return part.relay if part is not None else None


def port_plan(sharing: Sequence[Behind], codes: frozenset[int] = LOGINS) -> PortPlan:
    served = [
        (network, known)
        for behind in sharing
        for client in radius_clients(behind.options)
        for known in [Served(client, behind.section, behind.accounting)]
        for network in client.networks
    ]
    return PortPlan(PrefixTable(served), port_limits(sharing), codes)


def port_limits(sharing: Sequence[Behind]) -> Limits:
    """The limits of a port that sections share: the strictest of each."""
    options = [behind.options for behind in sharing]
    return Limits(
        pending=min(each.max_pending for each in options),
        pending_per_client=min(each.max_pending_per_client for each in options),
        reject_delay=max(each.reject_delay for each in options),
        reply_cache=max(each.reply_cache for each in options),
    )


def radius_clients(options: RadiusServer) -> list[Client]:
    return [
        Client(
            name=client.name,
            key=f"{options.name}/{client.name}",
            networks=client.ip,
            secret=client.secret,
            require_message_authenticator=RequireMessageAuthenticator(
                client.require_message_authenticator or options.require_message_authenticator
            ),
            omit_message_authenticator=client.omit_message_authenticator,
        )
        for client in options.clients
    ]
