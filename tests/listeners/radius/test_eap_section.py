"""Conversations by State: whose they are, how long, and what they end with on the wire (R42, R44)."""

from __future__ import annotations

from typing import Any

import pytest

from authproxy.listeners.radius.answer import reply_of
from authproxy.listeners.radius.clients import Client
from authproxy.listeners.radius.eap_conversations import IDLE, Conversations
from authproxy.listeners.radius.eap_reply import without_keys
from authproxy.listeners.radius.eap_section import EapSection
from authproxy.listeners.radius.section import Asked, RadiusSection
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject, Silence
from authproxy.protocols.radius.packet import EAP_MESSAGE, STATE, Attribute, Code, Packet
from authproxy.protocols.radius.password import CredentialKind
from authproxy.protocols.radius.relay import Allowed, FromNas, towards_primary
from authproxy.protocols.radius.salted import Hop, decrypt_salted
from authproxy.secret import Secret
from tests.protocols.eap.peer import TTLS, Peer, connect, packet

from .world import ASA, SECRET, Log, Logins, Rejecter, login


class Wlan:
    """A NAS with one peer behind it."""

    def __init__(self, peer: Peer | None = None, **options: Any) -> None:
        self.peer = peer or Peer()
        self.logins, self.rejecter, self.log = Logins(), Rejecter(), Log()
        self.now = 1000.0
        self.outside = b"anonymous"
        plain = RadiusSection(
            name="wlan",
            logins=self.logins,
            rejecter=self.rejecter,
            patience=60,
            client_ip_attribute=None,
            trust_unsigned_client_ip=False,
            password_codec="utf-8",
            **options,
        )
        self.section = EapSection(
            plain,
            logins=self.logins,
            rejecter=self.rejecter,
            connect=connect,
            prompt="Password: ",
            patience=60,
        )
        self.answers: list[Decision] = []
        self.sent: Packet | None = None

    def send(self, message: bytes, state: bytes | None = None, client: Client = ASA) -> None:
        pairs = [(EAP_MESSAGE, message[at : at + 253]) for at in range(0, len(message), 253)]
        extra = [*pairs, *([(STATE, state)] if state is not None else [])]
        self.sent = login(None, *extra, user=self.outside)
        asked = Asked(client, "10.1.0.1", self.now, True, True, self.log)
        work = self.section.ask(self.sent, CredentialKind.EAP, asked, self.answers.append)
        if work is not None:
            work.close()

    def reply(self) -> tuple[Code, list[Attribute]]:
        assert self.sent is not None
        code, attributes = reply_of(self.answers[-1], self.sent, SECRET)
        return code, list(attributes)

    def message(self) -> tuple[bytes, bytes]:
        code, attributes = self.reply()
        assert code is Code.ACCESS_CHALLENGE
        message = b"".join(value for type, value in attributes if type == EAP_MESSAGE)
        return message, next(value for type, value in attributes if type == STATE)

    def until_typed(self) -> None:
        self.send(Peer.identity())
        self.go_on()

    def go_on(self) -> None:
        """As long as the peer is asked something."""
        asked, answered = len(self.logins.requests), len(self.answers)
        while len(self.logins.requests) == asked and isinstance(self.answers[-1], Challenge):
            message, state = self.message()
            self.send(self.peer.respond(message), state)
            assert len(self.answers) > answered or len(self.logins.requests) > asked
            answered = len(self.answers)


@pytest.mark.parametrize("method", [25, TTLS])
def test_let_in(method: int) -> None:
    wlan = Wlan(Peer(method))
    wlan.until_typed()
    (request,) = wlan.logins.requests
    assert (request.username.canonical, request.password) == ("alice", Secret(b"right"))
    assert request.opaque is False
    assert request.state == b""
    wlan.logins.answer(Accept(Reason.BOTH_FACTORS, "Welcome"))
    wlan.go_on()
    code, attributes = wlan.reply()
    assert code is Code.ACCESS_ACCEPT
    assert {type for type, _ in attributes} == {26, EAP_MESSAGE}
    assert wlan.sent is not None
    hop = Hop(SECRET, wlan.sent.authenticator)
    keys = {value[4]: decrypt_salted(value[6:], hop).reveal() for type, value in attributes if type == 26}
    assert keys[17] + keys[16] == wlan.peer.keys()


def test_a_reject_has_neither_keys_nor_attributes() -> None:
    wlan = Wlan()
    wlan.until_typed()
    wlan.logins.answer(Reject(Reason.FACTOR_DENIED, "Denied."))
    wlan.go_on()
    code, attributes = wlan.reply()
    assert code is Code.ACCESS_REJECT
    assert [type for type, _ in attributes] == [18, EAP_MESSAGE]
    assert attributes[-1].value[0] == 4
    assert len(wlan.section) == 0


def test_an_accepted_peer_that_does_not_agree() -> None:
    wlan = Wlan(Peer(result=b"\x06no"))
    wlan.until_typed()
    wlan.logins.answer(Accept(Reason.BOTH_FACTORS))
    wlan.go_on()
    assert wlan.reply()[0] is Code.ACCESS_REJECT


@pytest.mark.parametrize(("every", "expected"), [(1.0, Code.ACCESS_ACCEPT), (50.0, Code.ACCESS_REJECT)])
def test_what_was_decided_is_not_kept_for_later(every: float, expected: Code) -> None:
    """F3, F7: a peer that sends its agreement octet by octet would carry an open door's Accept into hours of calm."""
    wlan = Wlan()
    wlan.until_typed()
    wlan.logins.answer(Accept(Reason.FAIL_OPEN))
    message, state = wlan.message()
    agreement = wlan.peer.respond(message)
    pieces = [agreement[at : at + 8] for at in range(6, len(agreement), 8)]
    for left, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
        wlan.now += every
        flags = bytes((0x40 if left else 0,))
        data = bytes((25,)) + flags + piece
        wlan.send(bytes((2, message[1])) + (4 + len(data)).to_bytes(2, "big") + data, state)
        if not isinstance(wlan.answers[-1], Challenge):
            break
        message, state = wlan.message()
    assert wlan.reply()[0] is expected
    assert len(wlan.section) == (expected is Code.ACCESS_ACCEPT)


def test_asked_for_a_passcode_inside() -> None:
    """The State of the challenge stays in here; the NAS has its conversation's."""
    wlan = Wlan(Peer(typed=(b"right", b"123456")))
    wlan.until_typed()
    wlan.logins.answer(Challenge(Reason.FACTOR_PROMPT, "Enter passcode: ", b"sealed"))
    wlan.go_on()
    second = wlan.logins.requests[-1]
    assert (second.password, second.state) == (Secret(b"123456"), b"sealed")
    assert wlan.peer.said[-1] == b"\x06Enter passcode: "
    wlan.logins.answer(Accept(Reason.BOTH_FACTORS))
    wlan.go_on()
    assert wlan.reply()[0] is Code.ACCESS_ACCEPT


def test_ttls_can_not_be_asked() -> None:
    wlan = Wlan(Peer(TTLS))
    wlan.until_typed()
    assert wlan.logins.requests[0].can_challenge is False


def test_what_a_radius_primary_sees() -> None:
    """PAP with the name inside; neither EAP nor the conversation's State."""
    wlan = Wlan(relayed=Allowed(everything=True))
    wlan.until_typed()
    carried = wlan.logins.requests[0].carried
    assert isinstance(carried, FromNas)
    assert carried.packet.first(1) == b"alice"
    assert {type for type, _ in towards_primary(carried)}.isdisjoint({STATE, EAP_MESSAGE, 80})


def test_attributes_of_the_primarys_but_its_keys() -> None:
    key = Attribute(26, (311).to_bytes(4, "big") + b"\x10\x04xx")
    kept = [Attribute(25, b"staff"), Attribute(26, (9).to_bytes(4, "big") + b"\x10\x04xx")]
    assert without_keys([*kept, key, Attribute(EAP_MESSAGE, b"x")]) == kept


def test_the_same_packet_again() -> None:
    """R46: under another Identifier it is joined while it waits, and answered the same after."""
    wlan = Wlan()
    wlan.until_typed()
    assert wlan.sent is not None
    again, state = b"".join(wlan.sent.all(EAP_MESSAGE)), wlan.sent.first(STATE)
    answered = len(wlan.answers)
    wlan.send(again, state)
    assert len(wlan.logins.requests) == 1
    assert len(wlan.answers) == answered
    wlan.logins.answer(Accept(Reason.BOTH_FACTORS))
    assert len(wlan.answers) == answered + 2
    wlan.send(again, state)
    assert wlan.answers[-1] is wlan.answers[-2]


def test_a_state_is_nobody_elses() -> None:
    other = Client("other", "other", ASA.networks, SECRET)
    wlan = Wlan()
    wlan.send(Peer.identity())
    message, state = wlan.message()
    response = wlan.peer.respond(message)
    wlan.send(response, state, client=other)
    wlan.send(response, b"made up")
    wlan.send(response, b"")
    assert [reason for _, reason, _ in wlan.rejecter.rejected] == [Reason.BAD_STATE] * 3
    wlan.send(response, state)
    assert isinstance(wlan.answers[-1], Challenge)


def test_another_packet_while_it_is_decided() -> None:
    """It is refused, and the login that waits is left alone."""
    wlan = Wlan()
    wlan.until_typed()
    assert wlan.sent is not None
    state = wlan.sent.first(STATE)
    wlan.send(packet(77, 25, b"\0"), state)
    assert wlan.rejecter.causes == ["out_of_turn"]
    wlan.logins.answer(Accept(Reason.BOTH_FACTORS))
    wlan.go_on()
    assert wlan.reply()[0] is Code.ACCESS_ACCEPT


def test_forgotten_in_time() -> None:
    wlan = Wlan()
    wlan.send(Peer.identity())
    message, state = wlan.message()
    wlan.now += IDLE
    wlan.send(wlan.peer.respond(message), state)
    assert wlan.rejecter.causes == ["unknown"]


def crowded(most: int, peer: Peer | None = None) -> Wlan:
    wlan = Wlan(peer)
    wlan.section.conversations = Conversations(most)
    return wlan


def flood(wlan: Wlan, client: Client = ASA) -> None:
    for _ in range(30):
        wlan.send(Peer.identity(), client=client)
    assert len(wlan.section) == 10


@pytest.mark.parametrize("method", [25, TTLS])
def test_a_flood_of_beginnings_ends_no_login(method: int) -> None:
    """A9: nobody has to know a password for it."""
    wlan = crowded(10, Peer(method))
    wlan.until_typed()
    assert wlan.sent is not None
    flooded = wlan.sent
    flood(wlan)
    wlan.sent = flooded
    wlan.logins.answer(Accept(Reason.BOTH_FACTORS))
    wlan.go_on()
    assert wlan.reply()[0] is Code.ACCESS_ACCEPT


def test_a_flood_ends_no_tunnel() -> None:
    """Whose user is typing."""
    wlan = crowded(10)
    wlan.send(Peer.identity())
    while not wlan.peer.said:
        message, state = wlan.message()
        answer = wlan.peer.respond(message)
        if not wlan.peer.said:
            wlan.send(answer, state)
    flood(wlan)
    wlan.send(answer, state)
    assert isinstance(wlan.answers[-1], Challenge)


def test_a_flood_ends_no_challenge() -> None:
    wlan = crowded(10, Peer(typed=(b"right", b"123456")))
    wlan.until_typed()
    wlan.logins.answer(Challenge(Reason.FACTOR_PROMPT, "Enter passcode: ", b"sealed"))
    message, state = wlan.message()
    flood(wlan)
    wlan.send(wlan.peer.respond(message), state)
    assert wlan.logins.requests[-1].password == Secret(b"123456")


def test_one_clients_flood_is_its_own() -> None:
    wlan = crowded(10)
    wlan.send(Peer.identity())
    message, state = wlan.message()
    flood(wlan, Client("other", "other", ASA.networks, SECRET))
    wlan.send(wlan.peer.respond(message), state)
    assert isinstance(wlan.answers[-1], Challenge)


def test_logins_are_not_ended_for_newcomers() -> None:
    """A1: new work is shed; what is over makes room."""
    wlan = crowded(1)
    wlan.until_typed()
    last = wlan.sent
    wlan.send(Peer.identity())
    assert wlan.answers[-1] == Reject(Reason.OVERLOADED)
    wlan.sent = last
    wlan.logins.answer(Accept(Reason.BOTH_FACTORS))
    wlan.go_on()
    assert wlan.reply()[0] is Code.ACCESS_ACCEPT
    wlan.send(Peer.identity())
    assert isinstance(wlan.answers[-1], Challenge)
    assert len(wlan.section) == 1


@pytest.mark.parametrize(
    ("name", "typed"), [(b"", b"right"), (b"a\0b", b"right"), (b"\xff", b"right"), (b"alice", b"ri\0ght")]
)
def test_names_and_passwords_that_are_none(name: bytes, typed: bytes) -> None:
    wlan = Wlan(Peer(name=name, typed=(typed,)))
    wlan.until_typed()
    assert wlan.logins.requests == []
    assert wlan.reply()[0] is Code.ACCESS_REJECT


@pytest.mark.parametrize("method", [25, TTLS])
@pytest.mark.parametrize("outside", [b"bob", b"root@corp.example", b"alice2", b"\xff"])
def test_nobody_gets_a_session_in_anothers_name(method: int, outside: bytes) -> None:
    """R33: a NAS takes the name that it has sent for the user's."""
    wlan = Wlan(Peer(method))
    wlan.outside = outside
    wlan.until_typed()
    assert wlan.logins.requests == []
    assert wlan.rejecter.causes == ["another_name_inside"]
    assert wlan.reply()[0] is not Code.ACCESS_ACCEPT


@pytest.mark.parametrize("outside", [b"", b"@corp.example", b"Alice", b"alice@corp.example", b"CORP\\alice"])
def test_names_outside_that_are_nobodys_or_the_same(outside: bytes) -> None:
    wlan = Wlan()
    wlan.outside = outside
    wlan.until_typed()
    assert len(wlan.logins.requests) == 1


def test_garbage_is_recorded() -> None:
    wlan = Wlan()
    wlan.send(b"\x02\x01")
    assert wlan.rejecter.causes == ["eap"]
    assert wlan.log.events() == ["radius.eap_failed"]
    assert len(wlan.section) == 0


def test_no_conversation_begins_while_the_section_is_silent() -> None:
    """It couldn't move to another server later."""
    out = [True]
    wlan = Wlan(stays_silent=lambda: out[0])
    wlan.send(Peer.identity())
    assert wlan.answers == [Silence(Reason.FAIL_CLOSED)]
    assert len(wlan.section) == 0
    out[0] = False
    wlan.send(Peer.identity())
    assert isinstance(wlan.answers[-1], Challenge)


def test_silence_inside_is_silence_outside() -> None:
    wlan = Wlan()
    wlan.until_typed()
    wlan.logins.answer(Silence(Reason.FAIL_CLOSED))
    assert wlan.answers[-1] == Silence(Reason.FAIL_CLOSED)
    said = len(wlan.answers)
    assert wlan.sent is not None
    message = b"".join(wlan.sent.all(EAP_MESSAGE))
    wlan.send(message, wlan.sent.first(STATE))
    assert wlan.answers[said:] == [Silence(Reason.FAIL_CLOSED)]
    assert len(wlan.logins.requests) == 1
