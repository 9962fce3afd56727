"""The cloud behind its breaker, on a clock that the test turns (A7)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from authproxy.backends.cloud.breaker import PROBE_EVERY
from authproxy.backends.cloud.guarded import GuardedCloud
from authproxy.backends.cloud.probe import Probe
from authproxy.backends.open_door import OpenDoorGates
from authproxy.pipeline.ports import (
    CloudFailure,
    FactorAllow,
    FactorCall,
    FactorDeny,
    FailureClass,
    Preauth,
    PreauthAllow,
    Verified,
)
from authproxy.pipeline.request import AuthRequest
from tests.backends.cloud.conftest import Events
from tests.pipeline.fakes import request, run

DOWN = CloudFailure(FailureClass.UNREACHABLE, "refused")


class Cloud:
    """Each preauth waits for the test; the check says what the test set."""

    def __init__(self) -> None:
        self.preauths: list[Deferred[Preauth]] = []
        self.check_meets: CloudFailure | None = None
        self.checks: list[Deferred[None]] = []
        self.check_hangs = False

    async def preauth(self, request: AuthRequest, username: str) -> Preauth:
        waiting: Deferred[Preauth] = Deferred()
        self.preauths.append(waiting)
        return await waiting

    async def auth(self, request: AuthRequest, username: str, call: FactorCall) -> FactorAllow | FactorDeny:
        return FactorAllow(call.factor)

    async def check(self, timeout: float) -> None:
        waiting: Deferred[None] = Deferred()
        self.checks.append(waiting)
        if self.check_hangs:
            await waiting
        if self.check_meets is not None:
            raise self.check_meets


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.cloud = Cloud()
        self.log = Events()
        self.changes: list[bool] = []
        self.probe = Probe(self.cloud.check, reactor=self.clock, log=self.log)
        self.guarded = GuardedCloud(
            self.cloud, self.probe, section="vpn", reactor=self.clock, log=self.log, outages=self
        )
        self.door = OpenDoorGates(
            proven=lambda: True,
            probe=self.probe,
            reactor=self.clock,
            breaker_is_open=lambda: self.guarded.is_open,
        )

    def breaker_changed(self, *, is_open: bool) -> None:
        self.changes.append(is_open)

    def login(self) -> list[Any]:
        """What preauth came to: empty while it waits."""
        ended: list[Any] = []
        login = Deferred.fromCoroutine(self.guarded.preauth(request(), "alice"))
        login.addErrback(lambda failure: failure.value)
        login.addCallback(ended.append)
        return ended

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            ended = self.login()
            self.cloud.preauths[-1].errback(DOWN)
            assert ended == [DOWN]

    def may_open(self) -> str:
        return run(self.door.may_open(request(), Verified("alice"), DOWN))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_while_it_is_closed_logins_pass_through(bench: Bench) -> None:
    ended = bench.login()
    bench.cloud.preauths[0].callback(PreauthAllow("hello"))
    assert ended == [PreauthAllow("hello")]
    assert run(bench.guarded.auth(request(), "alice", FactorCall("push"))) == FactorAllow("push")
    assert not bench.guarded.is_open


def test_an_outage_is_met_by_few_and_told_to_the_rest_at_once(bench: Bench) -> None:
    bench.cloud.check_meets = DOWN
    bench.fail(3)
    assert bench.guarded.is_open
    assert bench.guarded.opened_at is not None
    assert bench.changes == [True]
    for _ in range(200):
        (ended,) = bench.login()
        assert isinstance(ended, CloudFailure)
        assert ended.failure is FailureClass.UNREACHABLE
        assert "breaker" in ended.detail
        assert bench.may_open() == "", "nobody waits for a probe either"
    assert len(bench.cloud.preauths) == 3
    assert len(bench.cloud.checks) == 1


def test_those_who_wait_are_told_when_it_opens(bench: Bench) -> None:
    waiting = [bench.login() for _ in range(50)]
    bench.cloud.check_meets = DOWN
    bench.fail(3)
    for (ended,) in waiting:
        assert ended.failure is FailureClass.UNREACHABLE


def test_one_probe_at_a_time_looks_for_recovery(bench: Bench) -> None:
    bench.cloud.check_meets = DOWN
    bench.fail(3)
    for _ in range(4):
        bench.clock.advance(PROBE_EVERY)
    assert len(bench.cloud.checks) == 5
    assert bench.guarded.is_open
    bench.cloud.check_meets = None
    bench.clock.advance(PROBE_EVERY)
    assert not bench.guarded.is_open
    assert bench.changes == [True, False]
    bench.login()
    assert len(bench.cloud.preauths) == 4
    bench.clock.advance(PROBE_EVERY * 3)
    assert len(bench.cloud.checks) == 6, "nobody looks after a cloud that is well"


def test_a_poisonous_user_opens_nothing(bench: Bench) -> None:
    """Requests that break the service, while the probe is answered."""
    poison = CloudFailure(FailureClass.SERVER_ERROR, "HTTP 500")
    for _ in range(30):
        ended = bench.login()
        bench.cloud.preauths[-1].errback(poison)
        assert ended == [poison]
        assert bench.may_open() == "probe_disagrees"
        bench.clock.advance(0.1)
    assert not bench.guarded.is_open
    assert bench.changes == []


def test_refusals_open_nothing_and_close_it(bench: Bench) -> None:
    bench.cloud.check_meets = DOWN
    bench.fail(3)
    bench.cloud.check_meets = CloudFailure(FailureClass.UNTRUSTED, "certificate")
    bench.clock.advance(PROBE_EVERY)
    assert not bench.guarded.is_open
    bench.login()
    assert len(bench.cloud.preauths) == 4, "each meets the certificate itself"


def test_a_hanging_probe_keeps_nobody(bench: Bench) -> None:
    bench.cloud.check_meets = DOWN
    bench.fail(3)
    bench.cloud.check_hangs = True
    bench.clock.advance(PROBE_EVERY)
    assert bench.login()
    assert bench.may_open() == ""
    bench.cloud.checks[-1].callback(None)
    assert bench.guarded.is_open
    bench.clock.advance(PROBE_EVERY)
    assert len(bench.cloud.checks) == 3


def test_a_bug_in_the_probe_leaves_nothing_open(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.cloud.check_meets = DOWN
    bench.fail(3)

    async def bug(timeout: float) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(bench.probe, "_check", bug)
    bench.clock.advance(PROBE_EVERY)
    assert [type(found) for found in bench.log.bugs] == [KeyError]
    assert not bench.guarded.is_open
    assert bench.may_open() == "probe_internal"


def test_a_login_that_is_given_up_is_not_mistaken_for_an_outage(bench: Bench) -> None:
    login: Deferred[Any] = Deferred.fromCoroutine(bench.guarded.preauth(request(), "alice"))
    ended: list[Any] = []
    login.addErrback(lambda failure: ended.append(failure.type.__name__))
    login.cancel()
    assert ended == ["CancelledError"]


def test_closing(bench: Bench) -> None:
    bench.cloud.check_meets = DOWN
    bench.fail(3)
    bench.guarded.close()
    assert bench.clock.getDelayedCalls() == []


def test_an_answer_to_anybodys_probe_ends_the_outage(bench: Bench) -> None:
    """A look that somebody else has taken counts: nobody is kept out until the breaker's own turn comes."""
    bench.cloud.check_meets = DOWN
    bench.fail(3)
    assert bench.guarded.is_open
    bench.clock.advance(5)
    bench.cloud.check_meets = None
    run(bench.probe.ask())
    ended = bench.login()
    assert bench.changes == [True, False]
    bench.cloud.preauths[-1].callback(PreauthAllow("hello"))
    assert ended == [PreauthAllow("hello")]
    checks = len(bench.cloud.checks)
    bench.clock.advance(2 * PROBE_EVERY)
    assert len(bench.cloud.checks) == checks, "nobody looks any more"


def test_a_probe_that_fails_again_ends_nothing(bench: Bench) -> None:
    bench.cloud.check_meets = DOWN
    bench.fail(3)
    bench.clock.advance(5)
    run(bench.probe.ask())
    ended = bench.login()
    assert [error.failure for error in ended] == [FailureClass.UNREACHABLE]
    assert bench.changes == [True]
