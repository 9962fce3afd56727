"""Looking a user up without a password (`authproxy explain`): the entry, and the groups that rules ask about.

With the very parts that a login uses, as the service account; nothing is bound as the user, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from authproxy.backends.directory.connection import LdapConnection
from authproxy.backends.directory.directory import Directory, is_member
from authproxy.backends.directory.groups import Membership
from authproxy.backends.directory.identities import Identities
from authproxy.backends.directory.lookup import User
from authproxy.backends.directory.names import EntryName, read_name
from authproxy.backends.directory.server import Server
from authproxy.observe.log import Log
from authproxy.pipeline.ports import Refused
from authproxy.protocols.ldap.dn import Subtree
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Seen:
    """`username`: the one name used for everything that follows (R33). `admitted` None: no group is required."""

    username: str
    dn: str
    admitted: bool | None
    groups: frozenset[str]
    server: str


async def look_up(
    directory: Directory,
    typed: str,
    deadline: float,
    *,
    groups: Sequence[str] = (),
    applications: Sequence[Subtree] = (),
    log: Log,
) -> Seen | Refused:
    """The one entry with this name. `groups`: DNs; Seen names those that it is in. `applications`: where entries may be
    that aren't people. Raises PrimaryUnavailable.
    """
    name = read_name(typed)
    memberships = [(group, Membership(group, section=directory.settings.name, log=log)) for group in groups]

    async def ask(server: Server, until: float) -> Seen | Refused:
        async def find(connection: LdapConnection) -> User | Refused:
            return await directory.lookup.find(connection, server.root, name, until)

        user = await server.search(find, until)
        if isinstance(user, Refused):
            return user
        admitted = None
        if directory.settings.security_group_dn is not None:
            admitted = await directory.is_admitted(server, user, until)
        held = [dn for dn, group in memberships if await is_member(server, group, user, until)]
        return Seen(user.username.canonical, user.dn, admitted, frozenset(held), str(server))

    seen = await directory.consult(ask, deadline)
    if isinstance(seen, Seen) or not isinstance(name, EntryName):
        return seen
    identities = Identities(directory, applications=applications, groups=(), log=log)
    verified = await identities.confirm(typed, deadline)
    if isinstance(verified, Refused):
        return verified
    return Seen(verified.username, verified.dn, None, frozenset(), "")
