"""When to stop asking a cloud that doesn't answer, so that an outage costs one timeout and not one per login (A7).

It opens on transport failures in a row, and only when an independent probe has met one too: no user's input, and no
limit that the service puts on us, can open it (F6). Pure: the clock and the probe's word come in as arguments.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from authproxy.pipeline.fail_mode import OUTAGE
from authproxy.pipeline.ports import CloudFailure

IN_A_ROW = 3
WINDOW = 30.0  # seconds that the share of failures is counted over
SHARE = 0.5
LEAST_COUNTED = 10  # exchanges in the window before their share says anything
PROBE_EVERY = 15.0  # seconds between the probes that look for recovery
_MOST_COUNTED = 4_096


class State(Enum):
    CLOSED = auto()  # asking
    SUSPECT = auto()  # still asking; the probe has been sent for
    OPEN = auto()  # not asking


class Event(Enum):
    TRIPPED = auto()
    PROBE_MET_OUTAGE = auto()
    PROBE_ANSWERED = auto()


NEXT = {
    (State.CLOSED, Event.TRIPPED): State.SUSPECT,
    (State.SUSPECT, Event.PROBE_MET_OUTAGE): State.OPEN,
    (State.SUSPECT, Event.PROBE_ANSWERED): State.CLOSED,
    (State.OPEN, Event.PROBE_MET_OUTAGE): State.OPEN,
    (State.OPEN, Event.PROBE_ANSWERED): State.CLOSED,
}


class Breaker:
    """`now` is in monotonic seconds in all methods."""

    def __init__(self) -> None:
        self._state = State.CLOSED
        self._in_a_row = 0
        self._counted: deque[tuple[float, bool]] = deque(maxlen=_MOST_COUNTED)
        self.failure: CloudFailure | None = None  # what the probe met; None unless the breaker is open
        self.opened_at: float | None = None

    @property
    def state(self) -> State:
        return self._state

    def noted(self, failure: CloudFailure | None, now: float) -> bool:
        """An exchange has ended, with `failure` or well. True: send the probe."""
        failed = failure is not None and failure.failure in OUTAGE
        if failure is not None and not failed:
            # Somebody answered, or it never left: neither says that the cloud is out of reach, or that it is not.
            return False
        self._in_a_row = self._in_a_row + 1 if failed else 0
        self._counted.append((now, failed))
        while self._counted[0][0] < now - WINDOW:
            self._counted.popleft()
        if not failed or self._state is not State.CLOSED or not self._is_tripped():
            return False
        self._state = NEXT[self._state, Event.TRIPPED]
        return True

    def probed(self, failure: CloudFailure | None, now: float) -> bool:
        """The probe has ended. True: the breaker has just opened or closed.

        A probe that was answered with a refusal ends the outage too; each login then meets that refusal itself.
        """
        if self._state is State.CLOSED:
            return False
        before = self._state
        outage = failure is not None and failure.failure in OUTAGE
        self._state = NEXT[before, Event.PROBE_MET_OUTAGE if outage else Event.PROBE_ANSWERED]
        if outage:
            self.failure = failure
            if before is not State.OPEN:
                self.opened_at = now
            return before is not State.OPEN
        self.failure = self.opened_at = None
        self._in_a_row = 0
        self._counted.clear()
        return before is State.OPEN

    def _is_tripped(self) -> bool:
        if self._in_a_row >= IN_A_ROW:
            return True
        failures = sum(failed for _, failed in self._counted)
        return len(self._counted) >= LEAST_COUNTED and failures > SHARE * len(self._counted)
