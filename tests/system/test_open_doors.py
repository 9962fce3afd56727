"""What an outage opens and what it doesn't, over the daemon: silence, limits, marks, primary-only, a slow cloud."""

from __future__ import annotations

import pytest

from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
from tests.system.bench.world import World, wait_for

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
