"""When the directory fails: dead, slow, dripping, half-closed, lying, one of several. Nobody gets in by it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.system.bench import ber
from tests.system.bench.directory import NOTICE_OF_DISCONNECTION, Directory
from tests.system.bench.journal import CloudRequest, PrimaryBind, PrimarySearch
from tests.system.bench.loop import Fault
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
from tests.system.bench.world import Login, World, wait_for

pytestmark = pytest.mark.system


def only(world: World, **options: Any) -> Login:
    world.config["ad_client"] |= {"timeout": 1, **options}
    world.add_section(failmode="safe")
    user = world.add_user("alice")
    world.start()
    return user


def login(world: World, user: Login, password: str | None = None) -> tuple[int | None, str]:
    before = len(world.audit(username=user.user))
    reply = world.nas().ask(user.user, password or user.password, timeout=20)
    events = wait_for(lambda: [e for e in world.audit(username=user.user)[before:] if e.get("decision")])
    return codes([reply])[0], events[-1]["reason"]


ACCEPTED, REFUSED = (ACCESS_ACCEPT, "both_factors"), (ACCESS_REJECT, "primary_unavailable")
BIND_RESPONSE, SEARCH_DONE, ENTRY = 0x61, 0x65, 0x64


def message(identifier: int, tag: int, *parts: bytes) -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.integer(identifier), ber.tlv(tag, *parts))


def result(code: int) -> tuple[bytes, bytes, bytes]:
    return ber.integer(code, ber.ENUMERATED), ber.text(""), ber.text("")


# What a directory, or what stands in its place, may answer to the user's bind. None of it is a success.
LIES = {
    "silence": Fault(silent=True),
    "a reset": Fault(reset=True),
    "an end": Fault(close=True),
    "half an answer": Fault(keep=6),
    "half an answer, then silence": Fault(stall=6),
    "drips": Fault(drip=0.7),
    "noise": Fault(octets=b"\xde\xad\xbe\xef" * 20),
    "HTTP": Fault(octets=b"HTTP/1.1 200 OK\r\n\r\n"),
    "indefinite length": Fault(octets=b"\x30\x80\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00\x00\x00"),
    "2 GB announced": Fault(octets=b"\x30\x84\x7f\xff\xff\xff" + b"x" * 10_000),
    "an inner length too long": Fault(octets=b"\x30\x0c\x02\x01\x02\x61\x50\x0a\x01\x00\x04\x00\x04\x00"),
    "a success for another message": Fault(octets=message(99, BIND_RESPONSE, *result(0))),
    "a success for message 0": Fault(octets=message(0, BIND_RESPONSE, *result(0))),
    "a search's success": Fault(octets=b"".join(message(n, SEARCH_DONE, *result(0)) for n in range(1, 9))),
    "an entry": Fault(
        octets=b"".join(message(n, ENTRY, ber.text("CN=x"), ber.tlv(0x30)) for n in range(1, 9))
    ),
    "deep nesting": Fault(octets=b"\x30\x84\x00\x00\xff\xff" + b"\x30\x84\x00\x00\xff\x00" * 5000),
}


@pytest.fixture(scope="module")
def lied_to(tmp_path_factory: pytest.TempPathFactory) -> Any:
    world = World(tmp_path_factory.mktemp("lies"))
    world.config["ad_client"]["timeout"] = 1
    world.add_section(failmode="safe")
    users = {name: world.add_user(f"user{number}") for number, name in enumerate(LIES)}
    world.start()
    for name, user in users.items():
        world.directory.break_("bind", LIES[name], user.user)
    nas = world.nas()
    replies = nas.exchange_all([nas.login(user.user, user.password) for user in users.values()], 60)
    yield world, users, dict(zip(users, codes(replies), strict=True))
    world.close()


@pytest.mark.parametrize("name", LIES)
def test_no_success_that_a_directory_did_not_give(lied_to: Any, name: str) -> None:
    """F3, A6, L1, L2, L4: in a safe section too. One bind, no second try elsewhere, and the cloud isn't asked."""
    world, users, replies = lied_to
    assert replies[name] == ACCESS_REJECT
    user = users[name].user
    assert len(world.binds(user)) == 1
    assert world.asked(user, "preauth") == []
    (event,) = world.wait_audit(username=user, decision="reject")
    assert event["reason"] == "primary_unavailable"


def test_a_login_after_all_that(lied_to: Any) -> None:
    """What hung or lied cost its own logins, and nothing else."""
    world, _, _ = lied_to
    world.directory.heal()
    user = world.add_user("bob")
    assert login(world, user) == ACCEPTED


def test_faults_before_the_users_bind(world: World) -> None:
    """A6: the service's bind and the search have the same deadline, and cost no user a bind; then it is over."""
    user = only(world)
    for operation, fault in (
        ("search", Fault(silent=True)),
        ("search", Fault(drip=0.5)),
        ("search", Fault(reset=True)),
        ("*", Fault(silent=True)),
        ("*", Fault(drip=0.5)),
    ):
        world.directory.break_(operation, fault)  # type: ignore[arg-type]
        world.directory.hang_up()
        before = len(world.binds(user.user))
        assert login(world, user) == REFUSED
        assert len(world.binds(user.user)) == before
        world.directory.heal()
        wait_for(lambda: login(world, user) == ACCEPTED, 30)


def test_a_dead_directory_comes_back(world: World) -> None:
    """Refused, then there again; kept connections that were cut cost nobody a login."""
    user = only(world)
    assert login(world, user) == ACCEPTED
    world.directory.refuse()
    assert login(world, user) == REFUSED
    world.directory.listen()
    assert wait_for(lambda: login(world, user) == ACCEPTED, 30)
    world.directory.hang_up()
    assert login(world, user) == ACCEPTED
    world.directory.notice = True
    login(world, user)
    assert wait_for(lambda: login(world, user) == ACCEPTED, 30)


def test_connections_are_kept(world: World) -> None:
    """Not one for each login."""
    only(world)
    users = [world.add_user(f"user{number}") for number in range(30)]
    for user in users:
        assert login(world, user) == ACCEPTED
    assert world.directory.connections < 12
    assert NOTICE_OF_DISCONNECTION


def test_referrals_are_not_followed(world: World) -> None:
    """L25: neither with a user's nor with the service's password; the other server never hears of it."""
    user = only(world)
    evil = Directory(world.loop, world.journal)
    evil.add("alice", user.password)
    world.directory.references = [f"ldap://127.0.0.1:{evil.port}/DC=evil,DC=test"]
    assert login(world, user) == ACCEPTED
    world.directory.referral = f"ldap://127.0.0.1:{evil.port}/DC=corp,DC=test"
    assert login(world, user)[0] == ACCESS_REJECT
    assert evil.connections == 0


def test_an_entry_outside_the_base_is_nobody(world: World) -> None:
    """L27: whatever the directory says."""
    user = only(world, search_dn="OU=People,DC=corp,DC=test")
    outside = world.canaries.new("the password of an outsider")
    world.directory.add("outsider", outside, dn="CN=outsider,OU=Elsewhere,DC=corp,DC=test")
    assert login(world, user) == ACCEPTED
    assert login(world, Login("outsider", outside))[0] == ACCESS_REJECT


# ---- several hosts


def several(world: World, count: int = 3) -> list[Directory]:
    """Hosts on one port and addresses of their own, with the same accounts."""
    hosts = [world.directory]
    for number in range(1, count):
        hosts.append(Directory(world.loop, world.journal, f"127.0.2.{number}", world.directory.port))
    world.config["ad_client"] |= {"host": [host.address for host in hosts], "timeout": 1}
    world.add_section()
    world.add_user("alice")
    for host in hosts[1:]:
        host.share(world.directory)
    return hosts


def test_a_wrong_password_is_asked_about_once(world: World) -> None:
    """A5: invalidCredentials is an answer, and no reason to ask another domain controller."""
    several(world)
    user = Login("alice", world.canaries.new("wrong password"))
    world.start()
    assert login(world, user) == (ACCESS_REJECT, "primary_rejected")
    assert len(world.binds("alice")) == 1


@pytest.mark.parametrize("how", ["refused", "silent", "drips"])
def test_a_dead_host_is_passed_over(world: World, how: str) -> None:
    """A5: the first login finds out, the others don't wait for it; no user's password goes to two hosts."""
    first, *_ = several(world)
    users = [world.add_user(f"user{number}") for number in range(10)]
    world.start()
    if how == "refused":
        first.refuse()
    else:
        first.break_("*", Fault(silent=True) if how == "silent" else Fault(drip=0.7))
        first.hang_up()
    wait_for(lambda: login(world, users[0]) == ACCEPTED, 30)
    nas = world.nas()
    before = len(world.journal)
    replies = nas.exchange_all([nas.login(user.user, user.password) for user in users[1:]], 20)
    assert codes(replies) == [ACCESS_ACCEPT] * 9
    binds = world.journal.all(PrimaryBind, lambda bind: bind.user.startswith("user"), since=before)
    assert sorted(bind.user for bind in binds) == sorted(user.user for user in users[1:])


def test_all_hosts_dead(world: World) -> None:
    hosts = several(world)
    user = world.add_user("bob")
    world.start()
    for host in hosts:
        host.refuse()
    assert login(world, user) == REFUSED
    hosts[2].listen()
    assert wait_for(lambda: login(world, user) == ACCEPTED, 40)


# ---- what the directory is told


def test_the_service_account_is_refused(world: World) -> None:
    """An honest outage, with the reason in the log."""
    world.config["ad_client"]["service_account_password"] = world.canaries.new("a wrong service password")
    user = only(world)
    assert login(world, user) == REFUSED
    assert re.search("svc-authproxy|service", world.log())


def test_group_and_filter(world: World) -> None:
    """`security_group_dn`, `ldap_filter`: right password, wrong group; one search, with both in it."""
    group = "CN=VPN, (all),OU=Groups,DC=corp,DC=test"
    member = only(
        world, security_group_dn=group.replace("VPN, ", "VPN\\, "), ldap_filter="(objectClass=user)"
    )
    account = world.directory.accounts[-1]
    account.attributes["memberOf"] = [group.replace("VPN, ", "VPN\\, ")]
    assert login(world, member) == ACCEPTED
    other = world.add_user("bob")
    assert login(world, other) in {(ACCESS_REJECT, "not_in_group"), (ACCESS_REJECT, "primary_rejected")}
    assert world.journal.all(CloudRequest, lambda r: r.user == "bob") == []
    assert world.journal.all(PrimarySearch)
