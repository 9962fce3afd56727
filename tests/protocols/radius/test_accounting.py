"""Accounting: the request is signed as a whole; what goes on and what comes back (R23, R51; RFC 2866)."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.accounting import (
    accounting_request,
    is_from_who_knows,
    relayed_request,
    relayed_response,
)
from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import Attribute, Code, decode
from authproxy.protocols.radius.reply import encode_reply
from authproxy.protocols.radius.request import UnacceptableReply, read_reply
from authproxy.secret import Secret

from .octets import altered

SECRET = Secret(b"the accountant's secret")
ATTRIBUTES = st.lists(
    st.builds(Attribute, st.integers(1, 255).filter(lambda type: type != 80), st.binary(max_size=30)),
    max_size=8,
)


@given(ATTRIBUTES, st.integers(0, 255), st.booleans())
def test_what_is_made_is_believed(attributes: list[Attribute], identifier: int, signed: bool) -> None:
    made = accounting_request(attributes, identifier=identifier, secret=SECRET, message_authenticator=signed)
    read = decode(made.octets)
    assert (read.code, read.identifier, read.authenticator) == (4, identifier, made.authenticator)
    assert read.attributes == made.attributes
    assert is_from_who_knows(read, SECRET)
    assert verify_message_authenticator(read, SECRET) is (True if signed else None)
    assert [one for one in read.attributes if one.type != 80] == attributes


def test_by_the_words_of_the_rfc() -> None:
    """§3: MD5 over Code, Identifier, Length, 16 zero octets, the attributes and the secret."""
    made = accounting_request([Attribute(40, bytes((0, 0, 0, 1)))], identifier=9, secret=SECRET)
    head = bytes((4, 9, 0, 26))
    body = bytes((40, 6, 0, 0, 0, 1))
    expected = hashlib.md5(head + bytes(16) + body + SECRET.reveal()).digest()
    assert made.octets == head + expected + body


@given(ATTRIBUTES, st.data())
def test_any_changed_bit(attributes: list[Attribute], data: st.DataObject) -> None:
    made = accounting_request(attributes, identifier=1, secret=SECRET)
    octets = bytearray(made.octets)
    at = data.draw(st.sampled_from([0, 1, *range(4, len(octets))]))
    octets[at] ^= 1 << data.draw(st.integers(0, 7))
    changed = altered(made, octets=bytes(octets), authenticator=bytes(octets[4:20]))
    assert not is_from_who_knows(changed, SECRET)
    assert not is_from_who_knows(made, Secret(b"another secret"))


def test_what_goes_on() -> None:
    """R34: everything in its order, our Proxy-State last; no Message-Authenticator of the other hop."""
    packet = accounting_request(
        [Attribute(33, b"theirs"), Attribute(40, bytes(4)), Attribute(44, b"session")],
        identifier=1,
        secret=SECRET,
        message_authenticator=True,
    )
    assert relayed_request(packet, b"ours") == [
        Attribute(33, b"theirs"),
        Attribute(40, bytes(4)),
        Attribute(44, b"session"),
        Attribute(33, b"ours"),
    ]


def test_what_comes_back() -> None:
    reply = decode(bytes((Code.ACCOUNTING_RESPONSE, 1, 0, 34)) + bytes(16) + b"\x21\x06ours\x1a\x08abcdef")
    assert relayed_response(reply) == [Attribute(26, b"abcdef")]


def test_a_response_of_another_secret() -> None:
    """Its Response Authenticator is what counts."""
    request = accounting_request([], identifier=1, secret=SECRET)
    right = encode_reply(Code.ACCOUNTING_RESPONSE, request, SECRET, [], message_authenticator=False)
    assert read_reply(right, request, SECRET).code == Code.ACCOUNTING_RESPONSE
    forged = encode_reply(Code.ACCOUNTING_RESPONSE, request, Secret(b"another"), [])
    with pytest.raises(UnacceptableReply):
        read_reply(forged, request, SECRET)


def test_too_long() -> None:
    with pytest.raises(ValueError, match="4096"):
        accounting_request([Attribute(25, bytes(253))] * 16, identifier=1, secret=SECRET)
