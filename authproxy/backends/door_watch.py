"""Knows since when a section's door is open, and checks regularly whether it still has to be (F8).

A door opens with the first login that passes it. From then on the cloud is probed, even without logins and without an
open breaker, so that the end of the outage is seen and reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from authproxy.backends.cloud.breaker import PROBE_EVERY
from authproxy.backends.cloud.probe import FRESH, Probe
from authproxy.observe.doors import DoorEventKind, Teller
from authproxy.observe.log import Log
from authproxy.pipeline.fail_mode import OUTAGE
from authproxy.pipeline.ports import CloudFailure, FailureClass

REPEAT = 3600.0  # seconds after which a limit that is still reached is told again
# The limit that makes room again while the cloud is away: the door is shut for some, not for all.
_PASSING = frozenset({"max_per_hour"})


class DoorWatch:
    """For one section, as long as its cloud's settings stay the same."""

    def __init__(
        self,
        *,
        probe: Probe,
        reactor: Any,
        tell: Teller,
        log: Log,
        count_answer: Callable[[], None] = lambda: None,
    ) -> None:
        """`count_answer` is called when the cloud answers."""
        self._probe = probe
        self._reactor = reactor
        self._tell = tell
        self._log = log
        self._count_answer = count_answer
        self._timer: Any = None
        self._is_closed = False
        self._tampered = ""
        self._for: FailureClass | None = None
        self._limited: dict[str, float] = {}
        self.open_since: float | None = None  # the reactor's seconds

    def opened(self, failure: CloudFailure) -> None:
        """All gates have let a login in after this failure."""
        if self._is_closed:
            return
        self._for = failure.failure
        if self.open_since is not None:
            return
        self.open_since = self._reactor.seconds()
        self._tell(DoorEventKind.OPENED, why=failure.failure.value, detail=failure.detail)
        self._timer = self._reactor.callLater(PROBE_EVERY, self._look_again)

    def answered(self) -> None:
        """The cloud has answered: the outage is over."""
        self._tampered = ""
        if self._limited:
            self._limited.clear()
        self._count_answer()
        if self._for is not FailureClass.SLOW:
            self.shut("the cloud answers")

    def quick_again(self) -> None:
        """The cloud is no longer slow. An answer alone doesn't end slowness; its probe does."""
        if self._for is FailureClass.SLOW:
            self.shut("the cloud is quick again")

    def met(self, failure: CloudFailure) -> None:
        """F5: reports a sign of tampering when it begins, not for each login that meets it."""
        if failure.failure is FailureClass.UNTRUSTED and failure.detail != self._tampered:
            self._tampered = failure.detail
            self._tell(DoorEventKind.TAMPERED, why=failure.failure.value, detail=failure.detail)

    @property
    def shut_by(self) -> str:
        """The limit that keeps everybody out until the cloud answers; '': none."""
        return next((limit for limit in self._limited if limit not in _PASSING), "")

    def limited(self, limit: str) -> None:
        """A limit keeps logins out. Reported once until the cloud answers, and again after an hour."""
        now = self._reactor.seconds()
        if now - self._limited.get(limit, -REPEAT) < REPEAT:
            return
        self._limited[limit] = now
        self._tell(DoorEventKind.LIMIT_REACHED, why=limit)
        if limit not in _PASSING:
            self.shut(limit)

    @property
    def limits_reached(self) -> tuple[str, ...]:
        """The limits reached in the last hour, if the cloud hasn't answered since."""
        since = self._reactor.seconds() - REPEAT
        return tuple(limit for limit, at in self._limited.items() if at >= since)

    def shut(self, why: str) -> None:
        """The door is closed: nobody gets in without a factor any more."""
        if self.open_since is None:
            return
        self.open_since = None
        self._stop()
        self._tell(DoorEventKind.CLOSED, why=why)

    def close(self) -> None:
        """The section ends: close the door, and stop watching."""
        self._is_closed = True
        self.shut("the section has ended, or its cloud is another")

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _look_again(self) -> None:
        Deferred.fromCoroutine(self._look())

    async def _look(self) -> None:
        try:
            failure = (await self._probe.ask(max_age=FRESH)).failure
            if failure is None:
                self.answered()
            elif failure.failure not in OUTAGE:
                self.met(failure)
                self.shut(f"this failure of the cloud isn't an outage: {failure.failure.value}")
        except Exception as bug:  # noqa: BLE001 - whatever happens, it looks again: an open door is told closed once
            self._log.failure("door.bug", bug)
        finally:
            if self.open_since is not None and not self._is_closed:
                self._timer = self._reactor.callLater(PROBE_EVERY, self._look_again)
