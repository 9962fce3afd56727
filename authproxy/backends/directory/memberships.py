"""Which of several groups an entry is in, with few searches: what `memberOf` says, then one look for all the others.

Nobody is outside a group because of an error: what restricts its members would be missing from their sessions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from authproxy.backends.directory.connect import Unusable
from authproxy.backends.directory.connection import LdapConnection
from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.groups import (
    ANYTHING,
    IN_CHAIN,
    MOST_GROUPS,
    MOST_LEVELS,
    groups_of,
    parsed,
    search_checked,
)
from authproxy.backends.directory.lookup import User
from authproxy.backends.directory.names import EntryName, PlainName, domain_of
from authproxy.backends.directory.root import Root
from authproxy.backends.directory.server import Server
from authproxy.pipeline.ports import Clock, PrimaryUnavailable, Refused, Verified
from authproxy.pipeline.request import AuthRequest
from authproxy.protocols.ldap.dn import DN, parse_dn
from authproxy.protocols.ldap.filter import Equality, Extensible, Filter
from authproxy.protocols.ldap.requests import NO_ATTRIBUTES, Scope
from authproxy.secret import Secret
from authproxy.values import light_dataclass

# What a group is, not who is in it: that is asked at each login.
_FRESH = 300.0  # seconds


@light_dataclass(frozen=True, slots=True)
class _Known:
    """MS-ADTS §2.2.12: a group that isn't security-enabled is in nobody's token."""

    until: float
    sid: bytes = b""
    in_tokens: bool = False


class Memberships:
    """Memberships in a section's groups."""

    def __init__(self, groups: Collection[str], *, clock: Clock) -> None:
        """`groups`: DNs; answers use the same spelling. Raises MalformedDN."""
        self._groups = {group: parse_dn(group) for group in groups}
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def of(
        self, connection: LdapConnection, root: Root, user: User, deadline: float
    ) -> tuple[frozenset[str], frozenset[str]]:
        """The groups that the user is in, and the others. Raises ConnectionFailed, NoVerdict, Unusable."""
        direct = {parsed(name) for name in user.member_of}
        inside = {group for group, dn in self._groups.items() if dn in direct}
        left = {group: dn for group, dn in self._groups.items() if group not in inside}
        for group in left:
            await self._look_at(connection, root, group, deadline)
        if left and root.active_directory:
            inside |= await self._by_token(connection, user, left, deadline)
        elif left:
            inside |= await self._upwards(connection, root, user, left, deadline)
        return frozenset(inside), frozenset(self._groups) - inside

    async def _look_at(self, connection: LdapConnection, root: Root, group: str, deadline: float) -> None:
        """A group that isn't there would be one that nobody is in."""
        known = self._known.get(group)
        if known is not None and self._clock() < known.until:
            return
        wanted = ("objectSid", "groupType") if root.active_directory else NO_ATTRIBUTES
        found = await search_checked(connection, group, Scope.BASE, ANYTHING, wanted, deadline)
        if not found.entries:
            raise Unusable(f"attributes, group {group}: no such group, or the service account can't see it")
        (sid,) = found.entries[0].values("objectSid")[:1] or (b"",)
        (kind,) = found.entries[0].values("groupType")[:1] or (b"",)
        # The highest bit says security-enabled, and makes the number a negative one.
        self._known[group] = _Known(self._clock() + _FRESH, sid, bool(sid) and kind.startswith(b"-"))

    # ---- Active Directory

    async def _by_token(
        self, connection: LdapConnection, user: User, left: Collection[str], deadline: float
    ) -> set[str]:
        """MS-ADTS §3.1.1.4.5.19: tokenGroups is what the directory itself makes of all nesting, the primary group's
        too."""
        own = await search_checked(connection, user.dn, Scope.BASE, ANYTHING, ("tokenGroups",), deadline)
        tokens = {sid for entry in own.entries for sid in entry.values("tokenGroups")}
        inside = set()
        for group in left:
            known = self._known[group]
            if tokens and known.in_tokens:
                found = known.sid in tokens
            else:
                wanted = Extensible(IN_CHAIN, "memberOf", group.encode("utf-8"))
                chain = await search_checked(connection, user.dn, Scope.BASE, wanted, NO_ATTRIBUTES, deadline)
                found = bool(chain.entries)
            if found:
                inside.add(group)
        return inside

    # ---- everybody else

    async def _upwards(
        self, connection: LdapConnection, root: Root, user: User, left: dict[str, DN], deadline: float
    ) -> set[str]:
        """From the user to the groups that hold it, and from them to those that hold them, each once."""
        bases = sorted({root.context_of(group) or _top_of(dn) for group, dn in left.items()})
        # As Unix groups name their members.
        unix: Sequence[Filter] = (Equality("memberUid", user.username.typed.encode("utf-8")),)
        wanted = set(left.values())
        seen: set[DN] = set()
        level = [user.dn]
        for _ in range(MOST_LEVELS):
            found = [dn for base in bases for dn in await groups_of(connection, base, level, deadline, unix)]
            fresh = {name: dn for dn in found if (name := parsed(dn)) is not None and name not in seen}
            seen.update(fresh)
            if not fresh or wanted <= seen:
                return {group for group, dn in left.items() if dn in seen}
            if len(seen) > MOST_GROUPS:
                break
            level, unix = list(fresh.values()), ()
        raise Unusable(
            f"attributes: {user.dn} is in more than {MOST_GROUPS} groups, or deeper than {MOST_LEVELS}"
        )


def _top_of(dn: DN) -> str:
    """Where a server that hides its naming contexts has this entry, at the highest. Nothing is left out below it."""
    domain = domain_of(dn)
    return str(domain if domain.rdns else DN(dn.rdns[-1:]))


class GroupingDirectory:
    """A section's view of a directory: whose password is right is also looked for in the groups of its rules.

    Implements the pipeline's Primary and Groups.
    """

    def __init__(self, directory: Directory, memberships: Memberships) -> None:
        self._directory = directory
        self._memberships = memberships

    async def verify(self, request: AuthRequest, password: Secret) -> Verified | Refused:
        """Raises PrimaryUnavailable, also if the password was right but a group can't be read."""
        return await self._directory.verify(request, password, self._of)

    async def groups_of(
        self, username: str, dn: str, deadline: float
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Raises PrimaryUnavailable."""
        name = EntryName(dn) if dn else PlainName(username)

        async def ask(server: Server, until: float) -> Refused | tuple[frozenset[str], frozenset[str]]:
            async def find(connection: LdapConnection) -> User | Refused:
                return await self._directory.lookup.find(connection, server.root, name, until)

            user = await server.search(find, until)
            return user if isinstance(user, Refused) else await self._of(server, user, until)

        found = await self._directory.consult(ask, deadline)
        if isinstance(found, Refused):
            raise PrimaryUnavailable(f"the entry is no longer found: {found.cause}")
        return found

    async def _of(self, server: Server, user: User, deadline: float) -> tuple[frozenset[str], frozenset[str]]:
        async def of(connection: LdapConnection) -> tuple[frozenset[str], frozenset[str]]:
            return await self._memberships.of(connection, server.root, user, deadline)

        return await server.search(of, deadline)
