"""What a name resolves to: an edited hosts file opens no door (AA22-074A), and a name that is gone is no outage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.bench.daemon import run
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
from tests.system.bench.world import Login, World, wait_for
from tests.system.parts.names import Names

pytestmark = pytest.mark.system

HOST = "api.guard.test"


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(tmp_path)


def guarded(world: World, *, allow: bool) -> Login:
    cloud = world.new_cloud(HOST)
    world.add_section(cloud=cloud, failmode="safe", allow_local_api=allow, api_timeout=2)
    return world.add_user("alice")


def door(world: World, user: Login) -> tuple[int | None, str, str]:
    before = len(world.audit(username=user.user))
    reply = world.nas().ask(user.user, user.password, timeout=20)
    events = wait_for(lambda: [e for e in world.audit(username=user.user)[before:] if e.get("decision")])
    return codes([reply])[0], events[-1]["reason"], events[-1].get("cause") or ""


HERE = ["127.0.0.1", "127.9.9.9", "10.1.2.3", "169.254.1.1", "0.0.0.0", "::1", "fe80::1", "fd00::1"]


def test_names_that_point_here(world: World, names: Names) -> None:
    """F5, T10: class `untrusted`. Nothing is sent there, and nothing opens."""
    hosts = {f"api{number}_guard_test": address for number, address in enumerate(HERE)}
    names.set(**hosts)
    asked = []
    for host in hosts:
        name = host.replace("_", ".")
        section = world.add_section(name, cloud=world.new_cloud(name), failmode="safe", allow_local_api=False)
        asked.append((section, world.add_user(name)))
    world.start(proven=False, env=names.env)
    nases = [(nas := world.nas(section), nas.login(user.user, user.password)) for section, user in asked]
    for nas, request in nases:
        nas.send(request)
    assert codes(nas.receive(request, 20) for nas, request in nases) == [ACCESS_REJECT] * len(HERE)
    for _, user in asked:
        (event,) = world.wait_audit(user=user.user, decision="reject")
        assert (event["reason"], event["cause"]) == ("cloud_refused", "untrusted")
        assert world.asked(user.user, "preauth") == []


def test_a_name_that_is_gone(world: World, names: Names) -> None:
    """F5, A4: NXDOMAIN for a name that resolved before is a sign of tampering, also when a restart lies between."""
    user = guarded(world, allow=True)
    names.set(api_guard_test="127.0.0.1")
    world.start(env=names.env)
    assert door(world, user) == (ACCESS_ACCEPT, "both_factors", "")
    assert world.running.stop() == 0
    names.set(other_test="127.0.0.1")
    world.start(proven=False, env=names.env)
    assert door(world, user) == (ACCESS_REJECT, "cloud_refused", "untrusted")


def test_a_name_that_never_was(world: World, names: Names) -> None:
    """Gate 1: a typing mistake in `api_host` was never proven."""
    user = guarded(world, allow=True)
    names.set(other_test="127.0.0.1")
    world.start(proven=False, env=names.env)
    assert door(world, user)[:2] in {(ACCESS_REJECT, "fail_closed"), (ACCESS_REJECT, "cloud_refused")}


def test_a_local_service_has_to_be_meant(world: World) -> None:
    """F5: refused by `check` and `run` alike, with the option that says it is meant."""
    hosts = ["localhost", "127.0.0.1", "::1", "127.1.2.3", "api.localhost"]
    for host in hosts:
        section = world.add_section(host, allow_local_api=False)
        world.options(section)["api_host"] = host
    for verb in ("check", "run"):
        ended = run(world.home, verb, "-c", str(world.write_config()))
        assert ended.returncode == 2
        assert (ended.stdout + ended.stderr).count("allow_local_api: true") == len(hosts)
