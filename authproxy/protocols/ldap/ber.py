"""The part of BER that LDAP uses (RFC 4511 §5.1, X.690): definite lengths, low tags, each element inside its parent.

Whoever reads octets here reads them once, by index, and either gets values or MalformedMessage (L1 to L3).
"""

from __future__ import annotations

BOOLEAN = 0x01
INTEGER = 0x02
OCTET_STRING = 0x04
ENUMERATED = 0x0A
SEQUENCE = 0x30
SET = 0x31

# RFC 4511 needs no more: a length of 2^32 is beyond every size limit.
_MOST_LENGTH_OCTETS = 4
# RFC 4511 §4.1.1: maxInt is 2^31-1.
_MOST_INTEGER_OCTETS = 4
_HIGH_TAG = 0x1F


class MalformedMessage(Exception):
    """The octets aren't LDAP. `cause`: a stable word for the counters. The text contains no octets."""

    def __init__(self, cause: str, problem: str) -> None:
        super().__init__(problem)
        self.cause = cause


def read_header(octets: bytes | bytearray, at: int, end: int) -> tuple[int, int, int] | None:
    """(tag, start of the content, its length) of the element at `at`; None if the header isn't complete.

    The caller has to check that the content is there. Raises MalformedMessage.
    """
    if end - at < 2:
        return None
    tag = octets[at]
    if tag & _HIGH_TAG == _HIGH_TAG:
        raise MalformedMessage("tag", f"tag 0x{tag:02x}: LDAP has no tags above 30")
    length = octets[at + 1]
    start = at + 2
    if length < 0x80:
        return tag, start, length
    count = length & 0x7F
    if not 1 <= count <= _MOST_LENGTH_OCTETS:
        # 0x80 is the indefinite form, which LDAP forbids.
        raise MalformedMessage("length", f"length of {count} octets, 1 to {_MOST_LENGTH_OCTETS} allowed")
    if end - start < count:
        return None
    # Windows always writes four length octets: longer than need be is not wrong.
    return tag, start + count, int.from_bytes(octets[start : start + count], "big")


# ---- one element, for what every login reads; all raise MalformedMessage


def element(octets: bytes, at: int, end: int) -> tuple[int, int, int]:
    """(tag, start, stop) of the element at `at`."""
    # The short form by hand: nearly every element of a login is one.
    if end - at >= 2 and (length := octets[at + 1]) < 0x80 and (tag := octets[at]) & _HIGH_TAG != _HIGH_TAG:
        start = at + 2
    else:
        header = read_header(octets, at, end)
        if header is None:
            raise MalformedMessage("truncated", "an element is missing or its header is cut")
        tag, start, length = header
    stop = start + length
    if stop > end:
        raise MalformedMessage("truncated", f"an element of {length} octets runs past its parent")
    return tag, start, stop


def expect(octets: bytes, at: int, end: int, wanted: int) -> tuple[int, int]:
    """(start, stop) of the content of the element at `at`, which has this tag."""
    # As `element` does; whatever isn't plainly right is for it to judge.
    if end - at >= 2 and octets[at] == wanted and (length := octets[at + 1]) < 0x80:
        stop = at + 2 + length
        if stop <= end:
            return at + 2, stop
    tag, start, stop = element(octets, at, end)
    if tag != wanted:
        raise MalformedMessage("tag", f"tag 0x{tag:02x} where 0x{wanted:02x} belongs")
    return start, stop


def number(octets: bytes, start: int, stop: int) -> int:
    """The content of an integer. A number from 0 to 2^31-1: LDAP has no other (RFC 4511 §4.1.1)."""
    if stop - start == 1 and (only := octets[start]) < 0x80:
        return only
    if not 1 <= stop - start <= _MOST_INTEGER_OCTETS or octets[start] >= 0x80:
        raise MalformedMessage("integer", "a number is empty, negative or above 2^31-1")
    return int.from_bytes(octets[start:stop], "big")


# ---- one after the other


class Cursor:
    """Reads the elements between `at` and `end`, one after the other. Every method raises MalformedMessage."""

    __slots__ = ("_at", "_end", "_octets")

    def __init__(self, octets: bytes, at: int, end: int) -> None:
        self._octets = octets
        self._at = at
        self._end = end

    @property
    def at(self) -> int:
        return self._at

    def peek(self) -> int | None:
        """The tag of the next element; None at the end."""
        return self._octets[self._at] if self._at < self._end else None

    def element(self) -> tuple[int, int, int]:
        """(tag, start, stop) of the next element."""
        found = element(self._octets, self._at, self._end)
        self._at = found[2]
        return found

    def expect(self, wanted: int) -> tuple[int, int]:
        """(start, stop) of the next element, which has this tag."""
        found = expect(self._octets, self._at, self._end, wanted)
        self._at = found[1]
        return found

    def enter(self, wanted: int) -> Cursor:
        """A cursor over the content of the next element."""
        start, stop = self.expect(wanted)
        return Cursor(self._octets, start, stop)

    def octets(self, wanted: int = OCTET_STRING) -> bytes:
        start, stop = self.expect(wanted)
        return self._octets[start:stop]

    def text(self, wanted: int = OCTET_STRING) -> str:
        start, stop = self.expect(wanted)
        return utf8(self._octets[start:stop])

    def integer(self, wanted: int = INTEGER) -> int:
        start, stop = self.expect(wanted)
        return number(self._octets, start, stop)

    def boolean(self, wanted: int = BOOLEAN) -> bool:
        """RFC 4511 §5.1 wants 0xFF for true; any octet but zero is taken for it (L1)."""
        start, stop = self.expect(wanted)
        if stop - start != 1:
            raise MalformedMessage("boolean", "a boolean is not one octet")
        return self._octets[start] != 0

    def finish(self) -> None:
        """Raise MalformedMessage unless everything was read: inner lengths have to fill the outer one exactly."""
        if self._at != self._end:
            raise MalformedMessage("trailing", f"{self._end - self._at} octets behind the last element")


def utf8(octets: bytes) -> str:
    """RFC 4511 §4.1.2: an LDAPString is UTF-8. Raises MalformedMessage."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedMessage("text", "a string is not UTF-8") from None


def tlv(tag: int, content: bytes) -> bytes:
    """One element, in the shortest form."""
    length = len(content)
    if length < 0x80:
        return b"%c%c%b" % (tag, length, content)
    if length < 0x100:
        return b"%c\x81%c%b" % (tag, length, content)
    count = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | count)) + length.to_bytes(count, "big") + content


def integer(value: int, tag: int = INTEGER) -> bytes:
    if 0 <= value < 0x80:
        return b"%c\x01%c" % (tag, value)
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def boolean(value: bool, tag: int = BOOLEAN) -> bytes:
    return bytes((tag, 1, 0xFF if value else 0))


def text(value: str, tag: int = OCTET_STRING) -> bytes:
    return tlv(tag, value.encode("utf-8"))
