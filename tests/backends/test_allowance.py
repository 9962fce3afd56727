"""What a door may be used for, over restarts, clocks that are set, disks that are full, files that are forged (F7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from authproxy.backends import allowance
from authproxy.backends.allowance import HOUR, REST, Allowances, Limits
from authproxy.backends.lasting_clock import Boot, LastingTime, this_boot
from tests.listeners.radius.world import Log

HOURLY = Limits(per_hour=3)
SHORT = Limits(minutes=10)


class Machine:
    """A daemon that can be restarted, on a machine that can be, too."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "fail-open.json"
        self.boot = Boot("first", 1000.0)
        self.log = Log()
        self.restart()

    def restart(self) -> None:
        self.allowances = Allowances(self.path, self.log, boot=lambda: self.boot)

    def wait(self, seconds: float) -> None:
        self.boot = Boot(self.boot.id, self.boot.seconds + seconds)

    def reboot(self) -> None:
        self.boot = Boot(self.boot.id + "x", 5.0)
        self.restart()

    def take(self, limits: Limits, section: str = "vpn") -> str:
        return self.allowances.take(section, limits)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_no_limit_needs_no_file(machine: Machine) -> None:
    machine.path.write_text("garbage")
    machine.restart()
    assert machine.take(Limits()) == ""


def test_minutes(machine: Machine) -> None:
    assert machine.take(SHORT) == ""
    machine.wait(599)
    assert machine.take(SHORT) == ""
    machine.wait(1)
    assert machine.take(SHORT) == "max_minutes"
    machine.wait(7 * 86_400)
    assert machine.take(SHORT) == "max_minutes", "an outage that goes on opens nothing again"


def test_minutes_go_on_over_restarts(machine: Machine) -> None:
    machine.take(SHORT)
    machine.wait(300)
    machine.restart()
    assert machine.take(SHORT) == ""
    machine.wait(300)
    machine.restart()
    assert machine.take(SHORT) == "max_minutes"


def test_a_reboot_gives_nothing_back(machine: Machine) -> None:
    machine.take(SHORT)
    machine.wait(600)
    machine.allowances.answered("vpn")
    machine.reboot()
    assert machine.take(SHORT) == "max_minutes"


def test_a_cloud_that_comes_back_for_a_while_renews_nothing(machine: Machine) -> None:
    """Whoever can cut the line can restore it."""
    machine.take(SHORT)
    machine.wait(590)
    machine.allowances.answered("vpn")
    machine.wait(REST - 1)
    assert machine.take(SHORT) == "max_minutes"


def test_an_hour_of_answers_renews(machine: Machine) -> None:
    machine.take(SHORT)
    machine.wait(600)
    machine.allowances.answered("vpn")
    machine.wait(REST - 1)
    machine.restart()
    assert machine.take(SHORT) == "max_minutes"
    machine.wait(1)
    assert machine.take(SHORT) == ""


def test_answers_with_a_login_between_them_are_no_rest(machine: Machine) -> None:
    long = Limits(minutes=120)
    machine.take(long)
    for _ in range(3):
        machine.allowances.answered("vpn")
        machine.wait(REST - 10)
        last = machine.take(long)
    assert last == "max_minutes"


def test_per_hour(machine: Machine) -> None:
    assert [machine.take(HOURLY) for _ in range(5)] == ["", "", "", "max_per_hour", "max_per_hour"]
    machine.wait(HOUR)
    assert machine.take(HOURLY) == "max_per_hour", "an hour and what may have been written ahead"
    machine.wait(60)
    assert machine.take(HOURLY) == ""


@pytest.mark.parametrize("per_hour", [1, 49, 50, 199, 1000])
def test_never_more_in_any_hour(machine: Machine, per_hour: int) -> None:
    """Steadily, ten times as often as is allowed, for three hours, with a restart now and then."""
    limits, passed = Limits(per_hour=per_hour), []
    step = HOUR / (10 * per_hour)
    for number in range(30 * per_hour):
        if machine.take(limits) == "":
            passed.append(machine.boot.seconds)
        machine.wait(step)
        if number % 97 == 0:
            machine.restart()
    for at in passed:
        assert len([one for one in passed if at <= one < at + HOUR]) <= per_hour
    assert len(passed) >= per_hour


def test_what_was_written_down_ahead_is_not_kept_for_later(machine: Machine) -> None:
    """Else one that passes late would count as having passed early."""
    limits, passed = Limits(per_hour=100), []
    for wait in [0, 59 * 60, 2 * 60, *[0] * 200]:
        machine.wait(wait)
        if machine.take(limits) == "":
            passed.append(machine.boot.seconds)
    assert len([at for at in passed if at >= 1000 + 59 * 60]) == 100


def test_a_restart_gives_no_logins_back(machine: Machine) -> None:
    for _ in range(3):
        assert machine.take(HOURLY) == ""
        machine.restart()
    assert machine.take(HOURLY) == "max_per_hour"
    machine.reboot()
    assert machine.take(HOURLY) == "max_per_hour"


def test_sections_have_their_own(machine: Machine) -> None:
    for _ in range(3):
        machine.take(HOURLY)
    assert machine.take(HOURLY, "other") == ""


def test_a_reload_with_other_limits_keeps_what_was_used(machine: Machine) -> None:
    for _ in range(3):
        machine.take(HOURLY)
    assert machine.take(Limits(per_hour=2)) == "max_per_hour"
    assert machine.take(Limits(per_hour=4)) == ""
    assert machine.take(Limits(per_hour=4)) == "max_per_hour"


def test_a_full_disk_keeps_it_shut(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(allowance, "replace_file", full)
        assert [machine.take(HOURLY), machine.take(SHORT)] == ["limit_unknown"] * 2
        assert "door.limits_not_written" in machine.log.events()
    assert machine.take(HOURLY) == ""


WHOLE: dict[str, Any] = {
    "version": 1,
    "clock": {"boot": "first", "seconds": 900.0, "count": 50.0},
    "sections": {"vpn": {"began": 60.0, "answered": None, "passed": [[60.0, 2]]}},
}


def forged(**section: Any) -> str:
    return json.dumps(WHOLE | {"sections": {"vpn": WHOLE["sections"]["vpn"] | section}})


def test_a_whole_file_is_read(machine: Machine) -> None:
    machine.path.write_text(forged())
    machine.restart()
    assert [machine.take(HOURLY), machine.take(HOURLY)] == ["", "max_per_hour"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "[]",
        "null",
        '{"version": 1}',
        json.dumps(WHOLE | {"version": 2}),
        json.dumps(WHOLE | {"clock": {"boot": "first", "seconds": -1, "count": 0}}),
        json.dumps(WHOLE | {"sections": []}),
        forged(began=1e9),
        forged(began=-5),
        forged(began="yesterday"),
        forged(began=float("nan")),
        forged(answered=1e9),
        forged(passed=[[60.0, -100]]),
        forged(passed=[[1e9, 1]]),
        forged(passed=[[60.0, True]]),
        forged(passed=[[60.0]]),
        "[" * 100_000,
    ],
)
def test_a_file_that_says_what_can_t_be(machine: Machine, text: str) -> None:
    """Shut, not open; and not written over."""
    machine.path.write_text(text)
    machine.restart()
    assert [machine.take(HOURLY), machine.take(SHORT)] == ["limit_unknown"] * 2
    assert machine.log.events() == ["door.limits_unusable"]
    assert machine.path.read_text() == text


def test_a_file_that_can_t_be_read(machine: Machine) -> None:
    machine.path.mkdir()
    machine.restart()
    assert machine.take(HOURLY) == "limit_unknown"


def test_the_clock_runs() -> None:
    began = this_boot()
    later = this_boot()
    assert began.id == later.id
    assert later.seconds >= began.seconds
    assert LastingTime(began, 7.0).at(later) == 7.0 + later.seconds - began.seconds


def test_without_a_boot_s_name_nothing_is_counted_on() -> None:
    """Rather too long than too short."""
    assert LastingTime(Boot("", 10.0), 7.0).at(Boot("", 500.0)) == 7.0
