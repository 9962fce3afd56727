"""Staying up: draining, crashes, no descriptors, no disk, a wrong clock, our own bugs."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.system.bench import wire
from tests.system.bench.journal import CloudRequest
from tests.system.bench.nas import Nas
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, Request, codes
from tests.system.bench.world import Login, World, wait_for
from tests.system.ldap_apps import add_apps
from tests.system.parts.needs import needs

pytestmark = pytest.mark.system


def only(world: World, count: int = 1, *, answer: str | None = "allow", **options: Any) -> list[Login]:
    world.add_section(**options)
    return [world.add_user(f"user{number}", answer=answer) for number in range(count)]


def waiting(world: World, users: list[Login]) -> tuple[Nas, list[Request]]:
    """A push for each of these users is on their phones."""
    nas = world.nas()
    requests = [nas.login(user.user, user.password) for user in users]
    for request in requests:
        nas.send(request)
    world.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=len(users), timeout=60)
    return nas, requests


def approve(world: World, users: list[Login]) -> None:
    for user in users:
        world.cloud.decide(user.user, "allow")


def test_drain(world: World) -> None:
    """A12: SIGTERM with 50 pending pushes: nothing new, Status-Server silent, all 50 get their answer, exit 0."""
    users = only(world, 50, answer=None)
    late = world.add_user("late")
    world.start()
    nas, requests = waiting(world, users)
    daemon = world.running
    daemon.signal(signal.SIGTERM)
    second = world.nas()
    wait_for(lambda: second.exchange(wire.status_server(second.secret), 0.3) is None)
    assert second.silent(second.login(late.user, late.password), 0.3)
    assert second.silent(wire.status_server(second.secret), 0.3)
    assert daemon.running
    # A retransmission of what waits is no new login, and gets the answer as well.
    nas.send(requests[0])
    approve(world, users)
    assert codes(nas.receive(request) for request in requests) == [ACCESS_ACCEPT] * 50
    assert daemon.wait() == 0
    assert world.binds(late.user) == []


def test_drain_ends(world: World) -> None:
    """A12: whoever never answers is waited for until `drain_timeout`, then rejected or left; exit 0."""
    users = only(world, 3, answer=None)
    world.config["main"]["drain_timeout"] = 1
    world.start()
    nas, requests = waiting(world, users)
    assert world.running.stop() == 0
    assert set(codes(nas.receive(request, 0.5) for request in requests)) <= {ACCESS_REJECT, None}
    assert [line for line in world.log().splitlines() if " error " in line] == []


def test_a_second_signal_is_quicker(world: World) -> None:
    """A12"""
    users = only(world, 3, answer=None)
    world.start()
    waiting(world, users)
    daemon = world.running
    daemon.signal(signal.SIGTERM)
    nas = world.nas()
    wait_for(lambda: nas.exchange(wire.status_server(nas.secret), 0.3) is None)
    daemon.signal(signal.SIGTERM)
    daemon.wait(15)


def test_idle_stop_is_quick(world: World) -> None:
    only(world)
    world.start()
    began = time.monotonic()
    assert world.running.stop() == 0
    assert time.monotonic() - began < 10


def test_a_crash_loses_what_waits_and_nothing_else(world: World) -> None:
    """SIGKILL with pending pushes; after a restart an approval from before lets nobody in, a new login does."""
    (user,) = only(world, answer=None)
    world.start()
    nas, (request,) = waiting(world, [user])
    world.running.kill()
    world.start()
    approve(world, [user])
    assert nas.hears_nothing(0.5)
    # The NAS still asks. It is a new login now: password again, push again.
    nas.send(request)
    world.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=2)
    approve(world, [user])
    assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]
    assert len(world.binds(user.user)) == 2
    for line in (world.home / "log" / "authevents.log").read_text().splitlines():
        json.loads(line)


def test_300_pushes_at_once(world: World) -> None:
    """A1, and the daily share of the 10,000: one answer each, its own, in any order."""
    users = only(world, 300, answer=None)
    world.start()
    nases, asked = [], []
    for at in range(0, 300, 150):
        nas, requests = world.nas(), []
        for user in users[at : at + 150]:
            requests.append(nas.login(user.user, user.password))
            nas.send(requests[-1])
        nases.append(nas)
        asked.append(requests)
    world.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=300, timeout=60)
    wait_for(lambda: world.running.metric("authproxy_pending_logins") == 300)
    for number, user in enumerate(reversed(users)):
        world.cloud.decide(user.user, "deny" if number % 3 == 0 else "allow")
    answers = [
        codes(nas.receive(request, 20) for request in requests)
        for nas, requests in zip(nases, asked, strict=True)
    ]
    expected = [ACCESS_REJECT if number % 3 == 0 else ACCESS_ACCEPT for number in range(300)]
    assert answers[0] + answers[1] == expected[::-1]
    assert world.running.metric("authproxy_pending_logins") == 0


def test_a_full_house_sheds_the_newcomers(world: World) -> None:
    """A1: bounded; those who wait keep their places, the others hear nothing and are counted; never an Accept."""
    users = only(world, 12, answer=None, max_pending=10, max_pending_per_client=8)
    world.start()
    nas, requests = waiting(world, users[:8])
    for user in users[8:]:
        assert nas.silent(nas.login(user.user, user.password), 0.1)
    assert world.running.metric("authproxy_radius_discarded_total", cause="overloaded") == 4
    approve(world, users[:8])
    assert codes(nas.receive(request) for request in requests) == [ACCESS_ACCEPT] * 8
    request = nas.login(users[9].user, users[9].password)
    nas.send(request)
    world.journal.wait(CloudRequest, lambda r: r.user == users[9].user and r.endpoint == "auth")
    approve(world, users[9:10])
    assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]


def test_a_full_house_still_takes_answers(world: World) -> None:
    """A1: whoever was asked for a factor may answer, while new logins hear nothing."""
    options = {"kind": "radius_server_challenge", "client": "ad_client", "max_pending": 5}
    users = only(world, 7, answer=None, **options)
    code = world.canaries.passcode("a passcode")
    world.cloud.users[users[5].user].passcodes.add(code)
    world.start()
    nas = world.nas()

    def answer(user: Login, typed: str) -> Request:
        question = nas.ask(user.user, user.password)
        assert question is not None
        return nas.login(user.user, typed, (wire.STATE, question.values(wire.STATE)[0]))

    answers = [answer(user, "1") for user in users[:5]]
    last = answer(users[5], code)
    for one in answers:
        nas.send(one)
    world.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=5)
    assert nas.silent(nas.login(users[6].user, users[6].password), 0.1)
    assert codes([nas.exchange(last)]) == [ACCESS_ACCEPT]
    approve(world, users[:5])
    assert codes(nas.receive(one) for one in answers) == [ACCESS_ACCEPT] * 5


# ---- A8: no descriptors left


@contextlib.contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)))
        yield opened


def test_no_descriptors_left(world: World) -> None:
    """A8: idle connections to the endpoint and to LDAP can't have them all; who logs in by RADIUS notices nothing."""
    users = only(world, 10, failmode="safe", api_timeout=3)
    ldap = add_apps(world, "apps", tls=False).port
    world.start(prefix=[needs("prlimit", "util-linux"), "--nofile=64"])
    nas = world.nas()
    with connections(world.admin, 200), connections(ldap, 200):
        asked = [nas.login(user.user, user.password) for user in users]
        assert codes(nas.exchange_all(asked, 20)) == [ACCESS_ACCEPT] * 10
        assert "ldap.no_descriptors" in world.wait_log("ldap.no_descriptors")
        assert world.running.running
    assert world.audit(reason="fail_open") == []


def test_none_at_all_opens_no_door(world: World) -> None:
    """A8, F3: the daemon may open nothing more. That is no outage of the cloud's, and is told; then all is well."""
    users = only(world, 2, failmode="safe", api_timeout=3)
    world.expected_failures = re.compile("Too many open files|EMFILE")
    world.start()
    nas = world.nas()
    assert codes([nas.ask(users[0].user, users[0].password)]) == [ACCESS_ACCEPT]
    pid, (_, hard) = world.running.pid, resource.prlimit(world.running.pid, resource.RLIMIT_NOFILE)
    # The directory's connections stay; those to the cloud have to be made anew.
    world.cloud.become("refused")
    world.cloud.become("well")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    assert codes([nas.ask(users[1].user, users[1].password)]) == [ACCESS_REJECT]
    (event,) = world.wait_audit(username=users[1].user, decision="reject")
    assert (event["reason"], event["cause"]) == ("cloud_refused", "internal")
    assert "Too many open files" in world.wait_log("cloud.cannot_connect_from_here")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    wait_for(lambda: codes([nas.ask(users[1].user, users[1].password, timeout=3)]) == [ACCESS_ACCEPT], 30)


# ---- F8, A14: no disk left


def test_no_door_opens_unrecorded(world: World) -> None:
    """F8, A14: the audit can't be written (the file may not grow). The outage lets nobody in; both factors do."""
    users = only(world, 3, failmode="safe", api_timeout=2)
    world.start()
    nas = world.nas()
    assert codes([nas.ask(users[0].user, users[0].password)]) == [ACCESS_ACCEPT]
    size = (world.home / "log" / "authevents.log").stat().st_size
    resource.prlimit(world.running.pid, resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    world.audit_works = False
    world.expected_failures = re.compile("File too large|EFBIG")
    world.cloud.become("refused")
    assert codes([nas.ask(users[1].user, users[1].password)]) == [ACCESS_REJECT]
    world.cloud.become("well")
    wait_for(lambda: codes([nas.ask(users[2].user, users[2].password)]) in ([ACCESS_ACCEPT], [ACCESS_REJECT]))
    assert world.running.running
    resource.prlimit(
        world.running.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    world.cloud.become("refused")
    before = len(world.audit(reason="fail_open"))
    wait_for(lambda: codes([nas.ask(users[1].user, users[1].password, timeout=20)]) == [ACCESS_ACCEPT], 60)
    assert len(world.audit(reason="fail_open")) > before


# ---- A15, T9: clocks


def fake_clock(world: World, shift: str, **env: str) -> dict[str, Any]:
    """For `start`: the wall clock is wrong, the monotonic one is not."""
    needs("faketime", "faketime")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    world.clock_is_real = False
    return {
        "env": {
            "LD_PRELOAD": str(library),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
            **({"FAKETIME": shift} if shift else {}),
            **env,
        }
    }


@pytest.mark.parametrize("shift", ["+10m", "-10m"])
def test_a_wrong_clock(world: World, shift: str) -> None:
    """A15, T9: the cloud refuses the date; one resync by its own clock, and the login goes on."""
    (user,) = only(world, failmode="safe")
    world.expected_refusals = re.compile("bad timestamp")
    world.start(**fake_clock(world, shift))
    assert codes([world.nas().ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    (event,) = world.wait_audit(username=user.user, decision="accept")
    assert event["reason"] == "both_factors"


def test_the_clock_steps_while_a_push_waits(world: World) -> None:
    """A15: an hour forth and two back; nothing expires and nothing lasts longer."""
    (user,) = only(world, answer=None)
    steps = world.folder / "steps"
    steps.write_text("+0")
    world.expected_refusals = re.compile("bad timestamp")
    world.start(**fake_clock(world, "", FAKETIME_TIMESTAMP_FILE=str(steps)))
    nas, (request,) = waiting(world, [user])
    for step in ("+1h", "-1h"):
        steps.write_text(step)
        assert nas.hears_nothing(1.2)  # libfaketime looks once a second
        assert codes([world.nas().exchange(wire.status_server(nas.secret))]) == [ACCESS_ACCEPT]
    approve(world, [user])
    assert codes([nas.receive(request, 20)]) == [ACCESS_ACCEPT]


def test_the_clock_steps_while_a_challenge_waits(world: World) -> None:
    """A15: a State goes by the wall clock; a step makes it expire, prolongs none, and makes none good twice."""
    section = world.add_section(kind="radius_server_challenge")
    users = [world.add_user(name) for name in ("alice", "bob", "carol")]
    steps = world.folder / "steps"
    steps.write_text("+0")
    world.expected_refusals = re.compile("bad timestamp")
    world.start(**fake_clock(world, "", FAKETIME_TIMESTAMP_FILE=str(steps), FAKETIME_NO_CACHE="1"))
    nas = world.nas(section)

    def states(*names: int) -> list[tuple[int, bytes]]:
        asked = [nas.ask(users[name].user, users[name].password) for name in names]
        return [(wire.STATE, reply.values(wire.STATE)[0]) for reply in asked if reply is not None]

    alice, bob, carol = states(0, 1, 2)
    assert codes([nas.ask("alice", "1", alice)]) == [ACCESS_ACCEPT]
    steps.write_text("+1h")
    assert codes([nas.ask("bob", "1", bob)]) == [ACCESS_REJECT]
    steps.write_text("-1h")
    assert codes([nas.ask("carol", "1", carol)]) == [ACCESS_REJECT]
    steps.write_text("+0")
    assert codes([nas.ask("alice", "1", alice)]) == [ACCESS_REJECT]
    causes = {event["username"]: event["cause"] for event in world.wait_audit(3, reason="bad_state")}
    assert causes == {"alice": "answered", "bob": "expired", "carol": "expired"}
    (state,) = states(1)
    assert codes([nas.ask("bob", "1", state)]) == [ACCESS_ACCEPT]


# ---- A19: our own bugs

PLANTED = '''
"""Fails on purpose inside the daemon, for a user named after the place, with a secret in reach of the traceback."""
import importlib.abc, importlib.machinery, importlib.util, sys

PLACES = {places!r}


def plant(module, path, user):
    *owners, name = path.split(".")
    owner = module
    for part in owners:
        owner = getattr(owner, part)
    right = getattr(owner, name)

    def wrong(*args, **kwargs):
        password_in_reach = [getattr(getattr(a, "password", None), "reveal", lambda: b"")() for a in args]
        if user in repr(args) + repr(kwargs):
            raise RuntimeError("planted in " + path)
        return right(*args, **kwargs)

    if __import__("inspect").iscoroutinefunction(right):
        async def wrong_later(*args, **kwargs):
            password_in_reach = [getattr(getattr(a, "password", None), "reveal", lambda: b"")() for a in args]
            if user in repr(args) + repr(kwargs):
                raise RuntimeError("planted in " + path)
            return await right(*args, **kwargs)
        setattr(owner, name, wrong_later)
    else:
        setattr(owner, name, wrong)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        planted = [place for place in PLACES if place[0] == name]
        if not planted:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            for _, where, user in planted:
                plant(module, where, user)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
'''
PLACES = [
    ("authproxy.pipeline.authenticate", "Pipeline.authenticate", "crash-pipeline"),
    ("authproxy.backends.directory.directory", "Directory.verify", "crash-directory"),
    ("authproxy.backends.cloud.cloud", "Cloud.preauth", "crash-preauth"),
    ("authproxy.backends.cloud.cloud", "Cloud.auth", "crash-auth"),
    ("authproxy.pipeline.logins", "Logins.submit", "crash-submit"),
]


def test_our_own_bugs_let_nobody_in(world: World) -> None:
    """A19, S1: an exception at each stage rejects that one login, is told without secrets, and the daemon goes on."""
    planted = world.folder / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(PLANTED.format(places=PLACES))
    world.add_section(failmode="safe")
    users = [world.add_user(user) for *_, user in PLACES]
    good = world.add_user("good")
    world.expected_failures = re.compile("planted in")
    world.start(env={"PYTHONPATH": str(planted)})
    nas = world.nas()
    replies = nas.exchange_all([nas.login(user.user, user.password) for user in users], 20)
    assert set(codes(replies)) <= {ACCESS_REJECT, None}
    said = world.log() + world.running.stderr.text
    for _, where, user in PLACES:
        assert f"planted in {where}" in said, f"{user} met no bug"
    assert codes([nas.ask(good.user, good.password)]) == [ACCESS_ACCEPT]
    internal = {event["username"] for event in world.audit(reason="internal", decision="reject")}
    assert {"crash-pipeline", "crash-directory"} <= internal
    assert world.running.metric("authproxy_pending_logins") == 0


def test_reload(world: World) -> None:
    """A13: a wrong new file changes nothing; those who wait get their answer."""
    (user,) = only(world, answer=None)
    world.start()
    nas, (request,) = waiting(world, [user])
    config = world.home / "authproxy.yaml"
    right = config.read_text()
    config.write_text("main: {adminn: 1}\n")
    world.running.reload()
    wait_for(lambda: "adminn" in world.log() + world.running.stderr.text)
    config.write_text(right)
    world.running.reload()
    approve(world, [user])
    assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]
    world.cloud.users[user.user].answer = "allow"
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]


def test_what_shows_late_changes_nothing_either(world: World) -> None:
    """A13: a file that reads well, with an authority that can't be read: not a part of it may count."""
    (user,) = only(world)
    world.start()
    nas = world.nas()
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    section = world.sections[0]
    world.options(section)["exempt_usernames"] = [user.user]
    broken = world.home / "broken.pem"
    broken.write_text("no certificate\n")
    other = world.add_section("other", api_ca_certs_file=str(broken))
    world.write_config()
    world.running.reload()
    wait_for(lambda: "holds no certificate" in world.log())
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    assert len(world.asked(user.user)) == 2, "who was not exempt before is not exempt now"
    # Mended, all of it counts.
    world.options(other)["api_ca_certs_file"] = str(world.authority.ca)
    world.write_config()
    world.running.reload()
    wait_for(lambda: "service.reloaded" in world.log())
    section_knows = world.sections.index(section)
    world.sections[section_knows] = replace(section, exempt=frozenset({user.user}))
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    assert len(world.asked(user.user)) == 2
