"""When a door is told open, and when closed (F8)."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from authproxy.backends.cloud.breaker import PROBE_EVERY
from authproxy.backends.cloud.health import HealthRecord
from authproxy.backends.cloud.probe import Probe
from authproxy.backends.door_watch import DoorWatch
from authproxy.observe.doors import DoorEvent, DoorEventKind, DoorEvents
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import CloudFailure, FailureClass

DOWN = CloudFailure(FailureClass.UNREACHABLE, "refused")
FORGED = CloudFailure(FailureClass.UNTRUSTED, "api is 127.0.0.1, which isn't a public address")
OPENED, CLOSED, TAMPERED = DoorEventKind.OPENED, DoorEventKind.CLOSED, DoorEventKind.TAMPERED


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.meets: CloudFailure | Exception | None = DOWN
        self.seen: list[DoorEvent] = []
        doors = DoorEvents(NullLog())
        doors.subscribe(self.seen.append)
        self.watch = DoorWatch(
            probe=Probe(self._check, reactor=self.clock, log=NullLog()),
            reactor=self.clock,
            tell=doors.of("vpn"),
            log=NullLog(),
        )

    async def _check(self, timeout: float) -> None:
        if self.meets is not None:
            raise self.meets

    @property
    def kinds(self) -> list[DoorEventKind]:
        return [event.kind for event in self.seen]


@pytest.fixture
def world() -> World:
    return World()


def test_opened_once(world: World) -> None:
    for _ in range(3):
        world.watch.opened(DOWN)
    assert [(event.kind, event.section, event.why) for event in world.seen] == [
        (OPENED, "vpn", "unreachable")
    ]


def test_the_end_is_seen_without_a_login(world: World) -> None:
    world.watch.opened(DOWN)
    world.clock.pump([PROBE_EVERY] * 3)
    assert world.kinds == [OPENED]
    world.meets = None
    world.clock.advance(PROBE_EVERY)
    assert world.kinds == [OPENED, CLOSED]
    assert world.watch.open_since is None
    assert world.clock.getDelayedCalls() == []


def test_an_answer_closes_it(world: World) -> None:
    health = HealthRecord("vpn", NullLog(), 0.0)
    health.watcher = world.watch
    world.watch.opened(DOWN)
    health.succeeded(1.0, 0.1)
    assert world.kinds == [OPENED, CLOSED]
    world.watch.opened(DOWN)
    assert world.kinds == [OPENED, CLOSED, OPENED], "the next outage is told anew"


def test_a_refusal_closes_it(world: World) -> None:
    world.watch.opened(DOWN)
    world.meets = CloudFailure(FailureClass.CREDENTIAL, "HTTP 401")
    world.clock.advance(PROBE_EVERY)
    assert world.kinds == [OPENED, CLOSED]


def test_a_bug_in_the_probe_closes_it(world: World) -> None:
    """Class internal: nobody passes."""
    world.watch.opened(DOWN)
    world.meets = KeyError("oops")
    world.clock.advance(PROBE_EVERY)
    assert world.kinds == [OPENED, CLOSED]


def test_a_sign_of_tampering_is_told_once(world: World) -> None:
    """F5: and again after the cloud was there."""
    health = HealthRecord("vpn", NullLog(), 0.0)
    health.watcher = world.watch
    for _ in range(3):
        health.failed(FORGED, 1.0)
    assert world.kinds == [TAMPERED]
    health.succeeded(2.0, 0.1)
    health.failed(FORGED, 3.0)
    assert world.kinds == [TAMPERED, TAMPERED]
    health.failed(DOWN, 4.0)
    assert world.kinds == [TAMPERED, TAMPERED]


def test_nothing_goes_on_behind_its_end(world: World) -> None:
    world.watch.opened(DOWN)
    world.watch.close()
    assert world.clock.getDelayedCalls() == []
    world.watch.opened(DOWN)
    assert world.kinds == [OPENED, CLOSED], "whoever was told that it is open is told that it isn't"


def test_a_limit_is_told_once_and_shuts_the_door(world: World) -> None:
    world.watch.opened(DOWN)
    for _ in range(5):
        world.watch.limited("max_minutes")
    assert world.kinds == [OPENED, DoorEventKind.LIMIT_REACHED, CLOSED]
    assert world.watch.shut_by == "max_minutes"
    world.clock.advance(3600)
    world.watch.limited("max_minutes")
    assert world.kinds[3:] == [DoorEventKind.LIMIT_REACHED], "and again after an hour"
    world.watch.answered()
    assert world.watch.shut_by == ""
    world.watch.limited("max_minutes")
    assert world.kinds[4:] == [DoorEventKind.LIMIT_REACHED], "and in the next outage"


def test_an_hour_s_limit_shuts_for_some(world: World) -> None:
    world.watch.opened(DOWN)
    world.watch.limited("max_per_hour")
    assert world.kinds == [OPENED, DoorEventKind.LIMIT_REACHED]
    assert world.watch.shut_by == "", "the next may pass"


def test_an_answer_does_not_end_slowness(world: World) -> None:
    """A slow cloud answers; its own probe says when it is quick."""
    world.watch.opened(CloudFailure(FailureClass.SLOW, "too slow"))
    world.watch.answered()
    world.meets = None
    world.clock.pump([PROBE_EVERY] * 3)
    assert world.kinds == [OPENED]
    world.watch.quick_again()
    assert world.kinds == [OPENED, CLOSED]
    assert world.clock.getDelayedCalls() == []


def test_quickness_does_not_end_an_outage(world: World) -> None:
    world.watch.opened(DOWN)
    world.watch.quick_again()
    assert world.kinds == [OPENED]
