"""Under which name the wrong passwords of a bind are counted (A10): its entry's, however the name is written.

A directory takes a DN with any spaces, capitals and quotes, wide letters for narrow ones, a principal name,
`DOMAIN\\user`; if each of them were counted for itself, nobody could be kept from guessing, and a few forms of one name
would be enough to have the directory lock the account.

So a bind whose name can't be looked up is refused, and the password isn't tried. That costs nothing: who has bound is
looked up in the same way afterwards, and a password that was tried before it would tell a guesser whether it is right.
Only where nobody is looked up afterwards (`exempt_primary_bind`) an application goes on without our service account.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from authproxy.backends.directory.connection import LdapConnection
from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.names import EntryName, PlainName, bare, read_name
from authproxy.backends.directory.root import Root
from authproxy.backends.directory.server import Server
from authproxy.pipeline.ports import Clock, PrimaryUnusable, Refused
from authproxy.pipeline.username import MalformedUsername, canonical, folded, read_username
from authproxy.protocols.ldap.dn import MalformedDN, parse_dn
from authproxy.protocols.ldap.filter import Equality, Filter, Or, Present
from authproxy.protocols.ldap.requests import Scope, SearchRequest
from authproxy.protocols.ldap.responses import SearchResultEntry
from authproxy.protocols.ldap.result import ResultCode

_MOST = 16_384
_LONGEST = 256  # characters of a name that is kept anywhere: whoever guesses may write it in any length
_FRESH = 300.0  # seconds; what is forgotten is looked up again
# RFC 2253 §4 and Active Directory write DNs in more ways than can be told to be one. Those that nobody knows are
# counted together: nobody's login suffers by that, and nobody guesses on by writing a name anew.
_OF_A_DN = frozenset('=<>;"')
_ODD = "?"
_ANYTHING: Filter = Present("objectClass")


class CountedNames:
    """The names at one directory."""

    def __init__(self, directory: Directory, *, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def of(self, typed: str, deadline: float, *, unconfirmed: bool = False) -> str:
        """The name of the entry that was meant; if there is none, the part that all forms of the name have in common.

        `unconfirmed`: nobody looks up who has bound, so it doesn't matter if the directory refuses our service account.
        Raises PrimaryUnavailable.
        """
        known = self._known.get(typed)
        if known is not None and self._clock() < known[0]:
            return known[1]

        async def ask(server: Server, until: float) -> str:
            return await server.search(lambda connection: self._look(connection, server, typed, until), until)

        try:
            name = await self._directory.consult(ask, deadline)
        except PrimaryUnusable:
            if not unconfirmed:
                raise
            name = ""
        if not name:
            return _unknown(typed)[:_LONGEST]
        if len(typed) <= _LONGEST:
            self._known[typed] = self._clock() + _FRESH, name
            self._known.move_to_end(typed)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return name

    async def _look(self, connection: LdapConnection, server: Server, typed: str, deadline: float) -> str:
        """As the directory reads the name, or '': nobody is let in by this, so nobody has to be a person."""
        if "=" in typed:
            # A DN, also one as RFC 2253 let it be written, and Active Directory's `<SID=…>` and `<GUID=…>`.
            name = await self._only(connection, typed, Scope.BASE, _ANYTHING, deadline)
            if name:
                return name
        match read_name(typed):
            case EntryName():
                return ""
            case PlainName():
                return await self._plain(connection, server.root, typed, deadline)
            case form:
                user = await self._directory.lookup.find(connection, server.root, form, deadline)
                return "" if isinstance(user, Refused) else user.username.canonical

    async def _plain(self, connection: LdapConnection, root: Root, typed: str, deadline: float) -> str:
        """Active Directory takes a display name, too; elsewhere such a bind name has no meaning."""
        if not root.active_directory:
            return ""
        settings = self._directory.settings
        names = dict.fromkeys((settings.username_attribute, "displayName", "cn"))
        wanted = Or(tuple(Equality(attribute, typed.encode("utf-8")) for attribute in names))
        return await self._only(connection, settings.search_dn, Scope.SUBTREE, wanted, deadline)

    async def _only(
        self, connection: LdapConnection, base: str, scope: Scope, wanted: Filter, deadline: float
    ) -> str:
        """What the one entry that is found is called; '' when it isn't one."""
        attribute = self._directory.settings.username_attribute
        request = SearchRequest(base, scope, wanted, (attribute,), size_limit=2)
        found = await connection.search(request, deadline)
        if found.result.code != ResultCode.SUCCESS or len(found.entries) != 1:
            return ""
        (entry,) = found.entries
        return _called(entry.values(attribute), entry)


def _unknown(typed: str) -> str:
    """What all forms of a name have in common that nobody could say more about."""
    if not _OF_A_DN & set(typed):
        return folded(bare(typed))
    try:
        return folded(parse_dn(typed).rdns[0][0].value.decode("utf-8", "replace"))
    except MalformedDN:
        return _ODD


def _called(values: Sequence[bytes], entry: SearchResultEntry) -> str:
    try:
        return read_username(values[0]).canonical if len(values) == 1 else canonical(entry.dn)
    except MalformedUsername:
        return canonical(entry.dn)
