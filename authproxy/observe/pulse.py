"""What has to happen while the event loop turns, and how late the loop is to do it (A2, A16).

If the loop hangs, so does the pulse: the service manager's watchdog then restarts us.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from authproxy.observe.log import Log

_INTERVAL = 0.1  # seconds between looks at the lag
# Lag that is worth a line: something on the loop takes far too long.
_TOO_LATE = 0.5  # seconds


class Beat:
    """Work to do every `interval` seconds. It has to be short; an exception from it is our bug."""

    def __init__(self, interval: float, work: Callable[[], None]) -> None:
        self.interval = interval
        self.work = work


class Pulse:
    """Does its beats until it is stopped."""

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        beats: Iterable[Beat],
        lag: Callable[[float], None],
        log: Log,
    ) -> None:
        """`lag` is called with the seconds by which the loop was late."""
        self._reactor = reactor
        self._lag = lag
        self._log = log
        self._due = dict.fromkeys(beats, 0.0)
        self._next = 0.0
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Do every beat once at once."""
        self._next = self._reactor.seconds()
        self._due = dict.fromkeys(self._due, self._next)
        self._turn()

    def stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _turn(self) -> None:
        now = self._reactor.seconds()
        late = max(0.0, now - self._next)
        self._lag(late)
        if late >= _TOO_LATE:
            self._log.warn("loop.late", seconds=late)
        for beat, due in self._due.items():
            if now >= due:
                self._do(beat)
                self._due[beat] = max(due, now - beat.interval) + beat.interval
        self._next = self._reactor.seconds() + _INTERVAL
        self._call = self._reactor.callLater(_INTERVAL, self._turn)

    def _do(self, beat: Beat) -> None:
        try:
            beat.work()
        except Exception as bug:  # noqa: BLE001 - one beat's bug must not stop the watchdog's
            self._log.failure("pulse.failed", bug)
