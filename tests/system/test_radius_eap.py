"""EAP that ends at the daemon: PEAP with GTC and TTLS with PAP, by wpa_supplicant, which checks the keys too (R44)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.bench import wire
from tests.system.bench.cloud import User
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, EAP_MESSAGE, STATE, codes
from tests.system.bench.world import Login, World
from tests.system.parts.eapol import Heard, eapol
from tests.system.parts.freeradius import FreeRadius, Person
from tests.system.parts.pki import make_certificate

pytestmark = pytest.mark.system

METHODS = ["peap-gtc", "ttls-pap"]


class Wlan(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        files = make_certificate(folder / "server", "radius.example.test")
        self.ca = files.authority
        shared: dict[str, Any] = {
            "kind": "radius_server_eap",
            "certs": str(files.certificate),
            "pkey": str(files.key),
        }
        self.wlan = self.add_section("wlan", client="ad_client", **shared)
        self.appends = self.add_section("appends", client="ad_client", allow_concat=True, **shared)
        self.safe = self.add_section("safe", client="ad_client", failmode="safe", **shared)
        self.tls13 = self.add_section("tls13", client="ad_client", minimum_tls_version="tls1.3", **shared)
        people = {"robin": Person(self.canaries.new("the password of robin"), ('Class = "staff"',))}
        self.freeradius = FreeRadius(folder / "fr", self.canaries.new("the primary's secret"), people)
        self.know_passwords({name: person.password for name, person in people.items()})
        server = (self.freeradius.port, self.freeradius.secret)
        self.use_radius("radius_client", *server, pass_through_all=True)
        self.relay = self.add_section("relay", client="radius_client", **shared)

    def log_in(
        self, folder: Path, method: str, user: Login, password: str | None = None, **more: Any
    ) -> Heard:
        section = more.pop("section", self.wlan)
        return eapol(
            folder,
            method,
            user.user,
            user.password if password is None else password,
            port=section.port,
            secret=self.secret,
            authority=self.ca,
            **more,
        )


@pytest.fixture(scope="module")
def _wlan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wlan]:
    world = Wlan(tmp_path_factory.mktemp("wlan"))
    with world.freeradius:
        world.start()
        yield world
        world.close()


@pytest.fixture
def wlan(_wlan: Wlan) -> Wlan:
    return _wlan


@pytest.fixture
def user(wlan: Wlan, request: pytest.FixtureRequest) -> Login:
    name = "u" + "".join(filter(str.isalnum, request.node.name))[:60].lower()
    return wlan.add_user(name)


@pytest.mark.parametrize("method", METHODS)
def test_right(wlan: Wlan, user: Login, method: str, tmp_path: Path) -> None:
    """The name inside counts; the one outside is nobody's. Keys on both sides are the same."""
    heard = wlan.log_in(tmp_path, method, user)
    assert heard.accepted, heard.text[-3000:]
    assert heard.keys, heard.text[-3000:]
    assert [bind.result for bind in wlan.binds(user.user)] == [0]
    assert [call["factor"] for call in wlan.asked(user.user)] == ["auto"]
    (event,) = wlan.wait_audit(username=user.user, decision="accept")
    assert event["reason"] == "both_factors"
    assert wlan.audit(username="anonymous") == []


@pytest.mark.parametrize("method", METHODS)
def test_somebody_elses_name_outside(wlan: Wlan, user: Login, method: str, tmp_path: Path) -> None:
    """R33: the NAS would have the session in the other's name; nobody is asked anything for it."""
    assert not wlan.log_in(tmp_path, method, user, outer="robin").accepted
    assert (wlan.binds(user.user), wlan.asked(user.user, "preauth")) == ([], [])
    (event,) = wlan.wait_audit(username=user.user, decision="reject")
    assert event["cause"] == "another_name_inside"


@pytest.mark.parametrize("method", METHODS)
def test_wrong_password(wlan: Wlan, user: Login, method: str, tmp_path: Path) -> None:
    heard = wlan.log_in(tmp_path, method, user, wlan.canaries.new("wrong password"))
    assert not heard.accepted
    assert heard.failure
    assert not heard.keys
    assert wlan.asked(user.user, "preauth") == []


@pytest.mark.parametrize("method", METHODS)
def test_denied(wlan: Wlan, user: Login, method: str, tmp_path: Path) -> None:
    wlan.cloud.users[user.user] = User(answer="deny")
    heard = wlan.log_in(tmp_path, method, user)
    assert not heard.accepted
    assert heard.failure
    assert not heard.keys
    (event,) = wlan.wait_audit(username=user.user, decision="reject")
    assert event["reason"] == "factor_denied"


@pytest.mark.parametrize("method", METHODS)
def test_tls13(wlan: Wlan, user: Login, method: str, tmp_path: Path) -> None:
    """RFC 9427: other keys, and nobody who speaks only TLS 1.2."""
    heard = wlan.log_in(tmp_path, method, user, section=wlan.tls13, phase1="tls_disable_tlsv1_3=0")
    assert heard.accepted, heard.text[-3000:]
    assert heard.keys, heard.text[-3000:]
    old = wlan.log_in(tmp_path, method, user, section=wlan.tls13, phase1="tls_disable_tlsv1_3=1")
    assert not old.accepted
    assert "radius.eap_failed" in wlan.log()


@pytest.mark.parametrize("method", METHODS)
def test_small_pieces(wlan: Wlan, user: Login, method: str, tmp_path: Path) -> None:
    """Both sides in pieces of a hundred octets."""
    heard = wlan.log_in(tmp_path, method, user, fragment=100, attributes=["12:d:104"])
    assert heard.accepted, heard.text[-3000:]
    assert heard.keys


@pytest.mark.parametrize("method", METHODS)
def test_radius_primary(wlan: Wlan, method: str, tmp_path: Path) -> None:
    """The server sees PAP with the name inside."""
    robin = Login("robin", wlan.freeradius.people["robin"].password)
    heard = wlan.log_in(tmp_path, method, robin, section=wlan.relay)
    assert heard.accepted, heard.text[-3000:]
    assert heard.keys
    assert "Login OK: [robin]" in wlan.freeradius.log
    wrong = wlan.log_in(tmp_path, method, robin, wlan.canaries.new("wrong password"), section=wlan.relay)
    assert not wrong.accepted
    assert wrong.failure


@pytest.mark.parametrize("method", METHODS)
def test_appended_passcode(wlan: Wlan, user: Login, method: str, tmp_path: Path) -> None:
    """`allow_concat`, which is off by default here."""
    passcode = wlan.canaries.passcode("passcode")
    wlan.cloud.users[user.user] = User(passcodes={passcode})
    typed = f"{user.password},{passcode}"
    assert not wlan.log_in(tmp_path, method, user, typed).accepted
    heard = wlan.log_in(tmp_path, method, user, typed, section=wlan.appends)
    assert heard.accepted, heard.text[-3000:]
    assert wlan.asked(user.user)[-1]["factor"] == "passcode"


def test_methods_that_are_not_spoken(wlan: Wlan, user: Login, tmp_path: Path) -> None:
    for method in ("peap-mschapv2", "ttls-mschapv2", "md5"):
        heard = wlan.log_in(tmp_path, method, user)
        assert not heard.accepted
        assert heard.failure, heard.text[-2000:]
    assert wlan.binds(user.user) == []


def test_an_empty_password(wlan: Wlan, user: Login, tmp_path: Path) -> None:
    """R25"""
    assert not wlan.log_in(tmp_path, "ttls-pap", user, "").accepted
    assert wlan.binds(user.user) == []


def test_an_outage(wlan: Wlan, user: Login, tmp_path: Path) -> None:
    """Open in a safe section, closed in the other; by name in the audit."""
    wlan.cloud.become("refused")
    try:
        shut = wlan.log_in(tmp_path, "peap-gtc", user)
        opened = wlan.log_in(tmp_path, "peap-gtc", user, section=wlan.safe)
    finally:
        wlan.cloud.become("well")
    assert (shut.accepted, opened.accepted) == (False, True)
    assert opened.keys
    (event,) = wlan.wait_audit(username=user.user, decision="accept")
    assert event["reason"] == "fail_open"


def test_pap_on_the_same_port(wlan: Wlan, user: Login) -> None:
    nas = wlan.nas(wlan.wlan)
    replies = [nas.ask(user.user, typed) for typed in (user.password, wlan.canaries.new("wrong password"))]
    assert codes(replies) == [ACCESS_ACCEPT, ACCESS_REJECT]


def test_garbage(wlan: Wlan) -> None:
    """A made up State, and EAP that is none, end in a Reject."""
    nas = wlan.nas(wlan.wlan)
    identity = (EAP_MESSAGE, b"\x02\x01\x00\x0a\x01alice")
    begun = nas.exchange(wire.access_request("alice", None, nas.secret, identity))
    assert begun is not None
    (state,) = begun.values(STATE)
    for message, handle in (
        (b"\x02\x02\x00\x06\x19\x00", b"made up"),
        (b"\x02", None),
        (b"\x01\x01\x00\x05\x01", None),
        (b"\x02\x63\x00\x06\x19\x00", state),  # another identifier
        (b"\x02\x02\x00\x06\x19\x00", state),  # after that it is over
    ):
        extra = [(EAP_MESSAGE, message), *([(STATE, handle)] if handle else [])]
        reply = nas.exchange(wire.access_request("alice", None, nas.secret, *extra))
        assert codes([reply]) == [ACCESS_REJECT]
