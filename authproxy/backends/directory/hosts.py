"""Which hosts answer (A5). A login's failure makes a host suspect; only probes declare it down or up again.

A probe is nobody's login: it connects and reads the rootDSE. One at a time asks each host, and logins that have
nowhere to go wait for it together instead of each trying for itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from authproxy.observe.log import Log
from authproxy.values import light_dataclass

# Failed logins in a row after which probes alone don't make a host trustworthy, and for how many seconds.
_MOST_FAILURES = 3
_DISTRUST = 30.0
_FIRST_RETRY = 1.0  # seconds between probes of a host that is down; doubled each time, up to:
_LAST_RETRY = 30.0


class State(StrEnum):
    UNKNOWN = "unknown"  # never asked
    UP = "up"
    SUSPECT = "suspect"  # a login got no answer; asked after the others
    DOWN = "down"  # a probe got none either; not asked


class NoAnswer(Exception):
    """A probe failed. The text says how."""


class Probe(Protocol):
    def __call__(self) -> Awaitable[None]:
        """Raises NoAnswer. Has its own deadline."""


@light_dataclass(frozen=True, slots=True)
class HostHealth:
    """For /readyz and the status page. `since`: how many seconds it has been so."""

    host: str
    state: State
    why: str
    since: float


H = TypeVar("H")


@dataclass(slots=True, eq=False)
class _Watched(Generic[H]):
    host: H
    probe: Probe
    state: State = State.UNKNOWN
    why: str = ""
    since: float = 0.0
    failures: int = 0  # logins without an answer, in a row
    failed_at: float = float("-inf")
    probing: bool = False
    work: Deferred[None] | None = None  # the last probe
    probed_at: float = float("-inf")
    retry: Any = None  # the next probe's timer
    pause: float = _FIRST_RETRY


class Hosts(Generic[H]):
    """The hosts in their order of preference."""

    def __init__(self, hosts: Sequence[tuple[H, Probe]], *, reactor: Any, log: Log, section: str) -> None:
        now = reactor.seconds()
        self._watched = [_Watched(host, probe, since=now) for host, probe in hosts]
        self._of = {each.host: each for each in self._watched}
        self._reactor = reactor
        self._log = log
        self._section = section
        self._waiting: list[Deferred[None]] = []
        self._closed = False
        self.best = self._usable()  # the hosts to ask, the best one first

    def start(self) -> None:
        """Ask each host once, so that its state is known before the first login."""
        for watched in self._watched:
            self._probe(watched)

    def close(self) -> None:
        self._closed = True
        for watched in self._watched:
            self._stop_retrying(watched)
            if watched.probing and watched.work is not None:
                watched.work.cancel()

    def health(self) -> tuple[HostHealth, ...]:
        now = self._reactor.seconds()
        return tuple(
            HostHealth(str(each.host), each.state, each.why, now - each.since) for each in self._watched
        )

    async def usable(self, deadline: float) -> list[H]:
        """The best ones. If all are down, wait for a probe that finds one; none if that takes too long."""
        if not self.best and not self._closed:
            await self._any_probed(deadline)
        return self.best

    def answered(self, host: H) -> None:
        """A login got an answer from this host, whatever it was."""
        watched = self._of[host]
        watched.failures = 0
        if watched.state is not State.UP:
            self._become(watched, State.UP, "")

    def failed(self, host: H, why: str) -> None:
        """A login got no answer from this host."""
        watched = self._of[host]
        watched.failures += 1
        watched.failed_at = self._reactor.seconds()
        if watched.state is not State.DOWN:
            self._become(watched, State.SUSPECT, why)
        self._probe(watched)

    # ---- choosing

    def _usable(self) -> list[H]:
        good = [each.host for each in self._watched if each.state in (State.UP, State.UNKNOWN)]
        return good + [each.host for each in self._watched if each.state is State.SUSPECT]

    async def _any_probed(self, deadline: float) -> None:
        """Until a host can be asked, every host was probed once more, or the deadline."""
        now = self._reactor.seconds()
        for watched in self._watched:
            # Many logins may come here at once; the answer of a moment ago serves them all.
            if now - watched.probed_at >= _FIRST_RETRY:
                self._probe(watched)
        while not self.best and any(each.probing for each in self._watched):
            left = deadline - self._reactor.seconds()
            if left <= 0:
                return
            await self._next_outcome(left)

    async def _next_outcome(self, left: float) -> None:
        """Until any probe ends, or so many seconds."""
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        timer = self._reactor.callLater(left, self._wake, turn)
        try:
            await turn
        finally:
            if timer.active():
                timer.cancel()
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _wake(self, turn: Deferred[None]) -> None:
        self._waiting.remove(turn)
        turn.callback(None)

    # ---- probing

    def _probe(self, watched: _Watched[H]) -> None:
        """Begin one, unless one is under way."""
        if watched.probing or self._closed:
            return
        self._stop_retrying(watched)
        watched.probing = True
        watched.work = Deferred.fromCoroutine(self._probed(watched))

    async def _probed(self, watched: _Watched[H]) -> None:
        try:
            await watched.probe()
        except NoAnswer as no_answer:
            self._is_down(watched, str(no_answer))
        except CancelledError:
            pass
        except Exception as bug:  # noqa: BLE001 - nobody waits for this but us
            self._log.failure("directory.probe_failed", bug, section=self._section, host=str(watched.host))
            self._is_down(watched, type(bug).__name__)
        else:
            self._is_up(watched)
        finally:
            watched.probing = False
            watched.probed_at = self._reactor.seconds()
            for turn in self._waiting[:]:
                self._wake(turn)

    def _is_up(self, watched: _Watched[H]) -> None:
        watched.pause = _FIRST_RETRY
        since = self._reactor.seconds() - watched.failed_at
        if watched.failures >= _MOST_FAILURES and since < _DISTRUST:
            # It answers probes and no logins: the others first, for a while.
            self._become(watched, State.SUSPECT, watched.why or "answers probes, but no logins")
            self._retry(watched, _DISTRUST - since)
            return
        self._become(watched, State.UP, "")

    def _is_down(self, watched: _Watched[H], why: str) -> None:
        self._become(watched, State.DOWN, why)
        self._retry(watched, watched.pause)
        watched.pause = min(2 * watched.pause, _LAST_RETRY)

    def _retry(self, watched: _Watched[H], pause: float) -> None:
        if not self._closed:
            watched.retry = self._reactor.callLater(pause, self._retry_now, watched)

    def _retry_now(self, watched: _Watched[H]) -> None:
        watched.retry = None
        self._probe(watched)

    def _stop_retrying(self, watched: _Watched[H]) -> None:
        retry, watched.retry = watched.retry, None
        if retry is not None:
            retry.cancel()

    def _become(self, watched: _Watched[H], state: State, why: str) -> None:
        watched.why = why
        if watched.state is state:
            return
        before, watched.state, watched.since = watched.state, state, self._reactor.seconds()
        self.best = self._usable()
        fields = {"section": self._section, "host": str(watched.host), "why": why}
        if state is State.DOWN:
            self._log.warn("directory.host_down", **fields)
        elif state is State.SUSPECT:
            self._log.warn("directory.host_suspected", **fields)
        elif before is not State.UNKNOWN:
            self._log.info("directory.host_up", section=self._section, host=str(watched.host))
