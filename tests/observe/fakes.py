"""Outlets that can be told to fail or to hang, and a log that remembers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from authproxy.observe.lines import OwnText


@dataclass
class Paper:
    """Takes lines; `problem` makes it fail, `stuck` holds a write until it is set again."""

    lines: list[bytes] = field(default_factory=list)
    problem: Exception | None = None
    takes: int = 1 << 30  # lines of one write
    free: threading.Event = field(default_factory=threading.Event)
    tried: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def __post_init__(self) -> None:
        self.free.set()

    def write(self, lines: Sequence[bytes]) -> int:
        self.tried.set()
        assert self.free.wait(10)
        if self.problem is not None:
            raise self.problem
        taken = lines[: self.takes]
        self.lines += [line for line in taken if line]
        return len(taken)

    def close(self) -> None:
        self.closed = True


@dataclass
class Told:
    """Hears what a LineWriter reports."""

    said: list[str] = field(default_factory=list)
    failed: threading.Event = field(default_factory=threading.Event)
    recovered: threading.Event = field(default_factory=threading.Event)

    def outlet_failed(self, name: str, problem: str) -> None:
        self.said.append(f"{name} failed: {problem}")
        self.failed.set()

    def outlet_recovered(self, name: str, lost: int) -> None:
        self.said.append(f"{name} recovered, lost {lost}")
        self.recovered.set()


@dataclass
class Remembered:
    """A log port that keeps its events as (level, event, fields)."""

    events: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def debug(self, event: str, /, **fields: object) -> None:
        self.events.append(("debug", event, fields))

    def info(self, event: str, /, **fields: object) -> None:
        self.events.append(("info", event, fields))

    def warn(self, event: str, /, **fields: object) -> None:
        self.events.append(("warn", event, fields))

    def error(self, event: str, /, **fields: object) -> None:
        self.events.append(("error", event, fields))

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None:
        self.events.append(("failure", event, {**fields, "error": error}))

    def login(self, at: float, event: str, fields: OwnText, *, warns: bool) -> None:
        self.events.append(("warn" if warns else "info", event, dict(fields.items())))

    def of(self, event: str) -> list[dict[str, object]]:
        return [fields for _, name, fields in self.events if name == event]


def wait_until(true: Callable[[], object]) -> None:
    """For what another thread does, and tells nobody of."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.001)
