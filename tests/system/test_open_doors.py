"""What an outage opens and what it doesn't, over the daemon: silence, limits, marks, primary-only, a slow cloud."""

from __future__ import annotations

import json

import pytest

from tests.system.bench.oracles import Section
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
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
