"""A hook that hangs, fails or is flooded costs itself only."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from authproxy.observe.alarms.alarm import AlarmKind
from authproxy.observe.alarms.board import Alarms
from authproxy.observe.alarms.hook import Hook, NotDelivered
from tests.observe.fakes import Remembered


@dataclass
class Pager:
    """Takes alarms when it is `free`; the first `refusals` tries fail."""

    name: str = "pager"
    pauses: Sequence[float] = ()
    refusals: int = 0
    again: bool = True
    bug: bool = False
    tries: list[bytes] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def deliver(self, octets: bytes) -> None:
        self.begun.set()
        assert self.free.wait(10)
        self.tries.append(octets)
        if self.bug:
            raise ValueError(octets)
        if len(self.tries) <= self.refusals:
            raise NotDelivered("busy", again=self.again)
        self.taken.append(octets)


def free(**changes: object) -> Pager:
    pager = Pager(**changes)  # type: ignore[arg-type]
    pager.free.set()
    return pager


def test_in_order() -> None:
    pager, log = free(), Remembered()
    hook = Hook(pager, log)
    for number in range(20):
        hook.put(b"%d" % number)
    hook.close(5)
    assert pager.taken == [b"%d" % number for number in range(20)]
    assert (hook.delivered, hook.lost, log.events) == (20, 0, [])


def test_one_that_hangs_holds_nobody_up() -> None:
    """The newest are kept: they say how things are."""
    pager, log = Pager(), Remembered()
    hook = Hook(pager, log, capacity=3)
    hook.put(b"first")
    assert pager.begun.wait(5)
    for number in range(10):
        hook.put(b"%d" % number)
    assert hook.lost == 7
    hook.close(0.01)
    assert [event for _, event, _ in log.events] == ["alarm.given_up"]
    pager.free.set()
    hook.close(5)
    assert pager.taken == [b"first", b"7", b"8", b"9"]


@pytest.mark.parametrize(
    ("refusals", "again", "tries", "delivered"),
    [(0, True, 1, 1), (2, True, 3, 1), (3, True, 3, 0), (1, False, 1, 0)],
)
def test_tried_again_a_little(refusals: int, again: bool, tries: int, delivered: int) -> None:
    pager, log = free(pauses=(0.0, 0.0), refusals=refusals, again=again), Remembered()
    hook = Hook(pager, log)
    hook.put(b"x")
    while not hook.delivered + hook.lost:
        pass
    hook.close(5)
    assert (len(pager.tries), hook.delivered, hook.lost) == (tries, delivered, 1 - delivered)
    assert [event for _, event, _ in log.events] == ["alarm.not_delivered"] * (1 - delivered)


def test_at_the_end_nothing_waits_for_another_try() -> None:
    pager, log = free(pauses=(600.0,), refusals=9), Remembered()
    hook = Hook(pager, log)
    hook.put(b"x")
    assert pager.begun.wait(5)
    hook.close(5)
    assert hook.lost == 1


def test_a_bug_of_ours_costs_one_alarm() -> None:
    pager, log = free(bug=True), Remembered()
    hook = Hook(pager, log)
    hook.put(b"x")
    hook.put(b"y")
    hook.close(5)
    assert (hook.lost, len(pager.tries)) == (2, 2)
    assert [event for _, event, _ in log.events] == ["alarm.failed"] * 2


def test_the_board_never_waits_and_hands_out_the_rest_at_the_end() -> None:
    pager, log, now = Pager(), Remembered(), [0.0]
    counted: list[str] = []
    alarms = Alarms(
        hostname="proxy1",
        log=log,
        counted=counted.append,
        clock=lambda: now[0],
        wall_clock=lambda: 1_738_324_800.0,
        hooks=[Hook(pager, log)],
    )
    alarms.tell(AlarmKind.DOOR_OPENED, "vpn", "open", cause="unreachable")
    alarms.tell(AlarmKind.DOOR_CLOSED, "vpn", "shut")
    alarms.tell(AlarmKind.DOOR_OPENED, "vpn", "open again")
    assert counted == ["door_opened", "door_closed", "door_opened"]
    assert [(level, event) for level, event, _ in log.events] == [
        ("warn", "alarm.door_opened"),
        ("info", "alarm.door_closed"),
        ("warn", "alarm.door_opened"),
    ]
    assert [alarm.text for alarm in alarms.recent()] == ["open again", "shut", "open"]
    assert alarms.held_back == 2
    pager.free.set()
    alarms.close(5)
    first, last = pager.taken
    assert first == (
        b'{"version":1,"alarm":"door_opened","severity":"critical","subject":"vpn","text":"open",'
        b'"timestamp":"2025-01-31T12:00:00.000000Z","hostname":"proxy1","detail":{"cause":"unreachable"},'
        b'"held_back":0}\n'
    )
    assert b'"text":"open again"' in last
    assert b'"held_back":1' in last


def test_other_hooks_from_now_on() -> None:
    """A reload: what waits for the earlier ones is tried still."""
    before, after, log = free(), free(), Remembered()
    alarms = Alarms(
        hostname="",
        log=log,
        counted=lambda kind: None,
        clock=lambda: 0.0,
        wall_clock=lambda: 0.0,
        hooks=[Hook(before, log)],
    )
    alarms.tell(AlarmKind.TEST, "a", "")
    alarms.use([Hook(after, log)])
    alarms.tell(AlarmKind.TEST, "b", "")
    alarms.close(5)
    while not before.taken:
        pass
    assert (len(before.taken), len(after.taken)) == (1, 1)
