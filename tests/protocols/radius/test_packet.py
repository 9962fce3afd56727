"""The frame (R1, R2, R3, R5, R8, R17): octets become one packet, or MalformedPacket."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authproxy.protocols.radius.packet import (
    MAX_ATTRIBUTES,
    Attribute,
    Code,
    Malformed,
    MalformedPacket,
    decode,
    encode_attributes,
)

from .octets import attribute, attributes, raw, request


def cause(datagram: bytes) -> Malformed:
    with pytest.raises(MalformedPacket) as malformed:
        decode(datagram)
    return malformed.value.cause


# ---- R1: Length


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 19])
def test_shorter_than_a_header(size: int) -> None:
    assert cause(raw()[:size]) is Malformed.LENGTH


def test_a_header_alone_is_a_packet() -> None:
    assert decode(raw()).attributes == ()


def test_4096_octets_are_the_most() -> None:
    body = attribute(26, bytes(253)) * 15 + attribute(26, bytes(249))
    assert len(raw(body)) == 4096
    assert len(decode(raw(body)).octets) == 4096
    assert cause(raw(body + b"\x01\x02")) is Malformed.LENGTH
    assert cause(raw(attribute(26, bytes(253)) * 32)) is Malformed.LENGTH, "about 8,192"


@pytest.mark.parametrize("length", [0, 19, 31, 4097, 0xFFFF])
def test_length_beyond_the_datagram_or_below_a_header(length: int) -> None:
    assert cause(raw(attribute(1, b"nemo") + attribute(24, b"xx"), length=length)) is Malformed.LENGTH


def test_length_is_what_counts_of_a_huge_datagram() -> None:
    """4,097 octets arrive; the first 30 are the packet."""
    body = attribute(1, b"nemo567")
    packet = decode(raw(body) + bytes(5000))
    assert packet.octets == raw(body)


@given(padding=st.binary(max_size=40))
def test_padding_counts_for_nothing(padding: bytes) -> None:
    body = attribute(1, b"nemo")
    assert decode(raw(body) + padding) == decode(raw(body))


# ---- R2, R3: attributes


@pytest.mark.parametrize(
    "body",
    [
        bytes.fromhex("010a6162"),  # longer than what is left: "ab" is not the user's name
        bytes.fromhex("0101"),
        bytes.fromhex("0100"),
        bytes.fromhex("01"),
        bytes.fromhex("0106656d616900"),
        attribute(1, b"nemo") + b"\x02",
        attribute(1, b"nemo") + b"\x02\x01",
        attribute(1, b"nemo") + b"\x02\x03",
        attribute(0, b"nemo"),
        attribute(1, b"nemo") + attribute(0, b""),
    ],
)
def test_a_broken_attribute_breaks_the_packet(body: bytes) -> None:
    assert cause(raw(body)) is Malformed.ATTRIBUTE


def test_an_attribute_may_not_run_into_padding() -> None:
    body = attribute(1, b"nemo")
    assert cause(raw(body, length=20 + len(body) - 1)) is Malformed.ATTRIBUTE


def test_an_empty_value_is_a_value() -> None:
    assert decode(raw(attribute(1, b""))).first(1) == b""


def test_200_attributes_are_the_most() -> None:
    assert len(decode(raw(b"\x18\x02" * MAX_ATTRIBUTES)).attributes) == MAX_ATTRIBUTES
    assert cause(raw(b"\x18\x02" * (MAX_ATTRIBUTES + 1))) is Malformed.TOO_MANY_ATTRIBUTES


# ---- R17


@pytest.mark.parametrize("size", [0, 1, 15, 17, 32, 253])
def test_a_message_authenticator_has_18_octets(size: int) -> None:
    assert cause(raw(attribute(80, bytes(size)))) is Malformed.MESSAGE_AUTHENTICATOR


def test_there_is_one_message_authenticator() -> None:
    twice = attribute(80, bytes(16)) + attribute(1, b"nemo") + attribute(80, bytes(16))
    assert cause(raw(twice)) is Malformed.MESSAGE_AUTHENTICATOR


# ---- what comes out


def test_first_and_all_keep_the_order() -> None:
    """R5: those of one type don't have to stand together."""
    packet = request((18, b"a"), (1, b"nemo"), (18, b"b"), (26, b"\0\0\0\x09xyz"), (18, b"c"))
    assert packet.all(18) == [b"a", b"b", b"c"]
    assert packet.first(18) == b"a"
    assert packet.first(2) is None
    assert packet.all(2) == []


def test_codes_match_and_others_are_numbers() -> None:
    assert decode(raw(code=12)).code == Code.STATUS_SERVER
    assert decode(raw(code=251)).code == 251


def test_nothing_in_a_packet_prints() -> None:
    packet = request((2, b"hidden password!"))
    assert "hidden" not in repr(packet)
    assert "hidden" not in repr(packet.attributes)


@given(attributes)
def test_encoding_undoes_decoding(wanted: list[Attribute]) -> None:
    octets = raw(encode_attributes(wanted))
    packet = decode(octets)
    assert list(packet.attributes) == wanted
    assert encode_attributes(packet.attributes) == octets[20:]


@pytest.mark.parametrize(("type", "size"), [(1, 254), (0, 1), (256, 1), (-1, 1)])
def test_no_attribute_is_written_wrong(type: int, size: int) -> None:
    with pytest.raises(ValueError, match="octets"):
        encode_attributes([Attribute(type, bytes(size))])


@given(st.binary(max_size=120))
@example(b"")
def test_garbage_is_malformed_or_a_packet(datagram: bytes) -> None:
    try:
        packet = decode(datagram)
    except MalformedPacket:
        return
    assert encode_attributes(packet.attributes) == packet.octets[20:]


@given(st.binary(max_size=60), st.integers(0, 255))
def test_a_garbage_body_too(body: bytes, code: int) -> None:
    try:
        packet = decode(raw(body, code=code))
    except MalformedPacket:
        return
    assert encode_attributes(packet.attributes) == body
