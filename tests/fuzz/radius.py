"""RADIUS: any datagram through the codec and through a listener with a clock of its own."""

from __future__ import annotations

import hmac
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from authproxy.listeners.radius.udp import Route, Source
from authproxy.pipeline.decision import Accept, Reason
from authproxy.pipeline.logins import Answer
from authproxy.pipeline.request import AuthRequest
from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import Attribute, MalformedPacket, Packet, decode, encode_attributes
from authproxy.protocols.radius.password import CredentialKind, credential_kind, decrypt_password
from authproxy.protocols.radius.reply import ReplyTooLong, encode_reply
from authproxy.protocols.radius.request import (
    UnacceptableReply,
    pap_request,
    read_reply,
    status_server,
)
from authproxy.protocols.radius.salted import Crossing, Hop, Salts, UnreadableValue, encrypt_salted
from authproxy.protocols.radius.vendor import first
from authproxy.secret import Secret
from tests.fuzz.corpus import seeds as corpus
from tests.fuzz.mutate import CHANGES, mutated
from tests.fuzz.report import Report, drive
from tests.listeners.radius.world import LIMITS, NAS, SECRET, World, client, login

AUTHENTICATOR = bytes(range(16))
ASKED = pap_request(
    b"alice",
    Secret(b"right"),
    identifier=7,
    authenticator=AUTHENTICATOR,
    secret=SECRET,
    attributes=[Attribute(33, b"one"), Attribute(33, b"two")],
)
_HERE, _THERE = Hop(SECRET, AUTHENTICATOR), Hop(Secret(b"the primary's"), bytes(16))
_TIMES = 64  # datagrams to one second of the fake clock


class Welcoming:
    """Lets everybody in who gets this far: what never may is then plain to see."""

    def __init__(self) -> None:
        self.requests: list[AuthRequest] = []

    def submit(self, request: AuthRequest, answer: Answer) -> Coroutine[Any, Any, None] | None:
        self.requests.append(request)
        answer(Accept(Reason.BOTH_FACTORS, "Welcome"))
        return None


class Listening:
    """A listener that requires signatures, and one that doesn't."""

    def __init__(self) -> None:
        self._strict, self._lenient = Welcoming(), Welcoming()
        limits = replace(LIMITS, pending=200, pending_per_client=200)
        self._worlds = [
            (World(limits=limits, clients=[client("yes")], logins=self._strict), self._strict),
            (World(limits=limits, clients=[client("no")], logins=self._lenient), self._lenient),
        ]
        self._times = 0

    def receive(self, octets: bytes) -> str:
        """What the lenient one made of it."""
        self._times += 1
        outcome = ""
        for world, logins in self._worlds:
            if self._times % _TIMES == 0:
                world.clock.advance(1)
            # Ports of its own for each, or most would be taken for repetitions.
            source = Source(NAS.ip, 1 + self._times % 60_000)
            outcome = self._outcome(world, logins, octets, source)
        return outcome

    def _outcome(self, world: World, logins: Welcoming, octets: bytes, source: Source) -> str:
        before = world.discards.causes.copy()
        world.receive(octets, source, Route(source, ()))
        for event, fields in [
            (event, fields) for level, event, fields in world.log.lines if level == "failure"
        ]:
            raise AssertionError(f"{event}: {fields}")
        if logins.requests and not _is_signed(octets):
            assert logins is not self._strict, "an unsigned request got in where signatures are required"
            assert not _is_relayed(octets), "an unsigned request with Proxy-State got in"
        outcome = "login" if logins.requests else "answered"
        outcome = next(iter(world.discards.causes - before), outcome)
        for reply, _ in world.sent:
            assert 38 <= len(reply) <= 4096
            assert reply[20:22] == b"\x50\x12"
        for record in (world.sent, world.log.lines, world.rejecter.rejected, logins.requests):
            record.clear()
        return outcome


def _is_signed(datagram: bytes) -> bool:
    """A second opinion, from RFC 3579 §3.2 alone."""
    octets = datagram[: int.from_bytes(datagram[2:4], "big")]
    for at in _starts(octets):
        if octets[at] == 80:
            blank = octets[: at + 2] + bytes(16) + octets[at + 18 :]
            return octets[at + 2 : at + 18] == hmac.digest(SECRET.reveal(), blank, "md5")
    return False


def _is_relayed(datagram: bytes) -> bool:
    octets = datagram[: int.from_bytes(datagram[2:4], "big")]
    return any(octets[at] == 33 for at in _starts(octets))


def _starts(octets: bytes) -> Iterator[int]:
    """Where attributes begin, as far as their lengths lead."""
    at = 20
    while at + 1 < len(octets) and octets[at + 1] >= 2:
        yield at
        at += octets[at + 1]


def target() -> Callable[[bytes], str]:
    """`one(octets)`: what a listener made of it. Raises for everything that should not be."""
    listening = Listening()

    def one(octets: bytes) -> str:
        codec(octets)
        return listening.receive(octets)

    return one


def codec(octets: bytes) -> None:
    """Only MalformedPacket, UnacceptableReply, UnreadableValue and ReplyTooLong may come out."""
    with suppress(UnacceptableReply):
        read_reply(octets, ASKED, SECRET, require_message_authenticator=False)
    try:
        packet = decode(octets)
        assert encode_attributes(packet.attributes) == packet.octets[20:], "not octet for octet"
        verify_message_authenticator(packet, SECRET)
        first(packet, (311, 16))
        if credential_kind(packet) is CredentialKind.PAP:
            hidden = packet.first(2)
            assert hidden is not None
            assert len(decrypt_password(hidden, SECRET, packet.authenticator)) <= 128
    except MalformedPacket:
        return
    _carry(packet)


def _carry(packet: Packet) -> None:
    try:
        carried = Crossing(_HERE, _THERE, Salts(0)).carry(packet.attributes)
        encode_reply(2, ASKED, SECRET, carried)
    except (UnreadableValue, ReplyTooLong):
        return


# ---- what to begin with


def _vsa(vendor: int, body: bytes) -> tuple[int, bytes]:
    return (26, vendor.to_bytes(4, "big") + body)


def _seeds() -> list[bytes]:
    key = encrypt_salted(Secret(bytes(32)), b"\x80\x01", _HERE)
    hidden = [
        Attribute(69, b"\x01" + key),
        Attribute(*_vsa(311, bytes((16, len(key) + 2)) + key + bytes((17, len(key) + 2)) + key)),
        Attribute(*_vsa(311, bytes((12, 34)) + bytes(32))),
        Attribute(*_vsa(529, b"\xd6\x0442\x01\x03x")),
    ]
    numbers = itertools.count(1)

    def made(*arguments: Any, **options: Any) -> Packet:
        # The same ones in each run.
        return login(*arguments, authenticator=next(numbers).to_bytes(16, "big"), **options)

    requests = [
        made(),
        made(signed=False),
        made(b"x" * 100, (4, bytes(4)), (5, bytes(4)), (31, b"192.0.2.7"), (32, b"nas")),
        made(b"right", *[(33, bytes([number]) * 20) for number in range(10)]),
        made(None, (3, bytes(17)), (60, bytes(16))),
        made(None, (79, b"\x02\x01\x00\x0a\x01alice"), (79, b"more"), (24, b"state")),
        made(None, _vsa(311, b"\x0b\x12" + bytes(16) + b"\x19\x34" + bytes(50))),
        made(b"right", _vsa(9, b"\x01\x05a=b\x01\x05c=d"), _vsa(429, b"\0\0\x90\x01x"), (241, b"\x01x")),
        made(b"right", _vsa(25461, b"\x07\x0b192.0.2.3"), (25, bytes(253)), (26, bytes(253))),
        made(b"right", *[(25, bytes(253))] * 15),
        made(b"", user=b""),
        status_server(identifier=7, authenticator=AUTHENTICATOR, secret=SECRET),
        made(code=4),
    ]
    replies = [encode_reply(number, ASKED, SECRET, hidden) for number in (2, 3, 11)]
    return [*(request.octets for request in requests), *replies, *(seed.octets for seed in corpus("radius"))]


def resign(octets: bytes, dice: random.Random) -> bytes:
    """With a right Length and signature again, where there is a frame: what lies behind them is met as well."""
    if len(octets) < 20:
        return octets
    octets = octets[:2] + min(len(octets), 0xFFFF).to_bytes(2, "big") + octets[4:]
    for at in _starts(octets):
        if octets[at : at + 2] == b"\x50\x12":
            blank = octets[: at + 2] + bytes(16) + octets[at + 18 :]
            return octets[: at + 2] + hmac.digest(SECRET.reveal(), blank, "md5") + octets[at + 18 :]
    return octets


def relength(octets: bytes, dice: random.Random) -> bytes:
    """The length of one attribute changed, its neighbours as they are."""
    starts = list(_starts(octets))
    if not starts:
        return octets
    at = dice.choice(starts) + 1
    changed = (octets[at] + dice.choice((-2, -1, 1, 2, 64))) & 0xFF
    return octets[:at] + bytes((changed,)) + octets[at + 1 :]


def inputs(seed: int) -> Iterator[bytes]:
    changes = (*CHANGES, relength, relength, resign, resign, resign)
    return mutated(_seeds(), random.Random(seed), changes)


def run(seconds: float, seed: int) -> Report:
    return drive("radius", target(), inputs(seed), seconds=seconds)


def run_count(count: int, seed: int) -> Report:
    return drive("radius", target(), inputs(seed), count=count)
