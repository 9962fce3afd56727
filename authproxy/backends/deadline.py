"""One deadline at a time, over and over: for what waits often and nearly always gets its answer.

A timer of the reactor's for each wait, made and cancelled, is ten calls. Here a timer that is running anyway is left
to ring, and asks then whether anybody still waits: once in a while, and not once for each wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# A clock counts in steps: what is left below this is nothing. Seconds.
GRAIN = 1e-6


def _tell_nobody() -> None: ...


class Deadline:
    """Times are in the reactor's seconds."""

    __slots__ = ("_at", "_late", "_reactor", "_rings_at", "_timer")

    def __init__(self, reactor: Any, late: Callable[[], None]) -> None:
        """`late` is called if a deadline passes before `over` is called."""
        self._reactor = reactor
        self._late = late
        self._at: float | None = None
        self._timer: Any = None
        self._rings_at = 0.0

    def begin(self, at: float) -> None:
        """Wait until this time; it replaces the previous deadline."""
        self._at = at
        if self._timer is None:
            self._set(at)
        elif at < self._rings_at:
            self._timer.cancel()
            self._set(at)

    def begin_if_sooner(self, at: float) -> None:
        """Wait until this time, unless it waits for a sooner one."""
        if self._at is None or at < self._at:
            self.begin(at)

    def over(self) -> None:
        """What was waited for has come."""
        self._at = None

    def stop(self) -> None:
        """Like `over`, and cancel the timer."""
        self._at = None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def end(self) -> None:
        """Stop for good, and let go of the function that would be called."""
        self.stop()
        self._late = _tell_nobody

    def _set(self, at: float) -> None:
        self._rings_at = at
        self._timer = self._reactor.callLater(max(0.0, at - self._reactor.seconds()), self._rang)

    def _rang(self) -> None:
        self._timer = None
        if self._at is None:
            return
        if self._at - self._reactor.seconds() > GRAIN:
            self._set(self._at)
        else:
            self._at = None
            self._late()
