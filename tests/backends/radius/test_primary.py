"""R20, R28, R30, R35 to R38, A5: what is sent to a RADIUS primary, what of its answers counts, whom it asks next."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from authproxy.backends.lockout import HELD, LockoutRules
from authproxy.backends.radius.primary import RadiusPrimary
from authproxy.backends.radius.settings import RadiusClientSettings
from authproxy.backends.radius.whose import ANOTHER_NAME, OuterName
from authproxy.backends.resolve import Resolver
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import PrimaryChallenge, PrimaryUnavailable, Refused, Verified
from authproxy.pipeline.username import Username, read_username
from authproxy.protocols.radius.packet import Attribute, Code, Packet, decode
from authproxy.protocols.radius.password import CredentialKind, decrypt_password
from authproxy.protocols.radius.relay import NOTHING, Allowed, FromPrimary
from authproxy.protocols.radius.request import signed_request
from authproxy.protocols.radius.salted import Hop
from authproxy.secret import Secret
from tests.protocols.radius.octets import altered

from .fakes import NAS_AUTHENTICATOR, NAS_SECRET, SECRET, RadiusServer, Reactor, accept, login, reply, result


class Desk:
    """A primary of some servers, driven by hand."""

    def __init__(self, *servers: RadiusServer, **changes: Any) -> None:
        self.reactor = Reactor()
        self.servers = servers
        hosts = tuple((server.socket.getsockname()[0], server.port) for server in servers)
        settings = RadiusClientSettings(hosts, SECRET, **changes)
        self.primary = RadiusPrimary(
            settings, reactor=self.reactor, resolver=Resolver(self.reactor, log=NullLog()), log=NullLog()
        )

    def ask(self, *extra: Attribute, username: Username | None = None, **changes: Any) -> Deferred[Any]:
        request = login(self.reactor, *extra, **changes)
        if username is not None:
            request = replace(request, username=username)
        return Deferred.fromCoroutine(self.primary.verify(request, request.password))

    def turn(self) -> None:
        for server in self.servers:
            server.turn()
        self.reactor.look(0.1)

    def wait(self, seconds: float) -> None:
        """Time goes by, in steps of a tenth."""
        for _ in range(round(seconds * 10)):
            self.reactor.advance(0.1)
            for server in self.servers:
                server.turn(0)
            self.reactor.look(0)

    def verify(self, *extra: Attribute, **changes: Any) -> Any:
        asked = self.ask(*extra, **changes)
        self.turn()
        return result(asked)


@pytest.fixture
def server() -> Iterator[Callable[..., RadiusServer]]:
    made: list[RadiusServer] = []

    def make(
        script: Callable[[Packet], bytes | None] | None = accept,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> RadiusServer:
        made.append(RadiusServer(script, address, port))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[..., RadiusServer]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_right_password(server: Make, address: str) -> None:
    one = server(address=address)
    verified = Desk(one).verify()
    assert isinstance(verified, Verified)
    assert verified.username == "alice"
    sent = decode(one.seen[0])
    assert sent.attributes[0].type == 80, "Message-Authenticator first (R20)"
    assert sent.first(1) == b"Alice", "as it was typed: MS-CHAP hashes it (R32)"
    assert decrypt_password(sent.first(2) or b"", SECRET, sent.authenticator) == Secret(b"right")
    assert sent.authenticator != NAS_AUTHENTICATOR
    assert sent.first(4 if address == "127.0.0.1" else 95) == socket.inet_pton(
        one.socket.family, one.socket.getsockname()[0]
    )


def test_a_reject_is_final(server: Make) -> None:
    """A5: another server would count another bad password."""
    first, second = server(lambda request: reply(3, request, Attribute(18, b"No."))), server()
    assert Desk(first, second).verify().message == "No."
    assert second.seen == []


def test_a_challenge_is_no_success(server: Make) -> None:
    one = server(lambda request: reply(11, request, Attribute(24, b"theirs"), Attribute(18, b"Code?")))
    challenge = Desk(one).verify()
    assert isinstance(challenge, PrimaryChallenge)
    assert (challenge.message, challenge.state) == ("Code?", b"theirs")


def test_a_state_goes_back_to_whom_it_came_from(server: Make) -> None:
    one = server()
    Desk(one).verify(Attribute(24, b"theirs"))
    assert decode(one.seen[0]).first(24) == b"theirs"


# ---- which replies count (R35, R20)


def flipped(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


def with_proxy_state(request: Packet) -> bytes:
    blob = Attribute(33, b"x" * 240)
    return reply(2, altered(request, attributes=(*request.attributes, blob)))


FORGERIES = {
    "response authenticator": lambda request: flipped(reply(2, request), 4),
    "message authenticator": lambda request: flipped(reply(2, request), 22),
    "code": lambda request: flipped(reply(3, request), 0),
    "identifier": lambda request: flipped(reply(2, request), 1),
    "another secret": lambda request: reply(2, request, secret=Secret(b"another secret")),
    "no message authenticator": lambda request: reply(2, request, signed=False),
    "a proxy state nobody sent": with_proxy_state,
    "accounting": lambda request: reply(5, request),
    "cut short": lambda request: reply(2, request)[:-1],
    "garbage": lambda request: bytes([2, request.identifier]) + b"\xff" * 30,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_accept_is_nothing(server: Make, forgery: str) -> None:
    one = server(FORGERIES[forgery])
    desk = Desk(one, retries=0)
    asked = desk.ask()
    desk.turn()
    assert not asked.called
    desk.wait(3)
    assert isinstance(result(asked).value, PrimaryUnavailable)


def test_the_right_answer_still_counts_after_a_forged_one(server: Make) -> None:
    one = server(None)
    desk = Desk(one)
    asked = desk.ask()
    one.turn()
    request = decode(one.seen[0])
    one.socket.sendto(flipped(reply(2, request), 4), one.sources[0])
    one.socket.sendto(reply(3, request), one.sources[0])
    desk.reactor.look()
    assert isinstance(result(asked), Refused)


def test_another_address_is_not_heard(server: Make) -> None:
    """The socket is connected, so the kernel drops it."""
    one, stranger = server(None), server(None)
    desk = Desk(one)
    asked = desk.ask()
    one.turn()
    stranger.socket.sendto(reply(2, decode(one.seen[0])), one.sources[0])
    desk.reactor.look(0.1)
    assert not asked.called
    Deferred.fromCoroutine(desk.primary.close())
    assert isinstance(result(asked).value, PrimaryUnavailable)


def test_old_servers_may_leave_the_signature_out_when_told_so(server: Make) -> None:
    one = server(lambda request: reply(2, request, signed=False))
    assert isinstance(Desk(one, require_message_authenticator=False).verify(), Verified)


# ---- retransmission and failover (R37, A5)


def test_the_same_octets_again(server: Make) -> None:
    one = server(None)
    desk = Desk(one, retries=3, retry_wait=2.0)
    asked = desk.ask()
    desk.wait(40)
    one.turn()
    assert len(one.seen) == 4
    assert len(set(one.seen)) == 1
    assert len(set(one.sources)) == 1
    assert isinstance(result(asked).value, PrimaryUnavailable)


def test_an_answer_to_the_second_send(server: Make) -> None:
    one = server(None)
    desk = Desk(one)
    asked = desk.ask()
    one.turn()
    one.script = accept
    desk.wait(3)
    desk.turn()
    assert isinstance(result(asked), Verified)


def test_silence_moves_on_and_is_remembered(server: Make) -> None:
    silent, other = server(None), server()
    desk = Desk(silent, other)
    for _ in range(2):
        asked = desk.ask()
        desk.wait(8)
        desk.turn()
        assert isinstance(result(asked), Verified)
    silent.turn()
    before = len(silent.seen)
    assert isinstance(desk.verify(), Verified), "at once: the first is known to be dead"
    assert len(silent.seen) == before


def test_a_closed_port_costs_no_wait(server: Make) -> None:
    gone, other = server(None), server()
    desk = Desk(gone, other)
    gone.close()
    desk.servers = (other,)
    asked = desk.ask()
    desk.reactor.look()
    desk.turn()
    assert isinstance(result(asked), Verified)


def test_a_server_that_is_started_again(server: Make) -> None:
    """A5: its host has said that nobody listens; the socket to it lives on."""
    gone = server(None)
    desk = Desk(gone)
    gone.close()
    desk.servers = ()
    for _ in range(3):
        asked = desk.ask()
        desk.reactor.look()
        assert isinstance(result(asked).value, PrimaryUnavailable)
    desk.servers = (server(accept, port=gone.port),)
    assert isinstance(desk.verify(), Verified)


def test_an_unsigned_answer_to_whether_it_lives(server: Make) -> None:
    """FreeRADIUS signs none (RFC 5997 §3 doesn't ask it to); an answer to a login has to be signed all the same."""

    silent, other = server(None), server()
    desk = Desk(silent, other)
    for _ in range(2):
        desk.ask()
        desk.wait(8)
    silent.turn()
    silent.script = lambda request: reply(Code.ACCESS_ACCEPT, request, signed=False)
    desk.wait(11)
    desk.turn()
    assert desk.primary.health()[0] == (f"127.0.0.1:{silent.port}", None)
    asked = desk.ask()
    desk.turn()
    assert not asked.called, "an Accept of a login that isn't signed is none"


def test_the_dead_is_asked_whether_it_lives(server: Make) -> None:
    """Status-Server, so that nobody's password is the test."""
    silent, other = server(None), server()
    desk = Desk(silent, other)
    for _ in range(2):
        desk.ask()
        desk.wait(8)
    silent.turn()
    silent.seen.clear()
    silent.script = accept
    desk.wait(11)
    desk.turn()
    assert decode(silent.seen[0]).code == Code.STATUS_SERVER
    other.seen.clear()
    assert isinstance(desk.verify(), Verified)
    assert other.seen == []


def test_all_dead_are_tried_all_the_same(server: Make) -> None:
    one = server(None)
    desk = Desk(one, retries=0)
    for _ in range(3):
        desk.ask()
        desk.wait(3)
    one.script = accept
    one.turn()
    assert isinstance(desk.verify(), Verified)


def test_the_deadline_is_the_logins(server: Make) -> None:
    desk = Desk(server(None))
    asked = desk.ask(patience=5)
    desk.wait(5.1)
    assert isinstance(result(asked).value, PrimaryUnavailable)


# ---- many at once (R36)


def test_more_than_256_at_once(server: Make) -> None:
    one = server(None)
    # They are one user's, which would wait for each other (A10).
    desk = Desk(one, lockout=LockoutRules(0))
    asked = []
    for _ in range(600):
        asked.append(desk.ask())
        one.turn(0)
    assert len(set(zip(one.sources, (octets[1] for octets in one.seen), strict=True))) == 600
    assert len(set(one.sources)) == 3
    for octets, source in zip(one.seen, one.sources, strict=True):
        one.socket.sendto(accept(decode(octets)), source)
        desk.reactor.look(0)
    for _ in range(20):
        desk.reactor.look(0.01)
    assert all(isinstance(result(one), Verified) for one in asked)


def test_too_many_are_told_so(server: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authproxy.backends.radius.server.MOST_SOCKETS", 1)
    desk = Desk(server(None), lockout=LockoutRules(0))
    for _ in range(256):
        desk.ask()
    assert "256 requests are pending" in str(result(desk.ask()).value)


# ---- what goes over


def test_chap_with_the_nas_authenticator_as_its_challenge(server: Make) -> None:
    """R28, RFC 2865 §2.3."""
    one = server()
    packet = signed_request(
        1,
        [Attribute(1, b"Alice"), Attribute(3, b"\x05" + b"c" * 16)],
        identifier=1,
        authenticator=NAS_AUTHENTICATOR,
        secret=NAS_SECRET,
    )
    Desk(one).verify(packet=packet, kind=CredentialKind.CHAP)
    sent = decode(one.seen[0])
    assert sent.first(3) == b"\x05" + b"c" * 16
    assert sent.first(60) == NAS_AUTHENTICATOR
    assert sent.first(2) is None


def test_only_what_is_let_through(server: Make) -> None:
    one = server()
    nas = [
        Attribute(61, b"\0\0\0\x05"),
        Attribute(33, b"proxy"),
        Attribute(31, b"192.0.2.1"),
        Attribute(32, b"asa"),
    ]
    desk = Desk(one)
    desk.verify(*nas)
    desk.verify(*nas, allowed=Allowed(frozenset({(None, 31)})))
    desk.verify(*nas, allowed=Allowed(everything=True))
    types = [{attribute.type for attribute in decode(octets).attributes} for octets in one.seen]
    assert [kinds & {61, 33, 31, 32} for kinds in types] == [set(), {31}, {61, 31, 32}]


def test_what_the_primary_says_is_kept_for_the_listener(server: Make) -> None:
    one = server(lambda request: reply(2, request, Attribute(25, b"staff")))
    verified = Desk(one).verify()
    assert isinstance(verified.carried, FromPrimary)
    assert verified.carried.reply.all(25) == [b"staff"]


def test_a_password_no_radius_carries(server: Make) -> None:
    one = server()
    desk = Desk(one)
    asked = Deferred.fromCoroutine(desk.primary.verify(login(desk.reactor), Secret(b"x" * 129)))
    assert result(asked) == Refused("password_too_long")
    assert one.seen == []


def test_another_proof_is_as_long_as_it_is(server: Make) -> None:
    """EAP's is longer than any password."""
    one = server(lambda request: reply(11, request, Attribute(24, b"theirs")))
    desk = Desk(one)
    asked = replace(login(desk.reactor, kind=CredentialKind.EAP), opaque=True)
    waiting = Deferred.fromCoroutine(desk.primary.verify(asked, Secret(b"x" * 500)))
    desk.turn()
    assert isinstance(result(waiting), PrimaryChallenge)


def test_an_accept_to_eap_has_to_say_whose_it_is(server: Make) -> None:
    """R33: nobody has proven the name outside; the rules are those of test_whose."""
    one = server(lambda request: reply(2, request, Attribute(1, b"Alice")))
    outside = Attribute(79, b"\x02\x01\x00\x06\x15\x00")
    refusing = Desk(one, eap_outer_name=OuterName.REFUSE)
    assert isinstance(refusing.verify(outside, kind=CredentialKind.EAP), Failure)
    for rule, proven in ((OuterName.TRUST, True), (OuterName.ASK, False)):
        named = server(lambda request: reply(2, request, Attribute(1, b"alice")))
        user = Desk(named, eap_outer_name=rule).verify(outside, kind=CredentialKind.EAP)
        assert (user.username, user.proven, type(user.carried)) == ("alice", proven, FromPrimary)
    another = server(lambda request: reply(2, request, Attribute(1, b"eve")))
    assert Desk(another).verify(outside, kind=CredentialKind.EAP) == ANOTHER_NAME


def test_a_proof_in_anothers_name_is_not_asked_about(server: Make) -> None:
    one = server()
    proof = b"\x02\x01\x00\x3e\x1a\x02\x01\x00\x39\x31" + bytes(49) + b"eve"
    assert Desk(one).verify(Attribute(79, proof), kind=CredentialKind.EAP) == ANOTHER_NAME
    assert one.seen == []


def test_mschap_says_why(server: Make) -> None:
    error = b"\0\0\x01\x37\x02\x1f\x00E=648 R=0 C=00 V=3 M=expired"
    error = error[:5] + bytes([len(error) - 4]) + error[6:]
    one = server(lambda request: reply(3, request, Attribute(26, error)))
    assert Desk(one).verify().cause == "expired"


# ---- guessed passwords (A10)


def refuse(request: Packet) -> bytes:
    return reply(Code.ACCESS_REJECT, request)


def test_wrong_passwords_of_one_user(server: Make) -> None:
    """After three the server isn't asked, until the window has passed."""
    one = server(refuse)
    desk = Desk(one, lockout=LockoutRules(4, 900))
    assert [type(desk.verify()) for _ in range(3)] == [Refused] * 3
    assert desk.verify() == HELD
    assert len(one.seen) == 3
    desk.reactor.advance(900)
    desk.verify()
    assert len(one.seen) == 4


def test_every_form_of_a_name_is_counted_as_one(server: Make) -> None:
    """A server may take them all for the same account, and lock it."""
    one = server(refuse)
    desk = Desk(one, lockout=LockoutRules(4, 900))
    names = ["alice", "CORP\\Alice", "alice@corp.example", "Alice@CORP"]
    said = [desk.verify(username=read_username(name.encode())) for name in names]
    assert said[3] == HELD
    assert len(one.seen) == 3
    assert desk.verify(username=read_username(b"bob")) != HELD


def test_nor_do_accents_and_wide_letters_make_it_another(server: Make) -> None:
    """A10, R33: with Active Directory behind it a server takes each of these for alice."""
    one = server(refuse)
    desk = Desk(one, lockout=LockoutRules(4, 900))
    names = ["alice", "\u00e1lice", "al\u00efc\u00e9", "\uff41lice"]
    assert desk.verify(username=read_username(names[0].encode())) != HELD
    said = [desk.verify(username=read_username(name.encode())) for name in names[1:]]
    assert said[2] == HELD
    assert len(one.seen) == 3


@pytest.mark.parametrize(
    "proof",
    [b"\x02\x01\x00\x16\x04\x10" + bytes(16), b"\x02\x01\x00\x06\x1a\x04", b"\x02\x01\x00\x0b\x06guess"],
)
def test_eap_without_a_tunnel_is_counted_like_any_password(server: Make, proof: bytes) -> None:
    """A10: of MD5, MS-CHAPv2 and GTC the name outside is whose password it is, and it is wrong in the last round."""
    one = server(refuse)
    desk = Desk(one, lockout=LockoutRules(4, 900))
    said = [desk.verify(Attribute(79, proof), kind=CredentialKind.EAP) for _ in range(4)]
    assert said[3] == HELD
    assert len(one.seen) == 3


def test_a_round_of_eap_that_goes_on_is_no_wrong_password(server: Make) -> None:
    one = server(lambda request: reply(11, request, Attribute(24, b"theirs")))
    desk = Desk(one, lockout=LockoutRules(2, 900))
    proof = Attribute(79, b"\x02\x01\x00\x0b\x06right")
    for _ in range(5):
        assert isinstance(desk.verify(proof, kind=CredentialKind.EAP), PrimaryChallenge)


@pytest.mark.parametrize(
    ("name", "proven"),
    [
        ("alice", True),
        ("CORP\\Alice", True),
        ("alice smith", True),
        ("\u00e1lice", False),
        ("\uff41lice", False),
    ],
)
def test_a_name_that_a_loose_server_takes_for_another(server: Make, name: str, proven: bool) -> None:
    """R33: with Active Directory behind it, alice's password is right for `álice`, whom the cloud has never seen."""
    verified = Desk(server()).verify(username=read_username(name.encode()))
    assert isinstance(verified, Verified)
    assert verified.proven is proven


def test_eap_counts_where_it_ends(server: Make) -> None:
    """The name outside the tunnel is anybody's: `anonymous` must not be held for all."""
    one = server(refuse)
    desk = Desk(one)
    outside = Attribute(79, b"\x02\x01\x00\x06\x01a")
    for _ in range(6):
        desk.verify(outside, kind=CredentialKind.EAP)
    assert len(one.seen) == 6


# ---- between nodes (H4)


def test_an_accept_goes_to_another_node() -> None:
    """As it came, without the secret; the other node reads it with its own, and passes on what it may."""
    packet = Packet.of(
        Code.ACCESS_ACCEPT,
        1,
        bytes(16),
        [Attribute(25, b"one")],
        b"\x02\x01\x00\x19" + bytes(16) + b"\x19\x05one",
    )
    carried = FromPrimary(packet, Hop(SECRET, NAS_AUTHENTICATOR), Allowed(everything=True))
    one, two = Desk(returned=Allowed(everything=True)).primary, Desk().primary
    octets = one.pack(carried)
    assert SECRET.reveal() not in octets
    read = one.unpack(octets)
    assert isinstance(read, FromPrimary)
    assert read.reply.octets == packet.octets
    assert (read.hop, read.allowed) == (carried.hop, carried.allowed)
    other = two.unpack(octets)
    assert isinstance(other, FromPrimary)
    assert other.allowed == NOTHING


@pytest.mark.parametrize(
    "octets", [b"x", bytes(16), bytes(40), NAS_AUTHENTICATOR + b"\x02\x01\x00\x15" + bytes(17)]
)
def test_what_no_node_has_packed(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Desk().primary.unpack(octets)


def test_nothing_to_hand_on() -> None:
    primary = Desk().primary
    assert primary.pack(None) == b""
    assert primary.unpack(b"") is None
