"""Messages out of a stream: in any pieces, never more than the limit, at once when it is no LDAP (L1 to L6)."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.controls import Control
from authproxy.protocols.ldap.framing import Frame, Framer, frame_of
from authproxy.protocols.ldap.requests import BIND, UnbindRequest, encode_request
from authproxy.protocols.ldap.responses import (
    BindResponse,
    Result,
    SearchResultEntry,
    encode_response,
    notice_of_disconnection,
)

from .strategies import controls, message_ids, requests

LIMIT = 256 * 1024
RESPONSE = encode_response(7, BindResponse(Result(0)), (Control("1.2.3"),))


def refused(octets: bytes, *, unsolicited: bool = False) -> str:
    with pytest.raises(MalformedMessage) as caught:
        Framer(LIMIT, unsolicited=unsolicited).feed(octets)
    return caught.value.cause


@given(st.lists(st.tuples(message_ids, requests, controls), max_size=4), st.data())
def test_any_pieces(sent: list, data: st.DataObject) -> None:
    """L6: fragmented at any boundary, several in a segment."""
    messages = [encode_request(*each) for each in sent]
    stream = b"".join(messages)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    framer = Framer(LIMIT)
    frames = [
        frame
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for frame in framer.feed(stream[start:stop])
    ]
    assert [frame.octets for frame in frames] == messages
    assert [frame.message_id for frame in frames] == [message_id for message_id, _, _ in sent]
    assert framer.pending == 0


def test_one_octet_at_a_time() -> None:
    framer = Framer(LIMIT)
    for octet in RESPONSE[:-1]:
        assert framer.feed(bytes([octet])) == []
    (frame,) = framer.feed(RESPONSE[-1:])
    assert frame == frame_of(RESPONSE)
    assert frame.octets[frame.start : frame.stop] == b"\x0a\x01\x00\x04\x00\x04\x00"


def test_the_long_form_that_windows_writes() -> None:
    octets = b"\x30\x84\0\0\0\x10\x02\x01\x05\x61\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0"
    assert Framer(LIMIT).feed(octets) == [Frame(5, 0x61, octets, 15, 22)]


@pytest.mark.parametrize(
    ("octets", "cause"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not_ldap"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "not_ldap"),  # a TLS hello on the clear port
        (b"\x30\x80", "length"),
        (b"\x30\x85\x00\x00\x00\x00\x05", "length"),
        (b"\x30\x84\x7f\xff\xff\xff", "oversize"),
        (b"\x3f\x05", "not_ldap"),
        (b"\x30\x00", "truncated"),
        (b"\x30\x08\x02\x01\x01\x60\x50\x02\x01\x03", "truncated"),  # an inner length beyond the outer
        (b"\x30\x07\x02\x01\x01\x42\x00\x05\x00", "tag"),  # junk behind the operation
        (b"\x30\x05\x02\x01\x00\x42\x00", "message_id"),
        (b"\x30\x05\x02\x01\xff\x42\x00", "integer"),
        (b"\x30\x09\x02\x05\x00\x00\x00\x00\x01\x42\x00", "integer"),
        (b"\x30\x05\x02\x01\x01\x30\x00", "operation"),  # not of class application
        (b"\x30\x05\x02\x01\x01\x5f\x00", "tag"),
        (b"\x30\x03\x02\x01\x01", "truncated"),
    ],
)
def test_refused_at_once(octets: bytes, cause: str) -> None:
    assert refused(octets) == cause


def test_oversize_is_decided_on_the_header() -> None:
    """L2: a declared 2 GB costs nothing, whoever drips behind it."""
    assert refused(b"\x30\x84\x7f\xff\xff\xff" + bytes(1000)) == "oversize"
    framer = Framer(LIMIT)
    framer.feed(b"\x30\x84")
    with pytest.raises(MalformedMessage):
        framer.feed(b"\x7f\xff\xff\xff")


def test_the_limit_itself() -> None:
    value = bytes(LIMIT - 14)
    whole = ber.tlv(ber.SEQUENCE, ber.integer(1) + ber.tlv(0x77, value))
    assert len(whole) <= LIMIT
    assert len(Framer(len(whole)).feed(whole)) == 1
    with pytest.raises(MalformedMessage):
        Framer(len(whole) - 1).feed(whole)


def test_the_limit_may_grow_between_messages() -> None:
    framer = Framer(10)
    framer.feed(encode_request(1, UnbindRequest()))
    framer.limit = LIMIT
    assert framer.feed(encode_response(1, SearchResultEntry("dc=test"))) != []


def test_only_a_server_speaks_unasked() -> None:
    notice = notice_of_disconnection(52, "going down")
    assert refused(notice) == "message_id"
    (frame,) = Framer(LIMIT, unsolicited=True).feed(notice)
    assert frame.message_id == 0
    assert refused(encode_response(0, BindResponse(Result(0))), unsolicited=True) == "message_id"


def test_good_messages_before_bad_octets_are_lost_with_the_stream() -> None:
    assert refused(RESPONSE + b"HTTP") == "not_ldap"


def test_a_slow_large_message_is_linear() -> None:
    """Each octet is looked at a few times, not once for each that follows."""
    whole = ber.tlv(ber.SEQUENCE, ber.integer(1) + ber.tlv(BIND, bytes(200_000)))
    framer = Framer(LIMIT)
    tracemalloc.start()
    for at in range(0, len(whole) - 10, 10):
        assert framer.feed(whole[at : at + 10]) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * LIMIT
    assert len(framer.feed(whole[framer.pending :])) == 1


@given(st.binary(max_size=200))
def test_garbage_raises_one_error(octets: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        Framer(LIMIT).feed(octets)


@given(message_ids, requests, st.data())
def test_a_flipped_octet_raises_one_error_or_none(
    message_id: int, request: object, data: st.DataObject
) -> None:
    octets = bytearray(encode_request(message_id, request))  # type: ignore[arg-type]
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    try:
        frames = Framer(LIMIT).feed(bytes(octets))
    except MalformedMessage:
        return
    assert sum(len(frame.octets) for frame in frames) <= len(octets)
