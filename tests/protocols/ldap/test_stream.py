"""A relay's view of a server's octets: whatever the cuts, the same octets come out, in order, with the right ids."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.responses import (
    Attribute,
    BindResponse,
    ExtendedResponse,
    Result,
    SearchResultDone,
    SearchResultEntry,
    encode_response,
)
from authproxy.protocols.ldap.stream import MAX_WHOLE, Piece, Stream

SMALL = SearchResultEntry("uid=alice", (Attribute("cn", (b"Alice",)),))


def entry(size: int) -> SearchResultEntry:
    return SearchResultEntry("uid=alice", (Attribute("jpegPhoto", (bytes(size),)),))


def fed(stream: Stream, octets: bytes, cut: int) -> list[Piece]:
    return [piece for at in range(0, len(octets), cut) for piece in stream.feed(octets[at : at + cut])]


@given(
    st.lists(
        st.tuples(st.integers(1, 2**31 - 1), st.sampled_from([0, 10, 200, 16_000, 17_000, 70_000])),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([7, 100, 1_000, 16_384, 65_536, 1_000_000]),
)
def test_any_cut_gives_the_same_octets(messages: list[tuple[int, int]], cut: int) -> None:
    octets = b"".join(encode_response(id_, entry(size)) for id_, size in messages)
    pieces = fed(Stream(), octets, cut)
    assert b"".join(piece.octets for piece in pieces) == octets
    assert [piece.message_id for piece in pieces if piece.first] == [id_ for id_, _ in messages]
    assert [piece.message_id for piece in pieces if piece.last] == [id_ for id_, _ in messages]
    assert {piece.tag for piece in pieces} == {0x64}


def test_octet_by_octet() -> None:
    octets = encode_response(300, SMALL) + encode_response(300, SearchResultDone(Result(0)))
    assert [piece.octets for piece in fed(Stream(), octets, 1)] == [
        encode_response(300, SMALL),
        encode_response(300, SearchResultDone(Result(0))),
    ]


def test_a_large_message_is_not_kept() -> None:
    stream = Stream()
    octets = encode_response(1, entry(10_000_000))
    for at in range(0, len(octets), 65_536):
        pieces = stream.feed(octets[at : at + 65_536])
        assert sum(len(piece.octets) for piece in pieces) == len(octets[at : at + 65_536])
        assert not stream._pending
    assert not stream.inside


def test_what_is_wanted_whole_comes_whole() -> None:
    stream = Stream()
    stream.held.add(7)
    octets = encode_response(7, entry(100_000))
    (piece,) = fed(stream, octets, 1000)
    assert piece == Piece(7, 0x64, octets, True, True)


def test_whole_has_a_limit() -> None:
    stream = Stream()
    stream.held.add(7)
    with pytest.raises(MalformedMessage, match="at most"):
        stream.feed(encode_response(7, entry(MAX_WHOLE))[:100])


def test_a_notice_has_no_id() -> None:
    notice = encode_response(0, ExtendedResponse(Result(52), "1.3.6.1.4.1.1466.20036"))
    (piece,) = Stream().feed(notice)
    assert piece.message_id == 0


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 400",
        b"\x30\x80\x02\x01\x01",
        b"\x30\x00",
        b"\x30\x03\x02\x01\x01",
        b"\x30\x05\x04\x01\x01\x61\x00",
        b"\x30\x05\x02\x01\x81\x61\x00",
        b"\x30\x05\x02\x01\x01\x30\x00",
        b"\x30\x09\x02\x05\x00\x00\x00\x00\x01\x61\x00",
        b"\x30\x05\x02\x00\x61\x00\x00",
        encode_response(0, BindResponse(Result(0))),
    ],
)
def test_garbage(octets: bytes) -> None:
    with pytest.raises(MalformedMessage):
        Stream().feed(octets)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_garbage_raises_one_error_only(octets: bytes, cut: int) -> None:
    with contextlib.suppress(MalformedMessage):
        fed(Stream(), octets, cut)
