"""The entries by name (RFC 4514): their order, and memberships."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import field

from authproxy.embedded.directory.ldif import LdifEntry
from authproxy.protocols.ldap.dn import MalformedDN, parse_dn
from authproxy.protocols.ldap.requests import Scope
from authproxy.values import light_dataclass

DN_VALUED = frozenset(
    {"member", "uniquemember", "memberof", "manager", "owner", "seealso", "distinguishedname"}
)
# Never shown and never compared in a search.
HIDDEN = frozenset({"userpassword", "unicodepwd"})

# What of a name compares.
Dn = tuple[Hashable, ...]


def read_dn(text: str) -> Dn:
    """Raises MalformedDN."""
    return parse_dn(text).key


def folded(text: str) -> str:
    """Approximately RFC 4518: case and repeated spaces don't count."""
    return " ".join(text.casefold().split())


@light_dataclass(frozen=True, slots=True)
class Entry:
    """`attributes` by lower-case name: the name as shown, and the values."""

    dn: str
    name: Dn
    attributes: dict[str, tuple[str, tuple[bytes, ...]]] = field(repr=False)

    def values(self, attribute: str) -> tuple[bytes, ...]:
        found = self.attributes.get(attribute.lower())
        return () if found is None else found[1]


class Tree:
    """Read-only. Raises MalformedDN, and KeyError if a name is there twice."""

    def __init__(self, entries: Iterable[LdifEntry]) -> None:
        self._entries: dict[Dn, Entry] = {}
        for read in entries:
            name = read_dn(read.dn)
            if name in self._entries:
                raise KeyError(read.dn)
            attributes = {shown.lower(): (shown, values) for shown, values in read.attributes}
            self._entries[name] = Entry(read.dn, name, attributes)
        self._note_memberships()

    @property
    def suffixes(self) -> Sequence[str]:
        """The entries that aren't below another."""
        return [entry.dn for entry in self._entries.values() if entry.name[1:] not in self._entries]

    def find(self, name: Dn) -> Entry | None:
        return self._entries.get(name)

    def within(self, base: Dn, scope: Scope) -> Iterator[Entry]:
        for entry in self._entries.values():
            match scope:
                case Scope.BASE:
                    inside = entry.name == base
                case Scope.ONE_LEVEL:
                    inside = entry.name[1:] == base and entry.name != base
                case Scope.SUBTREE:
                    inside = entry.name[len(entry.name) - len(base) :] == base
            if inside:
                yield entry

    def account(self, typed: str) -> Entry | None:
        """The entry that a bind names: by DN or, as in Active Directory, by user principal name or DOMAIN\\user."""
        if "=" in typed:
            try:
                return self.find(read_dn(typed))
            except MalformedDN:
                return None
        attribute, value = "userprincipalname", typed
        if "\\" in typed:
            attribute, value = "samaccountname", typed.split("\\", 1)[1]
        wanted = folded(value)
        found = [entry for entry in self._entries.values() if wanted in _texts(entry.values(attribute))]
        return found[0] if len(found) == 1 and wanted else None

    def _note_memberships(self) -> None:
        """memberOf of everybody that a group names."""
        groups: defaultdict[Dn, list[bytes]] = defaultdict(list)
        for entry in self._entries.values():
            for member in (*entry.values("member"), *entry.values("uniqueMember")):
                try:
                    groups[read_dn(member.decode())].append(entry.dn.encode())
                except (MalformedDN, UnicodeDecodeError):
                    continue
        for name, memberships in groups.items():
            if name in self._entries:
                self._entries[name].attributes.setdefault("memberof", ("memberOf", tuple(memberships)))


def _texts(values: Iterable[bytes]) -> set[str]:
    return {folded(value.decode("utf-8", "replace")) for value in values}
