"""10,000 pushes at once. Long: run it with `pytest -m slow tests/system/test_many_pending.py`."""

from __future__ import annotations

import resource
import time

import pytest

from tests.system.bench.cloud import User
from tests.system.bench.journal import CloudRequest
from tests.system.bench.wire import ACCESS_ACCEPT, codes
from tests.system.bench.world import World, wait_for
from tests.system.parts.needs import missing

COUNT, PER_NAS = 10_000, 250

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(1200)]


def test_ten_thousand(world: World) -> None:
    """A1: 10,000 users are being asked at the same time; each gets their own answer, and none is lost."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 15_000:
        missing(f"needs 15,000 descriptors, the limit is {hard}: raise it with `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    world.config["main"]["log_max_size"] = 2**26  # all events in one file, where the oracles look for them
    world.add_section(max_pending=COUNT, max_pending_per_client=COUNT, login_patience=600)
    password = world.canaries.new("the password of all")
    account = world.add_user("pattern", password)
    for number in range(COUNT):
        world.directory.add(f"user{number}", password)
        world.cloud.users[f"user{number}"] = User(answer=None)
    world.start()
    began = time.monotonic()
    nases = [world.nas() for _ in range(COUNT // PER_NAS)]
    asked = []
    for number in range(COUNT):
        nas = nases[number // PER_NAS]
        request = nas.login(f"user{number}", account.password)
        nas.send(request)
        asked.append((nas, request))
        if number % 100 == 99:
            # As fast as it takes them: what doesn't fit into the socket is lost, as UDP is.
            world.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=number - 300, timeout=120)
    world.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=COUNT, timeout=600)
    wait_for(lambda: world.running.metric("authproxy_pending_logins") == COUNT, 60, every=1)
    print(f"{COUNT} pending after {time.monotonic() - began:.0f} s")
    assert world.cloud.decide(None, "allow") == COUNT
    answers = codes(nas.receive(request, 120) for nas, request in asked)
    assert answers.count(ACCESS_ACCEPT) == COUNT
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
