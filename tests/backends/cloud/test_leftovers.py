"""What a failure leaves behind: its class and its words. An exception has a traceback, which holds the frames of the
login that met it, with what its user typed; and what holds each other stays until the garbage is looked for.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import socket
import weakref
from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from authproxy.backends.cloud.failures import NoReply
from authproxy.backends.cloud.health import HealthRecord
from authproxy.backends.cloud.http1 import Connection
from authproxy.backends.cloud.polling import Polls
from authproxy.backends.cloud.pool import Pool, PoolLimits
from authproxy.backends.cloud.probe import Probe
from authproxy.backends.cloud.stream import Stream
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import CloudFailure, FailureClass


@pytest.fixture(autouse=True)
def nobody_looks_for_garbage() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Typed:
    """By a user."""


class Asked:
    """Logins that meet a failure with something of their user's at hand."""

    def __init__(self) -> None:
        self.typed: list[weakref.ref[Typed]] = []

    async def check(self, timeout: float) -> None:
        self._fail()

    async def open(self, deadline: float) -> Connection:
        self._fail()
        raise AssertionError

    def _fail(self) -> None:
        typed = Typed()
        self.typed.append(weakref.ref(typed))
        raise NoReply("gone")

    @property
    def left(self) -> int:
        return sum(typed() is not None for typed in self.typed)


def test_a_probe() -> None:
    asked = Asked()
    probe = Probe(asked.check, reactor=Clock(), log=NullLog())
    asking = Deferred.fromCoroutine(probe.ask())
    assert asking.called
    assert probe.last is not None
    assert probe.last.failure is not None
    assert (probe.last.failure.failure, probe.last.failure.detail) == (FailureClass.UNREACHABLE, "gone")
    assert asked.left == 0


def test_a_connection_that_is_not_made() -> None:
    asked = Asked()
    pool = Pool(asked, reactor=Clock(), limits=PoolLimits())
    met: list[str] = []
    sending = Deferred.fromCoroutine(pool.send(b"request", 5.0, repeatable=True))
    sending.addErrback(lambda failure: met.append(str(failure.value)))
    del sending
    assert met == ["unreachable: gone"]
    assert asked.left == 0


def test_a_failure_that_the_status_page_shows() -> None:
    asked = Asked()
    health = HealthRecord("vpn", NullLog(), 0.0)
    try:
        asked._fail()
    except CloudFailure as failure:
        health.failed(failure, 1.0)
    shown = health.read(proven=True, connections=0)
    assert (shown.last_failure, shown.last_failure_detail) == (FailureClass.UNREACHABLE, "gone")
    assert asked.left == 0


@pytest.mark.parametrize("decided", [True, False])
def test_a_lost_poll(decided: bool) -> None:
    def login() -> weakref.ref[Typed]:
        typed = Typed()
        polls = Polls()
        try:
            raise NoReply("gone")
        except CloudFailure as failure:
            polls.failed(failure)
        if not decided:
            with contextlib.suppress(NoReply):
                polls.over("txid")
        return weakref.ref(typed)

    assert login()() is None


class Lost:
    """A socket whose connection is reset while an answer is awaited."""

    def __init__(self) -> None:
        self.closed = False

    def fileno(self) -> int:
        return 7

    def send(self, octets: bytes) -> int:
        return len(octets)

    def recv(self, size: int) -> bytes:
        raise ConnectionResetError(errno.ECONNRESET, "reset")

    def close(self) -> None:
        self.closed = True


def test_a_connection_that_ends() -> None:
    reactor: Any = MemoryReactorClock()
    met: list[str] = []

    async def login(connection: Connection) -> None:
        try:
            await connection.exchange(b"request", 5.0)
        except NoReply as failure:
            met.append(failure.detail)

    stream = Stream(reactor, cast("socket.socket", Lost()))
    exchange = Deferred.fromCoroutine(login(Connection(reactor, stream)))
    stream.doRead()
    gone = weakref.ref(stream)
    del stream, exchange
    assert met == ["no reply: [Errno 104] reset"]
    assert gone() is None
