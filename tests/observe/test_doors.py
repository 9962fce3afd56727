"""Door events: in the log, and to whoever subscribes."""

from __future__ import annotations

import pytest

from authproxy.observe.doors import DoorEvent, DoorEventKind, DoorEvents
from tests.listeners.radius.world import Log


@pytest.mark.parametrize("kind", list(DoorEventKind))
def test_told_and_logged(kind: DoorEventKind) -> None:
    log, seen = Log(), list[DoorEvent]()
    doors = DoorEvents(log, wall_clock=lambda: 1000.0)
    doors.subscribe(seen.append)
    doors.of("vpn")(kind, why="unreachable")
    assert seen == [DoorEvent(kind, "vpn", 1000.0, "unreachable")]
    level = "info" if kind is DoorEventKind.QUICK else "warn"
    assert log.lines == [(level, f"door.{kind}", {"section": "vpn", "why": "unreachable"})]


def test_a_subscriber_s_bug_is_its_own() -> None:
    log, seen = Log(), list[DoorEvent]()
    doors = DoorEvents(log)

    def broken(_: DoorEvent) -> None:
        raise KeyError("oops")

    doors.subscribe(broken)
    doors.subscribe(seen.append)
    doors.of("vpn")(DoorEventKind.OPENED)
    assert [event.kind for event in seen] == [DoorEventKind.OPENED]
    assert log.events() == ["door.opened", "door.subscriber_failed"]
