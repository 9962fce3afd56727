"""The event loop of the daemon: its clock never steps, events arrive, a broken reader costs itself only."""

from __future__ import annotations

import subprocess
import sys

CONVERSATION = """
import socket
import time
from authproxy.service.reactor import install

reactor = install()

from twisted.internet import reactor as default
from twisted.logger import globalLogBeginner

assert default is reactor
assert abs(reactor.seconds() - time.monotonic()) < 1
assert abs(reactor.callLater(100, print).getTime() - time.monotonic() - 100) < 1
globalLogBeginner.beginLoggingTo([lambda event: None], redirectStandardIO=False, discardBuffer=True)


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
reactor.callLater(20, reactor.stop)
reactor.run(installSignalHandlers=False)
"""


def test_events_arrive_and_a_broken_reader_costs_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONVERSATION], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("good")] == ["good first", "good second", "good end"]
    assert [line for line in lines if line.startswith("broken")] == ["broken lost: a bug"]
