"""Passwords that are guessed (A10): few reach the directory, whatever way they come, and nobody else is in the way."""

from __future__ import annotations

import pytest

from tests.system.bench.directory import BASE
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, CALLING_STATION_ID, codes
from tests.system.bench.world import World
from tests.system.ldap_apps import Wire, add_apps

pytestmark = pytest.mark.system


def test_one_user_and_many_passwords(world: World) -> None:
    """In every form of the name, at two sections, from many places, 40 at once; alice at home goes on meanwhile."""
    one, two = (world.add_section(name, reject_delay=0) for name in ("one", "two"))
    world.config["ad_client"]["ntlm_domain"] = "CORP"
    alice = world.add_user("alice")
    world.start()
    nas = world.nas(one)
    home = (CALLING_STATION_ID, b"192.0.2.1")
    assert codes([nas.ask(alice.user, alice.password, home)]) == [ACCESS_ACCEPT]
    names = ("alice", "ALICE", "alice@corp.test", "CORP\\alice")
    guesses = []
    for number in range(40):
        door = world.nas((one, two)[number % 2])
        place = (CALLING_STATION_ID, f"198.51.100.{number}".encode())
        wrong = world.canaries.new(f"guess {number}")
        guesses.append((door, door.login(names[number % 4], wrong, place)))
    for door, guess in guesses:
        door.send(guess)
    assert codes([door.receive(guess) for door, guess in guesses]) == [ACCESS_REJECT] * 40
    assert [bind.result for bind in world.binds("alice")] == [0, 49, 49, 49]
    reasons = [event["reason"] for event in world.wait_audit(40, decision="reject")]
    assert sorted(reasons) == ["primary_rejected"] * 3 + ["rate_limited"] * 37
    assert codes([nas.ask(alice.user, alice.password, home)]) == [ACCESS_ACCEPT]
    assert "login.user_held section=ad_client user=alice" in world.wait_log("login.user_held")


def test_one_password_and_many_users(world: World) -> None:
    """A spray from one station ends; from the others everybody logs in."""
    section = world.add_section("vpn", failures_per_station=5, reject_delay=0)
    users = [world.add_user(f"user{number}") for number in range(30)]
    world.start()
    nas = world.nas(section)
    wrong = world.canaries.new("Summer2026!")
    attacker = (CALLING_STATION_ID, b"198.51.100.7")
    for user in users:
        assert codes([nas.ask(user.user, wrong, attacker)]) == [ACCESS_REJECT]
    assert sum(len(world.binds(user.user)) for user in users) == 5
    assert len(world.wait_audit(25, reason="rate_limited", cause="station_failures")) == 25
    logins = [nas.login(user.user, user.password, (CALLING_STATION_ID, b"192.0.2.9")) for user in users]
    assert codes(nas.exchange_all(logins)) == [ACCESS_ACCEPT] * 30


def test_one_entry_by_all_its_names(world: World) -> None:
    """By LDAP as by RADIUS: what the forms of a name have in common is the entry, not how they are written."""
    apps = add_apps(world)
    section = world.add_section("vpn", reject_delay=0)
    world.config["ad_client"]["ntlm_domain"] = "CORP"
    entry = f"CN=Alice Smith,OU=People,{BASE}"
    password = world.canaries.new("alice's password")
    more = {"userPrincipalName": ["alice.smith@corp.test"]}
    world.directory.add("asmith", password, attributes=more, dn=entry)
    world.start()
    names = (entry, entry.lower(), entry.replace(" ", "\\20"), "alice.smith@corp.test", "CORP\\asmith")
    for number, name in enumerate(names * 2):
        with Wire(apps.port) as wire:
            assert wire.bind(name, world.canaries.new(f"guess {number}")) in (49, 51)
    nas = world.nas(section)
    assert codes([nas.ask("asmith", world.canaries.new("the last guess"))]) == [ACCESS_REJECT]
    assert [bind.result for bind in world.binds("asmith")] == [49, 49, 49]
