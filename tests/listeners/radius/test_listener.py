"""One port, from datagram to datagram."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from authproxy.listeners.radius.duplicates import QUIET
from authproxy.listeners.radius.section import MOST_STRANGE, RadiusSection
from authproxy.listeners.radius.udp import Route, Source
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject, Silence
from authproxy.pipeline.workload import Workload
from authproxy.protocols.radius.packet import STATE, Code, Malformed, MalformedPacket, Packet, decode
from authproxy.protocols.radius.request import status_server
from authproxy.secret import Secret

from .world import ASA, LIMITS, NAS, ROUTE, SECRET, Latches, World, client, code, login

ACCEPT = Accept(Reason.BOTH_FACTORS, "Welcome")
DENIED = Reject(Reason.FACTOR_DENIED)
EAP = (79, b"\x02\x01\x00\x0a\x01alice")
PROXY_STATE = (33, b"relay")
CHAP = (3, bytes(17))
STRANGER = Source("192.0.2.1", 40000)


# ---- the usual


@pytest.mark.parametrize(
    ("decision", "answer"),
    [(ACCEPT, 2), (DENIED, 3), (Challenge(Reason.FACTOR_PROMPT, "Passcode?", b"state"), 11)],
)
@pytest.mark.parametrize("signed", [True, False])
def test_a_login(decision: Decision, answer: int, signed: bool) -> None:
    """R18: signed first thing, also for a NAS that sends none; R34 is in the codec's tests."""
    world = World()
    request = login(signed=signed)
    assert world.ask(request) == []
    assert world.listener.pending == 1
    world.clock.advance(2)
    world.logins.answer(decision)
    [(reply, route)] = world.sent
    assert route is ROUTE
    assert code(reply, request) == answer
    assert world.listener.pending == 0


def test_a_client_that_can_take_no_signature() -> None:
    world = World(clients=[client(omit_message_authenticator=True)])
    request = login()
    world.ask(request)
    world.logins.answer(ACCEPT)
    [(reply, _)] = world.sent
    assert decode(reply).first(80) is None


# ---- R1, R2, R4, R9, R10: what is not even looked at


@pytest.mark.parametrize("number", [number for number in range(256) if number not in (1, 12)])
def test_codes_that_are_not_for_this_port(number: int) -> None:
    """R4, R52: responses, accounting, changes of authorization, the unknown."""
    world = World()
    assert world.ask(login(code=number)) == []
    assert world.discards.causes == {"code": 1}
    assert world.logins.requests == []


@pytest.mark.parametrize(
    "datagram", [b"", bytes(19), b"\x01\x02\x00\x13" + bytes(16), login().octets, b"\xff" * 4096]
)
def test_strangers_are_not_parsed(datagram: bytes) -> None:
    """R9, R10: the source address first, and only that; whatever NAS-IP-Address says."""
    world = World()
    assert world.receive(datagram, STRANGER) == []
    assert world.discards.causes == {"unknown_client": 1}


def test_a_nas_ip_address_chooses_no_secret() -> None:
    other = replace(
        ASA, name="other", key="other", networks=(ip_network("10.2.0.1/32"),), secret=Secret(b"B's secret")
    )
    world = World(clients=[ASA, other])
    request = login(b"right", (4, bytes((10, 2, 0, 1))), (32, b"other"), secret=Secret(b"B's secret"))
    world.ask(request)
    assert world.discards.causes == {"message_authenticator": 1}
    assert world.ask(login(), Source("10.2.0.1", 1)) == []
    assert world.logins.requests == []


@pytest.mark.parametrize(
    ("datagram", "cause"),
    [
        (b"", "length"),
        (login().octets[:-1], "length"),
        (login(b"right", (25, b"x")).octets[:-3] + b"\x19\x09x", "attribute"),
        (login(signed=False).octets[:2] + b"\x00\x16" + bytes(16) + b"\x01\x01", "attribute"),
    ],
)
def test_malformed_ones_are_counted_by_what_is_wrong(datagram: bytes, cause: str) -> None:
    world = World()
    assert world.receive(datagram) == []
    assert world.discards.causes == {cause: 1}
    assert world.log.fields("radius.discarded")[0]["cause"] == cause


def test_padding_is_no_part_of_a_request() -> None:
    """R1: ten octets more on the wire, and the same datagram without them is the same request."""
    world = World()
    request = login()
    assert world.receive(request.octets + b"0123456789") == []
    assert len(world.logins.requests) == 1
    world.ask(request)
    assert world.discards.causes == {"duplicate": 1}


def test_port_0_can_be_written_on_a_datagram_but_not_answered() -> None:
    world = World()
    world.ask(login(), Source("10.1.0.1", 0))
    assert world.discards.causes == {"source_port": 1}


# ---- R16, R17


@pytest.mark.parametrize("require", ["yes", "auto", "no"])
def test_a_wrong_message_authenticator_touches_nothing(require: str) -> None:
    world = World(clients=[client(require)])
    request = login()
    forged = bytearray(request.octets)
    forged[22] ^= 1
    assert world.receive(bytes(forged)) == []
    assert world.discards.causes == {"message_authenticator": 1}
    assert world.logins.requests == []
    assert not world.latches
    world.ask(request)
    assert len(world.logins.requests) == 1, "it isn't taken for a repetition"


def test_a_forgery_ends_nothing_that_waits() -> None:
    """R45: only what is signed may take an identifier over."""
    world = World(clients=[client("no")])
    first = login()
    world.ask(first)
    forged = bytearray(login().octets)
    forged[30] ^= 1
    world.receive(bytes(forged))
    world.ask(login(signed=False))
    world.logins.answer(ACCEPT, 0)
    assert [code(reply, first) for reply, _ in world.sent] == [2]


@pytest.mark.parametrize("order", [0, 1])
def test_two_message_authenticators(order: int) -> None:
    world = World()
    octets = login().octets
    garbage = b"\x50\x12" + bytes(16)
    body = octets[20:] + garbage if order else garbage + octets[20:]
    world.receive(octets[:2] + (20 + len(body)).to_bytes(2, "big") + octets[4:20] + body)
    assert world.discards.causes == {"message_authenticator_malformed": 1}


# ---- R19, R21: the truth table

# mode, latched already, signed, kind, Proxy-State -> what happens
TABLE = [
    (mode, latched, signed, kind, relayed)
    for mode, latched in [("yes", False), ("auto", False), ("auto", True), ("no", False), ("no", True)]
    for signed, kind, relayed in itertools.product([True, False], ["pap", "eap", "none"], [True, False])
]


@pytest.mark.parametrize(("mode", "latched", "signed", "kind", "relayed"), TABLE)
def test_who_has_to_sign(mode: str, latched: bool, signed: bool, kind: str, relayed: bool) -> None:
    world = World(clients=[client(mode)], latches=Latches({"asa"} if latched else ()))
    extra = [*([EAP] if kind == "eap" else []), *([PROXY_STATE] if relayed else [])]
    world.ask(login(b"right" if kind == "pap" else None, *extra, signed=signed))
    if signed:
        expected = {}
    elif kind != "pap" or mode == "yes" or (mode == "auto" and latched):
        expected = {"message_authenticator_missing": 1}
    elif relayed:
        expected = {"proxy_state_unsigned": 1}
    else:
        expected = {}
    assert world.discards.causes == expected
    assert len(world.logins.requests) == (1 if kind == "pap" and not expected else 0)
    assert len(world.rejecter.rejected) == (1 if kind != "pap" and not expected else 0)
    assert ("asa" in world.latches) is (latched or (mode == "auto" and signed and kind != "eap"))


def test_the_latch_outlives_a_restart() -> None:
    before = World()
    before.ask(login())
    assert before.log.events() == ["radius.message_authenticator_latched"]
    after = World(latches=before.latches)
    after.ask(login(signed=False))
    assert after.discards.causes == {"message_authenticator_missing": 1}
    after.ask(login())
    assert after.log.events() == ["radius.discarded"], "it is latched once"


def test_status_server_latches_nothing() -> None:
    """RFC 5997 demands a signature there, of clients that sign nothing else."""
    world = World()
    world.ask(status_server(identifier=1, authenticator=bytes(16), secret=SECRET))
    assert not world.latches


def test_a_latch_that_the_disk_does_not_take_still_holds() -> None:
    world = World()
    world.latches.full = True
    world.ask(login())
    assert len(world.logins.requests) == 1, "and locks nobody out"
    assert world.log.events() == ["radius.latch_not_kept"]
    world.ask(login(signed=False))
    assert world.discards.causes == {"message_authenticator_missing": 1}


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(
    "pair",
    list(itertools.combinations([(2, bytes(16)), (3, bytes(17)), (70, bytes(16)), EAP], 2)),
)
def test_two_credentials_in_one_request(pair: tuple[tuple[int, bytes], ...], signed: bool) -> None:
    """R21."""
    world = World(clients=[client("no")])
    world.ask(login(None, *pair, signed=signed))
    assert world.discards.causes == {"mixed_credentials": 1}


@pytest.mark.parametrize("size", [0, 15, 17, 144])
def test_user_passwords_of_no_possible_length(size: int) -> None:
    """R26."""
    world = World()
    world.ask(login(None, (2, bytes(size))))
    assert world.discards.causes == {"user_password": 1}


# ---- R14


def test_a_wrong_secret_never_reaches_the_logins() -> None:
    """100 requests of a NAS with a typo in its secret; nobody is locked out of the directory."""
    world = World(limits=replace(LIMITS, pending=1000, pending_per_client=1000))
    for number in range(100):
        # The same hundred every day: one in a million looks like a password.
        drawn = bytes((number,)) * 16
        world.ask(login(b"right password", signed=False, secret=Secret(b"a typo"), authenticator=drawn))
    assert world.logins.requests == []
    assert world.rejecter.causes == ["wrong_secret"] * MOST_STRANGE
    assert world.discards.causes == {"wrong_secret": 100 - MOST_STRANGE}
    assert world.log.events() == ["radius.secret_suspected", "radius.discarded"]
    assert "secret" in str(world.log.fields("radius.secret_suspected")[0]["todo"])


@pytest.mark.parametrize(
    "strange",
    [
        lambda drawn: login(b"x", signed=False, secret=Secret(b"a guess"), authenticator=drawn),
        lambda drawn: login(b"x", user=b"\xff", signed=False, authenticator=drawn),
        lambda drawn: login(None, CHAP, signed=False, authenticator=drawn),
    ],
)
def test_what_anybody_may_have_sent_fills_no_audit(strange: Callable[[bytes], Packet]) -> None:
    """A14: events of logins would be gone from its files in seconds. What is signed is recorded each time."""
    world = World()

    def send(number: int) -> None:
        world.ask(strange(number.to_bytes(16, "big")), Source("10.1.0.1", 1 + number))

    for number in range(200):
        send(number)
    assert len(world.rejecter.rejected) == MOST_STRANGE
    assert world.listener.pending == MOST_STRANGE
    assert len(world.patiences) == 0
    assert world.discards.causes.total() == 200 - MOST_STRANGE
    world.clock.advance(60)
    assert len(world.sent) == MOST_STRANGE
    send(200)
    for number in range(30):
        world.ask(login(user=b"\xff", identifier=number))
    assert len(world.rejecter.rejected) == MOST_STRANGE + 31


def test_a_wrong_secret_with_a_signature_is_said_so() -> None:
    world = World()
    world.ask(login(secret=Secret(b"a typo")))
    [fields] = world.log.fields("radius.discarded")
    assert "secret of client asa" in str(fields["problem"])


# ---- R45, R49: repetitions


def test_one_datagram_again_and_again() -> None:
    """Every 5 s during a push of 40 s: one login, one reply; then the same octets for 30 s; then it is new."""
    world = World()
    request = login()
    world.ask(request)
    for _ in range(8):
        assert world.wait(5) == []
        assert world.ask(request) == []
    world.logins.answer(ACCEPT)
    [(reply, _)] = world.sent
    world.clock.advance(29)
    other_way = Route(("10.1.0.1", 40000), ((0, 8, b"x"),))
    world.listener.take(request.octets, NAS, other_way)
    assert world.sent[-1] == (reply, other_way)
    assert len(world.logins.requests) == 1
    assert world.discards.causes == {"duplicate": 8}
    world.clock.advance(2)
    world.ask(request)
    assert len(world.logins.requests) == 2


def test_another_port_or_identifier_is_another_request() -> None:
    world = World()
    request = login(authenticator=bytes(16))
    world.ask(request)
    world.ask(request, Source("10.1.0.1", 40001))
    world.ask(login(authenticator=bytes(16), identifier=8))
    assert len(world.logins.requests) == 3


@pytest.mark.parametrize("changed", [{"user": b"mallory"}, {"password": b"another"}, {"signed": False}])
def test_a_nas_that_repeats_its_authenticators(changed: dict[str, Any]) -> None:
    """Nobody gets the answer to another's login, though it would be signed right."""
    world = World(clients=[client("no")])
    world.ask(login(authenticator=bytes(16)))
    world.logins.answer(ACCEPT)
    other = login(**({"password": b"right", "authenticator": bytes(16)} | changed))
    replies = world.ask(other)
    if changed == {"signed": False}:
        assert len(replies) == 1, "the same login, so a repetition"
    else:
        assert replies == []
        assert len(world.logins.requests) == 2


def test_a_later_request_takes_the_identifier_over() -> None:
    """R49: the user approves after the NAS has given up; nobody is let in, and it is said."""
    world = World()
    first, second = login(), login()
    world.ask(first)
    world.ask(second)
    world.logins.answer(ACCEPT, 0)
    assert world.sent == []
    assert world.log.fields("radius.answered_late") == [{"client": "asa", "reason": "both_factors"}]
    world.logins.answer(ACCEPT, 1)
    assert [code(reply, second) for reply, _ in world.sent] == [2]
    assert world.listener.pending == 0


def test_a_reject_that_waits_can_be_late_too() -> None:
    world = World()
    world.ask(login())
    world.logins.answer(DENIED)
    world.ask(login())
    assert world.wait(5) == []
    assert world.log.events()[-1] == "radius.answered_late"


# ---- R48


@pytest.mark.parametrize("after", [0.0, 0.2, 0.999])
@pytest.mark.parametrize(
    "decision",
    [
        Reject(reason)
        for reason in (Reason.PRIMARY_REJECTED, Reason.CLOUD_DENY, Reason.MALFORMED, Reason.FAIL_CLOSED)
    ],
)
def test_every_reject_comes_after_the_same_second(decision: Reject, after: float) -> None:
    world = World()
    request = login()
    world.ask(request)
    world.clock.advance(after)
    world.logins.answer(decision)
    assert world.wait(0.999 - after) == []
    assert world.ask(request) == [], "and a repetition has to wait as well"
    [reply] = world.wait(0.002)
    assert code(reply, request) == 3


def test_a_reject_after_longer_work_waits_no_more() -> None:
    world = World()
    request = login()
    world.ask(request)
    world.clock.advance(20)
    world.logins.answer(DENIED)
    assert len(world.sent) == 1


@pytest.mark.parametrize("answer", [ACCEPT, Challenge(Reason.FACTOR_PROMPT, "?", b"s")])
def test_only_rejects_wait(answer: Decision) -> None:
    world = World()
    world.ask(login())
    world.logins.answer(answer)
    assert len(world.sent) == 1


def test_what_the_section_refuses_waits_like_the_rest() -> None:
    world = World()
    request = login(user=b"")
    assert world.ask(request) == []
    assert world.wait(0.99) == []
    [reply] = world.wait(0.02)
    assert code(reply, request) == 3


# ---- R50: Status-Server


def test_status_server() -> None:
    world = World()
    request = login(None, PROXY_STATE, user=None, code=12)
    [reply] = world.ask(request)
    assert code(reply, request) == 2
    assert decode(reply).all(33) == [b"relay"]
    assert (world.logins.requests, world.log.lines, world.listener.pending) == ([], [], 0)


@pytest.mark.parametrize(
    ("request_", "cause"),
    [
        (login(None, user=None, code=12, signed=False), "message_authenticator"),
        (login(None, user=None, code=12, secret=Secret(b"another")), "message_authenticator"),
    ],
)
def test_status_server_without_a_right_signature(request_: Any, cause: str) -> None:
    world = World(clients=[client("no")])
    assert world.ask(request_) == []
    assert world.discards.causes == {cause: 1}


def test_status_server_is_not_answered_without_end() -> None:
    world = World(limits=replace(LIMITS, status_per_second=10))
    request = status_server(identifier=1, authenticator=bytes(16), secret=SECRET)
    answered = sum(len(world.ask(request)) for _ in range(1000))
    assert answered == 10
    assert world.discards.causes == {"status_server_rate": 990}
    assert len(world.log.lines) == 1
    world.clock.advance(1)
    assert len(world.ask(request)) == 1


# ---- A1, A12


def test_what_is_too_much_is_dropped_silently() -> None:
    world = World(limits=replace(LIMITS, pending_per_client=2))
    for number in range(3):
        world.ask(login(identifier=number))
    assert world.listener.pending == 2
    assert world.discards.causes == {"overloaded": 1}
    world.logins.answer(ACCEPT, 0)
    world.ask(login(identifier=9))
    assert world.listener.pending == 2


def test_answers_to_challenges_are_shed_last() -> None:
    """A1: they are taken while new logins are not, up to a bound of their own; a State that is none is new work."""
    workload = Workload(most=1)
    world = World(
        workload=workload,
        limits=replace(LIMITS, pending_per_client=2),
        awaits=lambda state: state == b"open",
    )

    def answers(number: int, state: bytes) -> None:
        world.ask(login(b"123456", (STATE, state), identifier=number))

    for number in range(2):
        world.ask(login(identifier=number))
    answers(2, b"open")
    assert world.listener.pending == 3
    answers(3, b"forged")
    assert world.discards.causes == {"overloaded": 1}
    answers(4, b"open")
    answers(5, b"open")
    assert (world.listener.pending, world.discards.causes) == (4, {"overloaded": 2})
    for number in range(4):
        world.logins.answer(ACCEPT, number)
    for _ in range(2):
        workload.begin()
    answers(6, b"open")
    assert world.discards.causes == {"overloaded": 3}


def test_new_logins_are_shed_while_too_many_are_worked_on() -> None:
    """Silently: the NAS asks again. What is in progress, and what was answered, is not touched."""
    workload = Workload(most=1)
    world = World(workload=workload)
    first, second = login(identifier=1), login(identifier=2)
    world.ask(first)
    workload.begin()
    assert world.ask(second) == []
    world.ask(first)
    assert world.discards.causes == {"overloaded": 1, "duplicate": 1}
    world.logins.answer(ACCEPT, 0)
    assert len(world.ask(first)) == 1
    workload.wait()
    world.ask(second)
    assert len(world.logins.requests) == 2


def test_one_client_leaves_room_for_others() -> None:
    other = replace(ASA, name="other", key="other", networks=(ip_network("10.2.0.0/24"),))
    world = World(clients=[ASA, other], limits=replace(LIMITS, pending=3, pending_per_client=2))
    for number in range(3):
        world.ask(login(identifier=number))
    assert world.discards.causes == {"overloaded": 1}
    for number in range(3):
        world.ask(login(identifier=number), Source("10.2.0.1", 1))
    assert world.discards.causes == {"overloaded": 3}
    assert world.listener.pending == 3


def guess(world: World, number: int) -> None:
    """A wrong password, refused at once."""
    before = len(world.logins.requests)
    world.ask(login(b"a guess"), Source("10.1.0.1", 1 + number))
    if len(world.logins.requests) > before:
        world.logins.answer(DENIED)


def test_a_flood_of_guesses_leaves_nothing_behind() -> None:
    """What can be kept is bounded, and goes when its time is over."""
    world = World()
    for number in range(500):
        guess(world, number)
    assert world.listener.pending == 100
    world.clock.advance(1)
    assert world.listener.pending == 0
    assert len(world.sent) == 100
    assert world.discards.causes == {"overloaded": 400}
    world.clock.advance(31)
    world.ask(login())
    assert len(world.listener._duplicates) == 1


def test_rejects_that_wait_take_nobodys_place() -> None:
    """A1: who knows no password could shut a client out with a thousand guesses a second."""
    other = replace(ASA, name="other", key="other", networks=(ip_network("10.2.0.0/24"),))
    world = World(clients=[ASA, other], limits=replace(LIMITS, pending=1000, pending_per_client=3))
    for number in range(500):
        guess(world, number)
    assert world.listener.pending == 24
    right, another = login(), login(user=b"bob")
    world.ask(right)
    world.ask(another, Source("10.2.0.1", 1))
    world.logins.answer(ACCEPT, -2)
    world.logins.answer(DENIED, -1)
    assert [code(octets, request) for (octets, _), request in zip(world.sent, [right], strict=True)] == [2]
    world.clock.advance(1)
    assert world.listener.pending == 0
    assert code(world.sent[-1][0], another) == 3


def test_draining() -> None:
    """A12: what waits is answered; nothing new is taken; Status-Server says nothing, so that the NAS moves on."""
    world = World()
    waiting, denied = login(identifier=1), login(identifier=2)
    world.ask(waiting)
    world.ask(denied)
    drained: list[object] = []
    world.listener.drain().addCallback(drained.append)
    assert world.ask(login(identifier=3)) == []
    assert world.ask(status_server(identifier=1, authenticator=bytes(16), secret=SECRET)) == []
    assert world.ask(waiting) == []
    world.logins.answer(DENIED, 1)
    world.logins.answer(ACCEPT, 0)
    assert drained == []
    assert len(world.ask(waiting)) == 1, "a repetition of what is answered is answered"
    world.clock.advance(1)
    assert drained == [None]
    assert [octets[0] for octets, _ in world.sent] == [2, 2, 3]
    assert world.log.lines == [("info", "radius.message_authenticator_latched", {"client": "asa"})]


def test_draining_when_nothing_waits() -> None:
    drained: list[object] = []
    World().listener.drain().addCallback(drained.append)
    assert drained == [None]


def test_another_configuration() -> None:
    """A13: what waits ends as it began; a client that is gone is a stranger from now on."""
    world = World()
    request = login()
    world.ask(request)
    other = replace(ASA, networks=(ip_network("10.2.0.0/24"),))
    world.listener.serve(world.table([other]), replace(LIMITS, reply_cache=5))
    world.ask(login())
    assert world.discards.causes == {"unknown_client": 1}
    world.logins.answer(ACCEPT)
    assert [code(reply, request) for reply, _ in world.sent] == [2]


# ---- A19: our bugs


def test_a_section_that_raises_rejects() -> None:
    world = World()
    world.logins.raises = KeyError("oops")
    request = login()
    world.ask(request)
    [reply] = world.wait(1)
    assert code(reply, request) == 3
    assert world.listener.pending == 0
    assert world.discards.causes == {"internal": 1}
    assert "radius.login_failed" in world.log.events()


def test_work_that_raises_rejects() -> None:
    world = World()
    world.logins.work_raises = KeyError("oops")
    request = login()
    world.ask(request)
    [reply] = world.wait(1)
    assert code(reply, request) == 3
    assert world.listener.pending == 0


def test_an_answer_given_twice_counts_once() -> None:
    world = World()
    world.ask(login())
    world.logins.answer(DENIED)
    world.logins.answer(ACCEPT)
    world.clock.advance(5)
    assert [octets[0] for octets, _ in world.sent] == [3]
    assert world.listener.pending == 0


class Picky(RadiusSection):
    def ask(self, *_: Any) -> Coroutine[Any, Any, None] | None:
        raise MalformedPacket(Malformed.ATTRIBUTE, "as the section says")


def test_a_packet_that_the_section_finds_malformed_leaves_nothing_behind() -> None:
    world = World(section=Picky)
    request = login()
    for _ in range(200):
        assert world.ask(request) == []
    assert world.discards.causes == {"attribute": 200}, "and never a duplicate"
    assert world.listener.pending == 0
    assert len(world.listener._duplicates) == 0
    assert world.wait(5) == []


def test_a_socket_that_fails_leaves_nobody_waiting() -> None:
    world = World()

    def fails(octets: bytes, route: Route) -> None:
        raise OSError(22, "Invalid argument")

    world.listener.send = fails
    world.ask(login())
    world.logins.answer(ACCEPT)
    assert world.listener.pending == 0
    assert "radius.answer_failed" in world.log.events()


def test_an_answer_that_can_not_be_written_leaves_nothing_behind() -> None:
    world = World()
    request = login()
    world.ask(request)
    world.logins.answer(replace(ACCEPT, message=object()))  # type: ignore[arg-type]
    assert world.sent == []
    assert world.listener.pending == 0
    world.ask(request)
    assert len(world.logins.requests) == 2, "the NAS's next try is a new one"


def test_a_bug_before_the_section_costs_one_datagram() -> None:
    world = World()
    world.listener._served = None  # type: ignore[assignment]
    for _ in range(100):
        assert world.ask(login()) == []
    assert world.discards.causes == {"internal": 100}
    assert world.log.events() == ["radius.failed"], "said once, not a hundred times"


# ---- R6


@pytest.mark.parametrize("decision", [ACCEPT, Challenge(Reason.FACTOR_PROMPT, "x" * 3000, b"s")])
def test_a_reply_that_is_too_long_is_a_short_reject(decision: Decision) -> None:
    world = World()
    request = login(b"right", *[(33, bytes(253))] * 14)
    world.ask(request)
    world.clock.advance(2)
    world.logins.answer(replace(decision, message="x" * 3000))
    [(reply, _)] = world.sent
    assert code(reply, request) == 3
    assert len(decode(reply).all(33)) == 14
    assert decode(reply).all(18) == []
    assert "radius.reply_too_long" in world.log.events()


# ---- R13


def test_a_flood_is_a_few_lines() -> None:
    world = World()
    datagram = login().octets
    for _ in range(100_000):
        world.listener.take(datagram, STRANGER, ROUTE)
    world.clock.advance(61)
    assert world.discards.causes == {"unknown_client": 100_000}
    assert [(event, fields.get("count")) for _, event, fields in world.log.lines] == [
        ("radius.discarded", None),
        ("radius.repeated", 99_999),
    ]


def test_no_line_holds_a_secret() -> None:
    world = World(clients=[client("no")])
    for request in (login(), login(secret=Secret(b"a typo")), login(b"nul\0inside"), login(signed=False)):
        world.ask(request)
    world.ask(login(b"x" * 20, signed=False, secret=Secret(b"a typo")))
    text = repr(world.log.lines) + repr(world.logins.requests) + repr(world.rejecter.rejected)
    for secret in ("s3cr3t", "right", "a typo", "nul"):
        assert secret not in text.replace("nul_in_password", "")


# ---- failmode: silent

SILENCE = Silence(Reason.FAIL_CLOSED)


def test_silence_is_no_datagram_and_a_count() -> None:
    world = World()
    request = login()
    world.ask(request)
    world.logins.answer(SILENCE)
    assert world.sent == []
    assert world.discards.causes == {"silent": 1}
    assert world.listener.pending == 0
    assert world.wait(LIMITS.reject_delay * 3) == []


def test_a_repetition_is_silent_too_and_later_a_new_login() -> None:
    """The reply cache has nothing; whoever still asks when the outage is over logs in."""
    world = World()
    request = login()
    world.ask(request)
    world.logins.answer(SILENCE)
    world.wait(QUIET - 0.1)
    assert world.ask(request) == []
    assert len(world.logins.requests) == 1
    assert world.discards.causes == {"silent": 2}
    world.wait(0.2)
    world.ask(request)
    assert len(world.logins.requests) == 2
    world.logins.answer(Accept(Reason.BOTH_FACTORS))
    assert [code(octets, request) for octets, _ in world.sent] == [Code.ACCESS_ACCEPT]
    assert world.listener.pending == 0


def test_silence_says_nothing_of_the_secret() -> None:
    """In a section without a primary no password has shown it right."""
    world = World(clients=[client("auto")])
    world.ask(login(signed=False))
    world.logins.answer(SILENCE)
    noise = login(b"\xe9\xe8" * 8, signed=False)
    world.ask(noise)
    assert world.rejecter.causes == ["wrong_secret"]


def test_status_server_is_silent_while_the_section_is() -> None:
    """RFC 5997: an answer would call the NAS back to a server that answers no login."""
    out = [True]
    world = World(stays_silent=lambda: out[0])
    request = status_server(identifier=1, authenticator=bytes(16), secret=SECRET)
    assert world.ask(request) == []
    assert world.discards.causes == {"silent": 1}
    out[0] = False
    assert len(world.ask(request)) == 1
