"""`authproxy explain` at a real directory: what it says of a user is what the daemon then does; it asks, and changes
nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from authproxy.backends.lasting_clock import this_boot
from authproxy.backends.primary_only import Order, give, take_back
from authproxy.config.load import load
from authproxy.config.model import ServerSection
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.policy import Mode, Policy
from authproxy.service.explain import explain
from authproxy.service.outlook import Known, Outcome, in_an_outage, now
from tests.system.bench.cloud import User
from tests.system.bench.journal import CloudRequest
from tests.system.bench.world import World
from tests.system.ldap_apps import add_apps
from tests.system.parts import slapd as openldap
from tests.system.parts.slapd import GROUPS, PEOPLE, SERVICE, SERVICE_PASSWORD, SUFFIX, Slapd

system = pytest.mark.system


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("explain")
    with Slapd(folder / "slapd") as slapd:
        made = World(folder)
        made.add_section("vpn", failmode="safe", exempt=("carol",))
        made.add_section("wall", failmode="secure")
        made.add_section(
            "narrow",
            failmode="safe",
            fail_open_never_users=["carol"],
            fail_open_never_groups=[f"cn=vpn,{GROUPS}"],
        )
        made.add_section("known", failmode="safe", fail_open_seen_within_days=7)
        made.add_section("codes", kind="radius_server_duo_only")
        add_apps(made, exempt_groups=[f"cn=vpn,{GROUPS}"], exempt_ous=[SERVICE])
        add_apps(made, "first", tls=False, exempt_primary_bind=True, approval_memory=30)
        add_apps(made, "typed", tls=False, cloud_username="typed")
        made.use_real_directory(
            {user: openldap.password_of(user) for user in openldap.USERS},
            host="127.0.0.1",
            port=slapd.ldaps_port,
            transport="ldaps",
            ssl_ca_certs_file=str(slapd.ca_file),
            auth_type="plain",
            bind_dn=SERVICE,
            service_account_password=SERVICE_PASSWORD,
            search_dn=SUFFIX,
            username_attribute="uid",
            security_group_dn=f"cn=outer,{GROUPS}",
        )
        made.start()
        yield made
        made.close()


def authproxy(world: World, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "authproxy", "explain", "-c", str(world.home / "authproxy.yaml"), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert world.canaries.find("the explanation", said.encode()) == []
    assert "Traceback" not in said
    return done.returncode, said


@system
@pytest.mark.parametrize(
    ("user", "section", "now", "outage"),
    [
        ("alice", "vpn", "both_factors", "fail_open"),
        ("alice", "wall", "both_factors", "fail_closed"),
        ("carol", "narrow", "both_factors", "fail_closed"),
        ("alice", "narrow", "both_factors", "fail_closed"),
        ("alice", "known", "both_factors", "fail_closed"),
        ("alice", "codes", "duo_only", "fail_closed"),
        ("Carol", "vpn", "exempt", "exempt"),
        ("carol", "wall", "both_factors", "fail_closed"),
        ("locked", "vpn", "not_in_group", "not_in_group"),
        ("nobody", "vpn", "primary_rejected", "primary_rejected"),
        ("al\u202eice", "vpn", "malformed", "malformed"),
        (f"uid=alice,{PEOPLE}", "apps", "exempt", "exempt"),
        (f"uid=carol,{PEOPLE}", "apps", "both_factors", "fail_closed"),
        (SERVICE, "apps", "exempt", "exempt"),
        # Whoever binds first is let in, in the group or not, known or not.
        (f"uid=alice,{PEOPLE}", "first", "exempt", "exempt"),
        (f"uid=locked,{PEOPLE}", "first", "exempt", "exempt"),
        (f"uid=nobody,{PEOPLE}", "first", "exempt", "exempt"),
        ("al\u202eice", "first", "malformed", "malformed"),
        (f"uid=carol,{PEOPLE}", "typed", "both_factors", "fail_closed"),
        # Plain names are no proof of how the entry is spelled.
        ("carol", "typed", "primary_rejected", "primary_rejected"),
    ],
)
def test_now_and_in_an_outage(
    world: World,
    on_reactor: Callable[..., Any],
    reactor_thread: Any,
    user: str,
    section: str,
    now: str,
    outage: str,
) -> None:
    loaded = load(world.home / "authproxy.yaml")
    name = next(key for key, one in loaded.config.all(ServerSection).items() if one.name == section)
    before = len(world.journal.all(CloudRequest))
    told = on_reactor(explain, loaded, name, user, reactor_thread)
    assert (told.now.reason, told.outage.reason) == (now, outage), told
    assert told.complete
    assert world.journal.all(CloudRequest)[before:] == []


@system
def test_the_rules_of_one_user(world: World) -> None:
    # What the daemon would tidy up when it reads it.
    (world.home / "state" / "second-factor-seen").write_text(f"19000 {'0' * 32}\n19001 {'0' * 32}\n")
    state = sorted((path.name, path.read_bytes()) for path in (world.home / "state").iterdir())
    code, said = authproxy(world, "--user", "ALICE", "--section", "vpn")
    assert code == 0
    for words in (
        "ALICE in vpn (radius_server_auto)",
        "name            read as alice",
        f"entry           uid=alice,{PEOPLE} at 127.0.0.1",
        f"security group  cn=outer,{GROUPS}",
        "exempt          no rule of this section exempts this user",
        "factors         auto; a factor typed behind the password is used instead",
        "not asked (--ask-cloud",
        "proven          the section's credentials have worked at this api_host",
        "running proxy   cloud up, breaker closed; a password alone isn't enough",
        "in an outage:  LET IN WITH THE RIGHT PASSWORD ALONE",
    ):
        assert words in said, said
    assert sorted((path.name, path.read_bytes()) for path in (world.home / "state").iterdir()) == state


@system
@pytest.mark.parametrize(
    ("user", "later"),
    [
        ("alice", "the right password, then the second factor (auto); unless the cloud says otherwise"),
        ("locked", "refused: not_in_group"),
    ],
)
def test_an_ldap_application_s_first_bind(world: World, user: str, later: str) -> None:
    """`exempt_primary_bind` opens whatever the other rules say, and so stands in the outcome, not in a note."""
    code, said = authproxy(world, "--user", f"uid={user},{PEOPLE}", "--section", "first")
    assert code == 0
    first = "let in with the right password alone by the first bind on a connection (exempt_primary_bind)"
    assert f"now:           {first}; later binds there: {later}  [exempt]" in said, said
    assert f"in an outage:  {first}; later binds there: " in said, said
    assert ("approval_memory" in said) is (user == "alice")


@system
def test_a_plain_name_in_an_ldap_section(world: World) -> None:
    for user, told in (("alice", True), (f"uid=alice,{PEOPLE}", False)):
        code, said = authproxy(world, "--user", user, "--section", "first")
        assert code == 0
        assert ("(Who Am I)" in said) is told


@pytest.mark.parametrize(("typed", "refused"), [("alice@x/bob", True), ("corp/alice", False)])
def test_a_name_of_two(
    world: World, on_reactor: Callable[..., Any], reactor_thread: Any, typed: str, refused: bool
) -> None:
    loaded = load(world.home / "authproxy.yaml")
    name = next(key for key, one in loaded.config.all(ServerSection).items() if one.name == "codes")
    told = on_reactor(explain, loaded, name, typed, reactor_thread)
    assert told.now.reason == ("malformed" if refused else "duo_only")


@system
def test_the_cloud_is_asked_when_that_is_wanted(
    world: World, on_reactor: Callable[..., Any], reactor_thread: Any
) -> None:
    """Preauth, and nothing that reaches a phone."""
    loaded = load(world.home / "authproxy.yaml")
    world.cloud.users["bob"] = User(preauth="allow")
    before = len(world.journal.all(CloudRequest))
    for user, expected in (("bob", "cloud_allow"), ("alice", "both_factors")):
        told = on_reactor(explain, loaded, "radius_server_auto2", user, reactor_thread, ask_cloud=True)
        assert (told.now.reason, told.outage.reason) == (expected, "fail_closed")
    assert {request.endpoint for request in world.journal.all(CloudRequest)[before:]} == {"preauth"}


@system
def test_the_cloud_is_asked_about_the_plain_name_too(
    world: World, on_reactor: Callable[..., Any], reactor_thread: Any
) -> None:
    """R33: as in a login without a directory's word on the name."""
    loaded = load(world.home / "authproxy.yaml")
    name = next(key for key, one in loaded.config.all(ServerSection).items() if one.name == "codes")
    world.cloud.users["corp/zoe"] = world.cloud.users["corp/yan"] = User(preauth="allow")
    world.cloud.users["yan"] = User(preauth="allow")
    world.cloud.users["zoe"] = User(preauth="auth")
    for user, expected in (("corp/zoe", "cloud_deny"), ("corp/yan", "cloud_allow")):
        told = on_reactor(explain, loaded, name, user, reactor_thread, ask_cloud=True)
        assert told.now.reason == expected, told


@system
def test_primary_only(world: World, on_reactor: Callable[..., Any], reactor_thread: Any) -> None:
    """What the order says is told; who never passes is asked for a factor as ever; the order stays where it is."""
    loaded = load(world.home / "authproxy.yaml")
    folder = loaded.config.main.state_dir
    give(folder, Order(time.time(), 5, this_boot()))
    try:
        for section, reason in (
            ("radius_server_auto", "primary_only"),
            ("radius_server_auto2", "both_factors"),  # secure
            ("radius_server_auto3", "both_factors"),  # alice is in a group that never passes
            ("radius_server_duo_only", "duo_only"),
        ):
            told = on_reactor(explain, loaded, section, "alice", reactor_thread)
            assert told.now.reason == reason, section
        assert (folder / "primary-only.json").exists()
    finally:
        take_back(folder)
    told = on_reactor(explain, loaded, "radius_server_auto", "alice", reactor_thread)
    assert told.now.reason == "both_factors"


@system
def test_who_does_not_answer(world: World, tmp_path: Path) -> None:
    """Exit 1: the explanation has a hole, and says where."""
    config = json.loads((world.home / "authproxy.yaml").read_text())
    config["ad_client"] |= {"port": 1, "timeout": 1}
    config["main"] |= {"state_dir": str(tmp_path / "never")}
    path = tmp_path / "authproxy.yaml"
    path.touch(0o600)
    path.write_text(json.dumps(config))
    code, said = authproxy(world, "-c", str(path), "--user", "alice", "--section", "vpn", "--json")
    body = json.loads(said)
    words = {rule["what"]: rule["word"] for rule in body["rules"]}
    assert code == 1
    assert (words["entry"], words["exempt"], words["proven"]) == ("unknown", "unknown", "no")
    assert (body["now"]["outcome"], body["complete"]) == ("unknown", False)
    assert not (tmp_path / "never").exists()


@system
def test_which_section(world: World) -> None:
    code, said = authproxy(world, "--user", "alice")
    assert code == 2
    assert "which section? --section radius_server_auto | radius_server_auto2" in said


@pytest.mark.parametrize("mode", FailMode)
def test_unproven_credentials_open_nothing(mode: FailMode) -> None:
    known = Known(Policy(mode), proven=False)
    expected = Outcome.SILENT if mode is FailMode.SILENT else Outcome.REJECT
    assert in_an_outage(known).outcome is expected


@pytest.mark.parametrize("mode", Mode)
def test_without_a_password_nothing_opens(mode: Mode) -> None:
    known = Known(Policy(FailMode.SAFE, mode, no_primary=True), no_primary=True, proven=True)
    assert not known.may_open
    assert in_an_outage(known).outcome is Outcome.REJECT
    assert now(known).outcome is Outcome.FACTOR


def test_what_limits_an_open_door_is_told() -> None:
    known = Known(Policy(FailMode.SAFE), limits=("fail_open_max_minutes: 30",), proven=True)
    assert "fail_open_max_minutes: 30" in in_an_outage(known).text
    known.proven_known = False
    assert in_an_outage(known).outcome is Outcome.UNKNOWN
