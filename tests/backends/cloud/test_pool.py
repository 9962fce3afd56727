"""Which connection a request gets, and what bounds them, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from authproxy.backends.cloud.failures import NoReply, ReplyTimeout
from authproxy.backends.cloud.http1 import Connection, Reply
from authproxy.backends.cloud.pool import Pool, PoolLimits
from authproxy.pipeline.ports import CloudFailure, FailureClass

OK = Reply(200, b"{}")
DOWN = CloudFailure(FailureClass.UNREACHABLE, "refused")


class Peer:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.waiting: Deferred[Reply] | None = None
        self.sent: list[bytes] = []
        self.closed = False
        self.noisy = False
        self.used = False
        self.idle_since = 0.0
        self.on_lost: Callable[[Any], None] | None = None

    @property
    def is_open(self) -> bool:
        return not self.closed

    @property
    def is_quiet(self) -> bool:
        return not self.closed and not self.noisy

    async def exchange(self, request: bytes, deadline: float) -> Reply:
        self.sent.append(request)
        self.waiting = Deferred(lambda _: self.close())
        reply = await self.waiting
        self.used = True
        return reply

    def answer(self, reply: Reply = OK) -> None:
        waiting, self.waiting = self.waiting, None
        assert waiting is not None
        waiting.callback(reply)

    def fail(self, failure: Exception) -> None:
        self.closed = True
        assert self.waiting is not None
        self.waiting.errback(failure)

    def die(self) -> None:
        """While idle."""
        self.closed = True
        assert self.on_lost is not None
        self.on_lost(self)

    def close(self) -> None:
        self.closed = True

    def abort(self, why: CloudFailure) -> None:
        self.closed = True
        if self.waiting is not None:
            self.waiting.errback(why)


class Opener:
    """Each open waits for the test."""

    def __init__(self) -> None:
        self.opening: list[Deferred[Connection]] = []
        self.deadlines: list[float] = []

    async def open(self, deadline: float) -> Connection:
        self.deadlines.append(deadline)
        waiting: Deferred[Connection] = Deferred()
        self.opening.append(waiting)
        return await waiting

    def opened(self, at: int = -1) -> Peer:
        peer = Peer()
        self.opening[at].callback(peer)  # type: ignore[arg-type]
        return peer


class Bench:
    def __init__(self, **limits: Any) -> None:
        self.clock = Clock()
        self.opener = Opener()
        self.pool = Pool(self.opener, reactor=self.clock, limits=PoolLimits(**limits))
        self.logins: list[Deferred[Any]] = []

    def send(self, request: bytes = b"r", deadline: float = 10.0, *, repeatable: bool = True) -> list[Any]:
        ended: list[Any] = []
        sending = Deferred.fromCoroutine(self.pool.send(request, deadline, repeatable=repeatable))
        sending.addErrback(lambda failure: failure.value)
        sending.addCallback(ended.append)
        self.logins.append(sending)
        return ended

    def kept(self) -> Peer:
        """A connection that has done one exchange, and is idle now."""
        self.send()
        peer = self.opener.opened()
        peer.answer()
        return peer


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_connection_is_used_again(bench: Bench) -> None:
    ended = bench.send(b"one")
    peer = bench.opener.opened()
    peer.answer()
    assert ended == [OK]
    bench.send(b"two")
    assert peer.sent == [b"one", b"two"]
    assert len(bench.opener.opening) == 1
    assert bench.pool.open_connections == 1


def test_the_newest_is_used_first_and_the_others_grow_old() -> None:
    bench = Bench(idle_seconds=50.0)
    bench.send()
    bench.send()
    first, second = bench.opener.opened(0), bench.opener.opened(1)
    first.answer()
    second.answer()
    for _ in range(6):
        bench.clock.advance(10.0)
        bench.send(deadline=1000.0)
        second.answer()
    assert first.closed
    assert not second.closed
    bench.clock.advance(51.0)
    assert second.closed
    assert bench.pool.open_connections == 0
    assert bench.clock.getDelayedCalls() == []


def test_an_idle_connection_that_ends_is_forgotten(bench: Bench) -> None:
    bench.kept().die()
    assert bench.pool.open_connections == 0
    bench.send()
    assert len(bench.opener.opening) == 2


def test_an_idle_connection_with_something_on_it_is_not_asked(bench: Bench) -> None:
    peer = bench.kept()
    peer.noisy = True
    bench.send()
    assert peer.closed
    assert len(bench.opener.opening) == 2


def test_a_repeatable_request_is_sent_again_when_a_kept_connection_had_ended(bench: Bench) -> None:
    peer = bench.kept()
    ended = bench.send(b"again")
    peer.fail(NoReply("reset"))
    fresh = bench.opener.opened()
    assert fresh.sent == [b"again"]
    fresh.answer()
    assert ended == [OK]


@pytest.mark.parametrize(
    "failure", [ReplyTimeout("late"), CloudFailure(FailureClass.PROTOCOL, "cut"), KeyError("bug")]
)
def test_no_other_failure_is_tried_again(bench: Bench, failure: Exception) -> None:
    peer = bench.kept()
    ended = bench.send()
    peer.fail(failure)
    assert ended == [failure]
    assert len(bench.opener.opening) == 1


def test_a_fresh_connection_that_ends_is_no_reason_to_try_again(bench: Bench) -> None:
    ended = bench.send()
    bench.opener.opened().fail(failure := NoReply("reset"))
    assert ended == [failure]
    assert len(bench.opener.opening) == 1


def test_one_more_try_and_no_third(bench: Bench) -> None:
    peer = bench.kept()
    ended = bench.send()
    peer.fail(NoReply("reset"))
    bench.opener.opened().fail(failure := NoReply("reset again"))
    assert ended == [failure]
    assert len(bench.opener.opening) == 2


def test_what_must_not_be_sent_twice(bench: Bench) -> None:
    peer = bench.kept()
    ended = bench.send(repeatable=False)
    peer.fail(failure := NoReply("reset"))
    assert ended == [failure]
    assert len(bench.opener.opening) == 1


def test_nor_over_a_connection_that_was_silent_for_long() -> None:
    bench = Bench(trusted_seconds=5.0)
    peer = bench.kept()
    bench.clock.advance(5.1)
    bench.send(repeatable=False, deadline=20.0)
    assert len(bench.opener.opening) == 2
    bench.send(repeatable=True, deadline=20.0)
    assert len(peer.sent) == 2


def test_an_idle_one_makes_room() -> None:
    bench = Bench(connections=1, trusted_seconds=5.0)
    peer = bench.kept()
    bench.clock.advance(6.0)
    bench.send(b"auth", repeatable=False, deadline=20.0)
    assert peer.closed
    assert bench.opener.opened().sent == [b"auth"]


def test_connects_in_progress_are_bounded() -> None:
    bench = Bench(connecting=2, connect_seconds=5.0)
    ended = [bench.send(b"%d" % number) for number in range(4)]
    assert len(bench.opener.opening) == 2
    assert bench.opener.deadlines == [5.0, 5.0]
    first = bench.opener.opened(0)
    assert len(bench.opener.opening) == 3, "a place for the third"
    assert first.sent == [b"0"]
    first.answer()
    assert first.sent == [b"0", b"3"], "and a connection for the fourth"
    first.answer()
    assert (ended[0], ended[3]) == ([OK], [OK])


def test_connections_are_bounded() -> None:
    bench = Bench(connections=1)
    bench.send(b"one")
    bench.send(b"two")
    assert len(bench.opener.opening) == 1
    peer = bench.opener.opened()
    assert len(bench.opener.opening) == 1
    peer.fail(NoReply("reset"))
    assert len(bench.opener.opening) == 2


def test_idle_connections_are_bounded() -> None:
    bench = Bench(idle=1)
    bench.send()
    bench.send()
    first, second = bench.opener.opened(0), bench.opener.opened(1)
    first.answer()
    second.answer()
    assert (first.closed, second.closed) == (False, True)


def test_waiting_in_vain_is_our_own_overload() -> None:
    bench = Bench(connections=1)
    bench.send()
    bench.opener.opened()
    ended = bench.send(deadline=3.0)
    bench.clock.advance(3.0)
    assert ended[0].failure is FailureClass.OVERLOAD


def test_waiting_while_nobody_gets_through_is_theirs() -> None:
    bench = Bench(connecting=1)
    first = bench.send(deadline=9.0)
    waiting = [bench.send(deadline=3.0) for _ in range(3)]
    bench.clock.advance(1.0)
    bench.opener.opening[0].errback(DOWN)
    assert first == [DOWN]
    bench.clock.advance(2.0)
    assert [(met.failure, met.detail) for (met,) in waiting[1:]] == 2 * [(DOWN.failure, DOWN.detail)]


def test_giving_up_frees_the_place() -> None:
    bench = Bench(connecting=1)
    first, second, _ = bench.send(b"one"), bench.send(b"two"), bench.send(b"three")
    bench.logins[1].cancel()
    bench.logins[0].cancel()
    assert isinstance(first[0], CancelledError)
    assert isinstance(second[0], CancelledError)
    assert bench.opener.opened().sent == [b"three"]


def test_a_cancelled_exchange_closes_its_connection(bench: Bench) -> None:
    bench.send()
    peer = bench.opener.opened()
    bench.logins[0].cancel()
    assert peer.closed
    assert bench.pool.open_connections == 0


def test_alone_is_past_every_bound() -> None:
    bench = Bench(connecting=1, connections=1)
    bench.send()
    alone = Deferred.fromCoroutine(bench.pool.send_alone(b"check", 3.0))
    peer = bench.opener.opened(1)
    assert peer.sent == [b"check"]
    peer.answer()
    assert alone.result == OK
    assert peer.closed


def test_closing_ends_all(bench: Bench) -> None:
    idle = bench.kept()
    bench.send()
    idle.answer()
    ended = [bench.send() for _ in range(2)]
    busy = bench.opener.opened()
    ended += [bench.send()]
    bench.pool.close()
    opened_late = bench.opener.opened()
    assert opened_late.closed
    assert idle.closed
    assert busy.closed
    assert {failure.failure for (failure,) in ended} == {FailureClass.INTERNAL}
    (late,) = bench.send()
    assert late.failure is FailureClass.INTERNAL
    assert bench.clock.getDelayedCalls() == []
