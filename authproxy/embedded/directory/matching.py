"""Whether an entry matches a filter (RFC 4511 §4.5.1.7): true, false, or None for undefined."""

from __future__ import annotations

from collections.abc import Iterable

from authproxy.embedded.directory.tree import DN_VALUED, HIDDEN, Dn, Entry, Tree, folded, read_dn
from authproxy.protocols.ldap.dn import MalformedDN
from authproxy.protocols.ldap.filter import (
    And,
    Approximate,
    Equality,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
)

# Active Directory's rules, beside .804 (any bit) and .1941 (membership through groups in groups).
_ALL_BITS = "1.2.840.113556.1.4.803"


def matches(wanted: Filter, entry: Entry, tree: Tree) -> bool | None:  # noqa: PLR0911 - a case each
    match wanted:
        case And(parts):
            return _all(matches(part, entry, tree) for part in parts)
        case Or(parts):
            return _any(matches(part, entry, tree) for part in parts)
        case Not(part):
            inner = matches(part, entry, tree)
            return None if inner is None else not inner
        case Present(attribute):
            return bool(_values(entry, attribute))
        case Equality(attribute, value) | Approximate(attribute, value):
            asked = _comparable(attribute, value)
            return _defined(entry, attribute, asked in _compared(entry, attribute))
        case GreaterOrEqual(attribute, value):
            return _defined(
                entry, attribute, any(_order(kept, value) >= 0 for kept in _values(entry, attribute))
            )
        case LessOrEqual(attribute, value):
            return _defined(
                entry, attribute, any(_order(kept, value) <= 0 for kept in _values(entry, attribute))
            )
        case Substrings():
            return _defined(
                entry,
                wanted.attribute,
                any(_contains(wanted, kept) for kept in _values(entry, wanted.attribute)),
            )
        case Extensible():
            return _extensible(wanted, entry, tree)


def _all(results: Iterable[bool | None]) -> bool | None:
    found = list(results)
    if False in found:
        return False
    return None if None in found else True


def _any(results: Iterable[bool | None]) -> bool | None:
    found = list(results)
    if True in found:
        return True
    return None if None in found else False


def _values(entry: Entry, attribute: str) -> tuple[bytes, ...]:
    return () if attribute.lower() in HIDDEN else entry.values(attribute)


def _defined(entry: Entry, attribute: str, result: bool) -> bool | None:
    """A comparison with an attribute that isn't there is undefined, so that `!` doesn't make it true."""
    return result if _values(entry, attribute) else None


def _comparable(attribute: str, value: bytes) -> str | Dn:
    text = value.decode("utf-8", "replace")
    if attribute.lower() in DN_VALUED:
        try:
            return read_dn(text)
        except MalformedDN:
            return folded(text)
    return folded(text)


def _compared(entry: Entry, attribute: str) -> set[str | Dn]:
    return {_comparable(attribute, value) for value in _values(entry, attribute)}


def _order(kept: bytes, value: bytes) -> int:
    if kept.isdigit() and value.isdigit():
        left, right = int(kept[:40]), int(value[:40])
        return (left > right) - (left < right)
    first, second = folded(kept.decode("utf-8", "replace")), folded(value.decode("utf-8", "replace"))
    return (first > second) - (first < second)


def _contains(wanted: Substrings, kept: bytes) -> bool:
    text = kept.decode("utf-8", "replace").casefold()
    at = 0
    if wanted.initial is not None:
        initial = wanted.initial.decode("utf-8", "replace").casefold()
        if not text.startswith(initial):
            return False
        at = len(initial)
    for piece in wanted.any:
        middle = piece.decode("utf-8", "replace").casefold()
        found = text.find(middle, at)
        if found < 0:
            return False
        at = found + len(middle)
    final = (wanted.final or b"").decode("utf-8", "replace").casefold()
    return text.endswith(final) and len(text) - len(final) >= at


def _extensible(wanted: Extensible, entry: Entry, tree: Tree) -> bool | None:
    if wanted.attribute is None:
        return None
    match wanted.rule:
        case None:
            return matches(Equality(wanted.attribute, wanted.value), entry, tree)
        case "1.2.840.113556.1.4.803" | "1.2.840.113556.1.4.804" as rule:
            return _bits(entry, wanted.attribute, wanted.value, every=rule == _ALL_BITS)
        case "1.2.840.113556.1.4.1941":
            return _in_chain(entry, wanted.attribute, wanted.value, tree)
        case _:
            return None


def _bits(entry: Entry, attribute: str, value: bytes, *, every: bool) -> bool | None:
    kept = _values(entry, attribute)
    if not value.isdigit() or not kept:
        return None
    mask = int(value[:20])
    numbers = [int(octets[:20]) for octets in kept if octets.isdigit()]
    return any((number & mask) == mask if every else bool(number & mask) for number in numbers)


def _in_chain(entry: Entry, attribute: str, value: bytes, tree: Tree) -> bool:
    wanted = _comparable("member", value)
    seen: set[Dn] = set()
    edge = [entry]
    while edge:
        for name in _compared(edge.pop(), attribute):
            if name == wanted:
                return True
            if isinstance(name, tuple) and name not in seen:
                seen.add(name)
                edge += filter(None, [tree.find(name)])
    return False
