"""The connection to the store: who it believes, what it waits for, and that it comes back (H5)."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from authproxy.backends.resolve import Resolver
from authproxy.backends.shared_state.link import Link, Unreachable
from authproxy.backends.shared_state.settings import SharedStateSettings
from authproxy.backends.tls import Trust
from authproxy.listeners.tls import ServerFiles, ServerTls
from authproxy.secret import Secret
from tests.backends.certificates import Authority
from tests.backends.directory.network import BLACK_HOLE, Network
from tests.listeners.radius.world import Log

AT = ("192.0.2.1", 6379)
PASSWORD = "opensesame"
Script = Callable[["Line", list[bytes]], bytes | None]


def well(line: Line, command: list[bytes]) -> bytes | None:
    """A server as it should be, whose scripts return their values."""
    match command:
        case [b"AUTH", *words]:
            line.server.names.append(words[0])
            return (
                b"+OK\r\n"
                if words[-1] == PASSWORD.encode()
                else b"-WRONGPASS invalid username-password pair\r\n"
            )
        case [b"PING"] | [b"SELECT", _]:
            return b"+PONG\r\n"
        case [b"EVAL", _, b"1", key, *values]:
            return b"*%d\r\n" % (1 + len(values)) + b"".join(bulk(each) for each in (key, *values))
        case [b"EVALSHA", *_]:
            return b"-NOSCRIPT No matching script\r\n"
        case _:
            return b"-ERR unknown command\r\n"


def bulk(octets: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(octets), octets)


class Line(Protocol):
    """A connection, as the server sees it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._unread = b""

    def dataReceived(self, data: bytes) -> None:
        self._unread += data
        while (command := self._next()) is not None:
            self.server.asked.append(command)
            said = self.server.script(self, command)
            if said is not None:
                self.transport.write(said)

    def _next(self) -> list[bytes] | None:
        lines = self._unread.split(b"\r\n")
        if not self._unread.startswith(b"*") or len(lines) < 2 * int(lines[0][1:]) + 2:
            return None
        count = int(lines[0][1:])
        self._unread = b"\r\n".join(lines[2 * count + 1 :])
        return lines[2 : 2 * count + 1 : 2]


class Server:
    def __init__(self, script: Script = well) -> None:
        self.script = script
        self.asked: list[list[bytes]] = []
        self.names: list[bytes] = []
        self.lines: list[Line] = []

    def line(self) -> Line:
        self.lines.append(Line(self))
        return self.lines[-1]


class Desk:
    def __init__(self, script: Script = well, **changes: Any) -> None:
        self.network, self.log, self.server = Network(), Log(), Server(script)
        settings = SharedStateSettings(
            "192.0.2.1", **({"username": "nodes", "password": Secret.of(PASSWORD), "timeout": 0.5} | changes)
        )
        self.link = Link(
            settings,
            reactor=self.network,
            resolver=Resolver(self.network, log=self.log),
            log=self.log,
        )
        self.changes = 0
        self.link.changed = self._changed
        self.network.listening[AT] = self.server.line

    def _changed(self) -> None:
        self.changes += 1

    def start(self) -> Desk:
        self.link.start()
        self.network.settle()
        return self

    def run(self) -> Any:
        return self.network.run(self.link.run("return ARGV", [b"key"], [b"one", 2]))

    def refused(self) -> str:
        with pytest.raises(Unreachable) as caught:
            self.run()
        return str(caught.value)


def test_a_script_and_what_it_returns() -> None:
    desk = Desk().start()
    assert desk.run() == [b"key", b"one", b"2"]
    assert desk.link.is_up
    assert desk.link.why == ""
    assert desk.log.events() == ["shared_state.up"]
    assert desk.server.names == [b"nodes"]


def test_answers_in_their_order() -> None:
    """A thousand at once on one connection, each with its own; octets that look like the protocol's."""
    desk = Desk().start()
    values = [b"%d\x00\xff*1 $3 +OK -ERR" % number for number in range(1000)]
    answers = [desk.network.begin(desk.link.run("return ARGV", [b"key"], [value])) for value in values]
    desk.network.settle()
    assert [answer[0] for answer in answers] == [[b"key", value] for value in values]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (lambda line, command: b"-NOPERM this user has no permissions\r\n", "NOPERM this user"),
        (lambda line, command: b"-READONLY You can't write against a read only replica.\r\n", "READONLY"),
        (lambda line, command: b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM"),
        (lambda line, command: b"-LOADING Redis is loading the dataset in memory\r\n", "LOADING"),
        (lambda line, command: None, "no answer in time"),
        (lambda line, command: line.transport.abortConnection(), "the connection was closed"),
        (lambda line, command: b"HTTP/1.1 400 Bad Request\r\n\r\n", "no answer of a Redis server"),
        (lambda line, command: b"*1\r\n$-9\r\n\xff\xfe\r\n", "no answer of a Redis server"),
        (lambda line, command: b"$2000000\r\n" + b"x" * 1_500_000, "more than a megabyte"),
        (lambda line, command: b"x" * 20_000, "no answer of a Redis server"),
    ],
)
def test_an_answer_that_is_none(script: Script, why: str) -> None:
    """Whatever it is: one Unreachable, within the time-out, and a connection that is given up."""
    desk = Desk().start()
    desk.server.script = script
    began = desk.network.seconds()
    assert why in desk.refused()
    assert desk.network.seconds() - began < 0.6
    assert not desk.link.is_up
    assert why in desk.link.why
    assert desk.log.events() == ["shared_state.up", "shared_state.down"]
    began = desk.network.seconds()
    assert why in desk.refused()  # and nobody else waits for it
    assert desk.network.seconds() == began


def test_an_answer_that_nobody_has_asked_for() -> None:
    """The next one who asks would get it."""
    desk = Desk().start()
    desk.server.lines[0].transport.write(b"*1\r\n$4\r\nmine\r\n")
    desk.network.settle()
    assert desk.refused() == "an answer that nothing was asked for"


@pytest.mark.parametrize(
    "script", [well, lambda line, command: b"-ERR\r\n", lambda line, command: b"+QUEUED\r\n*-1\r\n:7\r\n"]
)
def test_nothing_is_left_waiting(script: Script) -> None:
    desk = Desk().start()
    desk.server.script = lambda line, command: None
    answers = [desk.network.begin(desk.link.run("return ARGV", [b"key"], [])) for _ in range(50)]
    for _ in range(7):
        desk.network.advance(0.1)
    assert all(answer[0].check(Unreachable) for answer in answers)
    desk.server.script = script
    desk.network.advance(30)


def test_it_comes_back() -> None:
    """At once for those who ask, and later and later for the server."""
    desk = Desk().start()
    desk.network.listening.pop(AT)
    desk.server.lines[0].transport.abortConnection()
    desk.network.settle()
    assert desk.refused() == "the connection was closed"
    before = len(desk.network.attempts)
    for _ in range(600):
        desk.network.advance(0.1)
    assert 5 <= len(desk.network.attempts) - before <= 9
    desk.network.listening[AT] = desk.server.line
    for _ in range(160):
        desk.network.advance(0.1)
    assert desk.run() == [b"key", b"one", b"2"]
    assert desk.log.events() == ["shared_state.up", "shared_state.down", "shared_state.up"]


def test_a_server_that_swallows_everything() -> None:
    desk = Desk()
    desk.network.listening[AT] = BLACK_HOLE
    desk.start()
    desk.network.advance(0.6)
    desk.network.settle()
    assert desk.log.events() == ["shared_state.down"]
    desk.link.close()
    assert not desk.network.getDelayedCalls()


def test_a_wrong_password() -> None:
    desk = Desk(password=Secret.of("another")).start()
    assert "WRONGPASS" in desk.refused()
    assert "another" not in str(desk.log.lines)
    assert all(command[0] == b"AUTH" for command in desk.server.asked)


def test_a_database() -> None:
    desk = Desk(database=3, username=None).start()
    assert [b"SELECT", b"3"] in desk.server.asked
    assert [b"AUTH", PASSWORD.encode()] in desk.server.asked


def test_after_the_end_nothing_is_tried() -> None:
    desk = Desk().start()
    desk.link.close()
    desk.network.settle()
    assert not desk.network.getDelayedCalls()
    assert not desk.link.is_up


# ---- TLS


class Tls(Desk):
    def __init__(self, folder: Path, *names: str, **issue: Any) -> None:
        authority = Authority(folder)
        super().__init__(trust=Trust(ca_file=issue.pop("ca", authority.ca)), tls_name="redis.example")
        certificate = authority.issue(*names, **issue)
        factory = TLSMemoryBIOFactory(
            ServerTls(ServerFiles(certificate, certificate)),
            False,
            Factory.forProtocol(self.server.line),
            clock=self.network,
        )
        self.network.listening[AT] = lambda: factory.buildProtocol(None)


def test_over_tls(tmp_path: Path) -> None:
    assert Tls(tmp_path, "redis.example").start().run() == [b"key", b"one", b"2"]


def test_with_another_certificate(tmp_path: Path) -> None:
    """T1, T6: no octet of the password leaves."""
    foreign = Authority(tmp_path / "foreign").ca
    expired = datetime.timedelta(days=-1)
    for number, desk in enumerate(
        (
            Tls(tmp_path / "a", "other.example"),
            Tls(tmp_path / "b", "redis.example", ca=foreign),
            Tls(tmp_path / "c", "redis.example", end=expired, begin=2 * expired),
        )
    ):
        desk.start()
        assert "certificate" in desk.refused() or "authority" in desk.refused(), number
        assert desk.server.asked == []
