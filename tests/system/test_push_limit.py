"""Push fatigue through the daemon (A11): over ports, sections and protocols, and passcodes all the time."""

from __future__ import annotations

import pytest

from tests.system.bench.journal import CloudRequest
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, CALLING_STATION_ID, codes
from tests.system.bench.world import World

pytestmark = pytest.mark.system


def test_twenty_logins_that_the_user_denies(world: World) -> None:
    """Right passwords, from two sections and twenty places: three pushes; then passcodes only."""
    two = [world.add_section("one", denial_memory=0), world.add_section("two", denial_memory=0)]
    passcode = world.canaries.passcode("alice's")
    alice = world.add_user("alice", answer="deny", passcodes={passcode})
    bob = world.add_user("bob")
    world.start()
    for number in range(20):
        place = (CALLING_STATION_ID, f"192.0.2.{number}".encode())
        assert codes([world.nas(two[number % 2]).ask(alice.user, alice.password, place)]) == [ACCESS_REJECT]
    assert len(world.asked("alice")) == 3
    reasons = [event["reason"] for event in world.wait_audit(20, username="alice", decision="reject")]
    assert reasons == ["factor_denied"] * 3 + ["push_limit"] * 17
    assert "push.paused user=alice" in world.wait_log("push.paused")
    nas = world.nas(two[0])
    assert codes([nas.ask(alice.user, f"{alice.password},push")]) == [ACCESS_REJECT]
    assert codes([nas.ask(alice.user, f"{alice.password},{passcode}")]) == [ACCESS_ACCEPT]
    assert codes([nas.ask(bob.user, bob.password)]) == [ACCESS_ACCEPT]
    assert len([call for call in world.asked("alice") if call["factor"] != "passcode"]) == 3


def test_fraud_and_a_second_login_meanwhile(world: World) -> None:
    """One prompt at a time, in all sections; what the user reports as fraud stops them at once, and is told."""
    one, two = world.add_section("one", denial_memory=0), world.add_section("two")
    eve = world.add_user("eve", answer=None)
    world.start()
    nas = world.nas(one)
    first = nas.login(eve.user, eve.password)
    nas.send(first)
    world.journal.wait(CloudRequest, lambda r: r.user == "eve" and r.endpoint == "auth_status")
    assert codes([world.nas(two).ask(eve.user, eve.password)]) == [ACCESS_REJECT]
    (event,) = world.wait_audit(username="eve", reason="push_limit")
    assert event["cause"] == "push_pending"
    world.cloud.decide("eve", "fraud")
    assert codes([nas.receive(first)]) == [ACCESS_REJECT]
    assert "error push.fraud_reported user=eve section=one" in world.wait_log("push.fraud_reported")
    assert codes([world.nas(two).ask(eve.user, eve.password)]) == [ACCESS_REJECT]
    assert len(world.asked("eve")) == 1
