"""A flood costs a few lines and a count, not the disk (A14, R13).

An event has a budget of lines a window, and each peer a smaller one inside it, so that one peer's flood leaves
room for what others have to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from authproxy.observe.lines import Severity
from authproxy.values import light_dataclass

_MOST_EVENTS = 256
_MOST_PEERS = 256
# Who an event is about, by the first of these fields that it has.
_PEER_FIELDS = ("source", "client", "host", "api_host", "section")


@light_dataclass(frozen=True, slots=True)
class Budget:
    """How many lines are written in each window."""

    of_event: int
    of_peer: int


@light_dataclass(frozen=True, slots=True)
class Suppressed:
    """What was held back in a window. `most_from`: the peer with the most lines, "" if the event names none."""

    event: str
    cause: str
    count: int
    seconds: int
    most_from: str


@dataclass(slots=True)
class _Window:
    began: float
    lines: int = 0
    by_peer: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)


WINDOW = 60.0  # seconds
# A severity that isn't here is not limited.
BUDGETS = {
    Severity.INFO: Budget(of_event=2000, of_peer=500),
    Severity.WARN: Budget(of_event=20, of_peer=5),
    Severity.ERROR: Budget(of_event=20, of_peer=5),
}


class FloodGate:
    """Not thread-safe; its log holds a lock."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], _Window] = {}

    def admits(self, now: float, severity: Severity, event: str, fields: Mapping[str, object]) -> bool:
        budget = BUDGETS.get(severity)
        if budget is None:
            return True
        window = self._find(now, event, str(fields.get("cause", "")))
        peer = next((str(fields[name]) for name in _PEER_FIELDS if name in fields), "")
        if peer not in window.by_peer and len(window.by_peer) >= _MOST_PEERS:
            peer = "others"
        window.by_peer[peer] += 1
        if window.lines < budget.of_event and window.by_peer[peer] <= budget.of_peer:
            window.lines += 1
            return True
        window.suppressed[peer] += 1
        return False

    def over(self, now: float) -> Iterator[Suppressed]:
        """What was held back in windows that have ended."""
        ended = [key for key, window in self._windows.items() if not 0 <= now - window.began < WINDOW]
        for event, cause in ended:
            window = self._windows.pop((event, cause))
            if window.suppressed:
                loudest = window.suppressed.most_common(1)[0][0]
                count = window.suppressed.total()
                yield Suppressed(event, cause, count, round(now - window.began), loudest)

    def _find(self, now: float, event: str, cause: str) -> _Window:
        key = (event, cause)
        if (window := self._windows.get(key)) is None:
            if len(self._windows) >= _MOST_EVENTS:
                key = ("other", "")
            window = self._windows.setdefault(key, _Window(now))
        return window
