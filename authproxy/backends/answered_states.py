"""Which States were answered lately, kept in `main.state_dir`: a restart makes none of them good once more (R40).

A line for each, behind the others: `EXPIRES IDENTIFIER`. They count for minutes, so lines are not forced to the disk,
and two files are enough, of which the older one goes when all in it has expired. What can't be read makes every State
from before the start count as answered.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from authproxy.backends.state_dir import append_line
from authproxy.observe.log import Log

_LINE = re.compile(rb"([0-9]{1,10}) ([0-9a-f]{16})\n")
_TURN = 600.0  # seconds that one file is written to: longer than a State lives, and two clocks differ
_SET_BACK = 120  # seconds that a clock may be set back by, and a State that has expired be none again (A15)
_MOST_OCTETS = 64 << 20


class AnsweredStates:
    def __init__(self, path: Path | None, log: Log, *, wall_clock: Callable[[], float] = time.time) -> None:
        """`path` None: nothing is kept."""
        self._path = path
        self._log = log
        self._wall_clock = wall_clock
        self._failing = False
        self._began = wall_clock()
        self.known: dict[bytes, int] = {}
        self.none_before = 0  # States that were made before it count as answered; Unix seconds
        if path is not None:
            self._read(path)

    def add(self, identifier: bytes, expires: int) -> None:
        """8 octets, and Unix seconds. Raises nothing: what isn't kept counts until the next start."""
        if self._path is None:
            return
        try:
            if not 0 <= self._wall_clock() - self._began < _TURN:
                self._turn_over(self._path)
            append_line(self._path, f"{expires} {identifier.hex()}\n".encode())
        except OSError as error:
            if not self._failing:
                self._log.error(
                    "state.not_written",
                    problem=str(error),
                    effect="a restart forgets which challenges were answered",
                )
            self._failing = True
        else:
            self._failing = False

    # ---- the files

    def _read(self, path: Path) -> None:
        now = int(self._wall_clock())
        earliest = now - _SET_BACK
        try:
            for file in (_older(path), path):
                octets = _whole_lines(file)
                self.known |= {name: expires for name, expires in _lines(octets) if expires > earliest}
        except (OSError, ValueError) as error:
            self.none_before = now + 1
            self._log.error(
                "state.answers_unreadable",
                file=path,
                problem=str(error),
                effect="challenges from before this start can't be answered",
            )

    def _turn_over(self, path: Path) -> None:
        if path.exists():
            path.replace(_older(path))
        self._began = self._wall_clock()


def _older(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _whole_lines(path: Path) -> bytes:
    """What a crash has cut short goes, so that the next one begins a line. Raises OSError; ValueError: too long."""
    try:
        with path.open("r+b") as file:
            octets = file.read(_MOST_OCTETS + 1)
            if len(octets) > _MOST_OCTETS:
                raise ValueError("too long")
            whole = octets[: octets.rfind(b"\n") + 1]
            file.truncate(len(whole))
            return whole
    except FileNotFoundError:
        return b""


def _lines(octets: bytes) -> Iterator[tuple[bytes, int]]:
    """Raises ValueError: it is no such file."""
    at = 0
    while at < len(octets):
        found = _LINE.match(octets, at)
        if found is None:
            raise ValueError("not a file of mine")
        yield bytes.fromhex(found[2].decode()), int(found[1])
        at = found.end()
