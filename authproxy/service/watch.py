"""Checks regularly for what deserves an alarm and doesn't report itself (F8, T4, A8, A14)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from authproxy.listeners.admin.overview import SectionState
from authproxy.listeners.admin.words import span
from authproxy.observe.alarms.alarm import AlarmKind
from authproxy.observe.alarms.board import Alarms
from authproxy.observe.log import Log
from authproxy.observe.writer import LineWriter
from authproxy.pipeline.fail_mode import FailMode

Told = Callable[[str], None]

EVERY = 1.0  # seconds between looks
_STATE_EVERY = 10.0  # seconds between looks at the disk
_DAY = 86_400.0
EXPIRES_SOON = 60 * _DAY  # T4


class Watch:
    """Raises an alarm once, until the state changes."""

    def __init__(
        self,
        *,
        alarms: Alarms,
        log: Log,
        sections: Callable[[], Iterable[SectionState]],
        expiries: Callable[[], Mapping[str, float]],
        writers: Sequence[LineWriter],
        state_dir: Path,
        try_disk: Callable[[Told], None],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        shared: Callable[[], tuple[str, str]] = lambda: ("", ""),
    ) -> None:
        """`expiries`: notAfter by name, seconds since 1970. `try_disk(told)` later calls `told` with why `state_dir`
        can't be written, "" if it can. `shared`: the store that nodes share, and why it is out of reach.
        """
        self._shared = shared
        self._apart = False
        self._alarms = alarms
        self._log = log
        self._sections = sections
        self._expiries = expiries
        self._writers = writers
        self._state_dir = state_dir
        self._try_disk = try_disk
        self._clock = clock
        self._wall_clock = wall_clock
        self._breakers: set[str] = set()
        self._failing: set[str] = set()
        self._state_problem = ""
        self._state_at = float("-inf")
        self._trying = False
        self._told_expiry: dict[str, float] = {}

    def look(self) -> None:
        self._look_at_sections()
        self._look_at_logs()
        self._look_at_state()
        self._look_at_nodes()
        self._look_at_certificates()
        self._alarms.sweep()

    # ---- the clouds

    def _look_at_sections(self) -> None:
        known = set()
        for section in self._sections():
            known.add(section.name)
            is_open = section.cloud is not None and section.cloud.breaker_open
            if is_open and section.name not in self._breakers:
                self._breakers.add(section.name)
                self._breaker_opened(section)
            elif not is_open and section.name in self._breakers:
                self._breakers.discard(section.name)
                self._alarms.tell(AlarmKind.BREAKER_CLOSED, section.name, "the cloud answers again")
        self._breakers &= known

    def _breaker_opened(self, section: SectionState) -> None:
        cloud = section.cloud
        effect = "nobody gets in"
        if section.is_open:
            effect = "USERS GET IN ON A PASSWORD ALONE (failmode safe)"
        elif section.fail_mode is not FailMode.SECURE:
            effect = f"failmode {section.fail_mode.value}"
        self._alarms.tell(
            AlarmKind.BREAKER_OPENED,
            section.name,
            f"the cloud is out of reach: {effect}",
            api_host="" if cloud is None else cloud.api_host,
            why="" if cloud is None else cloud.why,
        )

    # ---- this machine

    def _look_at_logs(self) -> None:
        """The audit's failure keeps every open door shut (F8), so somebody has to know."""
        for writer in self._writers:
            if writer.problem and writer.name not in self._failing:
                self._failing.add(writer.name)
                effect = "; meanwhile, no outage lets anyone in" if writer.name == "audit" else ""
                self._alarms.tell(
                    AlarmKind.LOG_FAILING, writer.name, f"can't be written: {writer.problem}{effect}"
                )
            elif not writer.problem and writer.name in self._failing:
                self._failing.discard(writer.name)
                self._alarms.tell(
                    AlarmKind.LOG_RECOVERED,
                    writer.name,
                    f"can be written again; {writer.lost} lines were lost",
                )

    def _look_at_state(self) -> None:
        now = self._clock()
        if self._trying or now - self._state_at < _STATE_EVERY:
            return
        self._state_at = now
        self._trying = True
        self._try_disk(self._disk_tried)

    def _disk_tried(self, problem: str) -> None:
        self._trying = False
        before, self._state_problem = self._state_problem, problem
        if self._state_problem and not before:
            text = f"can't be written: {self._state_problem}; what is new is forgotten at a restart"
            self._log.error("state.unwritable", folder=self._state_dir, problem=self._state_problem)
            self._alarms.tell(AlarmKind.STATE_FAILING, str(self._state_dir), text)
        elif before and not self._state_problem:
            self._alarms.tell(AlarmKind.STATE_RECOVERED, str(self._state_dir), "can be written again")

    def _look_at_nodes(self) -> None:
        server, problem = self._shared()
        if problem and not self._apart:
            self._apart = True
            text = f"{problem}; each node decides alone, with its part of each limit"
            self._alarms.tell(AlarmKind.SHARED_DOWN, server, text)
        elif self._apart and not problem:
            self._apart = False
            self._alarms.tell(AlarmKind.SHARED_UP, server, "the nodes act as one again")

    # ---- certificates

    def _look_at_certificates(self) -> None:
        """Once a day each, from 60 days before its end."""
        now, wall = self._clock(), self._wall_clock()
        expiries = self._expiries()
        for name, not_after in expiries.items():
            left = not_after - wall
            if left >= EXPIRES_SOON or now - self._told_expiry.get(name, float("-inf")) < _DAY:
                continue
            self._told_expiry[name] = now
            date = datetime.fromtimestamp(not_after, UTC).strftime("%Y-%m-%d")
            text = f"expires on {date}, in {span(left)}" if left > 0 else f"expired on {date}"
            self._alarms.tell(AlarmKind.CERTIFICATE_EXPIRING, name, text, not_after=date)
        self._told_expiry = {name: at for name, at in self._told_expiry.items() if name in expiries}
