"""Who has passed a second factor lately (F7): a day for each user, kept in `main.state_dir`.

A line a user and day, written behind the others: `DAY DIGEST`. The digest is keyed, so the file names nobody. What
can't be read or written is not known, and who isn't known doesn't pass by fail open. An entry that is lost keeps its
user out until the next second factor, so lines are not forced to the disk.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from pathlib import Path

from authproxy.backends.state_dir import append_line, replace_file
from authproxy.observe.log import Log

MOST = 200_000  # users; whoever was longest away is forgotten first
_LINE = re.compile(rb"([0-9]{1,7}) ([0-9a-f]{32})\n")
_DAY = 86_400
_MOST_OCTETS = 4 * MOST * 42


class SeenUsers:
    """Of all sections, each for itself; it outlives reloads."""

    def __init__(
        self,
        path: Path | None,
        *,
        key: bytes,
        log: Log,
        wall_clock: Callable[[], float] = time.time,
        read_only: bool = False,
    ) -> None:
        """`path` None: nothing is kept, for building without serving. `read_only`: it is read, and never written."""
        self._path = None if read_only else path
        self._key = key
        self._log = log
        self._wall_clock = wall_clock
        self._days: dict[str, int] = {}
        self._lines = 0
        self._usable = True
        self._failing = False
        if path is not None:
            self._read(path)

    def passed(self, section: str, username: str) -> None:
        """They have passed both factors, now. Raises nothing."""
        name, today = self._digest(section, username), self._today()
        if not self._usable or self._days.get(name) == today or not self._append(name, today):
            return
        # Behind all others: the order is that of the days.
        self._days.pop(name, None)
        self._days[name] = today
        if len(self._days) > MOST:
            del self._days[next(iter(self._days))]
        if self._lines > 2 * len(self._days) + 1000:
            self._rewrite()

    def within(self, section: str, username: str, days: int) -> bool:
        """Whether they have in the last `days` days. A day that is still to come is a clock that was set."""
        day = self._days.get(self._digest(section, username))
        return day is not None and 0 <= self._today() - day <= days

    def _today(self) -> int:
        return int(self._wall_clock()) // _DAY

    def _digest(self, section: str, username: str) -> str:
        digest = hmac.new(self._key, b"seen 1", hashlib.sha256)
        for part in (section.encode(), username.encode()):
            digest.update(len(part).to_bytes(4, "big"))
            digest.update(part)
        return digest.hexdigest()[:32]

    # ---- the file

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                octets = file.read(_MOST_OCTETS + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            self._refuse(str(error))
            return
        whole = octets[: octets.rfind(b"\n") + 1]  # a crash may have cut the last line short
        found = _LINE.findall(whole)
        if len(octets) > _MOST_OCTETS or sum(len(day) + len(name) + 2 for day, name in found) != len(whole):
            self._refuse("not a file of mine")
            return
        days: dict[str, int] = {}
        for day, name in found:
            text = name.decode()
            days[text] = max(int(day), days.get(text, 0))
        self._days = dict(sorted(days.items(), key=lambda item: item[1])[-MOST:])
        self._rewrite()

    def _refuse(self, problem: str) -> None:
        self._usable = False
        self._log.error(
            "door.seen_users_unusable",
            file=self._path,
            problem=problem,
            effect="no user counts as seen, so an outage lets none of them in",
            todo="move the file away, and restart",
        )

    def _append(self, name: str, day: int) -> bool:
        if self._path is None:
            return True
        line = f"{day} {name}\n".encode()
        try:
            append_line(self._path, line)
        except OSError as error:
            self._told(error)
            return False
        self._failing = False
        self._lines += 1
        return True

    def _rewrite(self) -> None:
        if self._path is None:
            return
        lines = "".join(f"{day} {name}\n" for name, day in self._days.items())
        try:
            replace_file(self._path, lines.encode())
        except OSError as error:
            self._told(error)
        else:
            self._lines = len(self._days)

    def _told(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            self._log.error(
                "door.seen_users_not_written",
                file=self._path,
                problem=str(error),
                effect="these users don't count as seen",
            )
