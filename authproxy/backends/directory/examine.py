"""Tests a directory for `authproxy probe`: do the things that the configuration names exist?"""

from __future__ import annotations

from collections.abc import AsyncIterator

from authproxy.backends.directory.connect import Unusable
from authproxy.backends.directory.connection import LdapConnection
from authproxy.backends.directory.names import domain_of
from authproxy.backends.directory.root import Root
from authproxy.backends.directory.settings import AuthType, DirectorySettings
from authproxy.protocols.ldap.dn import parse_dn
from authproxy.protocols.ldap.filter import Present
from authproxy.protocols.ldap.requests import NO_ATTRIBUTES, Scope, SearchRequest
from authproxy.protocols.ldap.result import ResultCode, code_name
from authproxy.values import light_dataclass

_AD_NAMES = frozenset({"samaccountname", "userprincipalname"})


@light_dataclass(frozen=True, slots=True)
class HostReport:
    """`problem` is "" if the service account could log in and see what it needs."""

    host: str
    problem: str
    warnings: tuple[str, ...]
    active_directory: bool
    seconds: float


async def examine(
    connection: LdapConnection, root: Root, settings: DirectorySettings, deadline: float
) -> tuple[str, ...]:
    """What is doubtful about this host. Raises ConnectionFailed; Unusable if something that the configuration names
    doesn't exist.
    """
    await _must_be_there(connection, "search_dn", settings.search_dn, deadline)
    if settings.security_group_dn is not None:
        await _must_be_there(connection, "security_group_dn", settings.security_group_dn, deadline)
    for group in settings.groups:
        await _must_be_there(connection, "attributes, group", group, deadline)
    return tuple([warning async for warning in _doubts(connection, root, settings, deadline)])


async def _must_be_there(connection: LdapConnection, option: str, dn: str, deadline: float) -> None:
    if not dn:
        return  # the root of everything needs no entry
    found = await connection.search(
        SearchRequest(dn, Scope.BASE, attributes=NO_ATTRIBUTES, size_limit=1), deadline
    )
    if found.result.code != ResultCode.SUCCESS or not found.entries:
        code = code_name(found.result.code)
        raise Unusable(f"{option} {dn}: doesn't exist, or the service account can't see it ({code})")


async def _doubts(
    connection: LdapConnection, root: Root, settings: DirectorySettings, deadline: float
) -> AsyncIterator[str]:
    attribute = settings.username_attribute
    if not root.active_directory and settings.auth_type is AuthType.NTLM2:
        yield "auth_type ntlm2: this isn't Active Directory; set it to plain"
    found = await connection.search(
        SearchRequest(settings.search_dn, Scope.SUBTREE, Present(attribute), NO_ATTRIBUTES, size_limit=1),
        deadline,
    )
    if not found.entries:
        foreign = not root.active_directory and attribute.lower() in _AD_NAMES
        hint = "; this isn't Active Directory: for OpenLDAP set it to uid" if foreign else ""
        yield f"username_attribute {attribute}: no entry below search_dn has it{hint}"
    if root.active_directory:
        locks_at = await _lockout_threshold(connection, settings, deadline)
        most = settings.lockout.most
        if locks_at and not 0 < most < locks_at:
            yield f"failures_per_user {most}: the domain locks an account at {locks_at} wrong passwords; stay below it"


async def _lockout_threshold(connection: LdapConnection, settings: DirectorySettings, deadline: float) -> int:
    """MS-ADA1 §2.384, of the domain; 0: never, or it can't be read."""
    domain = str(domain_of(parse_dn(settings.search_dn)))
    request = SearchRequest(domain, Scope.BASE, attributes=("lockoutThreshold",), size_limit=1)
    found = await connection.search(request, deadline)
    values = [value for entry in found.entries for value in entry.values("lockoutThreshold")]
    return int(values[0]) if values and values[0].isdigit() else 0
