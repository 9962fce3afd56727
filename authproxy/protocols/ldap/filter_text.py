"""Search filters as text (RFC 4515): what an administrator writes, and what a log shows."""

from __future__ import annotations

import re

from authproxy.protocols.ldap.filter import (
    MAX_DEPTH,
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

# RFC 4512 §2.5: a name or an OID, then options. Active Directory and others allow the underscore.
_DESCRIPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:;[A-Za-z0-9_-]+)*")
_OPERATOR = re.compile(r":=|~=|>=|<=|=")
_SPACE = re.compile(r"\s*")
# Up to a character that is syntax. RFC 4515 §3: NUL, parentheses, asterisk and backslash stand only escaped.
_PLAIN = re.compile(r"[^\0()*\\]*")
_HEX_PAIR = re.compile(r"[0-9a-fA-F]{2}")
_SPECIAL = re.compile(r"[\0()*\\]")


class MalformedFilter(ValueError):
    """The text isn't a filter. `position` counts characters from 0; the message counts them from 1."""

    def __init__(self, position: int, problem: str) -> None:
        super().__init__(f"character {position + 1}: {problem}")
        self.position = position


def parse_filter(text: str) -> Filter:
    """The filter in this text. White space around parentheses is allowed. Raises MalformedFilter."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> Filter:
        self._skip_space()
        made = self._filter(1)
        self._skip_space()
        if self._at != len(self._text):
            raise self._problem("the filter has ended, and more follows")
        return made

    def _filter(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise self._problem(f"nested deeper than {MAX_DEPTH}")
        self._take("(")
        self._skip_space()
        match self._next():
            case "&":
                made: Filter = And(self._list(depth))
            case "|":
                made = Or(self._list(depth))
            case "!":
                self._at += 1
                self._skip_space()
                made = Not(self._filter(depth + 1))
                self._skip_space()
            case _:
                made = self._item()
        self._take(")")
        return made

    def _list(self, depth: int) -> tuple[Filter, ...]:
        self._at += 1
        self._skip_space()
        parts = []
        while self._next() == "(":
            parts.append(self._filter(depth + 1))
            self._skip_space()
        return tuple(parts)

    def _item(self) -> Filter:
        start = self._at
        attribute = self._description()
        if self._next() == ":" and not self._text.startswith(":=", self._at):
            return self._extensible(attribute)
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            raise self._problem("expected one of = >= <= ~= :=")
        if attribute is None:
            self._at = start
            raise self._problem("expected an attribute's name")
        self._at = operator.end()
        match operator[0]:
            case "=":
                return self._equality(attribute)
            case ":=":
                return Extensible(None, attribute, self._value())
            case ">=":
                return GreaterOrEqual(attribute, self._value())
            case "<=":
                return LessOrEqual(attribute, self._value())
            case _:
                return Approximate(attribute, self._value())

    def _extensible(self, attribute: str | None) -> Filter:
        """`attribute:dn:rule:=value`, of which everything but `:=value` may be absent, not all of it at once."""
        self._take(":")
        rule = self._description()
        dn_attributes = rule is not None and rule.lower() == "dn"
        if dn_attributes:
            rule = None
            if self._next() == ":" and not self._text.startswith(":=", self._at):
                self._at += 1
                rule = self._description()
        if attribute is None and rule is None:
            raise self._problem("expected a matching rule")
        self._take(":=")
        return Extensible(rule, attribute, self._value(), dn_attributes)

    def _equality(self, attribute: str) -> Filter:
        pieces = [self._value()]
        while self._next() == "*":
            if len(pieces) > 1 and not pieces[-1]:
                raise self._problem("nothing between two asterisks")
            self._at += 1
            pieces.append(self._value())
        if len(pieces) == 1:
            return Equality(attribute, pieces[0])
        initial, *middle, final = pieces
        if not any(pieces):
            return Present(attribute)
        return Substrings(attribute, initial or None, tuple(middle), final or None)

    def _value(self) -> bytes:
        octets = b""
        while True:
            plain = _PLAIN.match(self._text, self._at)
            if plain is not None:
                octets += plain[0].encode("utf-8", "surrogatepass")
                self._at = plain.end()
            if self._next() != "\\":
                return octets
            pair = _HEX_PAIR.match(self._text, self._at + 1)
            if pair is None:
                raise self._problem("a backslash needs two hexadecimal digits, such as \\2a for *")
            octets += bytes.fromhex(pair[0])
            self._at = pair.end()

    def _description(self) -> str | None:
        found = _DESCRIPTION.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> None:
        if not self._text.startswith(wanted, self._at):
            raise self._problem(f"expected {wanted}")
        self._at += len(wanted)

    def _skip_space(self) -> None:
        if space := _SPACE.match(self._text, self._at):
            self._at = space.end()

    def _problem(self, problem: str) -> MalformedFilter:
        if self._at >= len(self._text):
            problem = f"{problem}, but the text ends"
        return MalformedFilter(self._at, problem)


def format_filter(wanted: Filter) -> str:  # noqa: PLR0911 - a case each
    """The text of this filter, which parses to the same filter."""
    match wanted:
        case And(parts):
            return f"(&{''.join(map(format_filter, parts))})"
        case Or(parts):
            return f"(|{''.join(map(format_filter, parts))})"
        case Not(part):
            return f"(!{format_filter(part)})"
        case Equality(attribute, value):
            return f"({attribute}={escape(value)})"
        case GreaterOrEqual(attribute, value):
            return f"({attribute}>={escape(value)})"
        case LessOrEqual(attribute, value):
            return f"({attribute}<={escape(value)})"
        case Approximate(attribute, value):
            return f"({attribute}~={escape(value)})"
        case Present(attribute):
            return f"({attribute}=*)"
        case Substrings(attribute, initial, middle, final):
            pieces = (initial or b"", *middle, final or b"")
            return f"({attribute}={'*'.join(map(escape, pieces))})"
        case Extensible(rule, attribute, value, dn_attributes):
            kind = f"{attribute or ''}{':dn' if dn_attributes else ''}{f':{rule}' if rule else ''}"
            return f"({kind}:={escape(value)})"


def escape(value: bytes) -> str:
    """A value as RFC 4515 §3 writes it: what is syntax, and what is not UTF-8, in hexadecimal (L26)."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(
            chr(octet) if octet < 0x80 and octet not in b"\0()*\\" else f"\\{octet:02x}" for octet in value
        )
    return _SPECIAL.sub(lambda found: f"\\{ord(found[0]):02x}", text)
