"""Values hidden with a hop's secret, and how they get over to the next hop.

User-Password's way (RFC 2865 §5.2), salted (RFC 2868 §3.5 for Tunnel-Password, RFC 2548 §2.4.2 for MPPE keys).
What is passed through is hidden with the secret and the Request Authenticator of one hop and means nothing at
the other: it is opened and hidden anew, and everything else stays as it is, octet for octet (R5, R30).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from authproxy.protocols.radius.keyed import BLOCK, hide, unhide
from authproxy.protocols.radius.packet import (
    MAX_VALUE,
    TUNNEL_PASSWORD,
    USER_PASSWORD,
    VENDOR_SPECIFIC,
    Attribute,
)
from authproxy.protocols.radius.vendor import VENDOR_ID, Key, sub_attributes
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_SALT = 2  # octets


class Hiding(Enum):
    """How a value is encrypted: `encrypt=` and `has_tag` of a dictionary."""

    PASSWORD = "encrypt=1"
    SALTED = "encrypt=2"
    TAGGED_SALTED = "encrypt=2,has_tag"  # a Tag before the Salt, itself in the clear
    ASCEND = "encrypt=3"  # a method of Ascend's own, not spoken here


# What the RFCs hide; a dictionary adds to it.
STANDARD_HIDDEN: Mapping[Key, Hiding] = {
    (None, USER_PASSWORD): Hiding.PASSWORD,
    (None, TUNNEL_PASSWORD): Hiding.TAGGED_SALTED,
    (311, 12): Hiding.PASSWORD,  # MS-CHAP-MPPE-Keys
    (311, 16): Hiding.SALTED,  # MS-MPPE-Send-Key
    (311, 17): Hiding.SALTED,  # MS-MPPE-Recv-Key
    (529, 214): Hiding.ASCEND,  # Ascend-Send-Secret
    (529, 215): Hiding.ASCEND,  # Ascend-Receive-Secret
}


class UnreadableValue(Exception):
    """A value can't be decrypted: the secret is another, or the peer is broken. Drop the packet (R31)."""


@light_dataclass(frozen=True, slots=True)
class Hop:
    """A shared secret, and the Authenticator of the request on this hop."""

    secret: Secret
    authenticator: bytes

    def hide(self, plain: bytes, salt: bytes = b"") -> bytes:
        return hide(plain, self.secret.reveal(), self.authenticator + salt)

    def unhide(self, hidden: bytes, salt: bytes = b"") -> bytes:
        return unhide(hidden, self.secret.reveal(), self.authenticator + salt)


@dataclass(slots=True)
class Salts:
    """Salts that don't repeat in 32,768, so in no packet; the high bit is set in each (RFC 2868 §3.5).

    `at`: where to begin, from a good source. One for all replies: two of them then differ, too.
    """

    at: int

    def next(self) -> bytes:
        self.at = (self.at + 1) & 0x7FFF
        return (self.at | 0x8000).to_bytes(_SALT, "big")


@light_dataclass(frozen=True, slots=True)
class Crossing:
    """Carries attributes from the hop on which they arrived to the one on which they are sent."""

    received: Hop
    sent: Hop
    salts: Salts
    hidden: Mapping[Key, Hiding] = field(default_factory=lambda: STANDARD_HIDDEN)

    def carry(self, attributes: Iterable[tuple[int, bytes]]) -> list[Attribute]:
        """The attributes for the next hop: each as it is, but for hidden values.

        Those with a method that isn't spoken here are left out. A vendor's attribute keeps its sub-attributes in
        their order; one in another format than RFC 2865's is not looked into. Raises UnreadableValue.
        """
        carried: list[Attribute] = []
        for type, value in attributes:
            if type == VENDOR_SPECIFIC:
                over = self._vendor_specific(value)
            elif (hiding := self.hidden.get((None, type))) is None:
                over = value
            else:
                over = self._value(hiding, value)
            if over is not None:
                carried.append(Attribute(type, over))
        return carried

    def _vendor_specific(self, value: bytes) -> bytes | None:
        vendor = int.from_bytes(value[:VENDOR_ID], "big")
        pieces = sub_attributes(value)
        if not any((vendor, type) in self.hidden for type, _ in pieces):
            return value
        carried = b"".join(self._sub_attribute(vendor, type, piece) for type, piece in pieces)
        return value[:VENDOR_ID] + carried if carried else None

    def _sub_attribute(self, vendor: int, type: int, value: bytes) -> bytes:
        hiding = self.hidden.get((vendor, type))
        over = value if hiding is None else self._value(hiding, value)
        return b"" if over is None else bytes((type, len(over) + 2)) + over

    def _value(self, hiding: Hiding, value: bytes) -> bytes | None:
        match hiding:
            case Hiding.PASSWORD:
                return self._password(value)
            case Hiding.SALTED:
                return self._salted(value)
            case Hiding.TAGGED_SALTED:
                return value[:1] + self._salted(value[1:])
            case Hiding.ASCEND:
                return None

    def _password(self, value: bytes) -> bytes:
        """RFC 2548 §2.4.1 has the keys of MS-CHAP hidden as a password is."""
        if not value or len(value) % BLOCK:
            raise UnreadableValue(f"{len(value)} octets, hidden as a password")
        return self.sent.hide(self.received.unhide(value))

    def _salted(self, value: bytes) -> bytes:
        # Length and padding go over as they are, so no value grows and no packet with it.
        plain = _open_salted(value, self.received)
        salt = self.salts.next()
        return salt + self.sent.hide(plain, salt)


def decrypt_salted(value: bytes, hop: Hop) -> Secret:
    """`value`: Salt and String, without a Tag. Raises UnreadableValue."""
    plain = _open_salted(value, hop)
    return Secret(plain[1 : 1 + plain[0]])


def encrypt_salted(secret_value: Secret, salt: bytes, hop: Hop) -> bytes:
    """Salt and String. Raises ValueError if the value is too long for an attribute, or the salt is invalid."""
    octets = secret_value.reveal()
    if len(salt) != _SALT or not salt[0] & 0x80:
        raise ValueError("a Salt has two octets, and its first bit is set")
    plain = bytes((len(octets),)) + octets if len(octets) < 256 else octets
    plain = plain.ljust(len(plain) + -len(plain) % BLOCK, b"\0")
    if _SALT + len(plain) > MAX_VALUE:
        raise ValueError(f"{len(octets)} octets don't fit into an attribute")
    return salt + hop.hide(plain, salt)


def _open_salted(value: bytes, hop: Hop) -> bytes:
    """Length octet, value, padding."""
    if len(value) <= _SALT:
        raise UnreadableValue(f"{len(value)} octets, hidden with a salt")
    plain = hop.unhide(value[_SALT:], value[:_SALT])
    if plain[0] >= len(plain):
        raise UnreadableValue(
            f"{plain[0]} octets should stand in {len(plain) - 1}: compare the shared secret"
        )
    return plain
