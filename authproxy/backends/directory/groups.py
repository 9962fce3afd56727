"""Whether an entry is in a group, directly or through groups in the group.

Active Directory works it out itself. Elsewhere we walk up from the user, level by level, each group once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from authproxy.backends.directory.binds import NoVerdict
from authproxy.backends.directory.connect import Unusable
from authproxy.backends.directory.connection import Found, LdapConnection
from authproxy.backends.directory.lookup import User
from authproxy.backends.directory.root import Root
from authproxy.observe.log import Log
from authproxy.protocols.ldap.dn import DN, MalformedDN, parse_dn
from authproxy.protocols.ldap.filter import Equality, Extensible, Filter, Or, Present
from authproxy.protocols.ldap.requests import NO_ATTRIBUTES, Scope, SearchRequest
from authproxy.protocols.ldap.result import ResultCode, code_name

# MS-ADTS §3.1.1.3.4.4.3: LDAP_MATCHING_RULE_IN_CHAIN.
IN_CHAIN = "1.2.840.113556.1.4.1941"
MOST_LEVELS = 10
MOST_GROUPS = 1000
_AT_ONCE = 50  # members in one filter


class Membership:
    """Membership in one group."""

    def __init__(self, group: str, *, section: str, log: Log) -> None:
        """`group`: its DN. Raises MalformedDN."""
        self._group = group
        self._dn = parse_dn(group)
        self._section = section
        self._log = log

    async def holds(self, connection: LdapConnection, root: Root, user: User, deadline: float) -> bool:
        """Whether the entry is in the group. Raises ConnectionFailed, NoVerdict, Unusable: an error is neither yes nor
        no.
        """
        if any(name.lower() == self._group.lower() for name in user.member_of):
            return True
        if root.active_directory:
            return await self._in_chain(connection, user, deadline)
        if await self._lists(connection, user, deadline):
            return True
        return await self._is_above(connection, root, user, deadline)

    # ---- Active Directory

    async def _in_chain(self, connection: LdapConnection, user: User, deadline: float) -> bool:
        wanted = Extensible(IN_CHAIN, "memberOf", self._group.encode("utf-8"))
        if (await search_checked(connection, user.dn, Scope.BASE, wanted, NO_ATTRIBUTES, deadline)).entries:
            return True
        # The primary group, and the groups that it is in, are not in memberOf.
        group = await search_checked(connection, self._group, Scope.BASE, ANYTHING, ("objectSid",), deadline)
        sids = [value for entry in group.entries for value in entry.values("objectSid")]
        if not sids:
            raise Unusable(
                f"security_group_dn {self._group}: no such group, or the service account can't see it"
            )
        own = await search_checked(connection, user.dn, Scope.BASE, ANYTHING, ("tokenGroups",), deadline)
        return any(sids[0] in entry.values("tokenGroups") for entry in own.entries)

    # ---- everybody else

    async def _lists(self, connection: LdapConnection, user: User, deadline: float) -> bool:
        """The group itself names the user: by DN, or as Unix groups do."""
        wanted = Or((*_members([user.dn]), Equality("memberUid", user.username.typed.encode("utf-8"))))
        found = await connection.search(
            SearchRequest(self._group, Scope.BASE, wanted, NO_ATTRIBUTES, size_limit=1), deadline
        )
        if found.result.code == ResultCode.NO_SUCH_OBJECT:
            raise Unusable(
                f"security_group_dn {self._group}: no such group, or the service account can't see it"
            )
        return bool(_checked(found).entries)

    async def _is_above(self, connection: LdapConnection, root: Root, user: User, deadline: float) -> bool:
        base = root.context_of(self._group) or self._group
        seen: set[DN] = set()
        level = [user.dn]
        for _ in range(MOST_LEVELS):
            found = await groups_of(connection, base, level, deadline)
            fresh = {name: dn for dn in found if (name := parsed(dn)) is not None and name not in seen}
            if self._dn in fresh:
                return True
            seen.update(fresh)
            if not fresh:
                return False
            if len(seen) > MOST_GROUPS:
                break
            level = list(fresh.values())
        self._log.warn(
            "directory.groups_too_many",
            section=self._section,
            entry=user.dn,
            groups=len(seen),
            levels=MOST_LEVELS,
        )
        return False


ANYTHING = Present("objectClass")


async def groups_of(
    connection: LdapConnection,
    base: str,
    members: Sequence[str],
    deadline: float,
    others: Sequence[Filter] = (),
) -> list[str]:
    """The DNs of the groups that contain any of these, or that match one of `others`."""
    groups: list[str] = []
    for at in range(0, len(members), _AT_ONCE):
        wanted = Or((*_members(members[at : at + _AT_ONCE]), *others))
        found = await search_checked(connection, base, Scope.SUBTREE, wanted, NO_ATTRIBUTES, deadline)
        groups += [entry.dn for entry in found.entries]
    return groups


def _members(dns: Iterable[str]) -> Iterator[Filter]:
    for dn in dns:
        for attribute in ("member", "uniqueMember"):
            yield Equality(attribute, dn.encode("utf-8"))


async def search_checked(
    connection: LdapConnection,
    base: str,
    scope: Scope,
    wanted: Filter,
    attributes: tuple[str, ...],
    deadline: float,
) -> Found:
    found = await connection.search(SearchRequest(base, scope, wanted, attributes), deadline)
    if found.result.code == ResultCode.NO_SUCH_OBJECT and scope is Scope.BASE:
        return Found(found.result, ())
    return _checked(found)


def _checked(found: Found) -> Found:
    if found.result.code != ResultCode.SUCCESS:
        raise NoVerdict(f"group search: {code_name(found.result.code)} {found.result.diagnostic}".rstrip())
    return found


def parsed(dn: str) -> DN | None:
    try:
        return parse_dn(dn)
    except MalformedDN:
        return None
