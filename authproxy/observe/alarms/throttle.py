"""Holds back alarms in a storm: one a minute for each topic, and so many in all. Pure.

Alarms that are held back are counted, and the last one of each topic is sent later. Otherwise somebody who was told
`closed` but not `opened` would sleep beside an open door.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from authproxy.observe.alarms.alarm import Alarm
from authproxy.values import light_dataclass

QUIET = 60.0  # seconds between two alarms of one topic
MOST = 30  # alarms in WINDOW, of all topics
WINDOW = 60.0
_MOST_TOPICS = 1_024

Topic = tuple[str, str]


@light_dataclass(frozen=True, slots=True)
class Due:
    """To be sent now. `held_back`: how many of its topic weren't sent."""

    alarm: Alarm
    held_back: int = 0


@dataclass(slots=True)
class _Waiting:
    """`next_at`: when the next alarm of the topic may go out."""

    next_at: float
    last: Alarm | None = None
    count: int = 0


class Throttle:
    """`now` is in monotonic seconds in all methods."""

    def __init__(self) -> None:
        self.held_back = 0  # in all
        self._topics: dict[Topic, _Waiting] = {}
        self._sent: deque[float] = deque(maxlen=MOST)

    def admit(self, alarm: Alarm, now: float) -> Due | None:
        """The alarm, to be sent now. None: it is held back."""
        waiting = self._topics.get(alarm.topic)
        if waiting is None or (now >= waiting.next_at and waiting.last is None):
            if self._has_room(now):
                self._note(alarm.topic, now)
                return Due(alarm)
            waiting = self._topics.setdefault(alarm.topic, _Waiting(now))
        self.held_back += 1
        waiting.count += 1
        waiting.last = alarm
        self._forget(now)
        return None

    def due(self, now: float) -> list[Due]:
        """The alarms that were held back and may be sent now: the last of each topic."""
        found = []
        for topic, waiting in list(self._topics.items()):
            if waiting.last is None or now < waiting.next_at:
                continue
            if not self._has_room(now):
                break
            # The one that goes out now is not one that was kept back for good.
            found.append(Due(waiting.last, waiting.count - 1))
            self._note(topic, now)
        return found

    def rest(self) -> list[Due]:
        """At the end: everything that is still held back."""
        return [
            Due(waiting.last, waiting.count - 1)
            for waiting in self._topics.values()
            if waiting.last is not None
        ]

    def _note(self, topic: Topic, now: float) -> None:
        self._sent.append(now)
        self._topics.pop(topic, None)
        self._topics[topic] = _Waiting(now + QUIET)
        self._forget(now)

    def _has_room(self, now: float) -> bool:
        return len(self._sent) < MOST or now - self._sent[0] >= WINDOW

    def _forget(self, now: float) -> None:
        """Topics are sections, files and certificates, so few; that they stay few is made sure of here."""
        if len(self._topics) <= _MOST_TOPICS:
            return
        idle = [topic for topic, one in self._topics.items() if one.last is None and now >= one.next_at]
        for topic in idle or [next(iter(self._topics))]:
            del self._topics[topic]
