"""What of a RADIUS primary's replies reaches the NAS, hidden with the NAS's own secret (R5, R30, R38, R42, R44)."""

from __future__ import annotations

import pytest

from authproxy.listeners.radius.answer import reply_of
from authproxy.listeners.radius.eap_reply import EapReply
from authproxy.listeners.radius.mark import SessionMark
from authproxy.pipeline.decision import Accept, Challenge, Reason, Reject
from authproxy.protocols.radius.packet import Attribute, Code, Packet
from authproxy.protocols.radius.relay import Allowed, FromPrimary
from authproxy.protocols.radius.salted import (
    STANDARD_HIDDEN,
    Hop,
    UnreadableValue,
    decrypt_salted,
    encrypt_salted,
)
from authproxy.protocols.radius.settings import Granted
from authproxy.secret import Secret

from .world import SECRET, login

PRIMARY = Hop(Secret(b"the primary's"), b"p" * 16)
MICROSOFT = (311).to_bytes(4, "big")
CLASS, MESSAGE, STATE = Attribute(25, b"staff"), Attribute(18, b"Welcome"), Attribute(24, b"theirs")


def vsa(type: int, value: bytes) -> Attribute:
    return Attribute(26, MICROSOFT + bytes((type, len(value) + 2)) + value)


KEY = vsa(16, encrypt_salted(Secret(b"k" * 32), b"\x80\x07", PRIMARY))


def carried(*attributes: Attribute, everything: bool = False) -> FromPrimary:
    packet = Packet.of(2, 1, b"", attributes, b"")
    return FromPrimary(packet, PRIMARY, Allowed(everything=everything), STANDARD_HIDDEN)


def test_an_accept_brings_what_is_allowed_with_its_keys_hidden_anew() -> None:
    request = login(b"right")
    accept = Accept(Reason.BOTH_FACTORS, "Hi", carried(CLASS, KEY, everything=True))
    code, (message, klass, key) = reply_of(accept, request, SECRET)
    assert (code, message, klass) == (Code.ACCESS_ACCEPT, (18, b"Hi"), CLASS)
    opened = decrypt_salted(key.value[6:], Hop(SECRET, request.authenticator))
    assert opened.reveal() == b"k" * 32


def test_a_challenge_of_the_primarys_is_its_own() -> None:
    sent = [
        STATE,
        MESSAGE,
        Attribute(76, b"\0\0\0\1"),
        Attribute(27, b"\0\0\0\x1e"),
    ]  # Prompt, Session-Timeout
    challenge = Challenge(Reason.PRIMARY_CHALLENGE, "Welcome", b"theirs", carried(*sent))
    assert reply_of(challenge, login(b"right"), SECRET) == (Code.ACCESS_CHALLENGE, sent)


def test_a_reject_of_the_primarys_says_its_words() -> None:
    reject = Reject(Reason.PRIMARY_REJECTED, "Welcome", carried(MESSAGE, CLASS, KEY))
    assert reply_of(reject, login(b"right"), SECRET) == (Code.ACCESS_REJECT, [MESSAGE])


def test_a_denied_factor_ends_eap_with_a_failure() -> None:
    """R44: the peer has just been told success by the primary; it must hear failure."""
    request = login(b"right", (79, b"\x02\x09\x00\x06\x03\x01"))
    code, attributes = reply_of(Reject(Reason.FACTOR_DENIED, "No"), request, SECRET)
    assert (code, attributes) == (Code.ACCESS_REJECT, [(18, b"No"), (79, b"\x04\x09\x00\x04")])


def test_a_key_that_does_not_open_is_nobodys() -> None:
    broken = vsa(16, b"\x80\x07" + PRIMARY.hide(bytes([250]) + bytes(15), b"\x80\x07"))
    with pytest.raises(UnreadableValue):
        reply_of(Accept(Reason.BOTH_FACTORS, carried=carried(broken)), login(b"right"), SECRET)


# ---- the mark of a session without a second factor (F9)

MARK = SessionMark(
    (
        Attribute(25, b"OU=Restricted"),
        Attribute(11, b"outage"),
        Attribute(18, "Kein zweiter Faktor ü".encode()),
    )
)
FILTER = Attribute(11, b"everything")


def opened(carried: object = None, mark: object = MARK) -> list[Attribute]:
    code, attributes = reply_of(Accept(Reason.FAIL_OPEN, carried=carried, mark=mark), login(b"right"), SECRET)
    assert code is Code.ACCESS_ACCEPT
    return list(attributes)


def test_a_marked_session() -> None:
    assert opened() == list(MARK.attributes)
    assert opened(mark=None) == []


def test_a_mark_takes_the_place_of_the_primary_s() -> None:
    """A NAS that got two Filter-Ids might go by the one that restricts nothing."""
    idle = Attribute(28, bytes(4))
    said = opened(carried(CLASS, FILTER, idle, FILTER, everything=True))
    assert [(type, value) for type, value in said if type in (11, 25)] == [
        (25, b"OU=Restricted"),
        (11, b"outage"),
    ]
    assert idle in said


def test_a_part_of_a_mark_leaves_the_rest() -> None:
    said = opened(carried(CLASS, FILTER, everything=True), SessionMark((Attribute(11, b"outage"),)))
    assert said == [CLASS, Attribute(11, b"outage")]


def test_no_words_beside_eap() -> None:
    """RFC 3579 §2.6.5: the peer's own tunnel is where words belong."""
    said = opened(EapReply(b"\x03\x09\x00\x04", Secret(bytes(64)), carried(CLASS, FILTER, everything=True)))
    assert [value for type, value in said if type in (25, 11, 18)] == [b"OU=Restricted", b"outage"]
    assert (79, b"\x03\x09\x00\x04") in said


def test_an_accept_with_both_factors_has_none() -> None:
    _, attributes = reply_of(Accept(Reason.BOTH_FACTORS, "Hi"), login(b"right"), SECRET)
    assert attributes == [(18, b"Hi")]


# ---- attributes of our own rules


def granted(type: int, value: bytes, *, adds: bool = False) -> Granted:
    return Granted((None, type), Attribute(type, value), adds)


def test_an_accept_has_what_is_granted() -> None:
    accept = Accept(Reason.BOTH_FACTORS, "Hi", granted=(granted(25, b"admins"), granted(11, b"acl")))
    assert reply_of(accept, login(b"right"), SECRET) == (
        Code.ACCESS_ACCEPT,
        [(18, b"Hi"), (25, b"admins"), (11, b"acl")],
    )


def test_what_is_granted_takes_the_place_of_the_primarys() -> None:
    reply = carried(CLASS, Attribute(11, b"theirs"), everything=True)
    accept = Accept(
        Reason.BOTH_FACTORS, "", reply, granted=(granted(25, b"ours"), granted(11, b"too", adds=True))
    )
    assert reply_of(accept, login(b"right"), SECRET)[1] == [(11, b"theirs"), (25, b"ours"), (11, b"too")]


def test_what_is_granted_goes_into_an_accept_of_eap() -> None:
    """RFC 3579 §2.6.5: but no words."""
    ours = (granted(25, b"ours"), granted(18, b"Welcome"))
    success = b"\x03\x01\x00\x04"
    here = Accept(Reason.BOTH_FACTORS, "", EapReply(success, Secret(b"k" * 64)), granted=ours)
    types = [type for type, _ in reply_of(here, login(b"right"), SECRET)[1]]
    assert types == [25, 26, 26, 79]
    through = Accept(Reason.BOTH_FACTORS, "", carried(Attribute(79, success)), granted=ours)
    assert reply_of(through, login(b"right"), SECRET)[1] == [(79, success), (25, b"ours")]


def test_a_mark_takes_the_place_of_what_is_granted_too() -> None:
    """F9: what a group would allow is what the mark is there to restrict."""
    ours = (granted(25, b"OU=Admins"), granted(11, b"too", adds=True), granted(27, b"\0\0\0\x3c"))
    accept = Accept(Reason.FAIL_OPEN, mark=MARK, granted=ours)
    assert reply_of(accept, login(b"right"), SECRET)[1] == [Attribute(27, b"\0\0\0\x3c"), *MARK.attributes]
