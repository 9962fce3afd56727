"""Just enough BER for a scripted LDAP server (X.690 definite lengths), for the tests alone.

Strict about what it reads: RFC 4511 §5.1 allows definite lengths only, and inner elements fill the outer one.
"""

from __future__ import annotations

INTEGER, OCTET_STRING, ENUMERATED, SEQUENCE, SET = 0x02, 0x04, 0x0A, 0x30, 0x31


class Malformed(Exception):
    """Not the BER that LDAP allows."""


def tlv(tag: int, *parts: bytes) -> bytes:
    value = b"".join(parts)
    if len(value) < 0x80:
        return bytes((tag, len(value))) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + value


def integer(number: int, tag: int = INTEGER) -> bytes:
    return tlv(tag, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def text(value: str | bytes, tag: int = OCTET_STRING) -> bytes:
    return tlv(tag, value.encode() if isinstance(value, str) else value)


def header(octets: bytes) -> tuple[int, int] | None:
    """Octets of the header and of the value that starts here; None: not yet there. Raises Malformed."""
    if len(octets) < 2:
        return None
    if octets[1] < 0x80:
        return 2, octets[1]
    size = octets[1] & 0x7F
    if not 1 <= size <= 4:
        raise Malformed(f"length in {size} octets")
    if len(octets) < 2 + size:
        return None
    return 2 + size, int.from_bytes(octets[2 : 2 + size], "big")


def split(octets: bytes) -> list[tuple[int, bytes]]:
    """The elements that follow each other here: (tag, value). Raises Malformed."""
    found = []
    while octets:
        head = header(octets)
        if head is None or sum(head) > len(octets):
            raise Malformed("an element runs past the end")
        start, length = head
        found.append((octets[0], octets[start : start + length]))
        octets = octets[start + length :]
    return found


def number(element: tuple[int, bytes], tag: int = INTEGER) -> int:
    """An INTEGER or ENUMERATED, in as few octets as it needs. Raises Malformed."""
    found, value = element
    if found != tag or not value or len(value) > 5:
        raise Malformed(f"no number: tag 0x{found:02x}, {len(value)} octets")
    return int.from_bytes(value, "big", signed=True)


def string(element: tuple[int, bytes], tag: int = OCTET_STRING) -> bytes:
    found, value = element
    if found != tag:
        raise Malformed(f"tag 0x{found:02x} instead of 0x{tag:02x}")
    return value
