"""Attributes by group and user through the daemon: on every way to an Accept, and on no other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.bench.directory import BASE
from tests.system.bench.oracles import Section
from tests.system.bench.radius_primary import RadiusPrimary
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, STATE, Reply
from tests.system.bench.world import Login, World
from tests.system.parts.eapol import eapol
from tests.system.parts.pki import make_certificate

pytestmark = pytest.mark.system

CLASS, FILTER_ID, VENDOR = 25, 11, 26
GROUPS = f"OU=Groups,{BASE}"
ADMINS, STAFF, ALL = (f"CN={name},{GROUPS}" for name in ("admins", "staff", "all"))
PRIVILEGED = (9).to_bytes(4, "big") + b"\x01\x13shell:priv-lvl=15"
RULES = [
    {"user": "Robot", "send": ["Class = robots"]},
    {"group": ADMINS, "send": ["Class = admins", "Cisco-AVPair = shell:priv-lvl=15"]},
    {"group": ALL, "send": ["Class = staff", 'Filter-Id = "acl, staff"', "Tunnel-Private-Group-Id:1 = 42"]},
    {"send": ["Class = guests"]},
]


class Office(World):
    """Ada is in admins and staff, Sam in staff, which is in all; gus in no group."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        rules: dict[str, Any] = {"attributes": RULES, "client": "ad_client"}
        self.auto = self.add_section("auto", **rules)
        self.every = self.add_section("every", attributes_from="all", **rules)
        self.safe = self.add_section("safe", failmode="safe", exempt=("robot",), **rules)
        self.asks = self.add_section("asks", kind="radius_server_challenge", **rules)
        self.concat = self.add_section("concat", kind="radius_server_concat", **rules)
        self.certificate = files = make_certificate(folder / "server", "radius.example.test")
        self.wlan = self.add_section(
            "wlan",
            kind="radius_server_eap",
            certs=str(files.certificate),
            pkey=str(files.key),
            factors=["push", "passcode"],
            **rules,
        )
        self.server = RadiusPrimary(
            self.journal, lambda asked: asked.reply(2, (CLASS, b"theirs"), (FILTER_ID, b"their acl"))
        )
        self.use_radius("radius_client", self.server.port, self.server.secret, pass_through_all=True)
        by_user = [{"user": "ada", "send": ["Class = ours", "Filter-Id += our acl"]}]
        self.relay = self.add_section("relay", client="radius_client", attributes=by_user)
        self.people = {name: self.add_user(name) for name in ("ada", "sam", "gus", "robot")}
        self._group("admins", "ada")
        self._group("staff", "ada", "sam")
        self._group("all", STAFF)

    def _group(self, name: str, *members: str) -> None:
        dns = [member if "=" in member else f"CN={member},OU=People,{BASE}" for member in members]
        nobody = self.canaries.new(f"no password of {name}")
        attributes = {"objectClass": ["group"], "sAMAccountName": [f"group {name}"], "member": dns}
        self.directory.add(f"group {name}", nobody, dn=f"CN={name},{GROUPS}", attributes=attributes)

    def ask(self, section: Section, name: str, typed: str = "", *more: tuple[int, bytes]) -> Reply:
        user = self.people[name]
        reply = self.nas(section).ask(user.user, typed or user.password, *more)
        assert reply is not None
        return reply

    def log_in(self, folder: Path, user: Login, password: str) -> str:
        heard = eapol(
            folder,
            "peap-gtc",
            user.user,
            password,
            port=self.wlan.port,
            secret=self.secret,
            authority=self.certificate.authority,
        )
        return heard.text


@pytest.fixture(scope="module")
def _office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    world = Office(tmp_path_factory.mktemp("office"))
    world.start()
    yield world
    world.close()


@pytest.fixture
def office(_office: Office) -> Office:
    return _office


@pytest.mark.parametrize(
    ("name", "classes", "filters", "vendors"),
    [
        ("ada", [b"admins"], [], [PRIVILEGED]),
        ("sam", [b"staff"], [b"acl, staff"], []),
        ("gus", [b"guests"], [], []),
        ("robot", [b"robots"], [], []),
    ],
)
def test_behind_a_push(
    office: Office, name: str, classes: list[bytes], filters: list[bytes], vendors: list[bytes]
) -> None:
    reply = office.ask(office.auto, name)
    assert reply.code == ACCESS_ACCEPT
    assert (reply.values(CLASS), reply.values(FILTER_ID), reply.values(VENDOR)) == (classes, filters, vendors)
    assert reply.values(81) == ([b"\x0142"] if name == "sam" else [])


def test_of_every_group(office: Office) -> None:
    assert office.ask(office.every, "ada").values(CLASS) == [b"admins", b"staff"]


def test_behind_an_appended_passcode(office: Office) -> None:
    passcodes = [office.canaries.passcode("appended"), office.canaries.passcode("appended to concat")]
    office.cloud.users["sam"].passcodes = set(passcodes)
    for section, passcode in zip((office.auto, office.concat), passcodes, strict=True):
        reply = office.ask(section, "sam", f"{office.people['sam'].password},{passcode}")
        assert (reply.code, reply.values(CLASS)) == (ACCESS_ACCEPT, [b"staff"])


def test_behind_a_challenge(office: Office) -> None:
    """The prompt has none of them (R42); the answer to it has."""
    asked = office.ask(office.asks, "sam")
    assert asked.code == ACCESS_CHALLENGE
    assert asked.values(CLASS) == asked.values(FILTER_ID) == []
    (state,) = asked.values(STATE)
    reply = office.ask(office.asks, "sam", "1", (STATE, state))
    assert (reply.code, reply.values(CLASS)) == (ACCESS_ACCEPT, [b"staff"])


def test_without_a_second_factor(office: Office) -> None:
    """Exempt, let in by the cloud, and in an outage."""
    assert office.ask(office.safe, "robot").values(CLASS) == [b"robots"]
    office.cloud.users["gus"].preauth = "allow"
    assert office.ask(office.safe, "gus").values(CLASS) == [b"guests"]
    office.cloud.become("refused")
    open_door = office.ask(office.safe, "sam")
    assert (open_door.code, open_door.values(CLASS)) == (ACCESS_ACCEPT, [b"staff"])
    (event,) = office.wait_audit(username="sam", reason="fail_open")
    assert event["fail_open"] is True
    shut = office.ask(office.auto, "sam")
    office.cloud.become("well")
    assert (shut.code, shut.values(CLASS), shut.values(FILTER_ID)) == (ACCESS_REJECT, [], [])


def test_inside_eap(office: Office, tmp_path: Path) -> None:
    """PEAP: the name inside counts, and the Accept around it has them."""
    text = office.log_in(tmp_path, office.people["sam"], office.people["sam"].password)
    assert "SUCCESS" in text
    assert b"staff".hex() in text.lower()


@pytest.mark.parametrize("verdict", ["deny", "timeout", "fraud"])
def test_nothing_on_a_denial(office: Office, verdict: Any) -> None:
    user = office.add_user(f"denied{verdict}", answer=verdict)
    office.people[user.user] = user
    reply = office.ask(office.auto, user.user)
    assert reply.code == ACCESS_REJECT
    assert {kind for kind, _ in reply.attributes} <= {18, 80}


def test_over_a_radius_primarys(office: Office) -> None:
    """By user; `=` takes the place of the server's, `+=` stands beside it; others get the server's alone."""
    office.server.script = lambda asked: asked.reply(2, (CLASS, b"theirs"), (FILTER_ID, b"their acl"))
    ours = office.ask(office.relay, "ada")
    assert (ours.values(CLASS), ours.values(FILTER_ID)) == ([b"ours"], [b"their acl", b"our acl"])
    theirs = office.ask(office.relay, "sam")
    assert (theirs.values(CLASS), theirs.values(FILTER_ID)) == ([b"theirs"], [b"their acl"])


def test_a_group_that_cannot_be_looked_up_lets_nobody_in(world: World) -> None:
    """Without an answer about it, what restricts its members would be missing."""
    world.add_section("vpn", failmode="safe", attributes=[{"group": ADMINS, "send": ["Class = admins"]}])
    user = world.add_user("alice")
    world.start()
    reply = world.nas().ask(user.user, user.password)
    assert reply is not None
    assert reply.code == ACCESS_REJECT
    (event,) = world.wait_audit(username="alice", decision="reject")
    assert event["reason"] == "primary_unavailable"
    assert f"group {ADMINS}: no such group" in world.wait_log("directory.unusable")
    assert world.asked("alice", "preauth") == []


def test_an_answer_after_a_restart(world: World) -> None:
    """H3: the State has no room for groups; they are looked up anew."""
    rules = [{"group": ADMINS, "send": ["Class = admins"]}, {"send": ["Class = others"]}]
    world.add_section("vpn", kind="radius_server_challenge", attributes=rules)
    user = world.add_user("alice")
    members = {
        "member": [f"CN=alice,OU=People,{BASE}"],
        "objectClass": ["group"],
        "sAMAccountName": ["group"],
    }
    world.directory.add("group", world.canaries.new("no password"), dn=ADMINS, attributes=members)
    world.start()
    asked = world.nas().ask(user.user, user.password)
    assert asked is not None
    (state,) = asked.values(STATE)
    assert world.running.stop() == 0
    world.start()
    reply = world.nas().ask(user.user, "1", (STATE, state))
    assert reply is not None
    assert (reply.code, reply.values(CLASS)) == (ACCESS_ACCEPT, [b"admins"])


def test_what_cannot_be_sent_is_told_with_its_line(world: World) -> None:
    rules = [
        {"user": "a", "send": ["Class = x", "Clas = y"]},
        {"send": ["Session-Timeout = soon", "State = z"]},
    ]
    world.add_section("vpn", attributes=rules)
    checked = subprocess.run(
        [sys.executable, "-m", "authproxy", "check", "-c", str(world.write_config())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 2
    told = checked.stdout + checked.stderr
    for problem in (
        "attributes[0].send[1]: no dictionary has an attribute Clas (did you mean Class",
        "attributes[1].send[0]: Session-Timeout: a number is expected",
        "attributes[1].send[1]: State has no place in an Access-Accept",
    ):
        assert problem in told
