"""The cloud behind its breaker: while it is open, nobody waits, and one probe at a time looks for recovery (A7)."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred

from authproxy.backends.cloud.breaker import PROBE_EVERY, Breaker, State
from authproxy.backends.cloud.probe import Probe
from authproxy.observe.log import Log
from authproxy.pipeline.fail_mode import OUTAGE
from authproxy.pipeline.ports import (
    CloudFailure,
    FactorAllow,
    FactorCall,
    FactorDeny,
    Preauth,
    SecondFactor,
)
from authproxy.pipeline.request import AuthRequest


class Outages(Protocol):
    """Is told when the breaker opens and closes; the metric is one."""

    def breaker_changed(self, *, is_open: bool) -> None: ...


class _Asking:
    """A preauth that can be told to give up what it waits for, as a task can: one for each login costs 20 calls."""

    __slots__ = ("_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, Preauth]) -> None:
        self._work = work
        self._waits_for: Deferred[Any] | None = None

    def cancel(self) -> None:
        """What it waits for meets CancelledError."""
        if self._waits_for is not None:
            self._waits_for.cancel()

    def __await__(self) -> Generator[Any, Any, Preauth]:
        came: Any = None
        met: BaseException | None = None
        while True:
            try:
                waits_for = self._work.send(came) if met is None else self._work.throw(met)
            except StopIteration as ended:
                answer: Preauth = ended.value
                return answer
            finally:
                met = None  # its traceback leads back to here
            self._waits_for = waits_for
            try:
                came = yield waits_for
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is for who waits
                met = error


class GuardedCloud:
    """Implements pipeline.ports.SecondFactor."""

    def __init__(
        self,
        cloud: SecondFactor,
        probe: Probe,
        *,
        section: str,
        reactor: Any,
        log: Log,
        outages: Outages | None = None,
    ) -> None:
        self._cloud = cloud
        self._probe = probe
        self._section = section
        self._reactor = reactor
        self._log = log
        self._outages = outages
        self._breaker = Breaker()
        self._asking: set[_Asking] = set()
        self._timer: Any = None
        self._closed = False

    @property
    def is_open(self) -> bool:
        return self._breaker.state is State.OPEN

    @property
    def opened_at(self) -> float | None:
        """When the breaker opened, in the reactor's seconds; None while it is closed."""
        return self._breaker.opened_at

    async def preauth(self, request: AuthRequest, username: str) -> Preauth:
        """Raises CloudFailure, at once while the breaker is open, and as soon as it opens."""
        if self._breaker.failure is not None:
            self._hear_of_recovery()
            self._refuse_if_open()
        asking = _Asking(self._cloud.preauth(request, username))
        self._asking.add(asking)
        try:
            answer = await asking
        except CancelledError:
            self._refuse_if_open()
            raise
        except CloudFailure as failure:
            self._noted(failure)
            raise
        finally:
            self._asking.discard(asking)
        self._noted(None)
        return answer

    def auth(
        self, request: AuthRequest, username: str, call: FactorCall
    ) -> Coroutine[Any, Any, FactorAllow | FactorDeny]:
        """Raises CloudFailure. A factor that was asked for is waited for even if the breaker opens."""
        return self._cloud.auth(request, username, call)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._probe.close()

    # ---- within

    def _hear_of_recovery(self) -> None:
        """Whoever sent the probe that was answered: nobody is kept out until our own turn to look."""
        last = self._probe.last
        if self.is_open and last is not None and (last.failure is None or last.failure.failure not in OUTAGE):
            self._breaker.probed(last.failure, self._reactor.seconds())
            self._changed(last.failure)

    def _refuse_if_open(self) -> None:
        met = self._breaker.failure
        if met is not None:
            raise CloudFailure(met.failure, f"not asked: the breaker is open; the probe met: {met.detail}")

    def _noted(self, failure: CloudFailure | None) -> None:
        if self._breaker.noted(failure, self._reactor.seconds()):
            self._send_probe()

    def _send_probe(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._look())

    async def _look(self) -> None:
        try:
            verdict = await self._probe.ask(max_age=0.0)
            if self._breaker.probed(verdict.failure, self._reactor.seconds()):
                self._changed(verdict.failure)
        except Exception as bug:  # noqa: BLE001 - whatever happens, it looks again: nothing may stay open for good
            self._log.failure("cloud.bug", bug, section=self._section)
        finally:
            if self.is_open and not self._closed:
                self._timer = self._reactor.callLater(PROBE_EVERY, self._send_probe)

    def _changed(self, failure: CloudFailure | None) -> None:
        if self.is_open:
            self._log.warn("cloud.breaker_opened", section=self._section, met=str(failure))
            for asking in list(self._asking):
                asking.cancel()
        else:
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            self._log.warn("cloud.breaker_closed", section=self._section, met=str(failure or "an answer"))
        if self._outages is not None:
            self._outages.breaker_changed(is_open=self.is_open)
