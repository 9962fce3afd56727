"""The gates between a safe section's outage and an Accept (pipeline.ports.OpenDoor; the contract, section 8; F4 to F6).

All of them have to agree. A gate that can't tell says no.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from authproxy.backends.cloud.probe import FRESH, Probe, Verdict
from authproxy.backends.door_watch import DoorWatch
from authproxy.pipeline.fail_mode import OUTAGE
from authproxy.pipeline.ports import CloudFailure, FailureClass, Verified
from authproxy.pipeline.request import AuthRequest


class Gate(Protocol):
    """A further condition of a section: who, how long, how many."""

    async def __call__(
        self, request: AuthRequest, verified: Verified, failure: CloudFailure | None, /
    ) -> str:
        """'' or the gate's name. `failure` None: no outage, but an order (primary-only)."""


_Gate = Callable[[AuthRequest, Verified, CloudFailure], Awaitable[str]]


class OpenDoorGates:
    """One section's door."""

    def __init__(
        self,
        *,
        proven: Callable[[], bool],
        probe: Probe,
        reactor: Any,
        breaker_is_open: Callable[[], bool] = lambda: False,
        further: Sequence[Gate] = (),
        take: Callable[[], str] = lambda: "",
        passed: Callable[[str], None] = lambda username: None,
        is_slow: Callable[[], bool] = lambda: False,
        is_primary_only: Callable[[], bool] = lambda: False,
        watch: DoorWatch | None = None,
    ) -> None:
        """`proven`: whether these credentials ever worked at this host; `further`: who never passes.

        `take()` counts one that passes, or says which limit keeps it out: the last word, so that it counts nobody whom
        another gate keeps out. `is_slow`: a probe has found the cloud slow. `passed(username)`: behind both factors.
        `is_primary_only`: somebody has ordered that the second factor is off. `watch` is told when the door opens.
        """
        self._proven = proven
        self._probe = probe
        self._reactor = reactor
        self._breaker_is_open = breaker_is_open
        self._who = (self._is_known, *further)
        self._goes_by_name = bool(further)
        self._take = take
        self._is_slow = is_slow
        self._is_primary_only = is_primary_only
        self._watch = watch
        self.passed = passed
        self._gates: Sequence[_Gate] = (
            self._class,
            self._has_been_proven,
            self._probe_agrees,
            *self._who,
            # Once more, and in most cases at no cost: a directory may take long over who it is.
            self._probe_agrees,
            self._in_time,
            self._within_limits,
        )

    async def may_open(self, request: AuthRequest, verified: Verified, failure: CloudFailure) -> str:
        """'' when every gate agrees, else the name of the first that does not."""
        for gate in self._gates:
            if shut := await gate(request, verified, failure):
                return shut
        if self._watch is not None:
            self._watch.opened(failure)
        return ""

    async def primary_only(self, request: AuthRequest, verified: Verified) -> bool:
        """By order, and for nobody who never passes: they are asked for a factor as ever."""
        if not self._is_primary_only():
            return False
        for gate in self._who:
            if await gate(request, verified, None):
                return False
        # Once more: the directory may have been asked about groups in between.
        return self._is_primary_only() and self._reactor.seconds() < request.deadline

    async def is_outage(self, request: AuthRequest, failure: CloudFailure) -> str:
        """'' when the probe meets an outage, too, else what speaks against it."""
        return await self._probe_agrees(request, Verified(""), failure)

    async def _class(self, _: AuthRequest, __: Verified, failure: CloudFailure) -> str:
        """F3 once more: this is the last place where it can be seen to."""
        return "" if failure.failure in OUTAGE else "class"

    async def _has_been_proven(self, _: AuthRequest, __: Verified, ___: CloudFailure) -> str:
        return "" if self._proven() else "not_proven"

    async def _probe_agrees(self, _: AuthRequest, __: Verified, failure: CloudFailure) -> str:
        if failure.failure is FailureClass.SLOW:
            # Another probe, which has measured it, and goes on measuring (cloud/slow.py).
            return "" if self._is_slow() else "probe_disagrees"
        met = (await self._verdict()).failure
        if met is None:
            # The fault is this request's alone: a user name that breaks the service, a flow that somebody cuts.
            return "probe_disagrees"
        return "" if met.failure in OUTAGE else f"probe_{met.failure.value}"

    async def _is_known(self, _: AuthRequest, verified: Verified, __: CloudFailure | None) -> str:
        """Who never passes could say that they are somebody else."""
        return "" if verified.proven or not self._goes_by_name else "name_unproven"

    async def _in_time(self, request: AuthRequest, _: Verified, __: CloudFailure) -> str:
        return "" if self._reactor.seconds() < request.deadline else "too_late"

    async def _within_limits(self, _: AuthRequest, __: Verified, ___: CloudFailure) -> str:
        """F7: an open door is not open for ever, nor for any number."""
        if (limit := self._take()) and self._watch is not None:
            self._watch.limited(limit)
        return limit

    async def _verdict(self) -> Verdict:
        """While the breaker is open it keeps probing: its last word is the newest there is, and nobody waits."""
        if self._breaker_is_open() and self._probe.last is not None:
            return self._probe.last
        return await self._probe.ask(max_age=FRESH)
