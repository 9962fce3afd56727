"""Text as attributes (RFC 2865 §5.18)."""

from __future__ import annotations

import re
import unicodedata

from authproxy.protocols.radius.packet import MAX_VALUE, REPLY_MESSAGE, Attribute

_NEW_LINE = re.compile("\r\n?|\n|\u2028|\u2029|\x85")
# What would move the cursor, colour the screen, or turn the text around (S2).
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def reply_messages(text: str, *, lines: bool = False) -> list[Attribute]:
    """Reply-Message attributes whose values, put together, are the text (R7).

    Each ends between two characters. Controls are taken out; new lines become spaces, or stay with `lines`,
    for a menu that is written over several. No text, no attribute.
    """
    octets = printable(text, lines=lines).encode("utf-8")
    attributes: list[Attribute] = []
    at = 0
    while at < len(octets):
        end = _end_of_piece(octets, at)
        attributes.append(Attribute(REPLY_MESSAGE, octets[at:end]))
        at = end
    return attributes


def printable(text: str, *, lines: bool) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = _NEW_LINE.sub("\n" if lines else " ", text)
    return "".join(
        character
        for character in text.replace("\t", " ")
        if character == "\n" or unicodedata.category(character) not in _UNPRINTABLE
    )


def _end_of_piece(octets: bytes, at: int) -> int:
    end = at + MAX_VALUE
    if end >= len(octets):
        return len(octets)
    while octets[end] & 0xC0 == 0x80:  # inside a character
        end -= 1
    return end
