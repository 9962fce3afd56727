"""The entries, by their names (RFC 4514): who is below whom, who is a member of what."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from authproxy.embedded.directory.ldif import LdifEntry
from authproxy.protocols.ldap.requests import Scope

# A comma, semicolon or plus ends a part unless a backslash stands before it.
_PARTS = re.compile(r"(?:[^\\,;]|\\.)+", re.DOTALL)
_ESCAPED = re.compile(r"((?:\\[0-9a-fA-F]{2})+)|\\(.)", re.DOTALL)
DN_VALUED = frozenset(
    {"member", "uniquemember", "memberof", "manager", "owner", "seealso", "distinguishedname"}
)
# Never shown and never compared in a search.
HIDDEN = frozenset({"userpassword", "unicodepwd"})

Dn = tuple[str, ...]


class MalformedDn(ValueError):
    """No name of an entry."""


def read_dn(text: str) -> Dn:
    """A form that compares: lower case, one kind of escape, no spaces around. Raises MalformedDn."""
    if not text.strip():
        return ()
    parts = _PARTS.findall(text)
    if sum(map(len, parts)) + len(parts) - 1 != len(text):
        raise MalformedDn("empty part, or a backslash at the end")
    return tuple(map(_rdn, parts))


def _rdn(part: str) -> str:
    pieces = []
    for piece in re.split(r"(?<!\\)\+", part):
        name, equals, value = piece.partition("=")
        if not equals or not name.strip():
            raise MalformedDn("a part without a type or a value")
        pieces.append(f"{name.strip().lower()}={folded(_unescaped(value.strip()))}")
    return "+".join(sorted(pieces))


def _unescaped(value: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[1]:
            return bytes.fromhex(found[1].replace("\\", "")).decode("utf-8", "replace")
        return found[2]

    return _ESCAPED.sub(plain, value)


def folded(text: str) -> str:
    """RFC 4518, nearly: case and repeated spaces don't count."""
    return " ".join(text.casefold().split())


@dataclass(frozen=True, slots=True)
class Entry:
    """`attributes` by lower-case name: the name as it is shown, and the values."""

    dn: str
    name: Dn
    attributes: dict[str, tuple[str, tuple[bytes, ...]]] = field(repr=False)

    def values(self, attribute: str) -> tuple[bytes, ...]:
        found = self.attributes.get(attribute.lower())
        return () if found is None else found[1]


class Tree:
    """Read only. Raises MalformedDn, and KeyError for a name that is there twice."""

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
        """The entries that are below no other."""
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
        """Whom a bind names: a DN, or as Active Directory takes it a user principal name or DOMAIN\\user."""
        if "=" in typed:
            try:
                return self.find(read_dn(typed))
            except MalformedDn:
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
                except (MalformedDn, UnicodeDecodeError):
                    continue
        for name, memberships in groups.items():
            if name in self._entries:
                self._entries[name].attributes.setdefault("memberof", ("memberOf", tuple(memberships)))


def _texts(values: Iterable[bytes]) -> set[str]:
    return {folded(value.decode("utf-8", "replace")) for value in values}
