"""A12, A13, T5: what waits, and what comes meanwhile, survives reloads, new secrets, broken files and the drain."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.bench.daemon import Daemon
from tests.system.bench.journal import CloudRequest
from tests.system.bench.loop import Fault
from tests.system.bench.nas import Nas
from tests.system.bench.oracles import Section
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, STATE, Request, codes
from tests.system.bench.world import Login, World, wait_for

pytestmark = pytest.mark.system

PENDING, RELOADS, CLIENTS = 50, 100, 4
CLASS = 25


class Told(World):
    """Tells when a reload is done, as systemd is told (sd_notify): a log holds back what it hears too often."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self._manager.settimeout(60)

    def start(self, **more: Any) -> Daemon:
        daemon = super().start(env={"NOTIFY_SOCKET": str(self.folder / "notify")}, **more)
        self._wait_ready()
        return daemon

    def _wait_ready(self) -> None:
        self._told(b"READY=1")

    def time_to_stop(self) -> float:
        """Seconds that it has asked for."""
        return int(self._told(b"EXTEND_TIMEOUT_USEC=").partition(b"=")[2]) / 1e6

    def _told(self, beginning: bytes) -> bytes:
        while True:
            for line in self._manager.recv(4096).split(b"\n"):
                if line.startswith(beginning):
                    return line

    def reload(self) -> None:
        """With what `config` says now; until it is done."""
        self.write_config()
        self.reload_file()

    def reload_file(self) -> None:
        """As it stands there."""
        self.running.reload()
        self._wait_ready()

    def close(self, *, code: int = 0) -> None:
        self._manager.close()
        super().close(code=code)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path)
    yield made
    if not made.closed:
        made.close()


def waiting(world: World, users: list[Login]) -> tuple[Nas, list[Request]]:
    nas = world.nas()
    requests = [nas.login(user.user, user.password) for user in users]
    for request in requests:
        nas.send(request)
    world.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=len(users), timeout=60)
    return nas, requests


def test_pending_pushes_survive_reload_and_drain(world: Told) -> None:
    """A12, A13: 50 pushes on their phones; the section changes thrice, then the daemon is told to end."""
    section = world.add_section(failmode="secure")
    users = [world.add_user(f"user{number}", answer=None) for number in range(PENDING)]
    world.start()
    nas, requests = waiting(world, users)
    options = world.options(section)
    for change in ({"factors": ["passcode"]}, {"failmode": "safe"}, {"reject_delay": 0.2}):
        options |= change
        world.reload()
    assert world.running.metric("authproxy_pending_logins") == PENDING
    for user in users[:25]:
        world.cloud.decide(user.user, "allow")
    assert codes(nas.receive(request) for request in requests[:25]) == [ACCESS_ACCEPT] * 25
    daemon = world.running
    daemon.signal(signal.SIGTERM)
    assert world.time_to_stop() > 70  # drain_timeout
    for user in users[25:]:
        world.cloud.decide(user.user, "allow")
    assert codes(nas.receive(request) for request in requests[25:]) == [ACCESS_ACCEPT] * 25
    assert daemon.wait() == 0
    assert [len(world.asked(user.user)) for user in users] == [1] * PENDING


def test_pending_pushes_survive_new_parts_at_the_second_reload(world: Told) -> None:
    """A13: the configuration between was nobody's, and must not take along what an earlier one still uses."""
    section = world.add_section(failmode="secure")
    alice = world.add_user("alice", answer=None)
    world.start()
    nas, (request,) = waiting(world, [alice])
    world.options(section)["factors"] = ["passcode"]
    world.reload()
    world.options(section)["api_connect_timeout"] = 4
    world.config["ad_client"]["timeout"] = 7
    world.reload()
    world.cloud.decide(alice.user, "allow")
    assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]


class Traffic(threading.Thread):
    """One login after the other, over RADIUS and LDAP in turn, until it is ended. A lost one is not sent again."""

    def __init__(self, world: World, name: str, radius: Any, ldap: Any) -> None:
        super().__init__(name=name, daemon=True)
        self.ended = threading.Event()
        self.answers: list[int | None] = []
        self._user = world.add_user(name)
        self._dn = world.directory.accounts[-1].dn
        self._world, self._radius, self._ldap = world, radius, ldap

    def run(self) -> None:
        nas = self._world.nas(self._radius)
        while not self.ended.is_set():
            self.answers.append(codes([nas.ask(self._user.user, self._user.password, timeout=20)])[0])
            application = self._world.application(self._ldap)
            result = application.bind(self._dn, self._user.password, timeout=20)
            self.answers.append(ACCESS_ACCEPT if result == 0 else result)
            application.close()


def answered(traffic: list[Traffic]) -> int:
    return sum(len(client.answers) for client in traffic)


@pytest.mark.long
def test_steady_traffic_through_a_hundred_reloads(world: Told) -> None:
    """A13: every datagram and every connection is answered, whichever configuration it met."""
    radius, ldap = world.add_section("vpn"), world.add_ldap_section("apps")
    traffic = [Traffic(world, f"client{number}", radius, ldap) for number in range(CLIENTS)]
    world.start()
    for client in traffic:
        client.start()
    options = world.options(radius)
    for number in range(RELOADS):
        options["reject_delay"] = 0.1 + number / 1000
        before = answered(traffic)
        world.reload()
        wait_for(lambda so_far=before: answered(traffic) > so_far)
    for client in traffic:
        client.ended.set()
    for client in traffic:
        client.join(60)
        assert set(client.answers) == {ACCESS_ACCEPT}, client.answers
    assert "reload.failed" not in world.log()


def test_secrets_change_under_those_who_wait(world: Told) -> None:
    """A13: a client's new secret counts for new requests at once; who waits is answered with the one they came with."""
    section = world.add_section()
    old, fresh = world.add_user("alice", answer=None), world.add_user("bob")
    world.start()
    nas, (request,) = waiting(world, [old])
    secret = world.canaries.new("a new shared secret")
    world.options(section)["clients"][0]["secret"] = secret
    world.reload()
    assert codes([world.nas(secret=secret).ask(fresh.user, fresh.password)]) == [ACCESS_ACCEPT]
    assert world.nas().silent(nas.login(fresh.user, fresh.password), 0.3), "signed with the old secret"
    world.cloud.decide(old.user, "allow")
    assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]


@pytest.mark.parametrize("change", ["secure", "gone", "limited", "none"])
def test_a_door_that_a_reload_shuts(world: Told, change: str) -> None:
    """F3: who waits for a cloud that is silent passes by the door as it is when the wait is over, not as it was."""
    section = world.add_section(failmode="safe", api_timeout=3)
    world.add_section("other", failmode="secure")
    alice = world.add_user("alice")
    world.start()
    nas = world.nas(section)
    assert codes([nas.ask(alice.user, alice.password)]) == [ACCESS_ACCEPT]
    world.cloud.become("mute")
    request = nas.login(alice.user, alice.password)
    nas.send(request)
    wait_for(lambda: world.running.metric("authproxy_pending_logins", section=section.name) == 1)
    match change:
        case "secure":
            world.options(section)["failmode"] = "secure"
        case "limited":
            world.options(section)["fail_open_never_users"] = [alice.user]
        case "gone":
            del world.config["radius_server_auto"]
    world.reload()
    answer = codes([nas.receive(request, timeout=20)])
    assert answer == [ACCESS_ACCEPT if change == "none" else ACCESS_REJECT]
    event = world.wait_audit(user=alice.user, cause="unreachable")[-1]
    assert event["fail_open"] is (change == "none")
    assert event["why"] == {"none": None, "limited": "never_user"}.get(change, "reloaded")


@pytest.mark.parametrize(
    ("joins", "section_s", "directory_s"),
    [
        (True, {"reject_delay": 0.2}, {}),
        (False, {"attributes": [{"send": ["Class = restricted"]}]}, {}),
        (False, {}, {"ldap_filter": "(!(sAMAccountName=alice))"}),
    ],
)
def test_who_comes_after_a_reload(
    world: Told, joins: bool, section_s: dict[str, Any], directory_s: dict[str, Any]
) -> None:
    """R46: joins the login that waits, unless by itself it would be given something else by now, or nothing."""
    section = world.add_section()
    alice = world.add_user("alice", answer=None)
    world.start()
    nas, (first,) = waiting(world, [alice])
    world.options(section).update(section_s)
    world.config["ad_client"].update(directory_s)
    world.reload()
    again = nas.login(alice.user, alice.password)
    nas.send(again)
    if joins:
        world.wait_log("login.joined")
    elif directory_s:
        assert codes([nas.receive(again)]) == [ACCESS_REJECT]
    world.cloud.decide(alice.user, "allow")
    # A13, but F3: nobody whom the directory would keep out by now.
    assert codes([nas.receive(first)]) == [ACCESS_REJECT if directory_s else ACCESS_ACCEPT]
    if section_s and not joins:
        wait_for(lambda: world.cloud.decide(alice.user, "allow"))
    if not directory_s:
        reply = nas.receive(again)
        assert codes([reply]) == [ACCESS_ACCEPT]
        assert reply is not None
        assert reply.values(CLASS) == ([] if joins else [b"restricted"])


NOT_HER = {"ldap_filter": "(!(sAMAccountName=alice))"}


@pytest.mark.parametrize("kept_out", [True, False])
@pytest.mark.parametrize("restarted", [True, False])
def test_a_challenge_from_before_another_rule_of_the_directory(
    world: Told, kept_out: bool, restarted: bool
) -> None:
    """F3: a challenge can be answered for minutes; whom the directory would keep out by now gets nowhere with it."""
    world.add_section(kind="radius_server_challenge", failmode="secure")
    alice = world.add_user("alice")
    world.start()
    nas = world.nas()
    asked = nas.ask(alice.user, alice.password)
    assert codes([asked]) == [ACCESS_CHALLENGE]
    world.config["ad_client"] |= NOT_HER if kept_out else {"timeout": 7}
    if restarted:
        world.running.stop()
        world.start()
    else:
        world.reload()
    assert asked is not None
    answer = nas.ask(alice.user, "1", (STATE, asked.values(STATE)[0]))
    assert codes([answer]) == [ACCESS_REJECT if kept_out else ACCESS_ACCEPT]
    if kept_out:
        event = world.wait_audit(user=alice.user, decision="reject")[-1]
        assert (event["reason"], event["why"]) == ("fail_closed", "reloaded")


@pytest.mark.parametrize("kept_out", [True, False])
def test_a_bind_that_waits_while_a_rule_of_the_directory_changes(world: Told, kept_out: bool) -> None:
    """F3, L9: the application isn't bound as whom the directory would keep out by now."""
    apps = world.add_ldap_section("apps")
    alice = world.add_user("alice", answer=None)
    dn = world.directory.accounts[-1].dn
    world.start()
    application = world.application(apps)
    waiting = application.send(dn, alice.password)
    wait_for(lambda: len(world.asked(alice.user)) == 1)
    world.config["ad_client"] |= NOT_HER if kept_out else {"timeout": 7}
    world.reload()
    world.cloud.decide(alice.user, "allow")
    assert application.receive(waiting) == (52 if kept_out else 0)
    application.close()


def test_an_approval_from_before_a_reload(world: Told) -> None:
    """L12: it counts no more, neither for who comes nor for whom the reload finds at the cloud."""
    apps = world.add_ldap_section("apps", approval_memory=60)
    alice = world.add_user("alice")
    dn = world.directory.accounts[-1].dn
    world.start()
    assert [bind(world, apps, dn, alice) for _ in range(2)] == [0, 0]
    assert len(world.asked(alice.user)) == 1, "the second was approved a moment ago"
    world.cloud.break_("preauth", Fault(delay=1.5))
    application = world.application(apps)
    waiting = application.send(dn, alice.password)
    wait_for(lambda: len(world.asked(alice.user, "preauth")) == 3)
    world.reload()
    assert application.receive(waiting) == 0
    assert len(world.asked(alice.user)) == 2
    application.close()


def bind(world: Told, section: Section, dn: str, user: Login) -> int | None:
    application = world.application(section)
    code = application.bind(dn, user.password)
    application.close()
    return code


def test_new_credentials_at_the_cloud(world: Told) -> None:
    """T5, gate 1: a new secret key is used at once, and has to be proven anew before a door opens on its word."""
    section = world.add_section(failmode="safe", api_timeout=2)
    user = world.add_user("alice")
    world.start()
    nas = world.nas()
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    options = world.options(section)
    options["skey"] = world.canaries.new("another secret key", 40)
    world.cloud.become("refused")
    world.reload()
    assert codes([nas.ask(user.user, user.password)]) != [ACCESS_ACCEPT]
    (event,) = world.wait_audit(user=user.user, decision="reject")
    assert event["reason"] == "fail_closed"
    world.cloud.keys[options["ikey"]] = options["skey"]
    world.cloud.become("well")
    wait_for(lambda: codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT], 30)


def test_a_broken_file_under_load_changes_nothing(world: Told) -> None:
    """A13: each kind of broken; nobody who is there, and nobody who comes, notices."""
    world.add_section()
    users = [world.add_user(f"user{number}", answer=None) for number in range(10)]
    quick = world.add_user("quick")
    world.start()
    nas, requests = waiting(world, users)
    config = world.home / "authproxy.yaml"
    right = config.read_text()
    other = world.nas()
    for broken in (
        "",
        "{",
        "main: 1\n",
        right.replace('"port"', '"prot"'),
        right[:-20],
    ):
        config.write_text(broken)
        world.reload_file()
        assert codes([other.ask(quick.user, quick.password)]) == [ACCESS_ACCEPT]
    assert "service.reloaded" not in world.wait_log("config.invalid")
    for user in users:
        world.cloud.decide(user.user, "allow")
    assert codes(nas.receive(request) for request in requests) == [ACCESS_ACCEPT] * 10


def test_nothing_is_measured_of_what_is_gone(world: Told) -> None:
    """Gauges that an alert may stand on; they stay while somebody waits there, and counters for ever."""
    world.add_section("vpn")
    old_cloud = world.new_cloud("127.0.0.1")
    old = world.add_section("old", cloud=old_cloud)
    apps = world.add_ldap_section("apps")
    alice = world.add_user("alice", answer=None)
    world.start()
    nas = world.nas(old)
    request = nas.login(alice.user, alice.password)
    nas.send(request)
    wait_for(lambda: len(world.asked(alice.user)) == 1)
    kept = [(key, value) for key, value in world.config.items() if key.startswith(("radius", "ldap"))]
    gone = [key for key, value in kept if value["name"] in ("old", "apps")]
    for key in gone:
        del world.config[key]
    world.reload()
    assert world.running.metric("authproxy_pending_logins", section="old") == 1
    old_cloud.decide(alice.user, "allow")
    assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]

    def of_the_gone() -> list[str]:
        named = ('"old"', '"apps"', '="127.0.0.1"', f":{apps.port}")
        return [series for series in world.running.metrics() if any(name in series for name in named)]

    wait_for(
        lambda: (
            not [series for series in of_the_gone() if "_total" not in series and "_seconds_" not in series]
        )
    )
    assert any("authproxy_decisions_total" in series for series in of_the_gone())
