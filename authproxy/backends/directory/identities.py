"""Who bound: the entry that a bind name means, confirmed by the directory, never by how the name is written (L10, L11).

The password was proven elsewhere, on the application's own connection; here the service account looks the entry up.
"""

from __future__ import annotations

from collections.abc import Sequence

from authproxy.backends.directory.binds import NoVerdict
from authproxy.backends.directory.connection import LdapConnection
from authproxy.backends.directory.directory import Directory, is_member
from authproxy.backends.directory.groups import Membership
from authproxy.backends.directory.lookup import User
from authproxy.backends.directory.names import EntryName, PlainName, read_name
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
    """Of one section's binds."""

    def __init__(
        self, directory: Directory, *, applications: Sequence[Subtree], groups: Sequence[str], log: Log
    ) -> None:
        """`applications`: where entries stand that needn't be people, such as an application's own account.

        `groups`: DNs of groups, of which a Verified tells those that the entry is in. Raises MalformedDN.
        """
        self._directory = directory
        self._applications = applications
        section = directory.settings.name
        self._groups = [(group, Membership(group, section=section, log=log)) for group in groups]

    async def confirm(self, name: str, deadline: float) -> Verified | Refused:
        """Exactly one entry has this name, or nobody logs in (L27). Raises PrimaryUnavailable."""

        async def ask(server: Server, until: float) -> Verified | Refused:
            return await self._ask(server, name, until)

        return await self._directory.consult(ask, deadline)

    async def _ask(self, server: Server, name: str, deadline: float) -> Verified | Refused:
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
        return Verified(user.username.canonical, user.dn, await self._groups_of(server, user, deadline))

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
