"""When to send again: one timer of the reactor for all requests of a server, because nearly all are answered before.

A timer for each would be set, sorted in and cancelled, in ten calls of Twisted's; this is one.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred

Waiting = Deferred[Any]


class Retransmission:
    """Fires with None what has not been fired when its time comes. Times are in the reactor's seconds."""

    def __init__(self, reactor: Any) -> None:
        """`reactor`: IReactorTime."""
        self._reactor = reactor
        self._due: list[tuple[float, int, Waiting]] = []  # a heap; the number decides between equal times
        self._numbers = count()
        self._timer: Any = None
        self._set_for = 0.0

    def at(self, due: float, waiting: Waiting) -> None:
        heappush(self._due, (due, next(self._numbers), waiting))
        if self._timer is None or self._due[0][2] is waiting:
            self._set()

    def close(self) -> None:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._set_for = self._due[0][0]
        self._timer = self._reactor.callLater(max(0.0, self._set_for - self._reactor.seconds()), self._now)

    def _now(self) -> None:
        self._timer = None
        # The timer may come an instant early, by rounding.
        now = max(self._reactor.seconds(), self._set_for)
        while self._due and (self._due[0][0] <= now or self._due[0][2].called):
            _, _, waiting = heappop(self._due)
            if not waiting.called:
                waiting.callback(None)
        if self._due and self._timer is None:
            self._set()
