"""Each gate keeps the door shut by itself (F3 to F6)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from authproxy.backends.cloud.probe import FRESH, TIMEOUT, Probe
from authproxy.backends.open_door import OpenDoorGates
from authproxy.observe.log import NullLog
from authproxy.pipeline.fail_mode import OUTAGE
from authproxy.pipeline.ports import CloudFailure, FailureClass, Verified
from authproxy.pipeline.request import AuthRequest
from tests.pipeline.fakes import request, run

ALICE = Verified("alice")
DOWN = CloudFailure(FailureClass.UNREACHABLE, "refused")
BROKEN = CloudFailure(FailureClass.SERVER_ERROR, "HTTP 503")
REFUSALS = [CloudFailure(failure, "no") for failure in FailureClass if failure not in OUTAGE]


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.proven = True
        self.meets: CloudFailure | Exception | None = DOWN
        self.checks = 0
        self.hanging: Deferred[None] | None = None
        self.breaker_is_open = False
        self.probe = Probe(self._check, reactor=self.clock, log=NullLog())

    def door(self, *further: Any) -> OpenDoorGates:
        return OpenDoorGates(
            proven=lambda: self.proven,
            probe=self.probe,
            reactor=self.clock,
            breaker_is_open=lambda: self.breaker_is_open,
            further=further,
        )

    async def _check(self, timeout: float) -> None:
        self.checks += 1
        if self.hanging is not None:
            await self.hanging
        if self.meets is not None:
            raise self.meets


@pytest.fixture
def world() -> World:
    return World()


def may_open(world: World, failure: CloudFailure = DOWN, **changes: Any) -> str:
    return run(world.door().may_open(request(**changes), ALICE, failure))


@pytest.mark.parametrize("failure", [DOWN, BROKEN])
@pytest.mark.parametrize("met", [DOWN, BROKEN])
def test_all_gates_agree(world: World, failure: CloudFailure, met: CloudFailure) -> None:
    world.meets = met
    assert may_open(world, failure) == ""


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda failure: failure.failure.value)
def test_no_other_class_ever(world: World, refusal: CloudFailure) -> None:
    assert may_open(world, refusal) == "class"


def test_credentials_that_never_worked(world: World) -> None:
    """A typing error in the host's name looks like an outage."""
    world.proven = False
    assert may_open(world) == "not_proven"
    assert world.checks == 0


def test_a_probe_that_is_answered(world: World) -> None:
    world.meets = None
    assert may_open(world) == "probe_disagrees"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda failure: failure.failure.value)
def test_a_probe_that_is_refused(world: World, refusal: CloudFailure) -> None:
    world.meets = refusal
    assert may_open(world) == f"probe_{refusal.failure.value}"


def test_a_probe_with_a_bug(world: World) -> None:
    world.meets = KeyError("oops")
    assert may_open(world) == "probe_internal"


def test_a_probe_that_we_were_too_busy_for(world: World) -> None:
    """Its timeout came late: it is our own event loop that hangs, and nobody is let in for that."""
    world.hanging = Deferred()
    answers: list[str] = []
    Deferred.fromCoroutine(world.door().may_open(request(), ALICE, DOWN)).addCallback(answers.append)
    world.clock.advance(TIMEOUT + 0.6)
    world.hanging.callback(None)
    assert answers == ["probe_overload"]


def test_nobody_waits_any_more(world: World) -> None:
    world.clock.advance(100)
    assert may_open(world, deadline=100.0) == "too_late"


def test_a_name_that_nothing_proves_passes_no_gate_that_goes_by_names(world: World) -> None:
    """R33, F7: who never passes could say outside EAP's tunnel that they are somebody else."""

    async def everybody(*_: object) -> str:
        return ""

    unproven = Verified("alice", proven=False)
    assert run(world.door().may_open(request(), unproven, DOWN)) == ""
    assert run(world.door(everybody).may_open(request(), unproven, DOWN)) == "name_unproven"
    assert not run(ordered(world, everybody).primary_only(request(), unproven))
    assert run(ordered(world).primary_only(request(), unproven))


def test_further_gates_have_their_say(world: World) -> None:
    async def minutes(request: AuthRequest, verified: Verified, failure: CloudFailure) -> str:
        return ""

    async def groups(request: AuthRequest, verified: Verified, failure: CloudFailure) -> str:
        return "never_open_group"

    assert run(world.door(minutes).may_open(request(), ALICE, DOWN)) == ""
    assert run(world.door(minutes, groups).may_open(request(), ALICE, DOWN)) == "never_open_group"


def test_a_probe_counts_for_a_few_seconds(world: World) -> None:
    assert [may_open(world) for _ in range(3)] == [""] * 3
    assert world.checks == 1
    world.clock.advance(FRESH + 0.1)
    world.meets = None
    assert may_open(world) == "probe_disagrees"
    assert world.checks == 2


def test_all_share_one_probe(world: World) -> None:
    world.hanging = Deferred()
    answers: list[str] = []
    door = world.door()
    logins = [Deferred.fromCoroutine(door.may_open(request(), ALICE, DOWN)) for _ in range(20)]
    for login in logins:
        login.addCallbacks(answers.append, lambda _: answers.append("given up"))
    assert answers == []
    logins[0].cancel()
    assert answers == ["given up"], "and the others' probe goes on"
    world.hanging.callback(None)
    assert answers[1:] == [""] * 19
    assert world.checks == 1


def test_while_the_breaker_is_open_its_last_word_counts(world: World) -> None:
    may_open(world)
    world.clock.advance(FRESH * 10)
    world.breaker_is_open = True
    world.hanging = Deferred()
    assert may_open(world) == ""
    assert world.checks == 1


def test_a_closed_probe_leaves_nobody_waiting(world: World) -> None:
    world.hanging = Deferred()
    answers: list[str] = []
    Deferred.fromCoroutine(world.door().may_open(request(), ALICE, DOWN)).addCallback(answers.append)
    world.probe.close()
    assert answers == ["probe_internal"]


@pytest.mark.parametrize("failure", [DOWN, BROKEN])
def test_an_outage_that_ends_while_a_gate_is_asked(world: World, failure: CloudFailure) -> None:
    """F4: the directory may take as long over the groups as a login has; the cloud has come back meanwhile."""

    async def groups(request: AuthRequest, verified: Verified, failure: CloudFailure | None) -> str:
        world.clock.advance(FRESH + 0.1)
        world.meets = None
        return ""

    assert run(world.door(groups).may_open(request(), ALICE, failure)) == "probe_disagrees"


def test_who_never_passes_sends_no_second_probe(world: World) -> None:
    async def groups(request: AuthRequest, verified: Verified, failure: CloudFailure | None) -> str:
        return ""

    assert run(world.door(groups).may_open(request(), ALICE, DOWN)) == ""
    assert world.checks == 1


# ---- limits


def test_the_limits_have_the_last_word(world: World) -> None:
    """Nobody is counted whom another gate keeps out."""
    taken: list[str] = []

    def take() -> str:
        taken.append("one")
        return ""

    async def never(request: AuthRequest, verified: Verified, failure: CloudFailure) -> str:
        return "never_user"

    door = OpenDoorGates(proven=lambda: True, probe=world.probe, reactor=world.clock, take=take)
    shut = OpenDoorGates(
        proven=lambda: True, probe=world.probe, reactor=world.clock, take=take, further=[never]
    )
    assert run(shut.may_open(request(), ALICE, DOWN)) == "never_user"
    assert run(door.may_open(request(deadline=0.0), ALICE, DOWN)) == "too_late"
    assert taken == []
    assert run(door.may_open(request(), ALICE, DOWN)) == ""
    assert taken == ["one"]


def test_a_limit_keeps_it_shut(world: World) -> None:
    door = OpenDoorGates(
        proven=lambda: True, probe=world.probe, reactor=world.clock, take=lambda: "max_minutes"
    )
    assert run(door.may_open(request(), ALICE, DOWN)) == "max_minutes"


# ---- by order


def ordered(world: World, *further: Any, on: bool = True) -> OpenDoorGates:
    return OpenDoorGates(
        proven=lambda: False,
        probe=world.probe,
        reactor=world.clock,
        further=further,
        is_primary_only=lambda: on,
    )


def test_an_order_needs_no_outage(world: World) -> None:
    assert run(ordered(world).primary_only(request(), ALICE))
    assert world.checks == 0
    assert not run(ordered(world, on=False).primary_only(request(), ALICE))
    assert not run(ordered(world).primary_only(request(deadline=0.0), ALICE))


def test_who_never_passes_doesn_t_by_order(world: World) -> None:
    async def never(request: AuthRequest, verified: Verified, failure: CloudFailure | None) -> str:
        return "never_user" if verified.username == "alice" else ""

    assert not run(ordered(world, never).primary_only(request(), ALICE))
    assert run(ordered(world, never).primary_only(request(), Verified("bob")))


def test_an_order_that_ends_while_a_gate_is_asked(world: World) -> None:
    """The directory is asked for groups, and that takes a while."""
    order = [True]

    async def groups(request: AuthRequest, verified: Verified, failure: CloudFailure | None) -> str:
        order.clear()
        return ""

    door = OpenDoorGates(
        proven=lambda: True,
        probe=world.probe,
        reactor=world.clock,
        further=[groups],
        is_primary_only=lambda: bool(order),
    )
    assert not run(door.primary_only(request(), ALICE))


def test_an_order_opens_no_outage(world: World) -> None:
    assert run(ordered(world).may_open(request(), ALICE, DOWN)) == "not_proven"


# ---- a slow cloud

SLOW = CloudFailure(FailureClass.SLOW, "too slow")


@pytest.mark.parametrize(("slow", "expected"), [(True, ""), (False, "probe_disagrees")])
def test_slow_is_what_the_probe_has_measured(world: World, slow: bool, expected: str) -> None:
    """F6: whatever a login says; and a probe that meets an outage is no word on that."""
    door = OpenDoorGates(
        proven=lambda: world.proven, probe=world.probe, reactor=world.clock, is_slow=lambda: slow
    )
    assert run(door.may_open(request(), ALICE, SLOW)) == expected
    assert run(door.is_outage(request(), SLOW)) == expected
    world.proven = False
    assert run(door.may_open(request(), ALICE, SLOW)) == "not_proven"
