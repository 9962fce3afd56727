"""A1: far more than can be done. What is in progress is finished, the rest is shed in silence, and nothing grows."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from tests.system.bench import wire
from tests.system.bench.journal import CloudRequest
from tests.system.bench.wire import ACCESS_ACCEPT, codes
from tests.system.bench.world import World, wait_for

pytestmark = pytest.mark.system

PENDING, SOCKETS, EACH = 60, 60, 256
MOST_MORE = 80_000_000  # octets of memory


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.long
@pytest.mark.timeout(300)  # on a busy machine; a few seconds else
def test_fifteen_thousand_at_once(world: World) -> None:
    """A NAS that has lost its senses, each datagram a right login. Who waits gets in, and so does who comes later."""
    section = world.add_section(failmode="safe", max_pending=100_000, max_pending_per_client=100_000)
    waiting = [world.add_user(f"waiting{number}", answer=None) for number in range(PENDING)]
    crowd = [world.add_user(f"crowd{number}") for number in range(200)]
    late = world.add_user("late")
    world.start()
    nas = world.nas()
    requests = [nas.login(user.user, user.password) for user in waiting]
    for request in requests:
        nas.send(request)
    world.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=PENDING, timeout=60)
    before = resident(world.running.pid)
    secret = world.secret.encode()
    with contextlib.ExitStack() as stack:
        for number in range(SOCKETS):
            # Not a NAS of ours: whoever floods hears nothing, and is no witness of anything.
            flooding = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            flooding.connect(("127.0.0.1", section.port))
            for identifier in range(EACH):
                user = crowd[(number * EACH + identifier) % len(crowd)]
                station = (wire.CALLING_STATION_ID, f"{number}-{identifier}".encode())
                request = wire.access_request(
                    user.user, user.password, secret, station, identifier=identifier
                )
                flooding.send(request.octets)
        for user in waiting:
            world.cloud.decide(user.user, "allow")
        replies = [nas.receive(request, 60) for request in requests]
    answered = codes(replies).count(ACCESS_ACCEPT)
    assert answered >= PENDING * 0.95
    assert set(codes(replies)) <= {ACCESS_ACCEPT, None}
    daemon = world.running
    assert daemon.metric("authproxy_radius_discarded_total", cause="overloaded") > 0
    assert world.audit(reason="fail_open") == []
    wait_for(lambda: codes([nas.ask(late.user, late.password, timeout=3)]) == [ACCESS_ACCEPT], 120)
    wait_for(lambda: daemon.metric("authproxy_pending_logins") == 0, 120)
    assert resident(daemon.pid) - before < MOST_MORE
