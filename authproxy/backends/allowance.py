"""How long a section's door may stand open, and how many may pass it an hour (F7).

Kept in `main.state_dir`, so that a restart begins no new allowance, and by a clock that nobody can set. What can't be
read or written lets nobody in.

The minutes count from the first login that passes, whether or not the cloud comes back for a while in between: whoever
can cut the line can restore it, too. A new count begins once the cloud has answered for an hour with no login passing.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from authproxy.backends.lasting_clock import Boot, LastingTime, this_boot
from authproxy.backends.state_dir import replace_file
from authproxy.observe.log import Log
from authproxy.values import light_dataclass

HOUR = 3600.0
REST = HOUR  # seconds that the cloud has to answer before a new count of minutes begins
# A write for each login would hold the event loop up: some are written down ahead, a part of what an hour may have, and
# count from then on. Nobody passes on what was written down longer ago.
_PARTS = 50
_AHEAD = 60.0  # seconds
_MOST_OCTETS = 16 << 20


@light_dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one section; 0: no limit."""

    minutes: int = 0
    per_hour: int = 0


@dataclass(slots=True)
class _Spent:
    """Times are counts of the lasting clock. `passed`: (when, how many); of the last, `ahead` have not passed yet."""

    began: float | None = None
    answered: float | None = None  # since when the cloud answers
    passed: deque[tuple[float, int]] = field(default_factory=deque)
    ahead: int = 0


class _Unusable(Exception):
    """The file is none of ours, or says what can't be."""


class Allowances:
    """The allowances of all sections; they survive a reload."""

    def __init__(
        self, path: Path | None, log: Log, *, boot: Callable[[], Boot] = this_boot, read_only: bool = False
    ) -> None:
        """`path` None: nothing is kept, for building without serving. `read_only`: the file is read,
        but never written.
        """
        self._path = None if read_only else path
        self._log = log
        self._boot = boot
        self._origin = LastingTime(boot())
        self._sections: dict[str, _Spent] = {}
        self._usable = True
        if path is not None:
            self._read(path)

    def take(self, section: str, limits: Limits) -> str:
        """Count one login that an outage lets in, and return ''.

        Otherwise return the limit that keeps it out: "max_minutes", "max_per_hour" or "limit_unknown".
        """
        if not (limits.minutes or limits.per_hour):
            return ""
        if not self._usable:
            return "limit_unknown"
        now = self._now()
        before = self._sections.get(section, _Spent())
        spent = replace(before, passed=deque(before.passed))
        if spent.began is None or (spent.answered is not None and now - spent.answered >= REST):
            spent.began = now
        if limits.minutes and now - spent.began >= limits.minutes * 60:
            return "max_minutes"
        spent.answered = None
        if limits.per_hour and not _pass(spent, limits.per_hour, now):
            return "max_per_hour"
        self._sections[section] = spent
        ahead = replace(spent, ahead=before.ahead) == before
        if not ahead and not self._write():
            self._sections[section] = before
            return "limit_unknown"
        return ""

    def answered(self, section: str) -> None:
        """The cloud has answered. Called for every answer, so it is cheap when there is nothing to note."""
        spent = self._sections.get(section)
        if spent is None or spent.began is None or spent.answered is not None:
            return
        spent.answered = self._now()
        # Not written, an hour that went by before a restart has to go by again.
        self._write()

    def _now(self) -> float:
        return self._origin.at(self._boot())

    # ---- the file

    def _read(self, path: Path) -> None:
        try:
            self._take_over(json.loads(_octets(path)))
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, _Unusable) as error:
            self._usable = False
            self._log.error(
                "door.limits_unusable",
                file=path,
                problem=str(error) or type(error).__name__,
                effect="an outage lets nobody in where a limit is set",
                todo="move the file away, which resets the limits, and restart",
            )

    def _take_over(self, content: Any) -> None:
        if content["version"] != 1:
            raise _Unusable("not a file of this version")
        clock = content["clock"]
        self._origin = LastingTime(Boot(str(clock["boot"]), _time(clock["seconds"])), _time(clock["count"]))
        latest = self._now()
        for name, said in content["sections"].items():
            passed = deque((_time(when, latest), _count(count)) for when, count in said["passed"])
            began, answered = (
                None if said[key] is None else _time(said[key], latest) for key in ("began", "answered")
            )
            self._sections[name] = _Spent(began, answered, passed)

    def _write(self) -> bool:
        if self._path is None:
            return True
        boot = self._boot()
        self._origin = LastingTime(boot, self._origin.at(boot))
        content = {
            "version": 1,
            "clock": {"boot": boot.id, "seconds": boot.seconds, "count": self._origin.count},
            "sections": {
                name: {"began": spent.began, "answered": spent.answered, "passed": list(spent.passed)}
                for name, spent in self._sections.items()
            },
        }
        try:
            replace_file(self._path, json.dumps(content).encode())
        except OSError as error:
            self._log.error("door.limits_not_written", file=self._path, problem=str(error))
            return False
        return True


def _pass(spent: _Spent, per_hour: int, now: float) -> bool:
    """Count one more, if there is room."""
    if spent.passed and now - spent.passed[-1][0] >= _AHEAD and spent.ahead:
        when, count = spent.passed.pop()
        spent.passed.append((when, count - spent.ahead))
        spent.ahead = 0
    while spent.passed and now - spent.passed[0][0] >= HOUR + _AHEAD:
        spent.passed.popleft()
    if not spent.ahead:
        room = per_hour - sum(count for _, count in spent.passed)
        if room <= 0:
            return False
        spent.ahead = min(max(1, per_hour // _PARTS), room)
        spent.passed.append((now, spent.ahead))
    spent.ahead -= 1
    return True


def _octets(path: Path) -> bytes:
    with path.open("rb") as file:
        octets = file.read(_MOST_OCTETS + 1)
    if len(octets) > _MOST_OCTETS:
        raise _Unusable("too long")
    return octets


def _time(value: Any, latest: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= latest:
        raise _Unusable("a time that can't be")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _Unusable("a count that can't be")
    return value
