"""A datagram as a packet, strictly: one frozen value or MalformedPacket (RFC 2865 §3, §5).

Attributes keep their order and their octets (R5). What is read here is the frame alone: no attribute's
meaning, and no vendor's format inside one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum, StrEnum
from itertools import compress
from typing import Final, NamedTuple, Self

HEADER = 20  # octets: Code, Identifier, Length, Authenticator
MAX_PACKET = 4096  # octets (RFC 2865 §3)
MAX_VALUE = 253  # octets of one attribute's value (RFC 2865 §5)
# More than any NAS sends; it bounds what one datagram can cost (R8).
MAX_ATTRIBUTES = 200

USER_NAME = 1
USER_PASSWORD = 2
CHAP_PASSWORD = 3
FILTER_ID = 11
REPLY_MESSAGE = 18
STATE = 24
CLASS = 25
VENDOR_SPECIFIC = 26
PROXY_STATE = 33
TUNNEL_PASSWORD = 69
ARAP_PASSWORD = 70
EAP_MESSAGE = 79
MESSAGE_AUTHENTICATOR = 80

_MESSAGE_AUTHENTICATOR_LENGTH = 18  # RFC 3579 §3.2, with type and length


class Code(IntEnum):
    """RFC 2865 §4, RFC 2866 §4, RFC 5997, RFC 5176 §2.3. Others decode too, as plain numbers."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11
    STATUS_SERVER = 12
    STATUS_CLIENT = 13
    DISCONNECT_REQUEST = 40
    DISCONNECT_ACK = 41
    DISCONNECT_NAK = 42
    COA_REQUEST = 43
    COA_ACK = 44
    COA_NAK = 45


class Malformed(StrEnum):
    """Which rule the datagram broke; a label of a metric."""

    LENGTH = "length"
    ATTRIBUTE = "attribute"
    TOO_MANY_ATTRIBUTES = "too_many_attributes"
    MESSAGE_AUTHENTICATOR = "message_authenticator_malformed"
    USER_PASSWORD = "user_password"
    REPEATED = "repeated_attribute"
    CREDENTIALS = "mixed_credentials"


class MalformedPacket(Exception):
    """The peer sent what RADIUS forbids: discard it. The text contains numbers, never values."""

    def __init__(self, cause: Malformed, problem: str) -> None:
        super().__init__(problem)
        self.cause = cause


class Attribute(NamedTuple):
    type: int
    value: bytes

    def __repr__(self) -> str:
        # Values may be passwords.
        return f"Attribute({self.type}, {len(self.value)} octets)"


class Packet:
    """Its attributes, in their order: `types` and, each at the same place, `values`. `octets`: those that count,
    without padding after Length (R1). Nothing of it changes.
    """

    __slots__ = ("authenticator", "code", "first", "identifier", "octets", "types", "values")

    def __init__(
        self,
        code: int,
        identifier: int,
        authenticator: bytes,
        types: bytes,
        values: list[bytes],
        firsts: dict[int, bytes],
        octets: bytes,
    ) -> None:
        """`firsts`: of each type the value that stands first."""
        self.code: Final = code
        self.identifier: Final = identifier
        self.authenticator: Final = authenticator
        self.types: Final = types
        self.values: Final = values
        self.octets: Final = octets
        # The value of the first attribute of a type; None: there is none. A login asks ten times, hence no method: it
        # would cost ten times as much as what it does.
        self.first: Final[Callable[[int], bytes | None]] = firsts.get

    @classmethod
    def of(
        cls,
        code: int,
        identifier: int,
        authenticator: bytes,
        attributes: Iterable[tuple[int, bytes]],
        octets: bytes,
    ) -> Self:
        """The packet with these attributes, in their order."""
        types: list[int] = []
        values: list[bytes] = []
        firsts: dict[int, bytes] = {}
        for type, value in attributes:
            types.append(type)
            values.append(value)
            firsts.setdefault(type, value)
        return cls(code, identifier, authenticator, bytes(types), values, firsts, octets)

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """To make these costs as much as to decode the packet."""
        return tuple(map(Attribute, self.types, self.values))

    def all(self, type: int) -> list[bytes]:
        """The values of all attributes of this type, in order; they needn't be adjacent (R5)."""
        if type not in self.types:
            return []
        return [value for found, value in zip(self.types, self.values, strict=True) if found == type]

    def among(self, types: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        """The attributes of these types, in order; the others cost next to nothing."""
        return compress(zip(self.types, self.values, strict=True), map(types.__contains__, self.types))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and _all_of(self) == _all_of(other)

    __hash__ = None  # type: ignore[assignment]  # nothing is kept by it

    def __repr__(self) -> str:
        return f"Packet(code {self.code}, identifier {self.identifier}, {len(self.types)} attributes)"


def _all_of(packet: Packet) -> tuple[object, ...]:
    head = packet.code, packet.identifier, packet.authenticator
    return *head, packet.types, packet.values, packet.octets


def decode(datagram: bytes) -> Packet:
    """The packet in this datagram, in time proportional to its length. Raises MalformedPacket."""
    if len(datagram) < HEADER:
        raise MalformedPacket(Malformed.LENGTH, f"a datagram of {len(datagram)} octets")
    length = datagram[2] << 8 | datagram[3]
    # RFC 2865 §3: octets past Length are padding, fewer are an error.
    if not HEADER <= length <= min(len(datagram), MAX_PACKET):
        raise MalformedPacket(Malformed.LENGTH, f"Length is {length}, the datagram {len(datagram)}")
    octets = datagram if length == len(datagram) else datagram[:length]
    return _packet(octets, length)


def _packet(octets: bytes, end: int) -> Packet:
    """One pass, on plain indices: this runs before anything about the sender is proven."""
    types: list[int] = []
    values: list[bytes] = []
    firsts: dict[int, bytes] = {}
    signed = False
    at = HEADER
    for _ in range(MAX_ATTRIBUTES + 1):
        if at >= end:
            return Packet(octets[0], octets[1], octets[4:20], bytes(types), values, firsts, octets)
        try:
            type, length = octets[at], octets[at + 1]
        except IndexError:
            raise MalformedPacket(Malformed.ATTRIBUTE, "the last octet is a lone attribute type") from None
        after = at + length
        # R2, R3. FreeRADIUS drops type 0 too; RFC 2865 §5 starts at 1.
        if length < 2 or after > end or not type:
            raise MalformedPacket(
                Malformed.ATTRIBUTE, f"type {type} has length {length}, {end - at} octets are left"
            )
        if type == MESSAGE_AUTHENTICATOR:
            # R17: whoever checks the first of two says nothing about the second.
            if signed or length != _MESSAGE_AUTHENTICATOR_LENGTH:
                problem = (
                    "two Message-Authenticators" if signed else f"Message-Authenticator of length {length}"
                )
                raise MalformedPacket(Malformed.MESSAGE_AUTHENTICATOR, problem)
            signed = True
        value = octets[at + 2 : after]
        types.append(type)
        values.append(value)
        if type not in firsts:
            firsts[type] = value
        at = after
    raise MalformedPacket(Malformed.TOO_MANY_ATTRIBUTES, f"more than {MAX_ATTRIBUTES} attributes")


def encode_attributes(attributes: Iterable[tuple[int, bytes]]) -> bytes:
    """The octets of these attributes. Raises ValueError if a value is too long, which is our bug."""
    parts: list[bytes] = []
    for type, value in attributes:
        try:
            parts += (_TYPES[type], _LENGTHS[len(value)], value)
        except LookupError:
            raise ValueError(f"attribute {type} can't have {len(value)} octets") from None
    return b"".join(parts)


# The octets of each type that there is, and of the length of each value that an attribute can have.
_TYPES = {type: bytes((type,)) for type in range(1, 256)}
_LENGTHS = [bytes((length + 2,)) for length in range(MAX_VALUE + 1)]
