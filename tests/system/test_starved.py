"""What there is too little of: a resolver's answers, memory, descriptors. Our own want opens no door (A3, A8, F3)."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
from pathlib import Path

import pytest

from tests.faults.names import Resolver
from tests.system.bench.journal import PrimaryBind
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
from tests.system.bench.world import World, wait_for

pytestmark = pytest.mark.system

DESCRIPTORS = 64
HANGING = 12  # more than there are threads to look names up in


@pytest.mark.long
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


@pytest.mark.slow
def test_no_memory_left(world: World) -> None:
    """F3: what fails for want of memory lets nobody in; when there is some again, all is well."""
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
    if daemon.running:
        resource.prlimit(daemon.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def back_again() -> bool:
        # Libraries in C may end the process when they get no memory: an outage, and the service manager's to end.
        if not daemon.running and world.daemon is daemon:
            world.start(proven=False)
        return codes([world.nas(section).ask(fresh.user, fresh.password, timeout=3)]) == [ACCESS_ACCEPT]

    wait_for(back_again, 40)
    assert world.audit(reason="fail_open") == []


@pytest.mark.slow
def test_slow_lorises(world: World) -> None:
    """A9: 300 connections that send a request an octet at a time are ended, and cost nobody else anything."""
    apps = world.add_ldap_section("apps")
    users = [world.add_user(f"user{number}") for number in range(20)]
    world.start()
    request = b"\x30\x82\x10\x00\x02\x01\x01\x60" + bytes(4096)
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", apps.port), 5, (f"127.0.0.{1 + number % 5}", 0))
            )
            for number in range(300)
        ]
        at = 0
        ended = "authproxy_ldap_disconnected_total"
        while (count := world.running.metric(ended)) < len(slow):
            assert at < len(request), f"{count} of {len(slow)} have ended"
            for one in slow:
                with contextlib.suppress(OSError):
                    one.send(request[at : at + 1])
            user = users[at % len(users)]
            application = world.application(apps)
            assert application.bind(f"CN={user.user},OU=People,DC=corp,DC=test", user.password) == 0
            application.close()
            at += 1
    wait_for(lambda: world.running.metric("authproxy_ldap_connections") == 0)
