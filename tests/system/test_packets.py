"""What is not RADIUS, not signed, or not asked of us: silence and a counter, while a good client logs in."""

from __future__ import annotations

import hmac
import secrets
import struct
from collections.abc import Iterator

import pytest

from tests.system.bench import wire
from tests.system.bench.journal import PrimaryBind, RadiusReply
from tests.system.bench.wire import (
    ACCESS_ACCEPT,
    CHAP_PASSWORD,
    EAP_MESSAGE,
    MESSAGE_AUTHENTICATOR,
    USER_NAME,
    Request,
    codes,
)
from tests.system.everyday import LAX, STRANGER, Everyday

pytestmark = pytest.mark.system

DISCARDED = "authproxy_radius_discarded_total"


def signed(secret: bytes, *octets: bytes) -> bytes:
    """A request with a right Message-Authenticator and these octets as its other attributes."""
    body = wire.attribute(MESSAGE_AUTHENTICATOR, bytes(16)) + b"".join(octets)
    return wire.sign(wire.packet(1, secrets.randbelow(256), secrets.token_bytes(16), body), secret)


def with_length(octets: bytes, length: int) -> bytes:
    return octets[:2] + struct.pack("!H", length) + octets[4:]


def malformed(good: Request, secret: bytes) -> Iterator[tuple[str, bytes]]:
    """R1 to R3, and whatever else comes over a wire."""
    octets = good.octets
    for length in (0, 1, 4, 19):
        yield f"{length} octets", octets[:length]
        yield f"Length {length}", with_length(octets, length)
    yield "Length beyond the datagram", with_length(octets, len(octets) + 1)
    yield "Length 4097", with_length(octets + bytes(5000), 4097)
    yield "Length 65535", with_length(octets, 65535)
    yield "8192 octets", with_length(octets + bytes(8192 - len(octets)), 8192)
    yield "20 octets, no attribute", wire.packet(1, 1, bytes(16), b"")
    name = wire.attribute(USER_NAME, good.user.encode())
    yield "an attribute of length 0", signed(secret, name, b"\x01\x00")
    yield "an attribute of length 1", signed(secret, name, b"\x01\x01")
    yield "an attribute past the end", signed(secret, name, b"\x01\x0a\x61\x62")
    yield "a type without a length", signed(secret, name, b"\x01")
    yield "type 0", signed(secret, name, b"\x00\x03x")
    yield "300 attributes", signed(secret, *[b"\x19\x02"] * 300)
    yield "noise", secrets.token_bytes(60)
    yield "zeros", bytes(60)
    yield "65507 octets", secrets.token_bytes(65507)
    yield "an LDAP bind", b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"
    yield "HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield "DNS", b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04test\x00\x00\x01\x00\x01"


def test_malformed_packets(everyday: Everyday) -> None:
    """R1, R2, R3, R8, R9: from a client, with a wrong secret, from a stranger; a good login passes between them."""
    good = everyday.user()
    nas, wrong, stranger = (
        everyday.nas(),
        everyday.nas(secret="not the secret at all"),
        everyday.nas(source=STRANGER),
    )
    before = everyday.running.metric(DISCARDED)
    sent = 0
    for sender in (nas, wrong, stranger):
        request = sender.login(good.user, good.password)
        for _, octets in malformed(request, sender.secret):
            sender.send(octets)
            sent += bool(octets)
        assert codes([nas.ask(good.user, good.password)]) == [ACCESS_ACCEPT]
    assert all(sender.hears_nothing(0.2) for sender in (nas, wrong, stranger))
    # Silence on the wire is never silence in the counters. (An empty datagram is none.)
    assert everyday.running.metric(DISCARDED) - before >= sent - 3


@pytest.mark.parametrize(
    "odd", [b"\x1a\x04ab", b"\x1a\x02", b"\x1a\x08\0\0\0\x09\x01\x00", b"\x01\x02", b"\xff\x02"]
)
def test_attributes_that_mean_nothing(everyday: Everyday, odd: bytes) -> None:
    """R3, R8: vendors' attributes cut short, empty ones, unknown ones: a login without a name is rejected at most."""
    nas = everyday.nas()
    request = Request(signed(nas.secret, odd))
    assert codes([nas.exchange(request, 2)])[0] in {None, wire.ACCESS_REJECT}


def test_octets_behind_the_packet_are_padding(everyday: Everyday) -> None:
    """R1: they count in no hash."""
    user = everyday.user()
    nas = everyday.nas()
    request = nas.login(user.user, user.password)
    padded = Request(request.octets + b"ten octets", request.user, request.password)
    nas.send(padded)
    assert codes([nas.receive(padded)]) == [ACCESS_ACCEPT]


def test_a_packet_of_4096_octets(everyday: Everyday) -> None:
    """R1: the longest there is."""
    user = everyday.user()
    nas = everyday.nas()
    room = 4096 - len(nas.login(user.user, user.password).octets)
    values = [bytes(253)] * (room // 255)
    values[0] = bytes(253 + room % 255 - 255) if room % 255 == 1 else values[0]
    extra = [(25, value) for value in values]
    if (left := 4096 - len(nas.login(user.user, user.password, *extra).octets)) >= 2:
        extra.append((25, bytes(left - 2)))
    request = nas.login(user.user, user.password, *extra)
    assert len(request.octets) == 4096
    assert codes([nas.exchange(request)]) == [ACCESS_ACCEPT]


def test_codes(everyday: Everyday) -> None:
    """R4, R52: of 256 codes only Access-Request and Status-Server are answered."""
    user = everyday.user()
    nas = everyday.nas()
    for code in range(256):
        if code not in {wire.ACCESS_REQUEST, wire.STATUS_SERVER}:
            nas.send(nas.login(user.user, user.password, code=code))
    assert nas.hears_nothing(0.5)
    assert everyday.binds(user.user) == []
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]


def altered(request: Request) -> Iterator[Request]:
    """R16: one bit of each octet that is signed. (Length is R1's.)"""
    for at in (0, 1, *range(4, len(request.octets))):
        octets = bytearray(request.octets)
        octets[at] ^= 1 << secrets.randbelow(8)
        yield Request(bytes(octets), request.user, request.password)


@pytest.mark.parametrize("source", ["127.0.0.1", LAX])
def test_a_wrong_message_authenticator(everyday: Everyday, source: str) -> None:
    """R16: dropped, also from a client that needs none; and it spoils nothing for the right one behind it (R45)."""
    user = everyday.user()
    secret = everyday.secrets.get(source, everyday.secret)
    nas = everyday.nas(source=source, secret=secret)
    good = nas.login(user.user, user.password)
    flipped = [request for request in altered(good) if has_message_authenticator(request)]
    for request in flipped:
        nas.send(request)
    assert len(flipped) > 60
    assert nas.hears_nothing(0.3)
    assert everyday.binds(user.user) == []
    assert codes([nas.exchange(good)]) == [ACCESS_ACCEPT]


def has_message_authenticator(request: Request) -> bool:
    """Whether it still is a packet with one: a bit in its type or a length makes it another case."""
    try:
        return request.octets[0] == 1 and len(request.values(MESSAGE_AUTHENTICATOR)) == 1
    except AssertionError:
        return False


def test_more_than_one_message_authenticator(everyday: Everyday) -> None:
    """R17: the right one first, or second, or twice; or of another length."""
    user = everyday.user()
    for source, secret in (("127.0.0.1", everyday.secret), (LAX, everyday.secrets[LAX])):
        nas = everyday.nas(source=source, secret=secret)
        for extra in (bytes(16), secrets.token_bytes(16), b"", bytes(15), bytes(17)):
            nas.send(nas.login(user.user, user.password, (MESSAGE_AUTHENTICATOR, extra)))
            first = nas.login(user.user, user.password, message_authenticator=False)
            body = wire.attribute(MESSAGE_AUTHENTICATOR, extra) + first.octets[20:]
            body += wire.attribute(MESSAGE_AUTHENTICATOR, bytes(16))
            octets = wire.packet(1, first.identifier, first.authenticator, body)
            digest = hmac.digest(nas.secret, octets, "md5")
            nas.send(Request(octets[:-16] + digest, first.user, first.password))
        for length in (0, 4, 15, 17):
            only = nas.login(
                user.user, user.password, (MESSAGE_AUTHENTICATOR, bytes(length)), message_authenticator=False
            )
            nas.send(only)
        assert nas.hears_nothing(0.3)
    assert everyday.binds(user.user) == []


CREDENTIALS = {
    "EAP, unsigned": ([(EAP_MESSAGE, b"\x02\x01\x00\x05\x01")], None, False),
    "EAP and a password": ([(EAP_MESSAGE, b"\x02\x01\x00\x05\x01")], "right", True),
    "CHAP and a password": ([(CHAP_PASSWORD, bytes(17))], "right", True),
    "nothing, unsigned": ([], None, False),
}


@pytest.mark.parametrize("case", CREDENTIALS)
@pytest.mark.parametrize("source", ["127.0.0.1", LAX])
def test_credentials_that_contradict(everyday: Everyday, case: str, source: str) -> None:
    """R21: dropped."""
    extra, password, is_signed = CREDENTIALS[case]
    user = everyday.user()
    nas = everyday.nas(source=source, secret=everyday.secrets.get(source, everyday.secret))
    typed = user.password if password else None
    request = wire.access_request(user.user, typed, nas.secret, *extra, message_authenticator=is_signed)
    assert nas.silent(request, 0.2)
    assert everyday.binds(user.user) == []


def test_credentials_that_a_directory_cannot_check(everyday: Everyday) -> None:
    """R28: CHAP and EAP are refused with a line in the log that says what to do."""
    user = everyday.user()
    nas = everyday.nas()
    chap = wire.access_request(user.user, None, nas.secret, (CHAP_PASSWORD, bytes(17)))
    eap = wire.access_request(user.user, None, nas.secret, (EAP_MESSAGE, b"\x02\x01\x00\x05\x01"))
    assert set(codes(nas.exchange_all([chap, eap], 3))) <= {wire.ACCESS_REJECT, None}
    assert everyday.binds(user.user) == []
    everyday.wait_log("radius.credential_not_usable")


def test_a_flood_of_noise(everyday: Everyday) -> None:
    """R8, R9, R13: thousands of datagrams from strangers and clients; logins pass, the log stays short."""
    good = everyday.user()
    nas, stranger = everyday.nas(), everyday.nas(source=STRANGER)
    lines = everyday.log().count("\n")
    noise = [octets for _, octets in malformed(stranger.login("x", "y"), b"z") if 0 < len(octets) < 5000]
    for _ in range(5):
        stranger.flood(noise, 1000)
        nas.flood(noise, 100)
        assert codes([nas.ask(good.user, good.password)]) == [ACCESS_ACCEPT]
    assert everyday.log().count("\n") - lines < 400


def test_an_answer_to_nobody(everyday: Everyday) -> None:
    """All of this file's noise was answered by nothing: what came back belongs to a login."""
    replies = everyday.journal.all(RadiusReply)
    assert [reply for reply in replies if reply.code == ACCESS_ACCEPT and not reply.request] == []
    assert everyday.journal.all(PrimaryBind, lambda bind: bind.password == b"") == []
