"""The one rule for user names: read once, the same for the directory, exemptions, limits, log, cloud (R33)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

MAX_OCTETS = 253  # RFC 2865 §5: an attribute's value

# Letters that nobody sees but two systems may see differently: format characters (bidi marks, zero
# width joiners), controls, private use, surrogates, and line and paragraph separators.
_FORBIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


class MalformedUsername(ValueError):
    """The peer sent a name that no system would read the same way. The text never holds the name."""


@dataclass(frozen=True, slots=True)
class Username:
    typed: str
    canonical: str

    def __str__(self) -> str:
        return self.canonical


def canonical(name: str) -> str:
    """NFC and lower case, outer white space gone. Directories compare that loosely at least, clouds too."""
    return unicodedata.normalize("NFC", name).strip().lower()


def read_username(octets: bytes, most: int = MAX_OCTETS) -> Username:
    """The user name in these octets.

    Raises MalformedUsername: empty, over `most` octets, not UTF-8, or a character that does not print.
    """
    if not octets:
        raise MalformedUsername("empty user name")
    if len(octets) > most:
        raise MalformedUsername(f"user name of {len(octets)} octets, at most {most}")
    try:
        typed = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedUsername("user name is not UTF-8") from None
    if not (typed.isascii() and typed.isprintable()):  # most are, and ASCII that prints is none of these
        for character in typed:
            if unicodedata.category(character) in _FORBIDDEN:
                raise MalformedUsername(f"user name has the character U+{ord(character):04X}")
    typed = typed.strip()
    if not typed:
        raise MalformedUsername("empty user name")
    return Username(typed, canonical(typed))
