"""Real peers that are stopped and killed while logins wait for them, and come back (A5, F3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.journal import CloudRequest
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
from tests.system.bench.world import Login, World, wait_for
from tests.system.parts import slapd as openldap
from tests.system.parts.clients import radclient
from tests.system.parts.embedded_cloud import EmbeddedCloud
from tests.system.parts.freeradius import FreeRadius, Person
from tests.system.parts.slapd import Slapd

pytestmark = pytest.mark.system

PEOPLE = [f"u{number:05}" for number in range(12)]


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    with Slapd(tmp_path / "slapd", users=50) as running:
        yield running


def at(world: World, slapd: Slapd) -> list[Login]:
    """A section over this directory, and some of its users."""
    world.use_real_directory(
        dict.fromkeys(PEOPLE, openldap.MANY_PASSWORD),
        host="127.0.0.1",
        port=slapd.port,
        transport="clear",
        auth_type="plain",
        bind_dn=openldap.SERVICE,
        service_account_password=openldap.SERVICE_PASSWORD,
        search_dn=openldap.SUFFIX,
        username_attribute="uid",
        timeout=2,
    )
    return [Login(user, openldap.MANY_PASSWORD) for user in PEOPLE]


def test_a_directory_that_is_killed_in_the_middle_of_logins(world: World, slapd: Slapd) -> None:
    """Who has passed it gets in by their push; who waits for it is rejected, in a safe section, too."""
    world.add_section(failmode="safe", reject_delay=0)
    users = at(world, slapd)
    passed, halfway = users[:4], users[4:]
    for user in passed:
        world.cloud.users[user.user].answer = None
    world.start()
    nas = world.nas()
    asked = [nas.login(user.user, user.password) for user in passed]
    for request in asked:
        nas.send(request)
    world.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=len(passed))
    assert slapd.process is not None
    slapd.process.pause()
    late = [nas.login(user.user, user.password) for user in halfway]
    for request in late:
        nas.send(request)
    wait_for(lambda: world.running.metric("authproxy_pending_logins") == len(users))
    slapd.process.kill()
    assert codes(nas.receive(request, 20) for request in late) == [ACCESS_REJECT] * len(late)
    for user in passed:
        world.cloud.decide(user.user, "allow")
    assert codes(nas.receive(request) for request in asked) == [ACCESS_ACCEPT] * len(asked)
    reasons = {event["reason"] for event in world.wait_audit(len(late), decision="reject")}
    assert reasons == {"primary_unavailable"}
    slapd.start()
    wait_for(lambda: codes([nas.ask(users[-1].user, users[-1].password)]) == [ACCESS_ACCEPT], 40)


def test_a_directory_that_stands_still(world: World, slapd: Slapd) -> None:
    """SIGSTOP: its kernel accepts, it answers nothing. An honest outage, and no lock-out of anybody when it goes on."""
    world.add_section(failmode="safe", reject_delay=0)
    users = at(world, slapd)
    world.start()
    nas = world.nas()
    assert codes([nas.ask(users[0].user, users[0].password)]) == [ACCESS_ACCEPT]
    assert slapd.process is not None
    slapd.process.pause()
    try:
        replies = nas.exchange_all([nas.login(user.user, user.password) for user in users], 30)
        assert codes(replies) == [ACCESS_REJECT] * len(users)
        reasons = {event["reason"] for event in world.wait_audit(len(users), decision="reject")}
        assert reasons == {"primary_unavailable"}
    finally:
        slapd.process.resume()
    wait_for(lambda: codes([nas.ask(users[1].user, users[1].password)]) == [ACCESS_ACCEPT], 40)
    assert codes([nas.ask(users[2].user, world.canaries.new("a wrong password"))]) == [ACCESS_REJECT]


@pytest.mark.slow
def test_radius_servers_that_stand_still_and_die(world: World, tmp_path: Path) -> None:
    """The second one is asked while the first is mute; with both gone nobody gets in; back again, they do."""
    secret = world.canaries.new("the secret of the servers")
    people = {"alice": Person(world.canaries.new("the password of alice"))}
    with (
        FreeRadius(tmp_path / "one", secret, people) as one,
        FreeRadius(tmp_path / "two", secret, people) as two,
    ):
        world.know_passwords({name: person.password for name, person in people.items()})
        world.use_radius("radius_client", [one.port, two.port], secret, retries=2)
        del world.config["ad_client"]
        world.add_section(failmode="safe", client="radius_client", reject_delay=0)
        world.start()
        nas, password = world.nas(), people["alice"].password
        assert codes([nas.ask("alice", password)]) == [ACCESS_ACCEPT]
        assert one.process is not None
        assert two.process is not None
        one.process.pause()
        assert codes([nas.ask("alice", password, timeout=30)]) == [ACCESS_ACCEPT]
        two.process.kill()
        assert codes([nas.ask("alice", password, timeout=60)]) == [ACCESS_REJECT]
        (event,) = world.wait_audit(username="alice", decision="reject")
        assert event["reason"] == "primary_unavailable"
        one.process.resume()
        wait_for(lambda: codes([nas.ask("alice", password, timeout=30)]) == [ACCESS_ACCEPT], 60)
        one.process.pause()
        two.start()
        wait_for(lambda: codes([nas.ask("alice", password, timeout=30)]) == [ACCESS_ACCEPT], 60)
        one.process.resume()
    reasons = {event["reason"] for event in world.audit(username="alice") if event["decision"] == "reject"}
    assert reasons == {"primary_unavailable"}


@pytest.mark.slow
def test_a_cloud_that_stands_still_and_dies(world: World, slapd: Slapd, tmp_path: Path) -> None:
    """The embedded one, as a process: mute it is an outage, killed under a push it lets nobody in."""
    safe = world.add_section("safe", failmode="safe", api_timeout=2, login_patience=8)
    secure = world.add_section("secure", api_timeout=2, login_patience=8)
    at(world, slapd)
    user, password = PEOPLE[0], openldap.MANY_PASSWORD
    with EmbeddedCloud(tmp_path / "cloud") as cloud:
        for section in (safe, secure):
            made = cloud.command("application", "add", section.name)
            world.options(section).update(
                ikey=made["ikey"],
                skey=world.canaries.keep(f"the secret key of {section.name}", made["skey"]),
                api_port=cloud.port,
                api_ca_certs_file=str(cloud.ca_file),
            )
        phone = cloud.enrolled(user)
        world.start()

        def with_a_phone(section_port: int) -> str:
            with phone.answering("approve"):
                return radclient("127.0.0.1", section_port, world.secret, user, password).reply

        assert with_a_phone(secure.port) == "Access-Accept"
        assert cloud.process is not None
        cloud.process.pause()
        doors = [world.nas(section) for section in (safe, secure)]
        requests = [nas.login(user, password) for nas in doors]
        for nas, request in zip(doors, requests, strict=True):
            nas.send(request)
        replies = [nas.receive(request, 30) for nas, request in zip(doors, requests, strict=True)]
        assert codes(replies) == [ACCESS_ACCEPT, ACCESS_REJECT]
        cloud.process.resume()
        # The breaker may be open; the door shuts when its probe has found the cloud.
        wait_for(lambda: world.running.metric("authproxy_breaker_open") == 0, 40)
        nas = world.nas(safe)
        request = nas.login(user, password)
        nas.send(request)
        (lost,) = wait_for(lambda: re.findall(r'name="txid" value="([^"]*)"', phone.get("/"))[:1], 20)
        phone.answered.append(lost)  # nobody answers it
        cloud.process.kill()
        assert codes([nas.receive(request, 30)]) == [ACCESS_REJECT]
        cloud.start()
        wait_for(lambda: world.running.metric("authproxy_breaker_open") == 0, 40)
        assert with_a_phone(secure.port) == "Access-Accept"
    (opened,) = world.audit(reason="fail_open")
    assert re.match("unreachable|server_error", opened["cause"])
