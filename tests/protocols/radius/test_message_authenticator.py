"""R16, R17: what is signed can't be changed, wherever in the packet the signature stands."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import MalformedPacket, decode
from authproxy.secret import Secret

from .octets import SECRET, attribute, raw, signed

NAME = attribute(1, b"nemo")
REST = attribute(2, bytes(range(16))) + attribute(31, b"192.0.2.7") + attribute(33, b"\0\xff")


@pytest.mark.parametrize(
    "datagram", [signed(b"", NAME + REST), signed(NAME, REST), signed(NAME + REST), signed(b"", code=12)]
)
def test_right_ones(datagram: bytes) -> None:
    assert verify_message_authenticator(decode(datagram), SECRET) is True
    assert verify_message_authenticator(decode(datagram + b"padding"), SECRET) is True


def test_none() -> None:
    assert verify_message_authenticator(decode(raw(NAME)), SECRET) is None


@pytest.mark.parametrize("secret", [b"s3cr3t of sixteeN", b"s3cr3t of sixtee", b"x"])
def test_another_secret(secret: bytes) -> None:
    assert verify_message_authenticator(decode(signed(NAME)), Secret(secret)) is False


@pytest.mark.parametrize("before", [b"", NAME, NAME + REST])
def test_every_bit_counts(before: bytes) -> None:
    """A flip breaks the frame, or the signature, or takes the signature away: never does it pass."""
    datagram = signed(before, (NAME + REST).removeprefix(before))
    outcomes: set[object] = set()
    for bit in range(len(datagram) * 8):
        flipped = bytearray(datagram)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            outcomes.add(verify_message_authenticator(decode(bytes(flipped)), SECRET))
        except MalformedPacket:
            outcomes.add("malformed")
    assert outcomes == {False, None, "malformed"}


def test_the_signature_gone_is_not_the_signature_right() -> None:
    """One flip makes attribute 80 into another: that is None, and for the caller to judge (R19)."""
    datagram = bytearray(signed(b"", NAME))
    datagram[20] = 81
    assert verify_message_authenticator(decode(bytes(datagram)), SECRET) is None


@pytest.mark.parametrize("good_first", [True, False])
def test_two_of_them(good_first: bool) -> None:
    """R17: a right one beside garbage, in both orders, whatever it was computed over."""
    garbage = attribute(80, b"garbage of 16 oc")
    datagram = signed(b"", NAME + garbage) if good_first else signed(garbage, NAME)
    with pytest.raises(MalformedPacket):
        decode(datagram)


@given(st.binary(min_size=16, max_size=16))
def test_a_guess(guess: bytes) -> None:
    assert verify_message_authenticator(decode(raw(attribute(80, guess) + NAME)), SECRET) is False


def test_a_hash_without_the_key_is_none() -> None:
    """What can be computed by who knows no secret."""
    blank = raw(attribute(80, bytes(16)) + NAME)
    for guess in (hashlib.md5(blank).digest(), hmac.digest(b"", blank, "md5")):
        assert verify_message_authenticator(decode(raw(attribute(80, guess) + NAME)), SECRET) is False


def test_accounting_is_signed_over_no_authenticator() -> None:
    """R23: RFC 2866's own Authenticator is computed after the Message-Authenticator."""
    blank = raw(attribute(80, bytes(16)) + NAME, code=4, authenticator=bytes(16))
    octets = blank[:22] + hmac.digest(SECRET.reveal(), blank, "md5") + blank[38:]
    authenticator = hashlib.md5(octets + SECRET.reveal()).digest()
    assert verify_message_authenticator(decode(octets[:4] + authenticator + octets[20:]), SECRET) is True
    assert verify_message_authenticator(decode(signed(b"", NAME, code=4)), SECRET) is False
