"""Watches for a slow cloud: the times of logins, the time of a probe, and whether this process itself is slow."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from authproxy.backends.cloud.breaker import PROBE_EVERY
from authproxy.backends.cloud.pace import Pace
from authproxy.observe.doors import DoorEventKind, Teller
from authproxy.observe.log import Log
from authproxy.pipeline.fail_mode import OUTAGE
from authproxy.pipeline.ports import CloudFailure

_PATIENCE = 2.0  # times the threshold: how long a probe may take
_TICK = 0.1  # seconds between looks at our own event loop
# Of the threshold. A probe is some ten turns of the event loop: with each of them so late, it tells of us and not of
# the cloud. Whoever floods this proxy must not make the cloud look slow (F6).
_LATE = 0.1


class SlowWatch:
    """For one section. It only finds out; the section's option says what follows from it."""

    def __init__(
        self,
        check: Callable[[float], Coroutine[Any, Any, None]],
        *,
        threshold: float,
        reactor: Any,
        tell: Teller,
        log: Log,
        quick_again: Callable[[], None] = lambda: None,
    ) -> None:
        """`check(timeout)` asks on a connection of its own, and raises CloudFailure. `threshold`: seconds."""
        self._check = check
        self._threshold = threshold
        self._reactor = reactor
        self._tell = tell
        self._log = log
        self._quick_again = quick_again
        self._pace = Pace(threshold)
        self._timer: Any = None
        self._looking: Deferred[None] | None = None
        self._is_closed = False

    @property
    def is_slow(self) -> bool:
        return self._pace.is_slow

    def took(self, seconds: float) -> None:
        """The cloud has given an answer, after so many seconds, for which it didn't have to wait for a user."""
        if self._pace.took(seconds, self._reactor.seconds()):
            self._look()

    def close(self) -> None:
        self._is_closed = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    # ---- within

    def _look(self) -> None:
        self._timer = None
        if not self._is_closed:
            self._looking = looking = Deferred.fromCoroutine(self._probe())
            if looking.called:
                self._looking = None

    async def _probe(self) -> None:
        seconds: float | None = None
        try:
            seconds = await self._measure()
        except CancelledError:
            pass  # by close
        except Exception as bug:  # noqa: BLE001 - whatever happens, it looks again: nothing is slow for good
            self._log.failure("cloud.bug", bug)
        if self._is_closed:
            return
        self._looking = None
        if self._pace.probed(seconds, self._reactor.seconds()):
            self._changed(seconds)
        if self.is_slow:
            self._timer = self._reactor.callLater(PROBE_EVERY, self._look)

    async def _measure(self) -> float | None:
        """How long the probe took; None: it doesn't tell."""
        lag = _Lag(self._reactor)
        began = self._reactor.seconds()
        try:
            await self._check(self._threshold * _PATIENCE)
        except CloudFailure as failure:
            if failure.failure not in OUTAGE:
                return None  # a refusal, or our own mistake: no word on how quick it is
        finally:
            lag.stop()
        seconds: float = self._reactor.seconds() - began
        return seconds if lag.most <= self._threshold * _LATE else None

    def _changed(self, seconds: float | None) -> None:
        took = "" if seconds is None else f"the probe took {seconds:.1f} s"
        if self.is_slow:
            self._tell(DoorEventKind.SLOW, why=f"answers take {self._threshold:g} s or longer", detail=took)
        else:
            self._tell(DoorEventKind.QUICK, detail=took)
            self._quick_again()


class _Lag:
    """How late our own event loop comes, at most, while this runs."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.most = 0.0
        self._begin()

    def stop(self) -> None:
        self._note()
        if self._call.active():
            self._call.cancel()

    def _begin(self) -> None:
        self._due = self._reactor.seconds() + _TICK
        self._call = self._reactor.callLater(_TICK, self._tick)

    def _tick(self) -> None:
        self._note()
        self._begin()

    def _note(self) -> None:
        self.most = max(self.most, self._reactor.seconds() - self._due)
