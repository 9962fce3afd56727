"""Push fatigue through the daemon (A11): over ports, sections and protocols, and passcodes all the time."""

from __future__ import annotations

import pytest

from tests.system.bench.cloud import phone
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


def test_one_prompt_at_a_time(world: World) -> None:
    """Two sections, two prompts, one after the other; what the user reports as fraud ends them, and is told."""
    one, two = world.add_section("one", denial_memory=0), world.add_section("two", denial_memory=0)
    eve = world.add_user("eve", answer=None)
    world.start()
    first_nas, second_nas = world.nas(one), world.nas(two)

    def prompted(count: int) -> None:
        world.journal.wait(CloudRequest, lambda r: r.user == "eve" and r.endpoint == "auth", count=count)

    first, second = first_nas.login(eve.user, eve.password), second_nas.login(eve.user, eve.password)
    first_nas.send(first)
    prompted(1)
    second_nas.send(second)
    # Its preauth has been answered, and its push would be the next thing.
    world.journal.wait(CloudRequest, lambda r: r.user == "eve" and r.endpoint == "preauth", count=2)
    assert second_nas.hears_nothing(0.3)
    assert len(world.asked("eve")) == 1
    world.cloud.decide("eve", "allow")
    assert codes([first_nas.receive(first)]) == [ACCESS_ACCEPT]
    prompted(2)
    third = first_nas.login(eve.user, eve.password)
    first_nas.send(third)
    world.journal.wait(CloudRequest, lambda r: r.user == "eve" and r.endpoint == "preauth", count=3)
    world.cloud.decide("eve", "fraud")
    assert codes([second_nas.receive(second), first_nas.receive(third)]) == [ACCESS_REJECT] * 2
    assert "error push.fraud_reported user=eve section=two" in world.wait_log("push.fraud_reported")
    assert [event["cause"] for event in world.wait_audit(username="eve", reason="push_limit")] == [
        "push_fraud"
    ]
    assert len(world.asked("eve")) == 2


def test_a_shared_account(world: World) -> None:
    """Two people, two telephones, one name: each rings the own one, in turn; one's no isn't the other's."""
    section = world.add_section("vpn")
    team = world.add_user("team", answer=None, devices=[phone("DANNA"), phone("DBEN")])
    world.start()
    anna, ben = world.nas(section), world.nas(section)
    of_anna = anna.login(team.user, f"{team.password},push", (CALLING_STATION_ID, b"192.0.2.1"))
    of_ben = ben.login(team.user, f"{team.password},push2", (CALLING_STATION_ID, b"192.0.2.2"))
    anna.send(of_anna)
    world.journal.wait(CloudRequest, lambda r: r.user == "team" and r.endpoint == "auth")
    ben.send(of_ben)
    world.cloud.decide("team", "deny")
    assert codes([anna.receive(of_anna)]) == [ACCESS_REJECT]
    world.journal.wait(CloudRequest, lambda r: r.user == "team" and r.endpoint == "auth", count=2)
    world.cloud.decide("team", "allow")
    assert codes([ben.receive(of_ben)]) == [ACCESS_ACCEPT]
    assert [call["device"] for call in world.asked("team")] == ["DANNA", "DBEN"]
    assert codes([ben.ask(team.user, f"{team.password},push3")]) == [ACCESS_REJECT]
    assert world.wait_audit(username="team", reason="no_usable_factor")
