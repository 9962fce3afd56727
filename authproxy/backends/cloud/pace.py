"""Whether the cloud answers fast enough: slow answers to logins send a probe, which has to confirm it.

Only a probe that is slow too makes the cloud count as slow (F6), and only probes end that, so no user has to wait to
find it out. Pure: times come in as arguments.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

COUNTED = 5  # answers of late that have to be slow, in their median: an odd number
WINDOW = 60.0  # seconds that "of late" means
PAUSE = 15.0  # seconds from one probe to the next that logins send for
ENOUGH = 2  # quick probes in a row that end it
_QUICK = 0.5  # of the threshold: between the two nothing changes, so that it doesn't flutter


class Tempo(Enum):
    QUICK = auto()
    SUSPECT = auto()  # logins were slow; the probe has been sent for
    SLOW = auto()


class Pace:
    """`now` and durations are in monotonic seconds."""

    def __init__(self, threshold: float) -> None:
        """`threshold`: seconds from which an answer is slow."""
        self._threshold = threshold
        self._tempo = Tempo.QUICK
        self._took: deque[tuple[float, bool]] = deque(maxlen=COUNTED)  # when, and whether it was slow
        self._slow = 0  # how many of them were
        self._quick_probes = 0
        self._probed_at: float | None = None

    @property
    def is_slow(self) -> bool:
        return self._tempo is Tempo.SLOW

    def took(self, seconds: float, now: float) -> bool:
        """A login's call was answered after so many seconds. True: send the probe."""
        slow = seconds >= self._threshold
        if len(self._took) == COUNTED:
            self._slow -= self._took[0][1]
        self._took.append((now, slow))
        self._slow += slow
        # The median is slow when more than half of them are.
        if self._slow <= COUNTED // 2 or len(self._took) < COUNTED or now - self._took[0][0] > WINDOW:
            return False
        if self._tempo is not Tempo.QUICK:
            return False
        if self._probed_at is not None and now - self._probed_at < PAUSE:
            return False
        self._tempo = Tempo.SUSPECT
        return True

    def probed(self, seconds: float | None, now: float) -> bool:
        """The probe took so many seconds; None: it couldn't tell. True: the cloud counts as slow, or as quick, from now
        on.
        """
        self._probed_at = now
        if self._tempo is Tempo.SUSPECT:
            self._took.clear()
            self._slow = 0
            slow = seconds is not None and seconds >= self._threshold
            self._tempo = Tempo.SLOW if slow else Tempo.QUICK
            self._quick_probes = 0
            return slow
        if self._tempo is Tempo.QUICK or seconds is None:
            return False
        self._quick_probes = self._quick_probes + 1 if seconds < self._threshold * _QUICK else 0
        if self._quick_probes < ENOUGH:
            return False
        self._tempo = Tempo.QUICK
        return True
