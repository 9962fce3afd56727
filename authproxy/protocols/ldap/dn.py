"""Distinguished names (RFC 4514): parsed, compared, and whether one is below another (L11).

Two names are equal here only where every directory agrees: case, spaces around and between words, the order
within an RDN, how a character is escaped. Where in doubt they differ, so that nothing is exempt by accident.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

from authproxy.values import light_dataclass

_TYPE = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|(?:[Oo][Ii][Dd]\.)?[0-9]+(?:\.[0-9]+)*)\s*=\s*")
_HEX_STRING = re.compile(r"#((?:[0-9a-fA-F]{2})+)\s*")
_HEX_PAIR = re.compile(r"[0-9a-fA-F]{2}")
# RDNs of one attribute each in which nothing has to be understood.
_PLAIN_RDN = r"[A-Za-z][A-Za-z0-9-]*=[^\\,+\"<>;#\0\s][^\\,+\"<>;\0]*"
_PLAIN = re.compile(f"{_PLAIN_RDN}(?:,{_PLAIN_RDN})*")
# RFC 4514 §3: these stand for themselves behind a backslash.
_ESCAPABLE = frozenset(' "#+,;<=>\\')
# `=` needn't be (§2.4), but there are parsers that split at it.
_ESCAPED = frozenset('"+,;<=>\\')
_STRING_TAGS = frozenset({0x04, 0x0C, 0x13, 0x16})  # octets, UTF-8, printable, IA5

# RFC 4514 §3 and RFC 4519: the names that stand in DNs, by what they are also called.
_SAME_TYPE = {
    "2.5.4.3": "cn",
    "commonname": "cn",
    "2.5.4.6": "c",
    "countryname": "c",
    "2.5.4.7": "l",
    "localityname": "l",
    "2.5.4.8": "st",
    "stateorprovincename": "st",
    "2.5.4.9": "street",
    "streetaddress": "street",
    "2.5.4.10": "o",
    "organizationname": "o",
    "2.5.4.11": "ou",
    "organizationalunitname": "ou",
    "0.9.2342.19200300.100.1.1": "uid",
    "userid": "uid",
    "0.9.2342.19200300.100.1.25": "dc",
    "domaincomponent": "dc",
}


class MalformedDN(ValueError):
    """The text isn't a DN. `position` counts characters from 0; the message counts them from 1."""

    def __init__(self, position: int, problem: str) -> None:
        super().__init__(f"character {position + 1}: {problem}")
        self.position = position


@light_dataclass(frozen=True, slots=True)
class Ava:
    """One `attribute=value`. `ber`: the value is BER that isn't a string, written as #hex."""

    attribute: str
    value: bytes
    ber: bool = False

    @property
    def key(self) -> tuple[str, bytes, bool]:
        """A value that is equal if two of these are equal."""
        name = self.attribute.lower().removeprefix("oid.")
        return _SAME_TYPE.get(name, name), self.value if self.ber else _comparable(self.value), self.ber


Rdn = tuple[Ava, ...]
Key = frozenset[tuple[str, bytes, bool]]


@dataclass(frozen=True, eq=False)
class DN:
    """The empty DN is the root. Equality and hash depend on what it names, not on how it was written."""

    rdns: tuple[Rdn, ...] = ()

    @cached_property
    def key(self) -> tuple[Key, ...]:
        return tuple(frozenset(ava.key for ava in rdn) for rdn in self.rdns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DN) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return ",".join("+".join(map(_format_ava, rdn)) for rdn in self.rdns)

    def is_within(self, base: DN) -> bool:
        """Whether this is `base`, or below it. RDNs are compared one by one: `OU=notsvc` is not within `OU=svc`."""
        depth = len(base.rdns)
        return len(self.rdns) >= depth and self.key[len(self.rdns) - depth :] == base.key


class Subtree:
    """A base and everything below it: `name in subtree`. A name that isn't a DN is in none."""

    def __init__(self, base: str) -> None:
        """Raises MalformedDN."""
        self.base = parse_dn(base)
        self._text = base
        self._suffix = f",{base}" if base else ""

    def __str__(self) -> str:
        return self._text

    def __contains__(self, name: str) -> bool:
        # Directories mostly write the base as it was asked for; in front of it is mostly nothing escaped.
        if (
            self._suffix
            and name.endswith(self._suffix)
            and _PLAIN.fullmatch(name, 0, len(name) - len(self._suffix))
        ):
            return True
        try:
            return parse_dn(name).is_within(self.base)
        except MalformedDN:
            return False


def parse_dn(text: str) -> DN:
    """The DN that this text names. Raises MalformedDN."""
    return _short(text) if len(text) <= _SHORT else _long(text)


def _parse(text: str) -> DN:
    if not text.strip():
        return DN()
    if _PLAIN.fullmatch(text):
        return DN(tuple([_plain_rdn(rdn) for rdn in text.split(",")]))
    return DN(tuple(_Parser(text).rdns()))


# A login asks five times about one name, and users come back. The names are anybody's, so few of the long ones are
# kept: such a one may be a hundred kilobytes. A short one is two, and ten at most.
_SHORT = 160  # characters
_short = lru_cache(maxsize=1024)(_parse)
_long = lru_cache(maxsize=64)(_parse)


def _plain_rdn(text: str) -> Rdn:
    attribute, _, value = text.partition("=")
    return (Ava(attribute, value.rstrip().encode("utf-8", "surrogatepass")),)


def escape_value(value: bytes) -> str:
    """A value as RFC 4514 §2.4 writes it (L26)."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("utf-8", "surrogateescape")
    last = len(text) - 1
    return "".join(_escaped(character, at == 0, at == last) for at, character in enumerate(text))


def _escaped(character: str, first: bool, last: bool) -> str:
    if character in _ESCAPED or (character == "#" and first) or (character == " " and (first or last)):
        return f"\\{character}"
    if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp", "Zs"} and character != " ":
        octets = character.encode("utf-8", "surrogateescape")
        return "".join(f"\\{octet:02x}" for octet in octets)
    return character


def _format_ava(ava: Ava) -> str:
    return f"{ava.attribute}={f'#{ava.value.hex()}' if ava.ber else escape_value(ava.value)}"


def _comparable(value: bytes) -> bytes:
    """RFC 4518 in its safe parts: case, composition, insignificant spaces."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return value
    lowered = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    return " ".join(filter(None, lowered.split(" "))).encode("utf-8")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def rdns(self) -> list[Rdn]:
        rdns = []
        avas = []
        while True:
            avas.append(self._ava())
            separator = self._text[self._at : self._at + 1]
            self._at += 1
            if separator == "+":
                continue
            rdns.append(tuple(avas))
            avas = []
            if not separator:
                return rdns

    def _ava(self) -> Ava:
        found = _TYPE.match(self._text, self._at)
        if found is None:
            raise self._problem("expected attribute=value")
        self._at = found.end()
        if self._text.startswith("#", self._at):
            return self._hex_ava(found[1])
        return Ava(found[1], self._string())

    def _hex_ava(self, attribute: str) -> Ava:
        found = _HEX_STRING.match(self._text, self._at)
        if found is None or self._text[found.end() : found.end() + 1] not in ("", ",", "+"):
            raise self._problem("# needs pairs of hexadecimal digits")
        self._at = found.end()
        octets = bytes.fromhex(found[1])
        if len(octets) >= 2 and octets[0] in _STRING_TAGS and octets[1] == len(octets) - 2 < 0x80:
            return Ava(attribute, octets[2:])
        return Ava(attribute, octets, ber=True)

    def _string(self) -> bytes:
        octets = b""
        kept = 0  # octets that trailing white space may not be taken from
        while (character := self._text[self._at : self._at + 1]) not in ("", ",", "+"):
            if character == "\\":
                octets += self._pair()
                kept = len(octets)
                continue
            if character in '";<>\0':
                raise self._problem(f"{character!r} has to be written \\{ord(character):02x}")
            octets += character.encode("utf-8", "surrogatepass")
            self._at += 1
            if not character.isspace():
                kept = len(octets)
        return octets[:kept]

    def _pair(self) -> bytes:
        following = self._text[self._at + 1 : self._at + 2]
        if following and following in _ESCAPABLE:
            self._at += 2
            return following.encode()
        pair = _HEX_PAIR.match(self._text, self._at + 1)
        if pair is None:
            raise self._problem("a backslash needs a special character or two hexadecimal digits")
        self._at = pair.end()
        return bytes.fromhex(pair[0])

    def _problem(self, problem: str) -> MalformedDN:
        if self._at >= len(self._text):
            problem = f"{problem}, but the text ends"
        return MalformedDN(self._at, problem)
