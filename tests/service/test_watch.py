"""What the watch tells: each change once, a certificate once a day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from authproxy.listeners.admin.overview import SectionState
from authproxy.observe.alarms.alarm import Alarm
from authproxy.observe.alarms.board import Alarms
from authproxy.observe.writer import LineWriter
from authproxy.pipeline.fail_mode import FailMode
from authproxy.service.watch import EXPIRES_SOON, Watch
from tests.listeners.admin.fakes import CLOUD_DOWN, section
from tests.observe.fakes import Paper, Remembered
from tests.observe.fakes import Told as Ignored

DAY = 86_400.0
WALL = 1_738_324_800.0


class Watched:
    """A service whose parts are set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sections: list[SectionState] = [section()]
        self.expiries: dict[str, float] = {}
        self.disk = ""
        self.hanging: list[Callable[[str], None]] | None = None
        self.writer = LineWriter(Paper(), name="audit", told=Ignored(), gap=lambda count, problem: b"")
        self.alarms = Alarms(
            hostname="proxy1",
            log=Remembered(),
            counted=lambda kind: None,
            clock=lambda: self.now,
            wall_clock=lambda: WALL + self.now,
        )
        self.watch = Watch(
            alarms=self.alarms,
            log=Remembered(),
            sections=lambda: self.sections,
            expiries=lambda: self.expiries,
            writers=[self.writer],
            state_dir=Path("/state"),
            try_disk=self._try_disk,
            clock=lambda: self.now,
            wall_clock=lambda: WALL + self.now,
        )

    def _try_disk(self, told: Callable[[str], None]) -> None:
        if self.hanging is None:
            told(self.disk)
        else:
            self.hanging.append(told)

    def look(self, later: float = 1.0) -> list[Alarm]:
        """The new alarms, oldest first."""
        before = list(self.alarms.recent())
        self.now += later
        self.watch.look()
        told = list(self.alarms.recent())
        return told[: len(told) - len(before)][::-1]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_nothing_happens(watched: Watched) -> None:
    assert [watched.look(60) for _ in range(5)] == [[]] * 5


@pytest.mark.parametrize(
    ("mode", "words"),
    [(FailMode.SAFE, "USERS GET IN ON A PASSWORD ALONE"), (FailMode.SECURE, "nobody gets in")],
)
def test_a_breaker(watched: Watched, mode: FailMode, words: str) -> None:
    watched.sections = [section(fail_mode=mode, cloud=CLOUD_DOWN), section(name="other")]
    (opened,) = watched.look()
    assert (opened.kind, opened.subject) == ("breaker_opened", "vpn")
    assert words in opened.text
    assert opened.detail["api_host"] == "api-1.example.com"
    assert watched.look() == []
    watched.sections = [section(fail_mode=mode)]
    assert [alarm.kind for alarm in watched.look()] == ["breaker_closed"]


def test_a_log_that_fails(watched: Watched) -> None:
    watched.writer.problem = "No space left on device"
    (failing,) = watched.look()
    assert (failing.kind, failing.subject, failing.severity) == ("log_failing", "audit", "critical")
    assert "no outage lets anyone in" in failing.text
    assert watched.look() == []
    watched.writer.problem = ""
    assert [alarm.kind for alarm in watched.look()] == ["log_recovered"]


def test_a_state_folder_that_fails(watched: Watched) -> None:
    assert watched.look() == []
    watched.disk = "Read-only file system"
    (failing,) = watched.look(31)
    assert (failing.kind, failing.subject) == ("state_failing", "/state")
    assert watched.look(31) == []
    watched.disk = ""
    assert watched.look(5) == []  # not asked again yet
    assert [alarm.kind for alarm in watched.look(31)] == ["state_recovered"]


def test_a_disk_that_hangs_is_asked_once(watched: Watched) -> None:
    watched.hanging = []
    for _ in range(10):
        watched.look(60)
    assert len(watched.hanging) == 1
    watched.hanging[0]("")
    watched.look(60)
    assert len(watched.hanging) == 2


def test_certificates_once_a_day(watched: Watched) -> None:
    """T4, from 60 days before the end; by a clock that doesn't step."""
    watched.expiries = {
        "far": WALL + EXPIRES_SOON + 100 * DAY,
        "soon": WALL + EXPIRES_SOON + 10,
        "over": WALL - DAY,
    }
    (over,) = watched.look()
    assert (over.kind, over.subject, over.text) == ("certificate_expiring", "over", "expired on 2025-01-30")
    (soon,) = watched.look(20)
    assert (soon.subject, soon.text) == ("soon", "expires on 2025-04-01, in 59 d 23 h")
    told = [alarm.subject for _ in range(47) for alarm in watched.look(3600)]
    assert sorted(told) == ["over", "soon"]
    watched.expiries["soon"] += 365 * DAY  # renewed
    assert [alarm.subject for _ in range(24) for alarm in watched.look(3600)] == ["over"]


def test_nodes_that_are_apart(watched: Watched) -> None:
    """H5: once when they part, once when they are together again."""
    problem = ""
    watched.watch = Watch(
        alarms=watched.alarms,
        log=Remembered(),
        sections=list,
        expiries=dict,
        writers=[],
        state_dir=Path("/state"),
        try_disk=lambda told: told(""),
        clock=lambda: watched.now,
        wall_clock=lambda: WALL + watched.now,
        shared=lambda: ("redis:6379", problem),
    )
    assert watched.look() == []
    problem = "no answer in time"
    (down,) = watched.look()
    assert (down.kind, down.subject, down.severity) == ("shared_down", "redis:6379", "warning")
    assert "no answer in time" in down.text
    assert watched.look() == []
    problem = ""
    assert [alarm.kind for alarm in watched.look()] == ["shared_up"]
    assert watched.look() == []
