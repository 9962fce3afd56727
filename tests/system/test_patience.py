"""A client's patience, from its questions to the metrics, the page and `authproxy status` (pain 1)."""

from __future__ import annotations

import json

import pytest

from tests.system.bench.daemon import run
from tests.system.bench.wire import ACCESS_ACCEPT, codes
from tests.system.bench.world import wait_for
from tests.system.everyday import Everyday

pytestmark = pytest.mark.system


def test_a_client_that_asks_again(everyday: Everyday) -> None:
    """While the push waits: the gap is known as soon as the answer came."""
    user = everyday.user(answer=None)
    nas = everyday.nas(everyday.calls)
    request = nas.login(user.user, user.password)
    before = everyday.running.metric("authproxy_radius_discarded_total", cause="duplicate")
    nas.send(request)
    wait_for(lambda: everyday.asked(user.user))
    nas.send(request)
    wait_for(lambda: everyday.running.metric("authproxy_radius_discarded_total", cause="duplicate") > before)
    everyday.cloud.decide(user.user, "allow")
    assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]
    assert everyday.running.metric("authproxy_client_asks_every_seconds", client="calls/nas") > 0
    said = run(everyday.home, "status", "--json", "-c", str(everyday.running.config))
    (known,) = [one for one in json.loads(said.stdout)["patience"] if one["client"] == "calls/nas"]
    assert known["waited"] > 0
    assert known["gives_up"] is None
    assert "calls/nas" in run(everyday.home, "status", "-c", str(everyday.running.config)).stdout
