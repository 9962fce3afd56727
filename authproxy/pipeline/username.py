"""The one rule for user names: read once, the same for the directory, exemptions, limits, log, cloud (R33)."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from authproxy.values import light_dataclass

MAX_OCTETS = 253  # RFC 2865 §5: an attribute's value

_COME_BACK = 4096  # users whose names are still known when they log in again
# Letters that nobody sees but two systems may see differently: format characters (bidi marks, zero
# width joiners), controls, private use, surrogates, and line and paragraph separators.
_FORBIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
# And of the other categories those that are Default_Ignorable_Code_Point (Unicode 15, DerivedCoreProperties).
_UNSEEN_RANGES = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_UNSEEN = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)).union(*_UNSEEN_RANGES)
# Marks on, in and around letters.
_MARKS = frozenset({"Mn", "Me"})


class MalformedUsername(ValueError):
    """The peer sent a name that two systems might read differently. The text never contains the name."""


@light_dataclass(frozen=True, slots=True)
class Username:
    typed: str
    canonical: str

    def __str__(self) -> str:
        return self.canonical


def canonical(name: str) -> str:
    """NFC and lower case, outer white space gone. Directories compare that loosely at least, clouds too."""
    return unicodedata.normalize("NFC", name).strip().lower()


# RFC 7542 §2.4 has `@corp.example`; many devices write a word. Nothing that a server could take a name out of.
_ANONYMOUS = re.compile(r"(anon[a-z]*)?(@[a-z0-9.-]*)?")

# Where RADIUS servers end a domain and begin a realm; FreeRADIUS calls them ntdomain, IPASS, suffix and realmpercent.
_IN_FRONT = re.compile(r"[\\/]")
_BEHIND = re.compile(r"[@%]")


def is_anonymous(name: str) -> bool:
    """Whether a canonical name stands outside a tunnel so that nobody reads who is inside."""
    return _ANONYMOUS.fullmatch(name) is not None


def may_stand_for(outside: str, inside: str) -> bool:
    """Whether a name outside a tunnel leaves open who is inside, or means the same user. Both are canonical.

    A NAS that is told yes takes the name outside for its user's, and so may its rules.
    """
    (domain, name, realm), (domain_inside, name_inside, realm_inside) = _parts(outside), _parts(inside)
    if is_anonymous(outside):
        return True
    # The same account in two domains is two people's; with one domain named, it is the same one's.
    return name == name_inside and _may_equal(domain, domain_inside) and _may_equal(realm, realm_inside)


@lru_cache(maxsize=_COME_BACK)
def account(name: str) -> str:
    """The part that all forms of a canonical name have in common: for counting, not for looking anybody up."""
    inside = _IN_FRONT.split(name)[-1]
    return folded(_BEHIND.split(inside)[0] or name)


def plain_names(name: str) -> frozenset[str]:
    """What servers may take a canonical name for: its account, and the parts of that at a `!`.

    FreeRADIUS's bangpath has the realm before it, ASA's group delimiter the group behind it.
    """
    whole = account(name)
    return frozenset({whole, *filter(None, whole.split("!"))})


def reads_two_ways(name: str) -> bool:
    """`alice@x\\bob`: for one server alice, at a realm of that name, for another one bob, of that domain."""
    return (at := _BEHIND.search(name)) is not None and _IN_FRONT.search(name, at.end()) is not None


def folded(name: str) -> str:
    """What a loose directory may take a name for, without accents, in narrow, small letters and one space (R33).

    For counting and for keeping out, never for letting in.
    """
    if name.isascii():
        return " ".join(name.lower().split())
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return " ".join("".join(each for each in plain if unicodedata.category(each) not in _MARKS).split())


def _parts(name: str) -> tuple[str, str, str]:
    """`corp\\alice` and `alice@corp.example`: what stands around `alice`, before and behind."""
    domain, _, rest = name.rpartition("\\")
    local, _, realm = rest.partition("@")
    return domain, local, realm


def _may_equal(one: str, other: str) -> bool:
    return not one or not other or one == other


@lru_cache(maxsize=_COME_BACK)
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
            if unicodedata.category(character) in _FORBIDDEN or ord(character) in _UNSEEN:
                raise MalformedUsername(f"user name has the character U+{ord(character):04X}")
    typed = typed.strip()
    if not typed:
        raise MalformedUsername("empty user name")
    return Username(typed, canonical(typed))
