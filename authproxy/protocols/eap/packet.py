"""EAP packets (RFC 3748 §4), outside a tunnel and inside PEAP's, where most have lost their header."""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum

from authproxy.values import light_dataclass

HEADER = 4  # octets: Code, Identifier, Length


class Code(IntEnum):
    REQUEST = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


class Type(IntEnum):
    """RFC 3748 §5: the methods handled here, and those that pass through without a tunnel."""

    IDENTITY = 1
    NAK = 3
    MD5 = 4
    GTC = 6
    TTLS = 21
    PEAP = 25
    MSCHAP = 26  # version 2
    EXTENSIONS = 33  # TLVs inside PEAP


class MalformedEap(Exception):
    """The peer sent what its method forbids. The text contains numbers, never values."""


@light_dataclass(frozen=True, slots=True)
class Response:
    """A peer's answer. `data` may be a password."""

    identifier: int
    type: int
    data: bytes = field(repr=False)


def read_response(octets: bytes) -> Response:
    """The Response in these octets. Octets after Length are padding (§4.1). Raises MalformedEap."""
    if len(octets) <= HEADER:
        raise MalformedEap(f"an EAP packet of {len(octets)} octets")
    length = int.from_bytes(octets[2:4], "big")
    if not HEADER < length <= len(octets):
        raise MalformedEap(f"Length is {length}, the packet {len(octets)}")
    if octets[0] != Code.RESPONSE:
        raise MalformedEap(f"code {octets[0]}, where a Response is due")
    return Response(octets[1], octets[4], octets[5:length])


def request(identifier: int, type: int, data: bytes) -> bytes:
    length = HEADER + 1 + len(data)
    return bytes((Code.REQUEST, identifier)) + length.to_bytes(2, "big") + bytes((type,)) + data


def success(identifier: int) -> bytes:
    """§4.2: with the identifier of the Response that it answers."""
    return bytes((Code.SUCCESS, identifier, 0, HEADER))


# ---- inside PEAP version 0: Type and data, but for Extensions, which stand there whole


def inner_request(type: Type, data: bytes) -> bytes:
    return bytes((type,)) + data


def read_inner(octets: bytes) -> Response:
    """A packet inside PEAP, with or without its header, because peers differ. Raises MalformedEap."""
    if not octets:
        raise MalformedEap("nothing in the tunnel")
    whole = len(octets) > HEADER and octets[0] == Code.RESPONSE
    if whole and int.from_bytes(octets[2:4], "big") == len(octets):
        return read_response(octets)
    return Response(0, octets[0], octets[1:])


_RESULT = bytes((0x80, 3, 0, 2))  # a mandatory TLV of type 3: Result


def result_request(identifier: int, *, accepted: bool) -> bytes:
    """The result with which PEAP ends inside the tunnel; the peer has to confirm it."""
    return request(identifier, Type.EXTENSIONS, _RESULT + bytes((0, 1 if accepted else 2)))


def is_success(response: Response) -> bool:
    """Whether the peer confirms the success."""
    if response.type != Type.EXTENSIONS:
        return False
    at, data = 0, response.data
    while at + 4 <= len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] & 0x3F == 0 and data[at + 1] == 3:
            return data[at + 2 : at + 6] == b"\0\2\0\1"
        at += 4 + length
    return False
