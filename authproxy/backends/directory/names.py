"""The forms in which people type their names, and what each is looked up by."""

from __future__ import annotations

from authproxy.pipeline.username import canonical
from authproxy.protocols.ldap.dn import DN, MalformedDN, parse_dn
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class PlainName:
    """`alice`"""

    name: str


@light_dataclass(frozen=True, slots=True)
class PrincipalName:
    """`alice@corp.example`"""

    name: str
    local: str
    suffix: str


@light_dataclass(frozen=True, slots=True)
class DomainName:
    """`CORP\\alice`; the domain is in its NetBIOS or its DNS form."""

    domain: str
    name: str


@light_dataclass(frozen=True, slots=True)
class EntryName:
    """`CN=alice,OU=People,DC=corp,DC=example`"""

    dn: str


Name = PlainName | PrincipalName | DomainName | EntryName


def read_name(typed: str) -> Name:
    """The form of a typed name. A name that fits no other form is a plain one."""
    if "=" in typed and _is_dn(typed):
        return EntryName(typed)
    domain, backslash, name = typed.partition("\\")
    if backslash and name:
        return DomainName(domain, name) if domain else PlainName(name)
    local, at, suffix = typed.rpartition("@")
    if at and local and suffix:
        return PrincipalName(typed, local, suffix)
    return PlainName(typed)


def bare(typed: str) -> str:
    """The part that all forms of a name have in common, in small letters; for counting, not for looking up."""
    match read_name(typed):
        case DomainName(_, name) | PlainName(name):
            return canonical(name)
        case PrincipalName(_, local, _):
            return canonical(local)
        case EntryName(dn):
            return canonical(parse_dn(dn).rdns[0][0].value.decode("utf-8", "replace"))


def domain_of(dn: DN) -> DN:
    """The DN of the domain that an entry of Active Directory is in: the DCs at its end."""
    at = len(dn.rdns)
    while at and len(dn.rdns[at - 1]) == 1 and dn.rdns[at - 1][0].attribute.lower() == "dc":
        at -= 1
    return DN(dn.rdns[at:])


def dns_name(domain: DN) -> str:
    """`corp.example` for DC=corp,DC=example."""
    return ".".join(rdn[0].value.decode("utf-8", "replace") for rdn in domain.rdns)


def _is_dn(typed: str) -> bool:
    """One RDN alone may be somebody's odd user name; two are a DN."""
    try:
        return len(parse_dn(typed).rdns) >= 2
    except MalformedDN:
        return False
