"""A deadline that moves: late exactly once and exactly then, with few timers and none left behind."""

from __future__ import annotations

import weakref

from twisted.internet.task import Clock

from authproxy.backends.deadline import Deadline


class Wait:
    """One that notes when it was late."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.late: list[float] = []
        self.deadline = Deadline(self.clock, lambda: self.late.append(self.clock.seconds()))


def test_late_at_the_deadline_and_once() -> None:
    wait = Wait()
    wait.deadline.begin(2.0)
    wait.clock.pump([1.9, 0.1, 5.0])
    assert wait.late == [2.0]


def test_a_wait_that_is_over_is_never_late() -> None:
    wait = Wait()
    wait.deadline.begin(2.0)
    wait.deadline.over()
    wait.clock.advance(2.0)
    assert wait.late == []
    assert wait.clock.getDelayedCalls() == []


def test_the_timer_of_the_wait_before_doesnt_end_the_next() -> None:
    wait = Wait()
    wait.deadline.begin(2.0)
    wait.deadline.over()
    wait.clock.advance(1.5)
    wait.deadline.begin(3.3)
    wait.clock.advance(0.5)
    assert wait.late == []
    wait.clock.advance(1.3)
    assert wait.late == [3.3]


def test_a_nearer_deadline_than_the_one_before_is_kept() -> None:
    wait = Wait()
    wait.deadline.begin(60.0)
    wait.deadline.over()
    wait.deadline.begin(2.0)
    wait.clock.advance(2.0)
    assert wait.late == [2.0]
    assert wait.clock.getDelayedCalls() == []


def test_one_that_has_passed_is_late_at_once() -> None:
    wait = Wait()
    wait.clock.advance(10.0)
    wait.deadline.begin(1.0)
    wait.clock.advance(0.0)
    assert wait.late == [10.0]


def test_many_waits_are_one_timer() -> None:
    wait = Wait()
    for at in range(100):
        wait.deadline.begin(10.0 + at / 100)
        wait.deadline.over()
    assert len(wait.clock.getDelayedCalls()) == 1


def test_stopped_it_leaves_no_timer() -> None:
    wait = Wait()
    wait.deadline.begin(2.0)
    wait.deadline.stop()
    assert wait.clock.getDelayedCalls() == []
    wait.deadline.begin(3.0)
    wait.clock.advance(3.0)
    assert wait.late == [3.0]


def test_ended_it_tells_nobody_and_holds_nobody() -> None:
    wait = Wait()
    wait.deadline.begin(2.0)
    wait.deadline.end()
    assert wait.clock.getDelayedCalls() == []
    there = weakref.ref(wait)
    del wait
    assert there() is None, "and needs no search for garbage"


def test_a_later_deadline_doesnt_replace_a_sooner_one() -> None:
    wait = Wait()
    for at in (5.0, 7.0, 3.0, 9.0):
        wait.deadline.begin_if_sooner(at)
    wait.clock.pump([1.0] * 10)
    assert wait.late == [3.0]
    wait.deadline.begin_if_sooner(12.0)
    wait.clock.pump([1.0] * 2)
    assert wait.late == [3.0, 12.0]
