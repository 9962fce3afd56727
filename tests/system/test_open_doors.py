"""What an outage opens and what it doesn't, over the daemon: silence, limits, marks, primary-only, a slow cloud."""

from __future__ import annotations

import json
import time

import pytest

from tests.system.bench.daemon import run
from tests.system.bench.loop import Fault
from tests.system.bench.oracles import Section
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, codes
from tests.system.bench.world import Login, World, wait_for

pytestmark = pytest.mark.system

TIMING = {"api_timeout": 2, "api_connect_timeout": 1}


def test_silence(world: World) -> None:
    """`failmode: silent`: no datagram in an outage, for a repetition neither; each on record, and a login behind it."""
    silent = world.add_section("silent", failmode="silent", **TIMING)
    wall = world.add_section("wall", **TIMING)
    alice, bob, carol = (world.add_user(name) for name in ("alice", "bob", "carol"))
    world.start()
    world.cloud.become("refused")
    nas = world.nas(silent)
    request = nas.login(alice.user, alice.password)
    nas.send(request)
    (event,) = world.wait_audit(username="alice", decision="reject")
    assert (event["reason"], event["why"], event["cause"]) == ("fail_closed", "silent", "unreachable")
    assert nas.silent(request, 0.3)
    metric = world.running.metric
    assert metric("authproxy_fail_closed_total", section="silent", why="silent") == 1
    wait_for(lambda: metric("authproxy_radius_discarded_total", cause="silent") == 2)
    assert len(world.audit(username="alice", decision="reject")) == 1, "the repetition was no login"
    assert codes([world.nas(wall).ask(bob.user, bob.password)]) == [ACCESS_REJECT], (
        "the other section answers"
    )
    assert codes([nas.ask(carol.user, world.canaries.new("wrong password"))]) == [ACCESS_REJECT]
    world.cloud.become("well")
    # The same datagram again, some seconds after: a login, which nobody has to type again.
    reply = wait_for(lambda: nas.exchange(request, timeout=1), 40)
    assert reply.code == ACCESS_ACCEPT


def why(world: World, user: Login, section: Section) -> tuple[int | None, str | None]:
    """One login: the answer, and what kept it out."""
    before = len(world.audit(username=user.user))
    (code,) = codes([world.nas(section).ask(user.user, user.password, timeout=20)])
    decided = wait_for(lambda: [e for e in world.audit(username=user.user)[before:] if e["decision"]])
    return code, decided[-1]["why"]


IN = (ACCESS_ACCEPT, None)


def out(reason: str) -> tuple[int | None, str | None]:
    return ACCESS_REJECT, reason


def test_limits_of_an_open_door(world: World) -> None:
    """F7: who, how many, how long; over a reload, a restart, and files that are somebody's own."""
    safe = {"failmode": "safe", **TIMING}
    many = world.add_section("many", fail_open_max_per_hour=2, **safe)
    marks = {
        "fail_open_class": "OU=Restricted",
        "fail_open_filter_id": "outage",
        "fail_open_reply_message": "Übergang",
    }
    world.options(many).update(marks)
    short = world.add_section("short", fail_open_max_minutes=30, fail_open_never_users=["Root"], **safe)
    seen = world.add_section("seen", fail_open_seen_within_days=7, **safe)
    names = ("alice", "bob", "carol", "root", "dave", "erin")
    alice, bob, carol, root, dave, erin = (world.add_user(name) for name in names)
    world.start()
    assert why(world, alice, seen) == IN, "with both factors"
    world.cloud.become("refused")
    assert why(world, alice, seen) == IN
    assert why(world, bob, seen) == out("not_seen")
    assert why(world, root, short) == out("never_user")
    assert [why(world, user, short) for user in (alice, bob)] == [IN, IN]
    marked = world.nas(many).ask(alice.user, alice.password)
    assert marked is not None
    assert [marked.values(type) for type in (25, 11, 18)] == [
        [b"OU=Restricted"],
        [b"outage"],
        ["Übergang".encode()],
    ]
    assert [why(world, user, many) for user in (bob, carol)] == [IN, out("max_per_hour")]
    plain = world.nas(short).ask(erin.user, erin.password)
    assert plain is not None
    assert [plain.values(type) for type in (25, 11, 18)] == [[], [], []]
    world.running.reload()
    assert why(world, dave, many) == out("max_per_hour")
    assert world.running.metric("authproxy_fail_closed_total", section="many", why="max_per_hour") == 2
    assert world.running.stop() == 0

    state = world.home / "state"
    used = json.loads((state / "fail-open.json").read_text())
    used["clock"]["count"] += 1800
    (state / "fail-open.json").write_text(json.dumps(used))
    world.start(proven=False)
    assert why(world, erin, many) == out("max_per_hour")
    assert why(world, carol, short) == out("max_minutes")
    assert why(world, alice, seen) == IN
    log = world.wait_log("door.opened", "door.limit_reached")
    assert "max_minutes" in log
    assert world.running.stop() == 0

    (state / "fail-open.json").write_text("[")
    (state / "second-factor-seen").write_text("alice\n")
    world.start(proven=False)
    assert why(world, bob, many) == out("limit_unknown")
    assert why(world, alice, seen) == out("not_seen")
    world.wait_log("door.limits_unusable", "door.seen_users_unusable")


def primary_only(world: World, *arguments: str) -> str:
    """The command's own words; what it orders, the oracle knows."""
    began = time.monotonic()
    config = str(world.home / "authproxy.yaml")
    done = run(world.home, "primary-only", "-c", config, *arguments)
    assert done.returncode == 0, done.stderr
    if "--stop" in arguments:
        world.orders[-1] = (world.orders[-1][0], time.monotonic())
    elif "--status" not in arguments:
        world.orders.append((began, began + 3600))
    return done.stdout


def test_primary_only(world: World) -> None:
    """By order, without a restart: safe sections alone, each login on record, an end, and nothing by forgery."""
    safe = world.add_section(
        "safe", failmode="safe", fail_open_never_users=["root"], fail_open_class="outage"
    )
    wall = world.add_section("wall")
    factor = world.add_section("factor", kind="radius_server_duo_only", failmode="safe")
    alice, bob, root = (world.add_user(name) for name in ("alice", "bob", "root"))
    world.start()
    world.wait_log("door.safe_section")

    def reason(user: Login, section: Section) -> str:
        before = len(world.audit(username=user.user))
        assert codes([world.nas(section).ask(user.user, user.password)]) == [ACCESS_ACCEPT]
        events = wait_for(lambda: [e for e in world.audit(username=user.user)[before:] if e["decision"]])
        return str(events[-1]["reason"])

    assert primary_only(world, "--status") == "off\n"
    assert "for safe;" in primary_only(world, "--minutes", "5")
    assert "on until" in primary_only(world, "--status")
    assert reason(alice, safe) == "primary_only"
    marked = world.nas(safe).ask(bob.user, bob.password)
    assert marked is not None
    assert marked.values(25) == [b"outage"]
    assert reason(root, safe) == "both_factors", "who never passes is asked as ever"
    assert reason(alice, wall) == "both_factors"
    assert codes([world.nas(safe).ask(alice.user, world.canaries.new("wrong password"))]) == [ACCESS_REJECT]
    assert codes([world.nas(factor).ask(alice.user, "000000")]) == [ACCESS_REJECT]
    world.wait_log("door.primary_only_began")
    metric = world.running.metric
    assert [metric("authproxy_primary_only", section=name) for name in ("safe", "wall")] == [1, 0]
    ready = json.loads(world.running.get("/readyz").body)
    assert [section["primary_only_until"] is not None for section in ready["sections"]] == [
        True,
        False,
        False,
    ]
    assert any("primary-only until" in warning for warning in ready["warnings"])

    order = world.home / "state" / "primary-only.json"
    given = order.read_bytes()
    assert world.running.stop() == 0
    world.start()
    assert reason(alice, safe) == "primary_only", "a restart keeps it"
    assert primary_only(world, "--stop") == "primary-only is over\n"
    assert reason(alice, safe) == "both_factors"
    world.wait_log("door.primary_only_ended")
    for forged in (b"{}", given.replace(b'"minutes": 5', b'"minutes": 240')):
        order.write_bytes(forged)
        order.chmod(0o600)
        assert reason(alice, safe) == "both_factors"
    world.wait_log("primary_only.refused")


@pytest.mark.long
def test_a_slow_cloud(world: World) -> None:
    """A brown-out: each section does what it says; only when the probe is slow, too (F6)."""
    slow = {"slow_cloud_seconds": 1}
    wait = world.add_section("wait", failmode="safe", **slow)
    fails = world.add_section("fails", failmode="safe", slow_cloud="failmode", **slow)
    wall = world.add_section("wall", slow_cloud="failmode", **slow)
    asks = world.add_section("asks", slow_cloud="passcode", **slow)
    sections = (wait, fails, wall, asks)
    # Each section its own: to the oracle, what one answers a user stands behind every login of that user (F3).
    crowds = [
        [world.add_user(f"user{number}-{section.name}") for number in range(10)] for section in sections
    ]
    before, last = world.add_user("before"), world.add_user("last")
    world.start()

    def logins(some: slice) -> set[int | None]:
        asked = [
            (nas, nas.login(user.user, user.password))
            for nas, users in zip(map(world.nas, sections), crowds, strict=True)
            for user in users[some]
        ]
        for nas, request in asked:
            nas.send(request)
        return set(codes([nas.receive(request) for nas, request in asked]))

    def is_slow() -> list[bool]:
        return [f"door.slow section={section.name}" in world.log() for section in sections]

    world.cloud.break_("preauth", Fault(delay=1.3))
    assert logins(slice(5)) == {ACCESS_ACCEPT}
    assert why(world, before, fails) == IN
    assert is_slow() == [False] * 4, "it is slow with what users cause, and quick with the probe"
    world.cloud.heal()
    world.running.stop()
    world.start()
    world.cloud.break_("*", Fault(delay=1.3))
    # On a busy machine the probe may say that it can't tell, and is sent again for later logins.
    wait_for(lambda: logins(slice(5, 10)) and all(is_slow()), 60, every=0.5)
    assert world.running.metric("authproxy_cloud_slow") == 1

    assert why(world, last, fails) == IN
    (event,) = world.wait_audit(user=last.user, server_section="fails", decision="accept")
    assert (event["reason"], event["cause"]) == ("fail_open", "slow")
    assert why(world, last, wall) == out("secure")
    asked = world.nas(asks).ask(last.user, last.password)
    assert asked is not None
    assert asked.code == ACCESS_CHALLENGE
    assert world.asked(last.user) == [], "nobody was asked for a factor"
    assert why(world, last, wait) == IN
    (event,) = world.wait_audit(user=last.user, server_section="wait", decision="accept")
    assert event["reason"] == "both_factors"
    ready = json.loads(world.running.get("/readyz").body)
    assert [section["cloud"]["slow"] for section in ready["sections"]] == [True] * 4
    assert [section["open"] for section in ready["sections"]] == [False, True, False, False]


def test_200_logins_into_a_black_hole(world: World) -> None:
    """A7: those that were waiting together cost one time-out; the others are told at once, and nobody asks for them."""
    world.add_section("door", failmode="safe", fail_open_max_per_hour=500, **TIMING)
    users = [world.add_user(f"user{number}") for number in range(200)]
    world.start()
    world.cloud.become("mute")
    nas = world.nas()
    for some in (users[:10], users[10:]):
        replies = nas.exchange_all([nas.login(user.user, user.password) for user in some], 30)
        assert codes(replies) == [ACCESS_ACCEPT] * len(some)
    opened = world.wait_audit(200, reason="fail_open")
    asked = [event["user"] for event in opened if "not asked: the breaker is open" not in event["detail"]]
    assert set(asked) <= {user.user for user in users[:10]}
    assert world.running.metric("authproxy_breaker_open") == 1
