"""R20, R35: what a client sends, and which replies it believes."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import Attribute, Code, Packet, decode
from authproxy.protocols.radius.password import decrypt_password
from authproxy.protocols.radius.reply import encode_reply
from authproxy.protocols.radius.request import (
    ReplyProblem,
    UnacceptableReply,
    pap_request,
    read_reply,
    signed_request,
    status_server,
)
from authproxy.secret import Secret

from .octets import (
    AUTHENTICATOR,
    SECRET,
    altered,
    attribute,
    attributes,
    authenticators,
    response_authenticator,
    secrets,
)

ASKED = pap_request(
    b"nemo",
    Secret(b"arctangent"),
    identifier=9,
    authenticator=AUTHENTICATOR,
    secret=SECRET,
    attributes=[Attribute(33, b"one"), Attribute(32, b"nas"), Attribute(33, b"two")],
)


def problem(datagram: bytes, asked: Packet = ASKED, *, required: bool = True) -> ReplyProblem:
    with pytest.raises(UnacceptableReply) as unacceptable:
        read_reply(datagram, asked, SECRET, require_message_authenticator=required)
    return unacceptable.value.problem


def reply(
    body: bytes,
    *,
    code: int = 2,
    identifier: int = 9,
    secret: Secret = SECRET,
    authenticator: bytes = AUTHENTICATOR,
) -> bytes:
    """With a right Response Authenticator, whatever stands in it."""
    octets = bytes((code, identifier)) + (20 + len(body)).to_bytes(2, "big") + bytes(16) + body
    return octets[:4] + response_authenticator(octets, authenticator, secret) + body


@given(st.binary(min_size=1, max_size=253), st.binary(max_size=128), secrets, authenticators, attributes)
def test_a_request_reads_back(
    name: bytes, password: bytes, secret: Secret, authenticator: bytes, carried: list[Attribute]
) -> None:
    made = pap_request(
        name,
        Secret(password),
        identifier=3,
        authenticator=authenticator,
        secret=secret,
        attributes=carried,
    )
    packet = decode(made.octets)
    assert packet == made
    assert packet.attributes[0].type == 80, "Message-Authenticator stands first (R20)"
    assert verify_message_authenticator(packet, secret) is True
    assert packet.attributes[1] == (1, name)
    hidden = packet.attributes[2].value
    assert decrypt_password(hidden, secret, authenticator).reveal() == password.rstrip(b"\0")
    assert list(packet.attributes[3:]) == carried


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"authenticator": bytes(15)}, "Authenticator"),
        ({"attributes": [Attribute(26, bytes(253))] * 16}, "RADIUS carries 4096"),
        ({"attributes": [Attribute(26, bytes(254))]}, "254"),
    ],
)
def test_what_can_not_be_sent(changes: dict[str, object], said: str) -> None:
    fields: dict[str, object] = {"identifier": 1, "authenticator": AUTHENTICATOR, "secret": SECRET}
    with pytest.raises(ValueError, match=said):
        status_server(**(fields | changes))  # type: ignore[arg-type]


def test_a_message_authenticator_of_another_hop_is_left_out() -> None:
    made = signed_request(
        1, [Attribute(80, bytes(16))], identifier=1, authenticator=AUTHENTICATOR, secret=SECRET
    )
    assert len(made.attributes) == 1
    assert verify_message_authenticator(decode(made.octets), SECRET) is True


# ---- replies that count


@pytest.mark.parametrize("code", [2, 3, 11])
@given(carried=attributes)
def test_our_own_replies(code: int, carried: list[Attribute]) -> None:
    read = read_reply(encode_reply(code, ASKED, SECRET, carried), ASKED, SECRET)
    assert read.code == code
    assert list(read.attributes[1:-2]) == carried


@pytest.mark.parametrize("states", [[], [b"one"], [b"two"], [b"one", b"two"]])
def test_proxy_state_of_ours(states: list[bytes]) -> None:
    body = b"".join(attribute(33, state) for state in states)
    assert read_reply(reply(body), ASKED, SECRET, require_message_authenticator=False).all(33) == states


def test_status_server_has_two_answers() -> None:
    asked = status_server(identifier=9, authenticator=AUTHENTICATOR, secret=SECRET)
    for code in (Code.ACCESS_ACCEPT, Code.ACCOUNTING_RESPONSE):
        assert read_reply(encode_reply(code, asked, SECRET, []), asked, SECRET).code == code
    assert problem(encode_reply(Code.ACCESS_REJECT, asked, SECRET, []), asked) is ReplyProblem.CODE


# ---- and those that don't


@pytest.mark.parametrize("code", [code for code in range(256) if code not in (2, 3, 11)])
def test_codes_that_answer_no_access_request(code: int) -> None:
    assert problem(encode_reply(code, ASKED, SECRET, [])) is ReplyProblem.CODE


def test_another_requests_reply() -> None:
    other = altered(ASKED, identifier=10)
    assert problem(encode_reply(2, other, SECRET, [])) is ReplyProblem.IDENTIFIER
    other = altered(ASKED, authenticator=bytes(16))
    assert problem(encode_reply(2, other, SECRET, [])) is ReplyProblem.RESPONSE_AUTHENTICATOR


def test_another_secret() -> None:
    octets = encode_reply(2, ASKED, Secret(b"another"), [])
    assert problem(octets) is ReplyProblem.RESPONSE_AUTHENTICATOR


def test_every_bit_counts() -> None:
    octets = encode_reply(2, ASKED, SECRET, [Attribute(25, b"group")])
    for bit in range(len(octets) * 8):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 1 << bit % 8
        assert problem(bytes(flipped)) in ReplyProblem


def test_a_stripped_message_authenticator() -> None:
    """CVE-2024-3596: the Response Authenticator of a collision is right; only a Message-Authenticator tells."""
    octets = reply(attribute(33, b"one"))
    assert problem(octets) is ReplyProblem.MESSAGE_AUTHENTICATOR_MISSING
    assert read_reply(octets, ASKED, SECRET, require_message_authenticator=False).code == 2


@pytest.mark.parametrize("required", [True, False])
def test_a_wrong_message_authenticator_is_never_taken(required: bool) -> None:
    assert problem(reply(attribute(80, bytes(16))), required=required) is ReplyProblem.MESSAGE_AUTHENTICATOR
    over_nothing = attribute(80, hmac.digest(SECRET.reveal(), b"", "md5"))
    assert problem(reply(over_nothing), required=required) is ReplyProblem.MESSAGE_AUTHENTICATOR


def test_two_message_authenticators() -> None:
    twice = attribute(80, bytes(16)) * 2
    assert problem(reply(twice), required=False) is ReplyProblem.MALFORMED


@pytest.mark.parametrize(
    "states",
    [
        [b"unknown"],
        [b"two", b"one"],
        [b"one", b"one"],
        [b"one", b"two", b"two"],
        [b"one", b"two", b""],
        [b"collision blob   "] * 16,
    ],
)
def test_proxy_state_that_is_not_ours(states: list[bytes]) -> None:
    """R20: unknown, too many, in another order; also behind a right signature."""
    carried = [Attribute(33, state) for state in states]
    body = b"".join(attribute(*pair) for pair in carried)
    assert problem(reply(body), required=False) is ReplyProblem.PROXY_STATE
    signed_over = altered(ASKED, attributes=tuple(carried))
    assert problem(encode_reply(2, signed_over, SECRET, [])) is ReplyProblem.PROXY_STATE


@given(st.binary(max_size=80))
def test_garbage(datagram: bytes) -> None:
    assert problem(datagram) in ReplyProblem


def test_no_reason_holds_a_secret() -> None:
    for octets in (encode_reply(2, ASKED, Secret(b"another"), []), b"", reply(attribute(33, b"xx"))):
        with pytest.raises(UnacceptableReply) as unacceptable:
            read_reply(octets, ASKED, SECRET)
        assert "s3cr3t" not in str(unacceptable.value)
