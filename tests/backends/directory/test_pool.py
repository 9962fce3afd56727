"""Kept connections: who gets which, who waits, what is closed and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from authproxy.backends.directory.pool import Overloaded, Pool


@dataclass
class Connection:
    opened: float = 0.0
    single_use: bool = False
    closed: bool = False
    ended: str = ""

    def unbind(self) -> None:
        self.closed, self.ended = True, "unbind"

    def abort(self, problem: str) -> None:
        self.closed, self.ended = True, "abort"


@dataclass
class Desk:
    """A pool of two, in which each use lasts until the test says so."""

    size: int = 2
    waiting: int = 10
    clock: Clock = field(default_factory=Clock)
    made: list[Connection] = field(default_factory=list)
    in_use: list[tuple[Connection, Deferred[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool: Pool[Connection] = Pool(
            self._open, size=self.size, waiting=self.waiting, idle=60, age=600, reactor=self.clock
        )

    async def _open(self, deadline: float) -> Connection:
        self.made.append(Connection(self.clock.seconds()))
        return self.made[-1]

    def use(self, patience: float = 10) -> list[Any]:
        """A list that will hold what came of it."""

        async def work(connection: Connection) -> str:
            done: Deferred[str] = Deferred()
            self.in_use.append((connection, done))
            return await done

        outcome: list[Any] = []
        Deferred.fromCoroutine(self.pool.use(work, self.clock.seconds() + patience)).addBoth(outcome.append)
        return outcome

    def finish(self) -> Connection:
        connection, done = self.in_use.pop(0)
        done.callback("done")
        return connection


def test_each_alone() -> None:
    desk = Desk()
    desk.use()
    desk.use()
    assert [connection for connection, _ in desk.in_use] == desk.made
    assert len(desk.made) == 2


def test_the_last_one_used_is_used_again() -> None:
    desk = Desk()
    desk.use()
    desk.use()
    desk.finish()
    last = desk.finish()
    desk.use()
    assert desk.in_use[0][0] is last


def test_first_come_first_served() -> None:
    desk = Desk(size=1)
    first, second, third = desk.use(), desk.use(), desk.use()
    assert len(desk.in_use) == 1
    desk.finish()
    assert (first, second, third) == (["done"], [], [])
    desk.finish()
    assert (second, third) == (["done"], [])
    desk.finish()
    assert third == ["done"]
    assert len(desk.made) == 1


def test_nobody_waits_for_ever() -> None:
    desk = Desk(size=1)
    desk.use(100)
    outcome = desk.use(5)
    desk.clock.advance(5)
    assert isinstance(outcome[0].value, Overloaded)
    later = desk.use()
    desk.finish()
    desk.finish()
    assert later == ["done"]


def test_each_waits_until_its_own_deadline() -> None:
    desk = Desk(size=1)
    desk.use(100)
    outcomes = {patience: desk.use(patience) for patience in (7, 3, 9, 5)}
    for second in range(1, 11):
        desk.clock.advance(1)
        assert {patience for patience, outcome in outcomes.items() if outcome} == {
            patience for patience in outcomes if patience <= second
        }
    assert desk.clock.getDelayedCalls() == []


def test_whoever_had_a_turn_is_not_late() -> None:
    desk = Desk(size=1)
    desk.use()
    first, second = desk.use(3), desk.use(9)
    desk.finish()
    desk.clock.advance(5)
    assert (first, second) == ([], [])
    desk.finish()
    desk.clock.advance(5)
    assert (first, second) == (["done"], [])
    desk.finish()
    assert second == ["done"]


def test_the_queue_is_bounded() -> None:
    desk = Desk(size=1, waiting=1)
    desk.use()
    desk.use()
    assert isinstance(desk.use()[0].value, Overloaded)


def test_a_use_that_fails_closes_its_connection_and_frees_its_place() -> None:
    desk = Desk(size=1)
    outcome, waiting = desk.use(), desk.use()
    connection, done = desk.in_use.pop()
    done.errback(ValueError("odd"))
    assert isinstance(outcome[0].value, ValueError)
    assert connection.ended == "abort"
    assert desk.in_use[0][0] is not connection
    desk.finish()
    assert waiting == ["done"]


def test_a_use_that_is_cancelled_closes_its_connection() -> None:
    desk = Desk()

    async def work(connection: Connection) -> None:
        await Deferred()

    use = Deferred.fromCoroutine(desk.pool.use(work, 10))
    use.addErrback(lambda _: None)
    use.cancel()
    assert desk.made[0].ended == "abort"


def test_one_that_waits_and_is_cancelled_leaves_the_queue() -> None:
    desk = Desk(size=1)
    desk.use()

    async def work(connection: Connection) -> None:
        raise AssertionError("never its turn")

    waiting = Deferred.fromCoroutine(desk.pool.use(work, 10))
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    desk.finish()
    assert desk.pool.idle == 1
    assert desk.use() == []


def test_opening_that_fails_frees_its_place() -> None:
    desk = Desk(size=1)

    async def refuse(deadline: float) -> Connection:
        raise ConnectionError

    desk.pool._open = refuse
    assert isinstance(desk.use()[0].value, ConnectionError)
    assert isinstance(desk.use()[0].value, ConnectionError)


def test_idle_ones_are_closed_in_time() -> None:
    desk = Desk()
    desk.use()
    desk.finish()
    desk.clock.advance(59)
    assert not desk.made[0].closed
    desk.clock.advance(1)
    assert desk.made[0].ended == "unbind"
    assert desk.clock.getDelayedCalls() == []


def test_one_that_was_idle_too_long_isnt_handed_out() -> None:
    """The sweep may not have come by yet."""
    desk = Desk()
    desk.use()
    desk.use()
    desk.finish()  # idle from 0 on: a sweep at 60, and none after it
    desk.clock.advance(59)
    desk.finish()  # idle from 59 on: swept at 60, and next at 120
    desk.clock.advance(1)
    desk.clock.advance(59.5)
    assert not desk.made[1].closed
    desk.use()
    assert desk.made[1].ended == "unbind"
    assert len(desk.made) == 3


def test_old_ones_are_replaced() -> None:
    desk = Desk()
    for _ in range(13):
        desk.use()
        desk.finish()
        desk.clock.advance(50)
    assert len(desk.made) == 2
    assert desk.made[0].ended == "unbind"


@pytest.mark.parametrize("how", ["closed", "single_use"])
def test_what_cannot_be_used_again_is_not_kept(how: str) -> None:
    desk = Desk()
    desk.use()
    setattr(desk.made[0], how, True)
    desk.finish()
    assert desk.pool.idle == 0
    assert desk.made[0].closed


def test_one_that_closed_while_idle_isnt_handed_out() -> None:
    desk = Desk()
    desk.use()
    desk.finish().closed = True
    desk.use()
    assert len(desk.made) == 2


def test_closing() -> None:
    desk = Desk()
    desk.use()
    desk.use()
    desk.finish()
    desk.pool.close()
    assert desk.made[0].ended == "unbind"
    assert not desk.made[1].closed
    desk.finish()
    assert desk.made[1].ended == "unbind"
    assert desk.clock.getDelayedCalls() == []
