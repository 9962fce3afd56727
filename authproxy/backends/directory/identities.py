"""Who bound: the entry that a bind name means, confirmed by the directory, never by how the name is written (L10, L11).

The password was proven elsewhere, on the application's own connection; here the service account looks the entry up.
"""

from __future__ import annotations

from collections.abc import Sequence

from authproxy.backends.directory.binds import NoVerdict
from authproxy.backends.directory.connection import LdapConnection
from authproxy.backends.directory.directory import Directory, is_member
from authproxy.backends.directory.groups import Membership
from authproxy.backends.directory.lookup import ACCOUNT_NAME, User
from authproxy.backends.directory.names import DomainName, EntryName, PlainName, PrincipalName, read_name
from authproxy.backends.directory.server import Server
from authproxy.observe.log import Log
from authproxy.pipeline.ports import RefusalKind, Refused, Verified
from authproxy.pipeline.username import MalformedUsername, canonical, read_username
from authproxy.protocols.ldap.dn import Subtree
from authproxy.protocols.ldap.filter import Present
from authproxy.protocols.ldap.requests import Scope, SearchRequest
from authproxy.protocols.ldap.result import ResultCode, code_name

_NOBODY = frozenset({ResultCode.NO_SUCH_OBJECT, ResultCode.INVALID_DN_SYNTAX})


class Identities:
    """The identities of one section's binds."""

    def __init__(
        self,
        directory: Directory,
        *,
        applications: Sequence[Subtree],
        groups: Sequence[str],
        log: Log,
        as_typed: bool = False,
    ) -> None:
        """`applications`: where entries may be that aren't people, such as an application's own account. `groups`: DNs;
        a Verified names those that the entry is in. `as_typed`: a Verified's username is the bind name, unless that
        is a DN, instead of the entry's username attribute.
        """
        self._directory = directory
        self._applications = applications
        self._as_typed = as_typed
        section = directory.settings.name
        self._groups = [(group, Membership(group, section=section, log=log)) for group in groups]

    async def confirm(self, name: str, deadline: float, typed: str = "") -> Verified | Refused:
        """The one entry that the bind name means; if there isn't exactly one, nobody logs in (L27).

        `name`: what the directory says has bound; `typed`: the bind name as the client sent it. Raises
        PrimaryUnavailable.
        """

        async def ask(server: Server, until: float) -> Verified | Refused:
            return await self._ask(server, name, typed or name, until)

        return await self._directory.consult(ask, deadline)

    async def _ask(self, server: Server, name: str, typed: str, deadline: float) -> Verified | Refused:
        read = read_name(name)
        if isinstance(read, PlainName):
            # Active Directory takes display names and more for a bind name; what it took this one for isn't known.
            return Refused("name_not_confirmed")
        if isinstance(read, EntryName) and self._is_application(read.dn):
            return await self._application(server, read.dn, deadline)

        async def find(connection: LdapConnection) -> User | Refused:
            return await self._directory.lookup.find(connection, server.root, read, deadline)

        user = await server.search(find, deadline)
        if isinstance(user, Refused):
            return user
        if not self._is_application(user.dn) and not await self._directory.is_admitted(
            server, user, deadline
        ):
            return Refused("not_in_group", RefusalKind.NOT_IN_GROUP)
        username = user.username.canonical
        spelled = read_name(typed)
        if self._as_typed and not isinstance(spelled, EntryName):
            if not await self._is_spelled_so(server, user, spelled, deadline):
                return Refused("name_not_confirmed")
            username = canonical(typed)
        return Verified(username, user.dn, await self._groups_of(server, user, deadline))

    async def _is_spelled_so(
        self, server: Server, user: User, typed: PlainName | PrincipalName | DomainName, deadline: float
    ) -> bool:
        """R33: directories take `álice` for alice; the cloud would see somebody else, whom it perhaps lets in."""
        if isinstance(typed, PlainName):
            return False
        settings = self._directory.settings
        names = (settings.username_attribute, ACCOUNT_NAME)
        wanted = tuple(dict.fromkeys((*names, settings.at_attribute)))
        request = SearchRequest(user.dn, Scope.BASE, Present("objectClass"), wanted, size_limit=1)
        found = await server.search(lambda connection: connection.search(request, deadline), deadline)
        if found.result.code != ResultCode.SUCCESS or len(found.entries) != 1:
            raise NoVerdict(f"search: {code_name(found.result.code)} {found.result.diagnostic}".rstrip())
        (entry,) = found.entries
        domain = typed.suffix if isinstance(typed, PrincipalName) else typed.domain
        in_domain = await self._is_in_domain(server, user, domain, deadline)

        def has(name: str, *attributes: str) -> bool:
            values = (value for attribute in attributes for value in entry.values(attribute))
            return canonical(name) in {canonical(value.decode("utf-8", "replace")) for value in values}

        match typed:
            case PrincipalName(whole, local, _):
                own = has(whole, settings.at_attribute, settings.username_attribute)
                return own or (in_domain and has(local, *names))
            case DomainName(_, name):
                return in_domain and has(name, *names)

    async def _is_in_domain(self, server: Server, user: User, domain: str, deadline: float) -> bool:
        """Whether the entry's domain is called so, letter for letter: an alias of that is another user, too."""
        if domain.lower() == self._directory.settings.ntlm_domain.lower():
            return True

        async def ask(connection: LdapConnection) -> bool:
            return await self._directory.lookup.is_in_domain(
                connection, server.root, user.dn, domain, deadline
            )

        return await server.search(ask, deadline)

    def _is_application(self, dn: str) -> bool:
        return any(dn in subtree for subtree in self._applications)

    async def _groups_of(self, server: Server, user: User, deadline: float) -> frozenset[str]:
        return frozenset(
            [name for name, group in self._groups if await is_member(server, group, user, deadline)]
        )

    async def _application(self, server: Server, dn: str, deadline: float) -> Verified | Refused:
        """Needn't be a person, nor below search_dn; has to be there."""
        attribute = self._directory.settings.username_attribute
        request = SearchRequest(dn, Scope.BASE, Present("objectClass"), (attribute,), size_limit=1)
        found = await server.search(lambda connection: connection.search(request, deadline), deadline)
        if found.result.code not in {ResultCode.SUCCESS, *_NOBODY}:
            raise NoVerdict(f"search: {code_name(found.result.code)} {found.result.diagnostic}".rstrip())
        if len(found.entries) != 1 or not self._is_application(found.entries[0].dn):
            return Refused("unknown_user")
        (entry,) = found.entries
        return Verified(_name_of(entry.values(attribute)) or canonical(entry.dn), entry.dn)


def _name_of(values: Sequence[bytes]) -> str:
    """The one name; '' when there isn't one."""
    try:
        return read_username(values[0]).canonical if len(values) == 1 else ""
    except MalformedUsername:
        return ""
