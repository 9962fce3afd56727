"""RADIUS servers over TLS: whom it believes, what a lost connection costs, whose answer is whose (R53, R54, A5)."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from authproxy.backends.lockout import LockoutRules
from authproxy.backends.radius.primary import RadiusPrimary
from authproxy.backends.radius.settings import RadiusClientSettings
from authproxy.backends.resolve import Resolver
from authproxy.backends.tls import Trust
from authproxy.listeners.tls import ServerFiles, ServerTls
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import PrimaryUnavailable, Refused, Verified
from authproxy.protocols.radius.packet import Attribute, Code, Packet, decode
from authproxy.protocols.radius.password import decrypt_password
from authproxy.protocols.radius.relay import Allowed, FromPrimary
from authproxy.protocols.radius.reply import encode_reply
from authproxy.protocols.radius.stream import PacketStream
from authproxy.secret import Secret
from tests.backends.certificates import Authority
from tests.backends.directory.network import BLACK_HOLE, Network
from tests.protocols.radius.octets import altered

from .fakes import login

RADSEC = Secret(b"radsec")
DAY = datetime.timedelta(days=1)
Script = Callable[["Line", Packet], object]


class Line(Protocol):
    """A connection, as the server sees it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.stream = PacketStream()
        self.seen: list[Packet] = []

    def dataReceived(self, data: bytes) -> None:
        self.stream.feed(data)
        for octets in self.stream.packets():
            packet = decode(octets)
            self.seen.append(packet)
            self.server.seen.append(packet)
            self.server.script(self, packet)

    def say(self, code: int, request: Packet, *attributes: Attribute, secret: Secret = RADSEC) -> None:
        self.transport.write(encode_reply(code, request, secret, attributes, message_authenticator=False))

    def drop(self) -> None:
        self.transport.abortConnection()


class Server:
    def __init__(self, desk: Desk, address: str, certificate: Path, script: Script | None = None) -> None:
        self.script: Script = script or judge
        self.seen: list[Packet] = []
        self.lines: list[Line] = []
        files = ServerFiles(certificate, certificate, client_authorities=desk.clients.ca)
        self.factory = TLSMemoryBIOFactory(
            ServerTls(files), False, Factory.forProtocol(self._line), clock=desk.network
        )
        self.at = (address, 2083)
        self.up(desk)

    def up(self, desk: Desk) -> None:
        desk.network.listening[self.at] = lambda: self.factory.buildProtocol(None)

    def _line(self) -> Line:
        self.lines.append(Line(self))
        return self.lines[-1]

    @property
    def logins(self) -> list[Packet]:
        return [packet for packet in self.seen if packet.code == Code.ACCESS_REQUEST]


def judge(line: Line, packet: Packet) -> None:
    if packet.code == Code.STATUS_SERVER:
        line.say(Code.ACCESS_ACCEPT, packet)
        return
    hidden = packet.first(2)
    right = hidden is not None and decrypt_password(hidden, RADSEC, packet.authenticator) == Secret(b"right")
    line.say(Code.ACCESS_ACCEPT if right else Code.ACCESS_REJECT, packet)


def silent(line: Line, packet: Packet) -> None: ...


def refuse(line: Line, packet: Packet) -> None:
    line.say(Code.ACCESS_REJECT, packet)


def only_status(line: Line, packet: Packet) -> None:
    if packet.code == Code.STATUS_SERVER:
        judge(line, packet)


class Desk:
    """A primary of two servers, of which `one` is there."""

    def __init__(self, folder: Path, *, hosts: tuple[str, ...] = ("192.0.2.1",), **changes: Any) -> None:
        self.network = Network()
        self.servers, self.clients = Authority(folder / "servers"), Authority(folder / "clients", "Clients")
        own = self.clients.issue("proxy.example", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        trust = Trust(ca_file=self.servers.ca, client_certificate=changes.pop("own", own))
        settings = RadiusClientSettings(
            tuple((host, 2083) for host in hosts),
            RADSEC,
            trust=trust,
            returned=Allowed(everything=True),
            **changes,
        )
        log = NullLog()
        resolver = Resolver(self.network, log=log)
        self.primary = RadiusPrimary(settings, reactor=self.network, resolver=resolver, log=log)
        self.one = self.server("192.0.2.1")

    def server(self, address: str, *names: str, script: Script | None = None, **more: Any) -> Server:
        return Server(self, address, self.servers.issue(*(names or (address,)), **more), script)

    def begin(self, **changes: Any) -> list[Any]:
        request = login(self.network, **changes)  # type: ignore[arg-type]
        return self.network.begin(self.primary.verify(request, request.password))

    def verify(self, **changes: Any) -> Any:
        request = login(self.network, **changes)  # type: ignore[arg-type]
        return self.network.run(self.primary.verify(request, request.password))

    def unavailable(self) -> str:
        with pytest.raises(PrimaryUnavailable) as caught:
            self.verify()
        return str(caught.value)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.network.advance(1)
            self.network.settle()


def test_one_connection_for_all(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert isinstance(desk.verify(), Verified)
    asked = [desk.begin() for _ in range(20)]
    desk.network.settle()
    assert all(isinstance(result, Verified) for (result,) in asked)
    assert len(desk.one.lines) == 1
    identifiers = [packet.identifier for packet in desk.one.seen]
    assert len(set(identifiers)) == 21
    assert 0 not in identifiers, "kept for Status-Server"


def test_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.one.script = refuse
    assert isinstance(desk.verify(), Refused)
    assert len(desk.one.logins) == 1


# ---- whom it believes (T1): none of these sees an octet of a login


@pytest.mark.parametrize(
    ("names", "more"),
    [
        (["192.0.2.2"], {}),
        (["other.example"], {"common_name": "192.0.2.1"}),
        (["192.0.2.1"], {"end": -DAY / 2}),
        (["192.0.2.1"], {"usage": ExtendedKeyUsageOID.CLIENT_AUTH}),
    ],
    ids=["another's", "common name", "expired", "a client's"],
)
def test_a_certificate_that_is_no_good(tmp_path: Path, names: list[str], more: dict[str, Any]) -> None:
    desk = Desk(tmp_path)
    server = desk.server("192.0.2.1", *names, **more)
    assert "certificate" in desk.unavailable()
    assert server.seen == []


def test_another_authority(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    forged = Server(desk, "192.0.2.1", Authority(tmp_path / "forged").issue("192.0.2.1"))
    desk.unavailable()
    assert forged.seen == []


def test_the_name_that_is_asked_for(tmp_path: Path) -> None:
    """Of hosts by address: `ssl_server_name`."""
    desk = Desk(tmp_path, tls_name="radius.example")
    desk.unavailable()
    desk.server("192.0.2.1", "radius.example")
    desk.wait(1)
    assert isinstance(desk.verify(), Verified)


def test_a_server_that_does_not_believe_us(tmp_path: Path) -> None:
    own = Authority(tmp_path / "others").issue("proxy.example", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    desk = Desk(tmp_path, own=own)
    assert "connection lost" in desk.unavailable()
    assert desk.one.seen == []


# ---- whose answer is whose


@pytest.mark.parametrize(
    "forge",
    [
        lambda line, packet: line.say(Code.ACCESS_ACCEPT, packet, secret=Secret(b"another")),
        lambda line, packet: line.say(Code.ACCESS_ACCEPT, altered(packet, authenticator=bytes(16))),
        lambda line, packet: line.transport.write(bytes((2, packet.identifier, 0, 3)) + bytes(16)),
        lambda line, packet: line.transport.write(
            bytes((2, packet.identifier, 0, 22)) + bytes(16) + b"\x12\x01"
        ),
    ],
    ids=["secret", "another request's", "length", "attribute"],
)
def test_what_ends_a_connection(tmp_path: Path, forge: Script) -> None:
    """It is no answer, and behind it nothing is one: the login goes on another connection, and not for ever."""
    desk = Desk(tmp_path)
    desk.one.script = forge
    desk.unavailable()
    assert len(desk.one.lines) == 3
    assert len({packet.authenticator for packet in desk.one.logins}) == 3


def test_what_costs_one_packet(tmp_path: Path) -> None:
    """An answer that nobody asked for, and one of a kind that none is."""
    desk = Desk(tmp_path)

    def noisy(line: Line, packet: Packet) -> None:
        line.say(Code.ACCESS_ACCEPT, altered(packet, identifier=(packet.identifier + 1) % 256))
        line.say(Code.ACCOUNTING_RESPONSE, packet)
        refuse(line, packet)

    desk.one.script = noisy
    assert isinstance(desk.verify(), Refused)
    assert len(desk.one.lines) == 1


def test_octet_by_octet(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    def drips(line: Line, packet: Packet) -> None:
        for octet in encode_reply(Code.ACCESS_ACCEPT, packet, RADSEC, []):
            line.transport.write(bytes((octet,)))

    desk.one.script = drips
    assert isinstance(desk.verify(), Verified)


def test_a_server_that_drips(tmp_path: Path) -> None:
    """A6: each octet is progress, and the time is up all the same."""
    desk = Desk(tmp_path, retries=1)

    def drips(line: Line, packet: Packet) -> None:
        for at, octet in enumerate(encode_reply(Code.ACCESS_ACCEPT, packet, RADSEC, [])):
            desk.network.callLater(0.7 * at, line.transport.write, bytes((octet,)))

    desk.one.script = drips
    began = desk.network.seconds()
    desk.unavailable()
    assert desk.network.seconds() - began <= 6


def test_a_late_answer_is_nobody_elses(tmp_path: Path) -> None:
    """The identifier of a login that was given up isn't used again before its answer has come."""
    desk = Desk(tmp_path, retries=0, lockout=LockoutRules(0))
    desk.one.script = silent
    desk.unavailable()
    (late,) = desk.one.logins
    desk.one.script = only_status
    waiting = [desk.begin() for _ in range(255)]
    desk.network.settle()
    first, second = desk.one.lines
    assert late.identifier not in {packet.identifier for packet in first.seen[1:]}
    assert len(second.seen) == 1
    first.say(Code.ACCESS_ACCEPT, late)
    desk.network.settle()
    assert not any(waiting)
    desk.begin()
    desk.network.settle()
    assert first.seen[-1].identifier == late.identifier


def test_more_than_one_connection_holds(tmp_path: Path) -> None:
    desk = Desk(tmp_path, lockout=LockoutRules(0))
    desk.one.script = only_status
    asked = [desk.begin() for _ in range(300)]
    desk.network.settle()
    assert [len(line.seen) for line in desk.one.lines] == [255, 45]
    for line in desk.one.lines:
        for packet in line.seen:
            judge(line, packet)
    desk.network.settle()
    assert all(isinstance(result, Verified) for (result,) in asked)


# ---- connections that go


def test_what_was_in_flight_goes_on_another_connection(tmp_path: Path) -> None:
    """With a new Authenticator, and so a password hidden anew; what the answer hides is opened with that one."""
    desk = Desk(tmp_path)
    desk.one.script = lambda line, packet: line.drop() if len(desk.one.lines) == 1 else judge(line, packet)
    asked = [desk.begin() for _ in range(3)]
    desk.network.wait_for(lambda: all(asked))
    for (result,) in asked:
        assert isinstance(result, Verified)
        assert isinstance(result.carried, FromPrimary)
        answered = {packet.authenticator for packet in desk.one.lines[1].seen}
        assert result.carried.hop.authenticator in answered
    assert len({packet.authenticator for packet in desk.one.logins}) == len(desk.one.logins)


def test_a_no_is_not_asked_again(tmp_path: Path) -> None:
    """A5: a connection that goes behind a Reject takes nothing with it."""
    desk = Desk(tmp_path, hosts=("192.0.2.1", "192.0.2.2"))
    two = desk.server("192.0.2.2")

    def refuse_and_go(line: Line, packet: Packet) -> None:
        refuse(line, packet)
        line.transport.loseConnection()

    desk.one.script = refuse_and_go
    assert isinstance(desk.verify(), Refused)
    desk.wait(120)
    assert len(desk.one.logins) == 1
    assert two.logins == []


@pytest.mark.parametrize("first", ["refuses", "black hole", "silent", "drops"])
def test_the_next_server(tmp_path: Path, first: str) -> None:
    desk = Desk(tmp_path, hosts=("192.0.2.1", "192.0.2.2"))
    two = desk.server("192.0.2.2")
    if first == "refuses":
        del desk.network.listening[desk.one.at]
    elif first == "black hole":
        desk.network.listening[desk.one.at] = BLACK_HOLE
    else:
        desk.one.script = silent if first == "silent" else (lambda line, packet: line.drop())
    began = desk.network.seconds()
    assert isinstance(desk.verify(), Verified)
    assert len(two.logins) == 1
    assert desk.network.seconds() - began <= 6.5


def test_pauses_grow_and_it_comes_back(tmp_path: Path) -> None:
    """Nobody hammers a server that is down; when it is back that is found out without a login."""
    desk = Desk(tmp_path)
    del desk.network.listening[desk.one.at]
    for _ in range(100):
        desk.unavailable()
    assert len(desk.network.attempts) == 1
    desk.wait(60)
    assert 5 <= len(desk.network.attempts) <= 8
    desk.one.up(desk)
    desk.wait(11)
    assert desk.primary.health() == [("192.0.2.1:2083 (TLS)", None)]
    assert isinstance(desk.verify(), Verified)


def test_many_logins_at_a_server_that_is_down(tmp_path: Path) -> None:
    """Each pause is twice the one before, up to ten seconds, however many ask."""
    desk = Desk(tmp_path)
    del desk.network.listening[desk.one.at]
    for _ in range(80):
        desk.unavailable()
        desk.network.advance(0.25)
        desk.network.settle()
    assert 5 <= len(desk.network.attempts) <= 8


def test_the_watchdog(tmp_path: Path) -> None:
    """RFC 3539: a connection on which nothing comes any more is given up, and what waits on it asked on another."""
    desk = Desk(tmp_path)
    desk.verify()
    desk.wait(35)
    assert [packet.code for packet in desk.one.seen] == [Code.ACCESS_REQUEST, Code.STATUS_SERVER]
    assert desk.one.seen[-1].identifier == 0
    desk.one.script = lambda line, packet: judge(line, packet) if len(desk.one.lines) > 1 else None
    desk.wait(22)
    waiting = desk.begin()
    desk.wait(22)
    (result,) = waiting
    assert isinstance(result, Verified)
    assert len(desk.one.lines) == 2


def test_a_server_without_status_server(tmp_path: Path) -> None:
    """Its silence on it says nothing: what waits goes on waiting, and isn't asked twice."""
    desk = Desk(tmp_path, retry_wait=8.0)
    desk.one.script = silent
    waiting = desk.begin()
    desk.wait(50)
    (login_,) = desk.one.logins
    desk.one.lines[0].say(Code.ACCESS_ACCEPT, login_)
    desk.network.settle()
    assert isinstance(waiting[0], Verified)
    assert len(desk.one.lines) == 1


def test_close(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.one.script = silent
    waiting = desk.begin()
    desk.network.settle()
    desk.network.begin(desk.primary.close())
    desk.network.settle()
    assert waiting[0].check(PrimaryUnavailable)
    assert not desk.network.getDelayedCalls()


def test_examine(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hosts=("192.0.2.1", "192.0.2.2"))
    good, bad = desk.network.run(desk.primary.examine(3.0))
    assert (good.server, good.problem) == ("192.0.2.1:2083 (TLS)", "")
    assert "cannot connect" in bad.problem
