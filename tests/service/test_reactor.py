"""The event loop of the daemon: its clock never steps, events arrive, a broken reader costs itself only; and what is
written leaves in the same turn, whole, in order, and without a word to epoll unless the peer doesn't read."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGINNING = """
import socket
import time
from authproxy.service.reactor import install

reactor = install()

from twisted.internet import reactor as default
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory
from twisted.logger import globalLogBeginner

globalLogBeginner.beginLoggingTo([lambda event: None], redirectStandardIO=False, discardBuffer=True)
reactor.callLater(20, reactor.stop)


def connect(server, client):
    port = reactor.listenTCP(0, ServerFactory.forProtocol(server), interface="127.0.0.1")
    reactor.connectTCP("127.0.0.1", port.getHost().port, ClientFactory.forProtocol(client))
    reactor.run(installSignalHandlers=False)


class Poller:
    def __init__(self, poller):
        self.poller, self.asked = poller, 0

    def __getattr__(self, name):
        return getattr(self.poller, name)

    def modify(self, descriptor, events):
        self.asked += 1
        self.poller.modify(descriptor, events)


reactor._poller = poller = Poller(reactor._poller)
"""

EVENTS = """
assert default is reactor
assert abs(reactor.seconds() - time.monotonic()) < 1
assert abs(reactor.callLater(100, print).getTime() - time.monotonic() - 100) < 1


class Reader:
    def __init__(self, name):
        self.name = name
        self.ours, self.peer = socket.socketpair()
        self.ours.setblocking(False)
        reactor.addReader(self)

    def fileno(self):
        return self.ours.fileno()

    def logPrefix(self):
        return self.name

    def doRead(self):
        octets = self.ours.recv(100)
        if self.name == "broken":
            raise ValueError("a bug")
        print(self.name, octets.decode() or "end", flush=True)
        if not octets:
            reactor.removeReader(self)
            reactor.stop()

    def connectionLost(self, reason):
        print(self.name, "lost:", reason.getErrorMessage(), flush=True)


good, broken = Reader("good"), Reader("broken")
broken.peer.send(b"first")
good.peer.send(b"first")
reactor.callLater(0.01, good.peer.send, b"second")
reactor.callLater(0.02, good.peer.close)
reactor.run(installSignalHandlers=False)
"""

ECHO = """
ROUNDS = 50


class Echo(Protocol):
    def dataReceived(self, data):
        self.transport.write(data[:1])
        self.transport.write(data[1:])


class Client(Protocol):
    def connectionMade(self):
        self.got, self.reads, self.asked = b"", 0, poller.asked
        self.transport.write(b"ab")

    def dataReceived(self, data):
        self.got += data
        self.reads += 1
        if len(self.got) < 2 * ROUNDS:
            self.transport.write(b"ab")
            return
        print(self.got == b"ab" * ROUNDS, self.reads, poller.asked - self.asked)
        reactor.stop()


connect(Echo, Client)
"""

UNREAD = """
PIECES = [bytes([number]) * 100_000 for number in range(100)]


class Server(Protocol):
    def connectionMade(self):
        for piece in PIECES:
            self.transport.write(piece)
        self.transport.loseConnection()


class Client(Protocol):
    def connectionMade(self):
        self.got = b""
        self.transport.pauseProducing()
        reactor.callLater(0.05, self.transport.resumeProducing)

    def dataReceived(self, data):
        self.got += data

    def connectionLost(self, reason):
        print(self.got == b"".join(PIECES), poller.asked > 0)
        reactor.stop()


connect(Server, Client)
"""

PULLED = """
class Source:
    def __init__(self, transport):
        self.transport, self.left = transport, 1000
        transport.registerProducer(self, False)

    def resumeProducing(self):
        self.left -= 1
        self.transport.write(b"x")
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def stopProducing(self):
        pass


class Server(Protocol):
    def connectionMade(self):
        self.source = Source(self.transport)
        reactor.callLater(0, lambda: print("others get their turn:", self.source.left > 0))


class Client(Protocol):
    def connectionMade(self):
        self.got = 0

    def dataReceived(self, data):
        self.got += len(data)

    def connectionLost(self, reason):
        print(self.got)
        reactor.stop()


connect(Server, Client)
"""

CUT_OFF = """
class Server(Protocol):
    def connectionMade(self):
        self.transport.write(b"never sent")
        self.transport.abortConnection()


class Client(Protocol):
    def dataReceived(self, data):
        print("got", data)

    def connectionLost(self, reason):
        print(reason.type.__name__)
        reactor.stop()


connect(Server, Client)
"""


def said(conversation: str) -> list[str]:
    command = [sys.executable, "-c", BEGINNING + conversation]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_events_arrive_and_a_broken_reader_costs_itself() -> None:
    lines = said(EVENTS)
    assert [line for line in lines if line.startswith("good")] == ["good first", "good second", "good end"]
    assert [line for line in lines if line.startswith("broken")] == ["broken lost: a bug"]


def test_what_is_written_leaves_in_the_same_turn_and_together() -> None:
    assert said(ECHO) == ["True 50 0"]


def test_what_the_peer_doesnt_read_waits_whole_and_in_order() -> None:
    assert said(UNREAD) == ["True True"]


def test_who_always_has_more_to_send_leaves_others_their_turn() -> None:
    assert said(PULLED) == ["others get their turn: True", "1000"]


def test_nothing_is_sent_on_a_connection_that_was_cut_off() -> None:
    assert said(CUT_OFF) == ["ConnectionLost"]


ANOTHER = """
class Watched:
    def __init__(self, ours, add):
        self.ours = ours
        self.descriptor = ours.fileno()
        add(self)

    def fileno(self):
        return self.descriptor

    def logPrefix(self):
        return "test"


class Newcomer(Watched):
    # No doRead: nobody asked whether it can be read.
    def doWrite(self):
        reactor.removeWriter(self)
        print("written to", flush=True)
        reactor.callLater(0, reactor.stop)

    def connectionLost(self, reason):
        print("lost:", reason.getErrorMessage(), flush=True)


class Reader(Watched):
    def doRead(self):
        # Whichever comes first closes the other, whose number a new socket gets.
        other = second if self is first else first
        for reader in (first, second):
            reactor.removeReader(reader)
        number = other.ours.fileno()
        other.ours.close()
        self.opened = []
        while number not in [opened.fileno() for opened in self.opened]:
            self.opened += socket.socketpair()
        (ours,) = [opened for opened in self.opened if opened.fileno() == number]
        Newcomer(ours, reactor.addWriter)
        print("read", flush=True)


pairs = [socket.socketpair() for _ in range(2)]
first, second = (Reader(ours, reactor.addReader) for ours, _ in pairs)
for _, peer in pairs:
    peer.send(b"x")
    WHAT
reactor.run(installSignalHandlers=False)
"""


@pytest.mark.parametrize("what", ["pass", "peer.close()"])
def test_an_event_of_a_closed_descriptor_is_not_its_successors(what: str) -> None:
    """A socket that is opened within a turn may get the number of one that was closed in it."""
    assert said(ANOTHER.replace("WHAT", what)) == ["read", "written to"]
