"""From the name that was typed to the one entry that it means (L26, L27), and that entry's one name (R33)."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from authproxy.backends.directory.binds import NoVerdict
from authproxy.backends.directory.connect import Unusable
from authproxy.backends.directory.connection import Found, LdapConnection
from authproxy.backends.directory.names import (
    DomainName,
    EntryName,
    Name,
    PlainName,
    PrincipalName,
    dns_name,
    domain_of,
)
from authproxy.backends.directory.ntlm import Account
from authproxy.backends.directory.root import Forest, Root
from authproxy.backends.directory.settings import AuthType, DirectorySettings
from authproxy.observe.log import Log
from authproxy.pipeline.ports import Clock, Refused
from authproxy.pipeline.username import MalformedUsername, Username, read_username
from authproxy.protocols.ldap.dn import DN, MalformedDN, parse_dn
from authproxy.protocols.ldap.filter import And, Equality, Filter, Or
from authproxy.protocols.ldap.requests import RepeatedSearch, Scope, SearchRequest
from authproxy.protocols.ldap.responses import SearchResultEntry
from authproxy.protocols.ldap.result import ResultCode, code_name
from authproxy.values import light_dataclass

ACCOUNT_NAME = "sAMAccountName"

# Who can log in at all. Active Directory: neither computers nor contacts.
_AD_PEOPLE: Filter = And((Equality("objectCategory", b"person"), Equality("objectClass", b"user")))
_PEOPLE: Filter = Or(
    tuple(
        Equality("objectClass", name)
        for name in (b"person", b"inetOrgPerson", b"posixAccount", b"account", b"user")
    )
)
# One is right, two are too many (L27). In a forest each domain may have one of the name.
_TWO = 2
_ONE_PER_DOMAIN = 50


@light_dataclass(frozen=True, slots=True)
class User:
    """An entry that may log in if the password is right."""

    dn: str
    username: Username  # the directory's name for it
    account: Account | None  # for NTLM
    member_of: tuple[str, ...] = ()  # read only when a group is wanted


class Lookup:
    """Finds a section's users."""

    def __init__(self, settings: DirectorySettings, *, clock: Clock, log: Log) -> None:
        self._settings = settings
        self._forest = Forest(clock)
        self._subtree = settings.subtree
        self._log = log
        self._with_account = settings.auth_type is AuthType.NTLM2
        self._with_groups = settings.security_group_dn is not None or bool(settings.groups)
        wanted = [settings.username_attribute]
        if self._with_account:
            wanted.append(ACCOUNT_NAME)
        if self._with_groups:
            wanted.append("memberOf")
        self._attributes = tuple(dict.fromkeys(wanted))
        self._searches: dict[tuple[bool, Scope, int], RepeatedSearch] = {}

    async def find(
        self, connection: LdapConnection, root: Root, name: Name, deadline: float
    ) -> User | Refused:
        """The one matching entry below search_dn. Raises ConnectionFailed, NoVerdict, Unusable."""
        entries = await self._entries(connection, root, name, deadline)
        if not entries:
            return Refused("unknown_user")
        if len(entries) > 1:
            self._log.warn(
                "directory.name_ambiguous",
                section=self._settings.name,
                entries=[entry.dn for entry in entries[:_TWO]],
                todo="set username_attribute or at_attribute to a unique attribute, or narrow search_dn or "
                "ldap_filter",
            )
            return Refused("ambiguous_user")
        return self._user(entries[0])

    async def is_in_domain(
        self, connection: LdapConnection, root: Root, dn: str, name: str, deadline: float
    ) -> bool:
        """Whether an entry of Active Directory is in this domain, by DNS or NetBIOS name. Raises ConnectionFailed."""
        if not root.active_directory:
            return False
        domain = await self._forest.domain(name, connection, root, deadline)
        return domain is not None and _is_in(dn, domain)

    # ---- searching

    def _entries(
        self, connection: LdapConnection, root: Root, name: Name, deadline: float
    ) -> Awaitable[Sequence[SearchResultEntry]]:
        settings = self._settings
        match name:
            case PlainName(plain):
                return self._search(connection, root, _is(settings.username_attribute, plain), deadline)
            case EntryName(dn):
                return self._entry(connection, root, dn, deadline)
            case PrincipalName():
                return self._by_principal(connection, root, name, deadline)
            case DomainName():
                return self._by_domain(connection, root, name, deadline)

    async def _by_principal(
        self, connection: LdapConnection, root: Root, name: PrincipalName, deadline: float
    ) -> Sequence[SearchResultEntry]:
        by_attribute = _is(self._settings.at_attribute, name.name)
        if not root.active_directory:
            # There are directories whose users are called by their mail address.
            whole = _is(self._settings.username_attribute, name.name)
            return await self._search(connection, root, Or((by_attribute, whole)), deadline)
        entries = await self._search(connection, root, by_attribute, deadline)
        if entries or self._settings.at_attribute.lower() != "userprincipalname":
            return entries
        # MS-ADTS §5.1.1.1.1: account name and DNS name of the domain are a principal name that needs no attribute.
        domain = await self._forest.domain(name.suffix, connection, root, deadline)
        return [] if domain is None else await self._in_domain(connection, root, domain, name.local, deadline)

    async def _by_domain(
        self, connection: LdapConnection, root: Root, name: DomainName, deadline: float
    ) -> Sequence[SearchResultEntry]:
        own = name.domain.lower() == self._settings.ntlm_domain.lower()
        if not root.active_directory:
            # The word has no meaning here, and the entry's own name is what counts (R33).
            if not own and self._settings.ntlm_domain:
                return []
            wanted = _is(self._settings.username_attribute, name.name)
            return await self._search(connection, root, wanted, deadline)
        domain = await self._forest.domain(name.domain, connection, root, deadline)
        if domain is not None:
            return await self._in_domain(connection, root, domain, name.name, deadline)
        return await self._search(connection, root, _is(ACCOUNT_NAME, name.name), deadline) if own else []

    async def _in_domain(
        self, connection: LdapConnection, root: Root, domain: DN, name: str, deadline: float
    ) -> Sequence[SearchResultEntry]:
        wanted = _is(ACCOUNT_NAME, name)
        entries = await self._search(connection, root, wanted, deadline, most=_ONE_PER_DOMAIN)
        return [entry for entry in entries if _is_in(entry.dn, domain)]

    async def _search(
        self, connection: LdapConnection, root: Root, wanted: Filter, deadline: float, most: int = _TWO
    ) -> Sequence[SearchResultEntry]:
        request = self._repeated(root.active_directory, Scope.SUBTREE, most).asking(wanted)
        return self._inside(self._checked(await connection.search(request, deadline)))

    async def _entry(
        self, connection: LdapConnection, root: Root, dn: str, deadline: float
    ) -> Sequence[SearchResultEntry]:
        if dn not in self._subtree:
            return []
        found = await connection.search(self._repeated(root.active_directory, Scope.BASE).at(dn), deadline)
        if found.result.code in (ResultCode.NO_SUCH_OBJECT, ResultCode.INVALID_DN_SYNTAX):
            return []
        return self._inside(self._checked(found))

    def _repeated(self, active_directory: bool, scope: Scope, most: int = _TWO) -> RepeatedSearch:
        """The search for a user, whoever it is."""
        known = self._searches.get((active_directory, scope, most))
        if known is None:
            base, narrowed = self._settings.search_dn, self._narrowed(active_directory)
            request = SearchRequest(base, scope, narrowed, self._attributes, size_limit=most)
            known = self._searches[active_directory, scope, most] = RepeatedSearch(request)
        return known

    def _narrowed(self, active_directory: bool) -> Filter:
        """A person, and whatever else the administrator wants."""
        people = _AD_PEOPLE if active_directory else _PEOPLE
        return And(tuple(part for part in (people, self._settings.ldap_filter) if part is not None))

    # ---- judging

    def _checked(self, found: Found) -> Sequence[SearchResultEntry]:
        code = found.result.code
        if code == ResultCode.SUCCESS or (code == ResultCode.SIZE_LIMIT_EXCEEDED and len(found.entries) > 1):
            return found.entries
        if code == ResultCode.NO_SUCH_OBJECT:
            raise Unusable(
                f"search_dn {self._settings.search_dn}: not there, or service_account_username may not see it"
            )
        described = f"search: {code_name(code)} {found.result.diagnostic}".rstrip()
        if code == ResultCode.INSUFFICIENT_ACCESS_RIGHTS:
            raise Unusable(f"{described}: let service_account_username read below search_dn")
        if code == ResultCode.INVALID_DN_SYNTAX:
            raise Unusable(f"{described}: search_dn")
        raise NoVerdict(described)

    def _inside(self, entries: Sequence[SearchResultEntry]) -> Sequence[SearchResultEntry]:
        """An entry from elsewhere is not ours, whoever sends it; one without a name would bind as nobody (L27)."""
        inside = [entry for entry in entries if entry.dn and entry.dn in self._subtree]
        if len(inside) != len(entries):
            self._log.warn(
                "directory.entry_outside", section=self._settings.name, search_dn=str(self._subtree)
            )
        return inside

    def _user(self, entry: SearchResultEntry) -> User | Refused:
        attribute = self._settings.username_attribute
        try:
            username = _only_name(entry, attribute)
            account = self._account(entry)
        except MalformedUsername as malformed:
            self._log.warn(
                "directory.username_unusable",
                section=self._settings.name,
                entry=entry.dn,
                problem=str(malformed),
                todo="give the entry exactly one printable value, or set username_attribute to another attribute",
            )
            return Refused("username_attribute")
        groups = entry.values("memberOf") if self._with_groups else ()
        return User(entry.dn, username, account, tuple([dn.decode("utf-8", "replace") for dn in groups]))

    def _account(self, entry: SearchResultEntry) -> Account | None:
        """Raises MalformedUsername."""
        if not self._with_account:
            return None
        domain = dns_name(domain_of(parse_dn(entry.dn)))
        return Account(_only_name(entry, ACCOUNT_NAME).typed, domain or self._settings.ntlm_domain)


def _only_name(entry: SearchResultEntry, attribute: str) -> Username:
    """Raises MalformedUsername."""
    values = entry.values(attribute)
    if len(values) != 1:
        raise MalformedUsername(f"{attribute} has {len(values)} values")
    try:
        return read_username(values[0])
    except MalformedUsername as malformed:
        raise MalformedUsername(f"{attribute}: {malformed}") from None


def _is(attribute: str, name: str) -> Equality:
    """The name is a value here, whatever it looks like (L26)."""
    return Equality(attribute, name.encode("utf-8"))


def _is_in(dn: str, domain: DN) -> bool:
    try:
        return domain_of(parse_dn(dn)) == domain
    except MalformedDN:
        return False
