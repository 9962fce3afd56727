"""What the machine has too little of: answers of a resolver, memory. It is our own want, and opens no door (A3, F3)."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import pytest

from tests.faults.names import Resolver
from tests.system.bench.journal import PrimaryBind
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
from tests.system.bench.world import World, wait_for

pytestmark = pytest.mark.system

HANGING = 12  # more than there are threads to look names up in


def test_names_that_are_looked_up_for_ever(world: World) -> None:
    """A3: a resolver that says nothing holds up those who need it, and nobody else."""
    resolver = Resolver(world.folder / "resolver")
    good = world.add_section("good", failmode="safe")
    stuck = []
    for number in range(HANGING):
        host = f"api{number}.faults.test"
        resolver.update({host: "timeout"})
        stuck.append(world.add_section(host, cloud=world.new_cloud(host), failmode="safe"))
    waiting = [world.add_user(f"waiting{number}") for number in range(HANGING)]
    users = [world.add_user(f"user{number}") for number in range(20)]
    world.start(proven=False, env=resolver.env)
    world.wait_log("cloud.proven section=good")
    asked = []
    for section, user in zip(stuck, waiting, strict=True):
        nas = world.nas(section)
        request = nas.login(user.user, user.password)
        nas.send(request)
        asked.append((nas, request))
    world.journal.wait(PrimaryBind, lambda bind: bind.user.startswith("waiting"), count=HANGING)
    nas = world.nas(good)
    replies = nas.exchange_all([nas.login(user.user, user.password) for user in users], 20)
    assert codes(replies) == [ACCESS_ACCEPT] * len(users)
    assert world.running.metric("authproxy_pending_logins") == HANGING
    # Never proven, so no outage that opens.
    assert codes(nas.receive(request, 30) for nas, request in asked) == [ACCESS_REJECT] * HANGING


def address_space(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


def test_no_memory_left(world: World) -> None:
    """F3: an allocation that fails rejects somebody, at most; when there is memory again, all is well."""
    section = world.add_section(failmode="safe")
    apps = world.add_ldap_section("apps", failmode="safe")
    users = [world.add_user(f"user{number}") for number in range(60)]
    fresh = world.add_user("fresh")
    world.expected_failures = re.compile("MemoryError|Cannot allocate memory|can't start new thread|ENOMEM")
    world.start()
    daemon, nas = world.running, world.nas(section)
    assert codes([nas.ask(users[0].user, users[0].password)]) == [ACCESS_ACCEPT]
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, (address_space(daemon.pid), resource.RLIM_INFINITY))
    for user in users[1:]:
        nas.send(nas.login(user.user, user.password))
        application = world.application(apps)
        application.send(f"CN={user.user},OU=People,DC=corp,DC=test", user.password + "x" * 200_000)
    nas.hears_nothing(2)
    assert world.audit(reason="fail_open") == []
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = world.nas(section)
    wait_for(lambda: codes([again.ask(fresh.user, fresh.password, timeout=3)]) == [ACCESS_ACCEPT], 40)
    assert world.audit(reason="fail_open") == []
