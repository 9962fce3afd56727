"""TTLS's attributes: decode undoes encode, and garbage is MalformedEap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.eap.avps import Avp, read_avps, read_pap, write_avp
from authproxy.protocols.eap.fragments import Incoming, Outgoing
from authproxy.protocols.eap.packet import MalformedEap

avps = st.builds(
    Avp,
    st.integers(0, 2**32 - 1),
    st.binary(max_size=50),
    st.none() | st.integers(0, 2**32 - 1),
    st.booleans(),
)
NAME, PASSWORD = Avp(1, b"alice"), Avp(2, b"right" + bytes(11), mandatory=True)


@given(st.lists(avps, max_size=10))
def test_round_trip(given_: list[Avp]) -> None:
    assert read_avps(b"".join(map(write_avp, given_))) == given_


@given(st.binary(max_size=200))
def test_garbage(octets: bytes) -> None:
    try:
        read_avps(octets)
    except MalformedEap:
        return


def test_pap() -> None:
    assert read_pap(write_avp(NAME) + write_avp(PASSWORD)) == (b"alice", b"right")
    assert read_pap(write_avp(Avp(99, b"x")) + write_avp(PASSWORD) + write_avp(NAME)) == (b"alice", b"right")


@pytest.mark.parametrize(
    "sent",
    [
        [NAME],
        [PASSWORD],
        [NAME, NAME, PASSWORD],
        [NAME, PASSWORD, PASSWORD],
        [NAME, PASSWORD, Avp(79, b"x", mandatory=True)],
        [NAME, Avp(2, b"right", vendor=311)],
    ],
)
def test_what_is_no_pap(sent: list[Avp]) -> None:
    with pytest.raises(MalformedEap):
        read_pap(b"".join(map(write_avp, sent)))


@given(st.binary(max_size=5000), st.integers(0, 1500))
def test_pieces(message: bytes, size: int) -> None:
    """What is cut up comes together; no piece is larger than its packet."""
    outgoing, incoming = Outgoing(size), Incoming()
    piece, found = outgoing.begin(message), None
    while True:
        assert len(piece) + 5 <= max(size, 64)
        found = incoming.add(piece)
        if found is not None:
            break
        piece = outgoing.next()
    assert found == message
    assert not outgoing.pending


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"\xc0\0\0\0\x04ab", b"\x00c"),
        (b"\xc0\0\0\0\x02ab", b"\x00c"),
        (b"\xc0\0\0\0\x04ab", b"\x80\0\0\0\x05cd"),
    ],
)
def test_lengths_that_lie(first: bytes, second: bytes) -> None:
    incoming = Incoming()
    assert incoming.add(first) is None
    with pytest.raises(MalformedEap):
        incoming.add(second)
