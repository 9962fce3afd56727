"""BER as LDAP allows it, and what it must refuse (L1 to L3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import Cursor, MalformedMessage, read_header


def cursor(octets: bytes) -> Cursor:
    return Cursor(octets, 0, len(octets))


@given(st.integers(0, 2**31 - 1))
def test_integers(value: int) -> None:
    assert cursor(ber.integer(value)).integer() == value


@given(st.binary(max_size=70_000))
def test_octet_strings(value: bytes) -> None:
    read = cursor(ber.tlv(ber.OCTET_STRING, value))
    assert read.octets() == value
    read.finish()


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65_535, 65_536])
def test_lengths_at_the_edges(size: int) -> None:
    assert cursor(ber.tlv(4, bytes(size))).octets() == bytes(size)


def test_a_length_longer_than_need_be_is_read() -> None:
    """Windows writes four length octets, always."""
    assert cursor(b"\x04\x84\0\0\0\x02hi").octets() == b"hi"


@pytest.mark.parametrize(
    ("octets", "cause"),
    [
        (b"", "truncated"),
        (b"\x04", "truncated"),
        (b"\x04\x03hi", "truncated"),
        (b"\x04\x80hi\0\0", "length"),  # indefinite
        (b"\x04\x85\0\0\0\0\x02hi", "length"),  # five length octets
        (b"\x04\xff", "length"),
        (b"\x04\x82\0", "truncated"),
        (b"\x1f\x04\x02hi", "tag"),  # the high form
        (b"\x3f\x81\x01\x02hi", "tag"),
        (b"\x24\x04\x04\x02hi", "tag"),  # constructed
        (b"\x02\x02hi", "tag"),
    ],
)
def test_not_an_octet_string(octets: bytes, cause: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        cursor(octets).octets()
    assert caught.value.cause == cause


@pytest.mark.parametrize(
    "octets", [b"\x02\x00", b"\x02\x01\x80", b"\x02\x01\xff", b"\x02\x05\0\0\0\0\x01", b"\x02\x04\x80\0\0\0"]
)
def test_numbers_that_ldap_doesnt_have(octets: bytes) -> None:
    with pytest.raises(MalformedMessage, match="empty, negative or above"):
        cursor(octets).integer()


@pytest.mark.parametrize(("octet", "value"), [(b"\xff", True), (b"\x01", True), (b"\0", False)])
def test_booleans(octet: bytes, value: bool) -> None:
    assert cursor(b"\x01\x01" + octet).boolean() is value


@pytest.mark.parametrize("octets", [b"\x01\x00", b"\x01\x02\xff\xff"])
def test_not_a_boolean(octets: bytes) -> None:
    with pytest.raises(MalformedMessage):
        cursor(octets).boolean()


def test_text_is_utf_8() -> None:
    with pytest.raises(MalformedMessage):
        cursor(b"\x04\x01\xe4").text()


def test_an_element_doesnt_look_past_its_parent() -> None:
    """The octets are there, but they belong to somebody else."""
    inner = Cursor(b"\x30\x03\x04\x05abcdef", 2, 5)
    with pytest.raises(MalformedMessage):
        inner.octets()


def test_nothing_behind_the_last_element() -> None:
    read = cursor(b"\x04\x00\x04\x00")
    read.octets()
    with pytest.raises(MalformedMessage):
        read.finish()


def test_a_cut_header_says_so() -> None:
    whole = b"\x30\x84\x00\x00\x00\x01x"
    assert [read_header(whole, 0, end) for end in range(6)] == [None] * 6
    assert read_header(whole, 0, 6) == (0x30, 6, 1)


@given(st.binary(max_size=60))
def test_garbage_raises_one_error(octets: bytes) -> None:
    read = cursor(octets)
    try:
        while read.peek() is not None:
            read.element()
        read.finish()
    except MalformedMessage:
        pass
