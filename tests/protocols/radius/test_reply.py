"""R6, R18, R34: what every reply carries, and what no reply may be."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.packet import Attribute, Code, Packet, decode
from authproxy.protocols.radius.reply import ReplyTooLong, encode_reply
from authproxy.secret import Secret

from .octets import SECRET, attributes, request, response_authenticator, secrets

REPLIES = [Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE]


def check(octets: bytes, asked: Packet, secret: Secret) -> Packet:
    """As a strict NAS does (R18)."""
    reply = decode(octets)
    assert reply.identifier == asked.identifier
    assert reply.authenticator == response_authenticator(octets, asked.authenticator, secret)
    assert octets[20:22] == b"\x50\x12", "Message-Authenticator stands first"
    blank = octets[:4] + asked.authenticator + octets[20:22] + bytes(16) + octets[38:]
    assert octets[22:38] == hmac.digest(secret.reveal(), blank, "md5")
    return reply


@pytest.mark.parametrize("code", REPLIES)
@given(attributes, secrets, st.lists(st.binary(max_size=253), max_size=3))
def test_every_reply(code: Code, carried: list[Attribute], secret: Secret, proxy_states: list[bytes]) -> None:
    asked = request((1, b"nemo"), *((33, state) for state in proxy_states), identifier=200)
    reply = check(encode_reply(code, asked, secret, carried), asked, secret)
    assert reply.code == code
    assert list(reply.attributes[1:]) == [*carried, *(Attribute(33, state) for state in proxy_states)]


def test_status_server_too() -> None:
    asked = request((80, bytes(16)), (33, b"relay"), code=12)
    assert check(encode_reply(2, asked, SECRET, []), asked, SECRET).all(33) == [b"relay"]


@pytest.mark.parametrize(
    "states",
    [
        [],
        [b"one"],
        [b"one", b"two"],
        [b"same", b"same"],
        [b""],
        [b"\0" * 253] * 2,
        [bytes([n]) for n in range(10)],
    ],
)
def test_proxy_state_comes_back_as_it_was(states: list[bytes]) -> None:
    """R34: unmodified, in order, however it was spread over the request."""
    pairs = [pair for state in states for pair in ((33, state), (31, b"between"))]
    asked = request((1, b"nemo"), *pairs)
    assert check(encode_reply(3, asked, SECRET, []), asked, SECRET).all(33) == states


def test_only_the_requests_proxy_state_comes_back() -> None:
    """What a primary's reply carries of these two was for another hop."""
    asked = request((33, b"ours"))
    foreign = [Attribute(33, b"theirs"), Attribute(18, b"Welcome"), Attribute(80, bytes(16))]
    reply = check(encode_reply(2, asked, SECRET, foreign), asked, SECRET)
    assert [type for type, _ in reply.attributes] == [80, 18, 33]
    assert reply.all(33) == [b"ours"]


def test_a_nas_that_cant_take_a_message_authenticator() -> None:
    asked = request((1, b"nemo"))
    octets = encode_reply(2, asked, SECRET, [Attribute(18, b"hi")], message_authenticator=False)
    assert decode(octets).attributes == (Attribute(18, b"hi"),)
    assert octets[4:20] == response_authenticator(octets, asked.authenticator, SECRET)


def test_4096_octets_are_the_most() -> None:
    """R6: Proxy-State and Message-Authenticator count."""
    asked = request((33, bytes(200)))
    room = 4096 - 20 - 18 - 202
    full = [Attribute(26, bytes(253))] * (room // 255)
    full.append(Attribute(26, bytes(room % 255 - 2)))
    assert len(encode_reply(2, asked, SECRET, full)) == 4096
    with pytest.raises(ReplyTooLong):
        encode_reply(2, asked, SECRET, [*full[:-1], Attribute(26, bytes(room % 255 - 1))])


def test_every_bit_of_a_reply_counts() -> None:
    asked = request((33, b"state"))
    octets = encode_reply(2, asked, SECRET, [Attribute(25, b"group")])
    for bit in range(len(octets) * 8):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 1 << bit % 8
        good = response_authenticator(bytes(flipped), asked.authenticator, SECRET) == bytes(flipped[4:20])
        # The Identifier is inside the hash; whose request it answers is checked besides.
        assert not good
