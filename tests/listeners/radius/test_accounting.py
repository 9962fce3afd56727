"""Accounting-Requests at the listener: whose are believed, handed on once, answered behind the server (R23, R51)."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from authproxy.listeners.radius.clients import PrefixTable
from authproxy.listeners.radius.listener import ACCOUNTING, LOGINS, Served
from authproxy.protocols.radius.accounting import accounting_request
from authproxy.protocols.radius.packet import Attribute, Code, Packet
from authproxy.protocols.radius.request import read_reply
from authproxy.secret import Secret
from tests.listeners.radius.radsec_world import RadSecWorld
from tests.listeners.radius.world import ASA, LIMITS, SECRET, World, login

START = Attribute(40, bytes((0, 0, 0, 1)))
NAS_STATE = Attribute(33, b"the NAS's")


class Server:
    """Holds each request until it is told the response."""

    def __init__(self) -> None:
        self.asked: list[Packet] = []
        self.waiting: list[Deferred[Packet | None]] = []

    async def forward(self, packet: Packet) -> Packet | None:
        self.asked.append(packet)
        self.waiting.append(Deferred())
        return await self.waiting[-1]

    def answer(self, *attributes: Attribute, which: int = -1) -> None:
        self.waiting[which].callback(Packet.of(Code.ACCOUNTING_RESPONSE, 1, bytes(16), attributes, b""))


class Desk(World):
    def __init__(self, codes: frozenset[int] = ACCOUNTING) -> None:
        super().__init__()
        self.server = Server()
        served = Served(ASA, self.section, self.server)
        table = PrefixTable((network, served) for network in ASA.networks)
        self.listener.serve(table, LIMITS, codes)


def account(
    *attributes: Attribute, identifier: int = 1, secret: Secret = SECRET, signed: bool = False
) -> Packet:
    return accounting_request(
        attributes or (START,), identifier=identifier, secret=secret, message_authenticator=signed
    )


@pytest.mark.parametrize("signed", [False, True])
def test_handed_on(signed: bool) -> None:
    desk = Desk()
    request = account(START, NAS_STATE, signed=signed)
    assert desk.ask(request) == []
    assert desk.server.asked == [request]
    desk.server.answer(Attribute(33, b"ours"), Attribute(26, b"abcdef"))
    ((octets, _),) = desk.sent
    reply = read_reply(octets, request, SECRET)
    assert list(reply.attributes) == [Attribute(26, b"abcdef"), NAS_STATE]


def test_the_same_again() -> None:
    """Handed on once; silence while it is on its way, then the same octets."""
    desk = Desk()
    request = account()
    desk.ask(request)
    assert desk.ask(request) == []
    assert len(desk.server.asked) == 1
    desk.server.answer()
    assert desk.ask(request) == [desk.sent[0][0]]
    assert len(desk.server.asked) == 1


def test_nobody_answers() -> None:
    """RFC 2866 §2.3: then there is no answer here either, and the NAS's next try is handed on anew."""
    desk = Desk()
    request = account()
    desk.ask(request)
    desk.server.waiting[0].callback(None)
    assert desk.sent == []
    assert desk.discards.causes == {"accounting_unanswered": 1}
    assert desk.listener.pending == 0
    desk.ask(request)
    assert len(desk.server.asked) == 2


# ---- forgeries


def test_another_secret() -> None:
    desk = Desk()
    desk.ask(account(secret=Secret(b"another secret here")))
    assert desk.server.asked == []
    assert desk.discards.causes == {"accounting_authenticator": 1}


def test_a_wrong_message_authenticator() -> None:
    """R23: the Request Authenticator is right over it, and it is wrong all the same."""
    desk = Desk()
    right = account(signed=True)
    forged = accounting_request([START, Attribute(81, bytes(16))], identifier=1, secret=SECRET)
    octets = bytearray(forged.octets)
    octets[octets.index(81, 20)] = 80
    unsigned = bytes(octets[:4]) + bytes(16) + bytes(octets[20:])
    from authproxy.protocols.radius.keyed import md5

    desk.receive(bytes(octets[:4]) + md5(unsigned + SECRET.reveal()).digest() + bytes(octets[20:]))
    assert desk.discards.causes == {"message_authenticator": 1}
    assert desk.server.asked == []
    desk.ask(right)
    assert desk.server.asked == [right]


@pytest.mark.parametrize(
    ("codes", "request_", "expected"),
    [
        (LOGINS, account(), {"code": 1}),
        (ACCOUNTING, login(), {"code": 1}),
    ],
)
def test_each_at_its_port(codes: frozenset[int], request_: Packet, expected: dict[str, int]) -> None:
    desk = Desk(codes)
    desk.ask(request_)
    assert desk.discards.causes == expected
    assert desk.server.asked == []
    assert desk.logins.requests == []


def test_status_server_at_an_accounting_port() -> None:
    """RFC 5997 §3"""
    desk = Desk()
    request = login(None, user=None, code=Code.STATUS_SERVER)
    (octets,) = desk.ask(request)
    assert read_reply(octets, request, SECRET).code == Code.ACCOUNTING_RESPONSE


def test_draining_and_full() -> None:
    desk = Desk()
    for identifier in range(60):
        desk.ask(account(identifier=identifier))
    assert len(desk.server.asked) == LIMITS.pending_per_client
    assert desk.discards.causes == {"overloaded": 10}
    gone: list[None] = []
    desk.listener.drain().addCallback(gone.append)
    desk.ask(account(identifier=200))
    assert desk.discards.causes["draining"] == 1
    for which in range(len(desk.server.waiting)):
        desk.server.answer(which=which)
    assert gone == [None]


def test_a_bug_costs_one_packet() -> None:
    desk = Desk()
    desk.ask(account())
    desk.server.waiting[0].errback(RuntimeError("a bug"))
    assert desk.discards.causes == {"internal": 1}
    assert desk.listener.pending == 0


def test_over_tls(tmp_path: Path) -> None:
    """On the connection of the logins; where it isn't handed on it is counted, and the connection stays."""
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    secret = Secret(b"radsec")
    assert wire.send(account(secret=secret).octets) == []
    assert world.discards.causes == {"accounting_not_forwarded": 1}
    world.accounting = server = Server()
    world.port.serve(world.plan())
    request = account(START, identifier=2, secret=secret)
    wire.send(request.octets)
    server.answer()
    (octets,) = wire.read()
    assert read_reply(octets, request, secret, require_message_authenticator=False).code == 5
    wire.send(account(identifier=3).octets)
    assert wire.closed
    assert world.discards.causes["accounting_authenticator"] == 1
