"""Connections of the daemon's event loop: how attempts end, how connections end, and who is made to wait meanwhile."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

BEGINNING = """
import errno
import resource
import socket
from authproxy.service.reactor import install

reactor = install()

from twisted.internet.interfaces import IConnector
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory
from twisted.logger import globalLogBeginner

globalLogBeginner.beginLoggingTo([lambda event: None], redirectStandardIO=False, discardBuffer=True)
reactor.callLater(20, reactor.stop)


class Told(ClientFactory):
    noisy = False

    def startedConnecting(self, connector):
        print("started", flush=True)

    def clientConnectionFailed(self, connector, reason):
        print("failed:", reason.type.__name__, errno.errorcode.get(getattr(reason.value, "osError", None)), flush=True)
        reactor.callLater(0, reactor.stop)

    def clientConnectionLost(self, connector, reason):
        print("lost:", reason.type.__name__, flush=True)
        reactor.callLater(0, reactor.stop)


def listen(protocol, address="127.0.0.1", family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind((address, 0))
    sock.listen()
    sock.setblocking(False)
    factory = ServerFactory.forProtocol(protocol)
    factory.noisy = False
    reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
    return sock.getsockname()[1]


def run():
    reactor.run(installSignalHandlers=False)
"""

REFUSED = """
taken = socket.socket()
taken.bind(("127.0.0.1", 0))
reactor.connectTCP("127.0.0.1", taken.getsockname()[1], Told())
print("called", flush=True)
run()
"""

UNREACHABLE = """
reactor.connectTCP("255.255.255.255", 1, Told())
print("called", flush=True)
run()
"""

SILENT = """
full = socket.socket()
full.bind(("127.0.0.1", 0))
full.listen(0)
waiting = []
for _ in range(3):
    waiting.append(socket.socket())
    waiting[-1].setblocking(False)
    waiting[-1].connect_ex(full.getsockname())
connector = reactor.connectTCP("127.0.0.1", full.getsockname()[1], Told(), timeout=0.1)
WHAT
run()
print(reactor.getWriters() == [], IConnector.providedBy(connector))
"""

NO_DESCRIPTORS = """
reactor.callLater(0, resource.setrlimit, resource.RLIMIT_NOFILE, (3, 3))
reactor.callLater(0, reactor.connectTCP, "127.0.0.1", 1, Told())
run()
"""

CONNECTED = """
class Server(Protocol):
    def connectionMade(self):
        print("from", self.transport.getPeer().host, "to", self.transport.getHost().host, flush=True)
        self.transport.write(b"hello")
        self.transport.HOW()

    def connectionLost(self, reason):
        print("server:", reason.type.__name__, flush=True)


class Client(Protocol):
    def connectionMade(self):
        host, peer = self.transport.getHost(), self.transport.getPeer()
        print("to", peer.host, peer.port == port, host.type, host.port > 0, flush=True)

    def dataReceived(self, data):
        print("got", data, flush=True)


port = listen(Server, "ADDRESS", socket.FAMILY)
factory = Told()
factory.protocol = Client
reactor.connectTCP("NAME", port, factory)
run()
"""

PAUSED = """
class Source:
    def pauseProducing(self):
        print("paused", flush=True)

    def resumeProducing(self):
        print("resumed", flush=True)
        reader.close()

    def stopProducing(self):
        print("stopped", flush=True)


class Server(Protocol):
    def connectionMade(self):
        self.source = Source()
        self.transport.registerProducer(self.source, True)
        # More than the kernel takes for who doesn't read.
        self.transport.write(b"x" * 20_000_000)
        reactor.callLater(0.05, read)

    def connectionLost(self, reason):
        reactor.stop()


def read():
    try:
        while reader.recv(1_000_000):
            pass
    except BlockingIOError:
        reactor.callLater(0.001, read)
    except OSError:
        pass


port = listen(Server)
reader = socket.create_connection(("127.0.0.1", port))
reader.setblocking(False)
run()
"""


def said(conversation: str) -> list[str]:
    command = [sys.executable, "-c", BEGINNING + conversation]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_refusal_is_told_after_the_call() -> None:
    assert said(REFUSED) == ["started", "called", "failed: ConnectionRefusedError ECONNREFUSED"]


def test_a_failure_at_once_too() -> None:
    started, called, failed = said(UNREACHABLE)
    assert (started, called) == ("started", "called")
    assert failed.startswith("failed: ")
    assert not failed.endswith("None")


@pytest.mark.parametrize(
    ("what", "why"),
    [("pass", "TimeoutError"), ("reactor.callLater(0, connector.stopConnecting)", "UserError")],
)
def test_an_attempt_that_nobody_answers(what: str, why: str) -> None:
    """It ends once, and nothing of it is watched any more."""
    assert said(SILENT.replace("WHAT", what)) == ["started", f"failed: {why} None", "True True"]


def test_no_descriptor_left() -> None:
    assert said(NO_DESCRIPTORS)[-1] == "failed: ConnectBindError EMFILE"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_connection_that_is_closed(name: str) -> None:
    conversation = (
        CONNECTED.replace("ADDRESS", "127.0.0.1").replace("FAMILY", "AF_INET").replace("NAME", name)
    )
    lines = said(conversation.replace("HOW", "loseConnection"))
    assert sorted(lines) == [
        "from 127.0.0.1 to 127.0.0.1",
        "got b'hello'",
        "lost: ConnectionDone",
        "server: ConnectionDone",
        "started",
        "to 127.0.0.1 True TCP True",
    ]


def test_a_connection_that_is_cut_off() -> None:
    conversation = CONNECTED.replace("ADDRESS", "127.0.0.1").replace("FAMILY", "AF_INET")
    lines = said(conversation.replace("NAME", "127.0.0.1").replace("HOW", "abortConnection"))
    assert "server: ConnectionAborted" in lines
    assert lines[-1] == "lost: ConnectionLost"
    assert not any(line.startswith("got") for line in lines)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no ::1")
def test_over_ipv6() -> None:
    conversation = CONNECTED.replace("ADDRESS", "::1").replace("FAMILY", "AF_INET6").replace("NAME", "::1")
    lines = said(conversation.replace("HOW", "loseConnection"))
    assert "from ::1 to ::1" in lines
    assert "to ::1 True TCP True" in lines
    assert "got b'hello'" in lines


def test_who_writes_waits_for_a_peer_that_does_not_read() -> None:
    assert said(PAUSED) == ["paused", "resumed", "stopped"]
