"""Reports what happens at the doors of safe sections to the log and to subscribers (F8).

A door opens when all gates agree for the first time in an outage. It closes when the cloud answers again, or when a
limit closes it. Subscribers are called at once, in the event loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from authproxy.observe.log import Log
from authproxy.values import light_dataclass


class DoorEventKind(StrEnum):
    OPENED = "opened"  # `why`: the failure class
    CLOSED = "closed"  # `why`: what ended it: the cloud's answer, or a limit
    TAMPERED = "tampered"  # a sign that somebody redirects us; `detail` says which
    LIMIT_REACHED = "limit_reached"  # `why`: the limit; the door stays shut although the cloud is away
    PRIMARY_ONLY_BEGAN = "primary_only_began"  # `why`: until when
    PRIMARY_ONLY_ENDED = "primary_only_ended"  # `why`: "over", "stopped", …
    SLOW = "slow"  # the cloud answers, and too slowly
    QUICK = "quick"  # it does as it used to


@light_dataclass(frozen=True, slots=True)
class DoorEvent:
    """`at`: seconds since 1970. `section`: its name in logs. Texts are for people, and contain no secret."""

    kind: DoorEventKind
    section: str
    at: float
    why: str = ""
    detail: str = ""


Subscriber = Callable[[DoorEvent], None]

# What an administrator may want to act on.
_WARNED = frozenset(DoorEventKind) - {DoorEventKind.QUICK}


class Teller(Protocol):
    """The function by which a part reports what happened at its section's door."""

    def __call__(self, kind: DoorEventKind, *, why: str = "", detail: str = "") -> None: ...


class DoorEvents:
    """For the whole process; it survives reloads."""

    def __init__(self, log: Log, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._wall_clock = wall_clock
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    def of(self, section: str) -> Teller:
        def tell(kind: DoorEventKind, *, why: str = "", detail: str = "") -> None:
            self.tell(DoorEvent(kind, section, self._wall_clock(), why, detail))

        return tell

    def tell(self, event: DoorEvent) -> None:
        """Log the event, then call every subscriber. Their exceptions are logged, not raised."""
        say = self._log.warn if event.kind in _WARNED else self._log.info
        fields = {"why": event.why, "detail": event.detail}
        say(
            f"door.{event.kind.value}",
            section=event.section,
            **{name: text for name, text in fields.items() if text},
        )
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception as bug:  # noqa: BLE001 - an alarm's bug must neither open a door nor keep one shut
                self._log.failure("door.subscriber_failed", bug, event=event.kind.value)
