"""Search filters: a tree of values, its BER (RFC 4511 §4.5.1.7) and its text (RFC 4515).

A filter that the proxy makes is built from these types, so a user's name is a value and never syntax (L26).
"""

from __future__ import annotations

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import Cursor, MalformedMessage
from authproxy.values import light_dataclass

# CVE-2020-12243: nesting costs the server stack; nobody needs this much of it (L3).
MAX_DEPTH = 50

AND, _OR, _NOT = 0xA0, 0xA1, 0xA2
_EQUALITY, _SUBSTRINGS, _GREATER, _LESS, _PRESENT, _APPROXIMATE, _EXTENSIBLE = (
    0xA3, 0xA4, 0xA5, 0xA6, 0x87, 0xA8, 0xA9,
)  # fmt: skip
_INITIAL, _ANY, _FINAL = 0x80, 0x81, 0x82
_RULE, _TYPE, _VALUE, _DN_ATTRIBUTES = 0x81, 0x82, 0x83, 0x84


@light_dataclass(frozen=True, slots=True)
class And:
    """Without parts: always true (RFC 4526)."""

    parts: tuple[Filter, ...]


@light_dataclass(frozen=True, slots=True)
class Or:
    """Without parts: always false (RFC 4526)."""

    parts: tuple[Filter, ...]


@light_dataclass(frozen=True, slots=True)
class Not:
    part: Filter


@light_dataclass(frozen=True, slots=True)
class Equality:
    attribute: str
    value: bytes


@light_dataclass(frozen=True, slots=True)
class GreaterOrEqual:
    attribute: str
    value: bytes


@light_dataclass(frozen=True, slots=True)
class LessOrEqual:
    attribute: str
    value: bytes


@light_dataclass(frozen=True, slots=True)
class Approximate:
    attribute: str
    value: bytes


@light_dataclass(frozen=True, slots=True)
class Present:
    attribute: str


@light_dataclass(frozen=True, slots=True)
class Substrings:
    """At least one of the three is given, and none is empty."""

    attribute: str
    initial: bytes | None = None
    any: tuple[bytes, ...] = ()
    final: bytes | None = None


@light_dataclass(frozen=True, slots=True)
class Extensible:
    """A rule, an attribute or both. `dn_attributes`: the attributes in the entry's DN count too."""

    rule: str | None
    attribute: str | None
    value: bytes
    dn_attributes: bool = False


Filter = (
    And | Or | Not | Equality | GreaterOrEqual | LessOrEqual | Approximate | Present | Substrings | Extensible
)

_ASSERTIONS: dict[int, type[Equality | GreaterOrEqual | LessOrEqual | Approximate]] = {
    _EQUALITY: Equality,
    _GREATER: GreaterOrEqual,
    _LESS: LessOrEqual,
    _APPROXIMATE: Approximate,
}
_ASSERTION_TAGS = {kind: tag for tag, kind in _ASSERTIONS.items()}


def encode_filter(wanted: Filter) -> bytes:  # noqa: PLR0911 - a case each
    match wanted:
        case Equality() | GreaterOrEqual() | LessOrEqual() | Approximate():
            content = ber.text(wanted.attribute) + ber.tlv(ber.OCTET_STRING, wanted.value)
            return ber.tlv(_ASSERTION_TAGS[type(wanted)], content)
        case And(parts):
            return ber.tlv(AND, b"".join(map(encode_filter, parts)))
        case Or(parts):
            return ber.tlv(_OR, b"".join(map(encode_filter, parts)))
        case Not(part):
            return ber.tlv(_NOT, encode_filter(part))
        case Present(attribute):
            return ber.text(attribute, _PRESENT)
        case Substrings():
            return ber.tlv(
                _SUBSTRINGS, ber.text(wanted.attribute) + ber.tlv(ber.SEQUENCE, _encode_pieces(wanted))
            )
        case Extensible():
            return ber.tlv(_EXTENSIBLE, _encode_extensible(wanted))


def _encode_pieces(wanted: Substrings) -> bytes:
    pieces = [] if wanted.initial is None else [ber.tlv(_INITIAL, wanted.initial)]
    pieces += [ber.tlv(_ANY, piece) for piece in wanted.any]
    if wanted.final is not None:
        pieces.append(ber.tlv(_FINAL, wanted.final))
    return b"".join(pieces)


def _encode_extensible(wanted: Extensible) -> bytes:
    content = b"" if wanted.rule is None else ber.text(wanted.rule, _RULE)
    if wanted.attribute is not None:
        content += ber.text(wanted.attribute, _TYPE)
    content += ber.tlv(_VALUE, wanted.value)
    if wanted.dn_attributes:
        content += ber.boolean(True, _DN_ATTRIBUTES)
    return content


def decode_filter(cursor: Cursor, depth: int = 1) -> Filter:  # noqa: PLR0911 - a case each
    """The next filter. Raises MalformedMessage, also if it is nested deeper than MAX_DEPTH."""
    if depth > MAX_DEPTH:
        raise MalformedMessage("depth", f"a filter nested deeper than {MAX_DEPTH}")
    match cursor.peek():
        case 0xA0:
            return And(_decode_parts(cursor.enter(AND), depth))
        case 0xA1:
            return Or(_decode_parts(cursor.enter(_OR), depth))
        case 0xA2:
            inner = cursor.enter(_NOT)
            part = decode_filter(inner, depth + 1)
            inner.finish()
            return Not(part)
        case 0x87:
            return Present(cursor.text(_PRESENT))
        case 0xA4:
            return _decode_substrings(cursor.enter(_SUBSTRINGS))
        case 0xA9:
            return _decode_extensible(cursor.enter(_EXTENSIBLE))
        case tag:
            return _decode_assertion(cursor, tag)


def _decode_parts(cursor: Cursor, depth: int) -> tuple[Filter, ...]:
    parts = []
    while cursor.peek() is not None:
        parts.append(decode_filter(cursor, depth + 1))
    return tuple(parts)


def _decode_assertion(cursor: Cursor, tag: int | None) -> Filter:
    kind = None if tag is None else _ASSERTIONS.get(tag)
    if tag is None or kind is None:
        raise MalformedMessage("tag", "a filter of no known kind")
    inner = cursor.enter(tag)
    attribute, value = inner.text(), inner.octets()
    inner.finish()
    return kind(attribute, value)


def _decode_substrings(cursor: Cursor) -> Substrings:
    attribute = cursor.text()
    pieces = cursor.enter(ber.SEQUENCE)
    cursor.finish()
    if pieces.peek() is None:
        raise MalformedMessage("filter", "a substring filter without substrings")
    initial = pieces.octets(_INITIAL) if pieces.peek() == _INITIAL else None
    middle = []
    while pieces.peek() == _ANY:
        middle.append(pieces.octets(_ANY))
    final = pieces.octets(_FINAL) if pieces.peek() == _FINAL else None
    pieces.finish()
    return Substrings(attribute, initial, tuple(middle), final)


def _decode_extensible(cursor: Cursor) -> Extensible:
    rule = cursor.text(_RULE) if cursor.peek() == _RULE else None
    attribute = cursor.text(_TYPE) if cursor.peek() == _TYPE else None
    value = cursor.octets(_VALUE)
    dn_attributes = cursor.boolean(_DN_ATTRIBUTES) if cursor.peek() == _DN_ATTRIBUTES else False
    cursor.finish()
    if rule is None and attribute is None:
        raise MalformedMessage("filter", "an extensible match of neither rule nor attribute")
    return Extensible(rule, attribute, value, dn_attributes)
