"""R36, R37: which identifiers a server meets and when it is asked again (RFC 5080 §2.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from twisted.internet.defer import Deferred

from authproxy.backends.radius.datagrams import ServerSocket
from authproxy.backends.radius.retransmission import Retransmission
from authproxy.backends.radius.server import Server, Silent
from authproxy.observe.log import NullLog
from authproxy.protocols.radius.packet import Packet
from authproxy.protocols.radius.request import pap_request
from authproxy.secret import Secret

from .fakes import SECRET, RadiusServer, Reactor, result


@pytest.fixture
def silent() -> Iterator[RadiusServer]:
    server = RadiusServer()
    yield server
    server.close()


def sockets(server: RadiusServer, count: int) -> list[ServerSocket]:
    reactor = Reactor()
    return [
        ServerSocket("127.0.0.1", server.port, reactor, lambda *_: None, lambda _: None) for _ in range(count)
    ]


@pytest.fixture
def taken(silent: RadiusServer) -> Iterator[Callable[[], list[int]]]:
    """The identifiers of 1,000 requests, one after the other, over a socket of their own."""
    made: list[ServerSocket] = []

    def take() -> list[int]:
        (one,) = sockets(silent, 1)
        made.append(one)
        identifiers = []
        for _ in range(1000):
            identifiers.append(one.free.popleft())
            one.free.append(identifiers[-1])
        return identifiers

    yield take
    for one in made:
        one.close()


def test_an_identifier_rests_as_long_as_it_can(taken: Callable[[], list[int]]) -> None:
    """A late answer to the last request with it must not be taken for one to the next."""
    identifiers = taken()
    for at in range(len(identifiers) - 255):
        assert len(set(identifiers[at : at + 256])) == 256


def test_nobody_guesses_the_next_identifier(taken: Callable[[], list[int]]) -> None:
    """256! orders: two that are alike, or as one counts, are none of ours."""
    one, other = taken()[:256], taken()[:256]
    assert one != other
    assert sorted(one) not in (one, other)


class Asking:
    def __init__(self, server: RadiusServer, *, retry_wait: float = 2.0) -> None:
        self.reactor = Reactor()
        self.server = Server(
            "127.0.0.1",
            server.port,
            SECRET,
            require_message_authenticator=True,
            retry_wait=retry_wait,
            reactor=self.reactor,
            log=NullLog(),
        )

    def ask(self, *, sends: int, patience: float = 1000) -> Deferred[object]:
        def build(identifier: int, authenticator: bytes, _: str) -> Packet:
            password = Secret(b"right")
            return pap_request(
                b"alice", password, identifier=identifier, authenticator=authenticator, secret=SECRET
            )

        deadline = self.reactor.seconds() + patience
        return Deferred.fromCoroutine(self.server.ask(build, sends=sends, deadline=deadline))

    def next_pause(self) -> float:
        """Seconds until the one request that waits is sent again, or given up; they go by."""
        (timer,) = self.reactor.getDelayedCalls()
        pause: float = timer.getTime() - self.reactor.seconds()
        self.reactor.advance(pause)
        return pause


def test_each_wait_is_twice_as_long_up_to_a_limit(silent: RadiusServer) -> None:
    """IRT 2 s, MRT 16 s here."""
    asking = Asking(silent)
    asked = asking.ask(sends=6)
    for due in (2, 4, 8, 16, 16, 16):
        assert asking.next_pause() == pytest.approx(due, rel=0.1)
    assert isinstance(result(asked).value, Silent)
    silent.turn()
    assert len(silent.seen) == 6
    assert len(set(silent.seen)) == 1
    asking.server.close()


def test_many_do_not_beat_in_time(silent: RadiusServer) -> None:
    asking = Asking(silent)
    waiting = [asking.ask(sends=1) for _ in range(50)]
    ended: list[float] = []
    for one in waiting:
        one.addBoth(lambda failure: (ended.append(asking.reactor.seconds()), failure)[1])
    for _ in range(3000):
        asking.reactor.advance(0.001)
    assert all(isinstance(result(one).value, Silent) for one in waiting)
    assert len({round(at, 3) for at in ended}) > 25
    assert max(ended) - min(ended) > 0.1
    asking.server.close()


def test_who_has_its_answer_is_not_woken_and_the_others_are() -> None:
    """One timer for all: it is set for the next that still waits, in any order."""
    reactor = Reactor()
    retransmission = Retransmission(reactor)
    waiting: dict[float, Deferred[object]] = {due: Deferred() for due in (3.0, 1.0, 2.0, 5.0, 1.5)}
    woken: list[tuple[float, float]] = []
    for due, one in waiting.items():
        retransmission.at(due, one)
        one.addCallback(
            lambda outcome, due=due: woken.append((due, reactor.seconds())) if outcome is None else None
        )
    waiting[1.0].callback("answered")
    waiting[2.0].callback("answered")
    for _ in range(8):
        (timer,) = reactor.getDelayedCalls()
        reactor.advance(timer.getTime() - reactor.seconds())
        if not reactor.getDelayedCalls():
            break
    assert woken == [(1.5, 1.5), (3.0, 3.0), (5.0, 5.0)]
    retransmission.at(9.0, Deferred())
    retransmission.close()
    assert reactor.getDelayedCalls() == []


def test_nothing_is_sent_at_the_end(silent: RadiusServer) -> None:
    """Nobody would be there to hear the answer."""
    asking = Asking(silent)
    asked = asking.ask(sends=4, patience=5)
    asking.reactor.pump([0.5] * 12)
    assert isinstance(result(asked).value, Silent)
    silent.turn()
    assert len(silent.seen) == 2
    asking.server.close()
