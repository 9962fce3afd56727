"""A brown-out: what makes a cloud slow, what doesn't, and what ends it (F6)."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from authproxy.backends.cloud.breaker import PROBE_EVERY
from authproxy.backends.cloud.pace import COUNTED, PAUSE, WINDOW, Pace
from authproxy.backends.cloud.slow import SlowWatch
from authproxy.observe.doors import DoorEvent, DoorEventKind, DoorEvents
from authproxy.pipeline.ports import CloudFailure, FailureClass
from tests.backends.cloud.conftest import Events

DOWN = CloudFailure(FailureClass.UNREACHABLE, "no answer in time")
REFUSED = CloudFailure(FailureClass.CREDENTIAL, "HTTP 401")
SLOW, QUICK = DoorEventKind.SLOW, DoorEventKind.QUICK


class World:
    """`takes`: seconds of a probe; `meets`: what it ends with."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.takes = 0.0
        self.meets: CloudFailure | Exception | None = None
        self.log = Events()
        self.probes = 0
        self.quick_again = 0
        self.seen: list[DoorEvent] = []
        doors = DoorEvents(self.log)
        doors.subscribe(self.seen.append)
        self.watch = SlowWatch(
            self._check,
            threshold=2.0,
            reactor=self.clock,
            tell=doors.of("vpn"),
            log=self.log,
            quick_again=self._quick_again,
        )

    def _quick_again(self) -> None:
        self.quick_again += 1

    async def _check(self, timeout: float) -> None:
        self.probes += 1
        waiting: Deferred[None] = Deferred()
        late = self.clock.callLater(min(self.takes, timeout), waiting.callback, None)
        try:
            await waiting
        finally:
            if late.active():
                late.cancel()
        if self.takes >= timeout:
            raise DOWN
        if self.meets is not None:
            raise self.meets

    def logins(self, seconds: float, count: int = COUNTED) -> None:
        for _ in range(count):
            self.watch.took(seconds)

    def wait(self, seconds: float) -> None:
        """An event loop that comes in time."""
        self.clock.pump([0.05] * round(seconds / 0.05))

    def hang(self, seconds: float) -> None:
        """One that doesn't."""
        self.clock.advance(seconds)

    @property
    def kinds(self) -> list[DoorEventKind]:
        return [event.kind for event in self.seen]

    def become_slow(self) -> None:
        self.takes = 3.0
        self.logins(2.5)
        self.wait(3.1)
        assert self.watch.is_slow


@pytest.fixture
def world() -> World:
    return World()


def test_slow_logins_and_a_slow_probe(world: World) -> None:
    world.become_slow()
    assert world.kinds == [SLOW]


@pytest.mark.parametrize("takes", [3.0, 4.0, 60.0])
def test_a_probe_that_gets_no_answer_in_time_is_slow(world: World, takes: float) -> None:
    world.takes = takes
    world.logins(2.5)
    world.wait(4.1)
    assert world.watch.is_slow


def test_logins_alone_make_nothing_slow(world: World) -> None:
    """F6: one user's requests that hang, a pool that is full; the probe is quick."""
    world.takes = 0.1
    world.logins(9.0, 100)
    world.wait(1)
    assert not world.watch.is_slow
    assert world.probes == 1
    world.logins(9.0, 100)
    world.wait(1)
    assert world.probes == 1, "and not another probe for each flood"
    world.wait(PAUSE)
    world.logins(9.0, 100)
    assert world.probes == 2
    assert world.seen == []


def test_a_slow_probe_that_we_are_too_busy_for(world: World) -> None:
    """F6: a flood that keeps this process busy must not make the cloud look slow."""
    world.takes = 0.2
    world.logins(2.5)
    world.hang(3.0)
    assert world.clock.getDelayedCalls() == []
    assert not world.watch.is_slow
    assert world.seen == []


@pytest.mark.parametrize("met", [REFUSED, KeyError("oops")])
def test_a_probe_that_tells_nothing(world: World, met: Exception) -> None:
    world.takes, world.meets = 3.0, met
    world.logins(2.5)
    world.wait(3.1)
    assert not world.watch.is_slow


def test_a_dead_cloud_is_not_slow(world: World) -> None:
    """It is the breaker's."""
    world.meets = DOWN
    world.logins(2.5)
    world.wait(1)
    assert not world.watch.is_slow


def test_two_quick_probes_end_it(world: World) -> None:
    world.become_slow()
    world.wait(PROBE_EVERY + 3.1)
    assert world.watch.is_slow
    world.takes = 0.1
    world.wait(PROBE_EVERY + 0.2)
    assert world.watch.is_slow, "one could be luck"
    world.wait(PROBE_EVERY + 0.2)
    assert not world.watch.is_slow
    assert (world.kinds, world.quick_again) == ([SLOW, QUICK], 1)
    world.wait(60)
    assert world.clock.getDelayedCalls() == []


def test_between_slow_and_quick_nothing_changes(world: World) -> None:
    world.become_slow()
    world.takes = 1.5
    world.wait(5 * (PROBE_EVERY + 1.6))
    assert world.watch.is_slow


def test_a_bug_in_the_probe_is_no_end(world: World) -> None:
    world.become_slow()
    world.takes, world.meets = 0.1, KeyError("oops")
    world.wait(3 * (PROBE_EVERY + 0.2))
    assert world.watch.is_slow
    world.meets = None
    world.wait(2 * (PROBE_EVERY + 0.3))
    assert not world.watch.is_slow


def test_few_or_old_or_mostly_quick_ones_send_for_nobody() -> None:
    pace = Pace(2.0)
    assert not any(pace.took(9.0, 0.0) for _ in range(COUNTED - 1))
    assert not pace.took(9.0, WINDOW + 1)
    pace = Pace(2.0)
    assert not any(pace.took(took, 0.0) for took in (9.0, 9.0, 0.1, 0.1, 0.1, 9.0, 0.1))


@pytest.mark.parametrize("probing", [False, True])
def test_closed(world: World, probing: bool) -> None:
    world.become_slow()
    if probing:
        world.wait(PROBE_EVERY + 0.2)
    world.watch.close()
    world.wait(60)
    assert world.clock.getDelayedCalls() == []
    assert world.log.bugs == []
