"""An independent look at the cloud: our credentials checked on a connection of its own, with a short patience.

What one user's request met may be that user's doing. What the probe meets is not (F4, F6).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from authproxy.observe.log import Log
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.values import light_dataclass

TIMEOUT = 3.0  # seconds that a probe takes at most
FRESH = 3.0  # seconds that its word counts for
# Seconds that a timeout may come late. Later, it is this process that was too busy to hear an answer (F3).
LATE = 0.5


@light_dataclass(frozen=True, slots=True)
class Verdict:
    """`failure` None: the cloud answers, and accepts our credentials. `at`: the reactor's seconds."""

    failure: CloudFailure | None
    at: float


class Probe:
    """Runs one probe at a time; callers share it."""

    def __init__(
        self,
        check: Callable[[float], Coroutine[Any, Any, None]],
        *,
        reactor: Any,
        log: Log,
    ) -> None:
        """`check(timeout)` raises CloudFailure."""
        self._check = check
        self._reactor = reactor
        self._log = log
        self._joined: list[Deferred[Verdict]] = []
        self._running: Deferred[None] | None = None
        self.last: Verdict | None = None

    async def ask(self, *, max_age: float = FRESH) -> Verdict:
        """The last verdict if it is at most `max_age` seconds old, else a new one, within the probe's timeout."""
        if self.last is not None and self._reactor.seconds() - self.last.at <= max_age:
            return self.last
        joined: Deferred[Verdict] = Deferred(self._leave)
        self._joined.append(joined)
        if self._running is None:
            # Not the caller's own: a login that is given up must not take the probe of the others with it.
            self._running = running = Deferred.fromCoroutine(self._probe())
            if running.called:
                self._running = None
        return await joined

    def close(self) -> None:
        if self._running is not None:
            self._running.cancel()

    async def _probe(self) -> None:
        failure: CloudFailure | None = None
        began = self._reactor.seconds()
        try:
            await self._check(TIMEOUT)
        except CloudFailure as met:
            # Not the one that was met: its traceback holds the login that asked, for as long as the verdict is kept.
            failure = CloudFailure(met.failure, met.detail)
            if self._reactor.seconds() - began > TIMEOUT + LATE:
                failure = CloudFailure(FailureClass.OVERLOAD, f"too busy to tell: {met.detail}")
        except Exception as bug:  # noqa: BLE001 - nobody may be left waiting, and nobody let in for it
            self._log.failure("cloud.probe_failed", bug)
            failure = CloudFailure(FailureClass.INTERNAL, type(bug).__name__)
        self.last = verdict = Verdict(failure, self._reactor.seconds())
        self._running = None
        joined, self._joined = self._joined, []
        for one in joined:
            one.callback(verdict)

    def _leave(self, joined: Deferred[Verdict]) -> None:
        if joined in self._joined:
            self._joined.remove(joined)
