"""The tour: six logins by real RADIUS, each with the answer and reason that it has to have."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from authproxy.cli.demo.company import ALICE, BOB, PEOPLE
from authproxy.cli.demo.events import Event, EventReader
from authproxy.cli.demo.nas import Answer, Nas
from authproxy.cli.demo.stage import Section, Stage
from authproxy.embedded.cloud.otp import current_step, otp_at
from authproxy.embedded.cloud.outcomes import Verdict
from authproxy.values import light_dataclass

_GLANCE = 0.05  # seconds
_PUSH_PATIENCE = 10.0
_EVENT_PATIENCE = 5.0


@light_dataclass(frozen=True, slots=True)
class Step:
    """`expected`: the decision and its reason."""

    title: str
    expected: tuple[str, str]
    play: Callable[[], Awaitable[Answer]]
    fail_open: bool = False
    pushes: int = 0


@light_dataclass(frozen=True, slots=True)
class Played:
    """A step and its outcome; `differed` is empty if it went as it should."""

    title: str
    expected: str
    got: str
    seconds: float
    differed: Sequence[str]


class Tour:
    def __init__(self, reactor: Any, stage: Stage) -> None:
        self._reactor = reactor
        self._stage = stage
        self._nas = Nas(reactor, stage.radius_secret)
        self._events = EventReader(stage.events)
        self._passcode = ""

    def steps(self) -> Sequence[Step]:
        secure, safe = self._stage.secure, self._stage.safe
        return (
            Step(
                "a push that is approved",
                ("accept", "both_factors"),
                lambda: self._pushed(secure, ALICE.name, ALICE.password, Verdict.APPROVE),
                pushes=1,
            ),
            Step(
                "a push that is denied",
                ("reject", "factor_denied"),
                lambda: self._pushed(secure, BOB.name, BOB.password, Verdict.DENY),
                pushes=1,
            ),
            Step("a passcode behind the password", ("accept", "both_factors"), lambda: self._appended(safe)),
            Step(
                "a wrong password",
                ("reject", "primary_rejected"),
                lambda: self._nas.login(secure.port, ALICE.name, "wonderwall"),
            ),
            Step(
                "an outage, failmode safe",
                ("accept", "fail_open"),
                lambda: self._in_an_outage(safe),
                fail_open=True,
            ),
            Step(
                "the same outage, failmode secure",
                ("reject", "fail_closed"),
                lambda: self._in_an_outage(secure),
            ),
        )

    async def play(self, step: Step) -> Played:
        """Never raises because of what the proxy does; the result says that."""
        self._events.new()
        began = self._count_pushes()
        answer = await step.play()
        events = await self._decisions()
        differed = list(_differences(step, answer, events))
        if (pushes := self._count_pushes() - began) != step.pushes:
            differed.append(f"{pushes} pushes reached the phone, not {step.pushes}")
        reason = events[-1].get("reason", "?") if events else "no event"
        return Played(
            step.title, " ".join(step.expected), f"{answer.decision} {reason}", answer.seconds, differed
        )

    def leaks(self) -> Played:
        """The last step: nothing that was typed may be in a log."""
        typed = [person.password for person in PEOPLE] + ["wonderwall", self._passcode]
        found = [
            path.name
            for path in sorted((self._stage.folder / "log").iterdir())
            if any(word.encode() in _octets(path) for word in typed if word)
        ]
        got = "in " + ", ".join(found) if found else "none"
        return Played("passwords and passcodes in the logs", "none", got, 0.0, [got] if found else [])

    # ---- the steps

    async def _pushed(self, section: Section, user: str, password: str, verdict: Verdict) -> Answer:
        """The login, and somebody at the phone meanwhile."""
        login = Deferred.fromCoroutine(self._nas.login(section.port, user, password))
        await self._tap(user, verdict)
        return await login

    async def _tap(self, user: str, verdict: Verdict) -> None:
        device = self._stage.phones[user].device
        until = time.monotonic() + _PUSH_PATIENCE
        while time.monotonic() < until:
            for line in self._stage.store.logins.waiting_of([device.device_id]):
                self._stage.service.core.decide([device], line.login.txid, verdict)
                return
            await self._pause(_GLANCE)

    async def _appended(self, section: Section) -> Answer:
        self._passcode = self._current_passcode()
        return await self._nas.login(section.port, ALICE.name, f"{ALICE.password},{self._passcode}")

    def _current_passcode(self) -> str:
        otp = self._stage.store.devices.otp_secret(self._stage.phones[ALICE.name].device.device_id)
        return "" if otp is None else otp_at(otp, current_step(time.time())).reveal().decode()

    async def _in_an_outage(self, section: Section) -> Answer:
        if self._stage.is_connected:
            await self._stage.disconnect_cloud()
        return await self._nas.login(section.port, ALICE.name, ALICE.password)

    # ---- what happened

    def _count_pushes(self) -> int:
        return sum(line.login.factor.value == "push" for line in self._stage.store.logins.recent(100))

    async def _decisions(self) -> Sequence[Event]:
        """The record may come a moment behind the answer."""
        until = time.monotonic() + _EVENT_PATIENCE
        while time.monotonic() < until:
            if events := self._events.new():
                return events
            await self._pause(_GLANCE)
        return []

    async def _pause(self, seconds: float) -> None:
        done: Deferred[None] = Deferred()
        alarm = self._reactor.callLater(seconds, done.callback, None)
        try:
            await done
        finally:
            if alarm.active():
                alarm.cancel()


def _differences(step: Step, answer: Answer, events: Sequence[Event]) -> Sequence[str]:
    differed = []
    if answer.decision != step.expected[0]:
        differed.append(f"RADIUS answered {answer.decision}")
    if len(events) != 1:
        differed.append(f"authevents.log has {len(events)} decisions for it")
        return differed
    (event,) = events
    if (event["decision"], event.get("reason")) != step.expected:
        cause = event.get("cause") or "no cause"
        differed.append(f"authevents.log says {event['decision']} {event.get('reason')} ({cause})")
    if bool(event.get("fail_open")) != step.fail_open:
        differed.append(f"authevents.log says fail_open: {event.get('fail_open')}")
    return differed


def _octets(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
