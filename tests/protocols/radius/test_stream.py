"""Packets out of a stream: in any pieces the same, and never more than a packet of what isn't whole (R53)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.packet import MAX_PACKET, MalformedPacket
from authproxy.protocols.radius.stream import PacketStream


def packet(length: int) -> bytes:
    return b"\x01\x02" + length.to_bytes(2, "big") + bytes(length - 4)


@given(st.lists(st.integers(20, 300), max_size=5), st.lists(st.integers(1, 40)))
def test_any_pieces(lengths: list[int], cuts: list[int]) -> None:
    sent = [packet(length) for length in lengths]
    octets, stream, found = b"".join(sent), PacketStream(), []
    for cut in [*cuts, len(octets)]:
        stream.feed(octets[:cut])
        octets = octets[cut:]
        found += list(stream.packets())
    assert found == sent
    assert not stream.partial


@pytest.mark.parametrize("length", [0, 19, MAX_PACKET + 1, 65_535])
def test_a_length_that_none_has(length: int) -> None:
    """Told by the fourth octet: nothing is waited for."""
    stream = PacketStream()
    stream.feed(packet(20) + b"\x01\x02" + length.to_bytes(2, "big"))
    packets = stream.packets()
    assert next(packets) == packet(20)
    with pytest.raises(MalformedPacket):
        next(packets)


@given(st.binary(max_size=200))
def test_garbage(octets: bytes) -> None:
    stream = PacketStream()
    stream.feed(octets)
    try:
        found = list(stream.packets())
    except MalformedPacket:
        return
    assert octets.startswith(b"".join(found))


def test_one_at_a_time() -> None:
    """Whoever stops between two finds the second one later."""
    stream = PacketStream()
    stream.feed(packet(20) + packet(30))
    assert next(stream.packets()) == packet(20)
    assert list(stream.packets()) == [packet(30)]
