"""LDAP applications before a real slapd: who gets in by push and by passcode, over clear, StartTLS and LDAPS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from authproxy.protocols.ldap.requests import ExtendedRequest, Scope, SearchRequest
from tests.system.bench.world import World
from tests.system.ldap_apps import Apps, Wire, add_apps, run, tapped, three_answers
from tests.system.parts import slapd as openldap
from tests.system.parts.slapd import GROUPS, PEOPLE, SERVICE, SERVICE_PASSWORD, SUFFIX, Slapd, password_of

pytestmark = pytest.mark.system

ALICE, BOB = f"uid=alice,{PEOPLE}", f"uid=bob,{PEOPLE}"
USERS = ("alice", "bob", "carol")


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("slapd"), users=100) as running:
        yield running


def at_slapd(world: World, slapd: Slapd, **more: object) -> None:
    world.use_real_directory(
        {user: password_of(user) for user in USERS},
        host="127.0.0.1",
        port=slapd.ldaps_port,
        transport="ldaps",
        ssl_ca_certs_file=str(slapd.ca_file),
        auth_type="plain",
        bind_dn=SERVICE,
        service_account_password=SERVICE_PASSWORD,
        search_dn=SUFFIX,
        username_attribute="uid",
        at_attribute="mail",
        **more,
    )


@pytest.fixture
def apps(world: World, slapd: Slapd) -> Apps:
    made = add_apps(world, exempt_ous=[SERVICE], denial_memory=0)
    at_slapd(world, slapd)
    world.start()
    world.know_passwords({user: password_of(user) for user in openldap.POLICY_USERS})
    return made


def test_ldapsearch_by_push_and_by_passcode(world: World, apps: Apps) -> None:
    def alice(password: str, *more: str) -> int:
        done = run(
            "ldapsearch",
            "-LLL",
            *more,
            "-D",
            ALICE,
            "-w",
            password,
            "-b",
            PEOPLE,
            "(uid=bob)",
            "cn",
            ca=apps.files.authority,
        )
        assert (done.returncode == 0) is ("cn: bob Test" in done.stdout), done.stderr
        return done.returncode

    for way in (("-H", apps.url), ("-H", apps.url, "-ZZ"), ("-H", apps.ldaps_url)):
        asked = len(world.asked("alice"))
        assert alice(password_of("alice"), *way) == 0
        assert len(world.asked("alice")) == asked + 1
        passcode = world.canaries.passcode("alice's passcode")
        world.cloud.users["alice"].passcodes.add(passcode)
        assert alice(f"{password_of('alice')},{passcode}", *way) == 0
        assert alice(f"{password_of('alice')},{passcode}", *way) == 49, "a passcode is good once"
        assert alice(world.canaries.new("a wrong password"), *way) == 49
        world.cloud.users["alice"].answer = "deny"
        assert alice(password_of("alice"), *way) == 49
        world.cloud.users["alice"].answer = "allow"
    decided = world.wait_audit(6, reason="both_factors", user="alice")
    assert {event["client_ip"] for event in decided} == {"127.0.0.1"}
    assert {event["dn"] for event in decided} == {ALICE}


def test_ldapwhoami(world: World, apps: Apps) -> None:
    apps = tapped(world, apps)

    def login(user: str, password: str) -> bool:
        dn = f"uid={user},{PEOPLE}"
        done = run("ldapwhoami", "-H", apps.ldaps_url, "-D", dn, "-w", password, ca=apps.files.authority)
        assert done.returncode in {0, 49}, done.stderr
        assert (done.stdout.strip() == f"dn:{dn}") is (done.returncode == 0)
        return done.returncode == 0

    three_answers(world, login)


def test_a_service_account_searches_without_a_push(world: World, apps: Apps) -> None:
    with Wire(apps.port) as wire:
        assert wire.bind(SERVICE.replace("cn=", "CN = ").replace(",", " , "), SERVICE_PASSWORD) == 0
        assert wire.code(2, SearchRequest(PEOPLE, Scope.SUBTREE)) == 0
        assert wire.bind(ALICE, password_of("alice"), 3) == 0
        assert wire.bind(SERVICE, SERVICE_PASSWORD, 4) == 0
    assert len(world.asked("alice")) == 1
    world.wait_audit(2, reason="exempt", dn=SERVICE)


@pytest.mark.parametrize(("user", "exempt"), [("alice", True), ("carol", False)])
def test_a_group_is_exempt_through_the_groups_in_it(
    world: World, slapd: Slapd, user: str, exempt: bool
) -> None:
    """staff holds vpn, and vpn holds alice; who is in staff by one hop is not in vpn."""
    group = "staff" if exempt else "vpn"
    apps = add_apps(world, exempt_groups=[f"cn={group},{GROUPS}"], exempt_users=("alice",), denial_memory=0)
    at_slapd(world, slapd)
    world.start()
    with Wire(apps.port) as wire:
        assert wire.bind(f"uid={user},{PEOPLE}", password_of(user)) == 0
    assert bool(world.asked(user)) is not exempt


def test_a_group_is_required_through_the_groups_in_it(world: World, slapd: Slapd) -> None:
    apps = add_apps(world, denial_memory=0)
    at_slapd(world, slapd, security_group_dn=f"cn=outer,{GROUPS}")
    world.start()
    with Wire(apps.port) as wire:
        assert wire.bind(ALICE, password_of("alice")) == 0
        assert wire.bind(f"uid=mustchange,{PEOPLE}", password_of("mustchange"), 2) == 49
        assert wire.code(3, SearchRequest(PEOPLE, Scope.SUBTREE)) == 50
    assert not world.asked("mustchange")
    world.wait_audit(reason="not_in_group")


def test_an_application_that_binds_five_times_costs_one_push(world: World, slapd: Slapd) -> None:
    """`approval_memory`, and what ends it: a password that is changed, by whatever way."""
    apps = add_apps(world, approval_memory=60, exempt_ous=[SERVICE], denial_memory=0)
    at_slapd(world, slapd)
    world.start()
    old, new = password_of("alice"), world.canaries.new("alice's new password")
    for message_id in range(1, 6):
        with Wire(apps.ssl_port, ca=apps.files.authority) as wire:
            assert wire.bind(ALICE, old, message_id) == 0
            assert wire.code(9, SearchRequest(PEOPLE, Scope.SUBTREE)) == 0
    assert len(world.asked("alice")) == 1
    world.wait_audit(4, reason="recent_approval", user="alice")
    change = ("ldappasswd", "-H", slapd.url, "-D", ALICE)
    assert run(*change, "-w", old, "-s", new).returncode == 0
    try:
        with Wire(apps.port) as wire:
            assert wire.bind(ALICE, old) == 49
    finally:
        assert run(*change, "-w", new, "-s", old).returncode == 0
    world.cloud.users["alice"].answer = "deny"
    with Wire(apps.port) as wire:
        assert wire.bind(ALICE, old) == 49, "a refusal lay between"
    assert len(world.asked("alice")) == 2


def test_after_a_denial_nothing_is_readable(world: World, apps: Apps) -> None:
    world.cloud.users["alice"].answer = "deny"
    search = SearchRequest(PEOPLE, Scope.SUBTREE)
    with Wire(apps.port) as wire:
        wire.send(1, ExtendedRequest("1.3.6.1.4.1.4203.1.11.3"))
        assert wire.last(1) is not None
        assert wire.bind(ALICE, password_of("alice"), 2) == 49
        assert wire.code(3, search) == 50
        assert wire.bind(BOB, password_of("bob"), 4) == 0
        assert wire.code(5, search) == 0


def test_expired_locked_and_must_change(world: World, apps: Apps) -> None:
    for user, code in (("locked", 49), ("expired", 49), ("grace", 0), ("mustchange", 0)):
        with Wire(apps.port) as wire:
            assert wire.bind(f"uid={user},{PEOPLE}", password_of(user)) == code, user
        assert len(world.asked(user)) == (code == 0)


def test_policy_controls_pass(slapd: Slapd, apps: Apps) -> None:
    def said(url: str, user: str) -> str:
        done = run(
            "ldapwhoami", "-e", "ppolicy", "-H", url, "-D", f"uid={user},{PEOPLE}", "-w", password_of(user)
        )
        return done.stdout + done.stderr

    for user in ("locked", "expired", "mustchange"):
        assert said(apps.url, user) == said(slapd.url, user)
    assert "grace" in said(apps.url, "grace")


def test_one_entry_by_all_that_slapd_takes_for_its_name(world: World, slapd: Slapd) -> None:
    """A10: RFC 2253's quotes and semicolons, wide letters, spaces: each would be a name to guess by."""
    apps = add_apps(world)
    at_slapd(world, slapd, failures_per_user=3)
    world.start()
    names = [f"uid=alice,{PEOPLE}", f'uid="alice",{PEOPLE}', f"uid=alice;{PEOPLE}", f"uid=ａlice ; {PEOPLE}"]
    codes = []
    for number, name in enumerate(names * 2):
        with Wire(apps.port) as wire:
            codes.append(wire.bind(name, world.canaries.new(f"guess {number}")))
    assert codes == [49, 49] + [51] * 6
