"""What a server says about itself: its rootDSE (RFC 4512 §5.1), and the domains of an Active Directory forest."""

from __future__ import annotations

from collections.abc import Mapping

from authproxy.backends.directory.connection import LdapConnection
from authproxy.pipeline.ports import Clock
from authproxy.protocols.ldap.dn import DN, MalformedDN, Subtree, parse_dn
from authproxy.protocols.ldap.filter import And, Equality, Present
from authproxy.protocols.ldap.requests import Scope, SearchRequest
from authproxy.protocols.ldap.responses import SearchResultEntry
from authproxy.protocols.ldap.result import ResultCode
from authproxy.values import light_dataclass

# MS-ADTS §3.1.1.3.4.3: LDAP_CAP_ACTIVE_DIRECTORY_OID, and the lightweight one (AD LDS).
_ACTIVE_DIRECTORY = frozenset({b"1.2.840.113556.1.4.800", b"1.2.840.113556.1.4.1851"})
_ROOT_ATTRIBUTES = ("supportedCapabilities", "namingContexts", "configurationNamingContext")
# A forest with more domains than that has another problem.
_MOST_DOMAINS = 1000
_FRESH, _RETRY = 3600.0, 60.0  # seconds


@light_dataclass(frozen=True, slots=True)
class Root:
    active_directory: bool = False
    naming_contexts: tuple[str, ...] = ()
    configuration: str = ""  # where Active Directory keeps what its domains are called

    def context_of(self, dn: str) -> str | None:
        """The naming context that contains this entry; the longest one if several do."""
        fitting = [context for context in self.naming_contexts if context and _is_within(dn, context)]
        return max(fitting, key=len, default=None)


async def read_root(connection: LdapConnection, deadline: float) -> Root:
    """The rootDSE; empty if the server hides it. Raises ConnectionFailed."""
    found = await connection.search(SearchRequest("", Scope.BASE, attributes=_ROOT_ATTRIBUTES), deadline)
    if found.result.code != ResultCode.SUCCESS or len(found.entries) != 1:
        return Root()
    (entry,) = found.entries
    capabilities = set(entry.values("supportedCapabilities"))
    configuration = _texts(entry, "configurationNamingContext")
    return Root(
        bool(capabilities & _ACTIVE_DIRECTORY),
        _texts(entry, "namingContexts"),
        configuration[0] if configuration else "",
    )


class Forest:
    """The names of the domains; asked once an hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._domains: Mapping[str, DN] = {}
        self._good_until = float("-inf")

    async def domain(self, name: str, connection: LdapConnection, root: Root, deadline: float) -> DN | None:
        """The DN of the domain with this NetBIOS or DNS name. Raises ConnectionFailed."""
        if self._clock() >= self._good_until:
            self._domains = await _read_domains(connection, root, deadline)
            # A forest that shows no domain may only be one that we may not read yet.
            self._good_until = self._clock() + (_FRESH if self._domains else _RETRY)
        return self._domains.get(name.lower())


async def _read_domains(connection: LdapConnection, root: Root, deadline: float) -> Mapping[str, DN]:
    """Each domain's DN by both its names, in small letters."""
    request = SearchRequest(
        f"CN=Partitions,{root.configuration}",
        Scope.ONE_LEVEL,
        And((Equality("objectClass", b"crossRef"), Present("nETBIOSName"))),
        ("nCName", "nETBIOSName", "dnsRoot"),
        _MOST_DOMAINS,
    )
    domains: dict[str, DN] = {}
    for entry in (await connection.search(request, deadline)).entries:
        for context in _texts(entry, "nCName")[:1]:
            domain = _dn(context)
            if domain is not None:
                for name in (*_texts(entry, "nETBIOSName"), *_texts(entry, "dnsRoot")):
                    domains[name.lower()] = domain
    return domains


def _texts(entry: SearchResultEntry, attribute: str) -> tuple[str, ...]:
    return tuple(value.decode("utf-8", "replace") for value in entry.values(attribute))


def _dn(text: str) -> DN | None:
    try:
        return parse_dn(text)
    except MalformedDN:
        return None


def _is_within(dn: str, base: str) -> bool:
    try:
        return dn in Subtree(base)
    except MalformedDN:
        return False
