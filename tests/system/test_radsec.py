"""RADIUS over TLS, through radsecproxy and FreeRADIUS as they are in the field (R46, R53, R54, T5, A12, A13)."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench import wire
from tests.system.bench.daemon import free_port
from tests.system.bench.mschap import MsChap2, inside, open_salted
from tests.system.bench.oracles import Section
from tests.system.bench.radius_primary import RadiusPrimary
from tests.system.bench.wire import (
    ACCESS_ACCEPT,
    ACCESS_CHALLENGE,
    ACCESS_REJECT,
    PROXY_STATE,
    Request,
    codes,
)
from tests.system.bench.world import World, wait_for
from tests.system.modes import MANY
from tests.system.parts.clients import radclient
from tests.system.parts.freeradius import FreeRadius, Person
from tests.system.parts.pki import Files, make_certificate
from tests.system.parts.radsecproxy import RadSecProxy

pytestmark = pytest.mark.system

FRONT = "127.0.0.9"  # where radsecproxy takes what it hands on over TLS


class RadSec(World):
    """A section that is asked by UDP and over TLS, and the certificates of both sides."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = make_certificate(folder / "server", "127.0.0.1")
        self.client = make_certificate(folder / "client", "relay.example.test", client=True)
        self.port = free_port()
        self.vpn = self.add_section(
            "vpn",
            radsec_port=self.port,
            radsec_certificate_file=str(self.server.certificate),
            radsec_key_file=str(self.server.key),
            radsec_client_ca_file=str(self.client.authority),
            radsec_clients=[{"name": "relay", "ip": "127.0.0.1", "certificate": "relay.example.test"}],
        )

    def front(
        self, files: Files | None = None, *, section: Section | None = None, status: str = "off"
    ) -> RadSecProxy:
        """radsecproxy before the daemon, on the section's own port at another address."""
        port = (section or self.vpn).port
        return RadSecProxy(
            self.folder / "radsecproxy",
            (FRONT, port),
            ("127.0.0.1", self.port),
            over_tls="out",
            files=files or self.client,
            trust=self.server.authority,
            secret=self.secret,
            status=status,
        )


@pytest.fixture(scope="module")
def _radsec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadSec]:
    world = RadSec(tmp_path_factory.mktemp("radsec"))
    world.start()
    yield world
    world.close()


@pytest.fixture
def radsec(_radsec: RadSec) -> RadSec:
    assert _radsec.running.running
    return _radsec


def test_logins(radsec: RadSec) -> None:
    """Push, passcode, denied, wrong password; many at once on the one connection; answers in any order."""
    user, denied = radsec.add_user("alice"), radsec.add_user("mallory", answer="deny")
    passcode = radsec.canaries.passcode("passcode")
    radsec.cloud.users["alice"].passcodes = {passcode}
    with radsec.front(status="on") as proxy:
        nas = radsec.nas(address=FRONT)
        assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT], proxy.log
        assert codes([nas.ask(user.user, f"{user.password},{passcode}")]) == [ACCESS_ACCEPT]
        assert codes([nas.ask(denied.user, denied.password)]) == [ACCESS_REJECT]
        assert codes([nas.ask(user.user, radsec.canaries.new("wrong password"))]) == [ACCESS_REJECT]
        many = [radsec.add_user(f"many{number}") for number in range(40)]
        requests = [nas.login(one.user, one.password, identifier=number) for number, one in enumerate(many)]
        assert codes(nas.exchange_all(requests)) == [ACCESS_ACCEPT] * 40
        assert radsec.running.metric("authproxy_radsec_connections") == 1
    (event,) = radsec.wait_audit(username="mallory", decision="reject")
    assert event["reason"] == "factor_denied"


def test_unsigned_behind_a_relay(radsec: RadSec) -> None:
    """What by UDP nobody may send: no Message-Authenticator beside a Proxy-State. TLS vouches for it."""
    user = radsec.add_user("unsigned")
    with radsec.front():
        request = wire.access_request(
            user.user, user.password, radsec.secret.encode(), (PROXY_STATE, b"x"), message_authenticator=False
        )
        assert codes([radsec.nas(address=FRONT).exchange(request)]) == [ACCESS_ACCEPT]
        assert radsec.nas().silent(request, 0.3)


def test_udp_and_tls_are_one_login(radsec: RadSec) -> None:
    """R46: a NAS that turns from the one to the other while the push waits gets no second push."""
    user = radsec.add_user("both", answer=None)
    with radsec.front():
        first, second = radsec.nas(), radsec.nas(address=FRONT)
        asked = [nas.login(user.user, user.password) for nas in (first, second)]
        first.send(asked[0])
        wait_for(lambda: radsec.asked(user.user))
        second.send(asked[1])
        radsec.wait_log("login.joined")
        radsec.cloud.decide(user.user, "allow")
        replies = [first.receive(asked[0]), second.receive(asked[1])]
    assert codes(replies) == [ACCESS_ACCEPT] * 2
    assert len(radsec.asked(user.user)) == 1


@pytest.mark.parametrize("wrong", ["another name", "another authority"])
def test_a_wrong_certificate(radsec: RadSec, wrong: str, tmp_path: Path) -> None:
    """R54: no octet of RADIUS is read from it."""
    user = radsec.add_user(wrong.replace(" ", "-"))
    name = "relay.example.test" if wrong == "another authority" else "stranger.example.test"
    files = make_certificate(tmp_path, name, client=True)
    if wrong == "another name":
        config = json.loads(radsec.write_config().read_text())
        options = next(section for section in config.values() if section.get("name") == "vpn")
        both = tmp_path / "both.pem"
        both.write_bytes(radsec.client.authority.read_bytes() + files.authority.read_bytes())
        options["radsec_client_ca_file"] = str(both)
        reload(radsec, config)
    refused = radsec.running.metric("authproxy_radsec_disconnected_total")
    with radsec.front(files):
        assert radsec.nas(address=FRONT).ask(user.user, user.password, timeout=1) is None
        wait_for(lambda: radsec.running.metric("authproxy_radsec_disconnected_total") > refused)
    assert radsec.binds(user.user) == []
    if wrong == "another name":
        radsec.wait_log("radius.certificate_unknown", "stranger.example.test")
        reload(radsec, radsec.config)


def reload(world: World, config: dict[str, object]) -> None:
    before = world.log().count("service.reloaded")
    (world.home / "authproxy.yaml").write_text(json.dumps(config))
    world.running.reload()
    wait_for(lambda: world.log().count("service.reloaded") > before)


def test_reload(radsec: RadSec, tmp_path: Path) -> None:
    """T5, A13: a login that waits keeps its connection over a new certificate; a broken file changes nothing."""
    user = radsec.add_user("patient", answer=None)
    with radsec.front():
        nas = radsec.nas(address=FRONT)
        request = nas.login(user.user, user.password)
        nas.send(request)
        wait_for(lambda: radsec.asked(user.user))
        new = make_certificate(tmp_path, "127.0.0.1")
        config = json.loads(json.dumps(radsec.config))
        options = next(section for section in config.values() if section.get("name") == "vpn")
        options |= {"radsec_certificate_file": str(new.certificate), "radsec_key_file": str(new.key)}
        reload(radsec, config)
        options["radsec_key_file"] = str(radsec.server.key)
        (radsec.home / "authproxy.yaml").write_text(json.dumps(config))
        radsec.running.reload()
        radsec.wait_log("config.invalid", "radsec_certificate_file")
        radsec.cloud.decide(user.user, "allow")
        assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]
        assert radsec.running.metric("authproxy_radsec_connections") == 1
    reload(radsec, radsec.config)


def test_freeradius_in_front(radsec: RadSec, tmp_path: Path) -> None:
    """Its own RadSec client, with its Proxy-State. It reads one answer out of a record, and no more."""
    user, denied = radsec.add_user("fred"), radsec.add_user("freda", answer="deny")
    relay = FreeRadius(
        tmp_path / "relay",
        radsec.secret,
        relay_to=(radsec.port, "radsec"),
        relay_tls=(radsec.client, radsec.server.authority),
        address=FRONT,
        port=radsec.vpn.port,
    )
    with relay:
        nas = radsec.nas(address=FRONT)
        asked = [nas.ask(one.user, one.password) for one in (user, denied)]
        many = [radsec.add_user(f"fred{number}", answer=None) for number in range(30)]
        requests = [nas.login(one.user, one.password, identifier=number) for number, one in enumerate(many)]
        for request in requests:
            nas.send(request)
        wait_for(lambda: all(radsec.asked(one.user) for one in many))
        for one in many:
            radsec.cloud.decide(one.user, "allow")
        assert codes([nas.receive(request) for request in requests]) == [ACCESS_ACCEPT] * 30
    assert codes(asked) == [ACCESS_ACCEPT, ACCESS_REJECT], relay.log


# ---- as a client, towards a primary


class Behind(World):
    """Sections whose primary is asked over TLS: FreeRADIUS, and a scripted server behind radsecproxy."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.own = make_certificate(folder / "own", "proxy.example.test", client=True)
        password = self.canaries.new("the password of many")
        people = {
            "many": Person(password, MANY),
            **{name: Person(self.canaries.new(f"the password of {name}")) for name in ("plain", "busy")},
        }
        self.freeradius = FreeRadius(
            folder / "freeradius",
            self.canaries.new("the secret of FreeRADIUS"),
            people,
            signs=False,
            radsec=self.own.authority,
        )
        self.know_passwords({name: person.password for name, person in people.items()})
        self.scripted = RadiusPrimary(self.journal, lambda asked: asked.reply(ACCESS_ACCEPT))
        self.tls = [free_port(), free_port()]
        self.far = make_certificate(folder / "far", "127.0.0.1")
        self.proxy, self.other = (self._proxy(folder / f"radsecproxy{port}", port) for port in self.tls)
        self._use(
            "radius_client", [self.freeradius.radsec_port], self.freeradius.authority, failures_per_user=0
        )
        self._use("radius_client2", self.tls, self.far.authority)
        self._use("radius_client3", [self.freeradius.radsec_port], self.far.authority)
        self.use_radius(
            "radius_client4",
            self.freeradius.port,
            self.freeradius.secret,
            accounting_port=self.freeradius.accounting_port,
        )
        self.accounting = free_port()
        self.near = self.add_section(
            "near",
            exempt=("busy",),
            client="radius_client",
            accounting_client="radius_client",
            accounting_port=self.accounting,
        )
        self.plain = free_port()
        self.books = self.add_section(
            "books", client="radius_client4", accounting_client="radius_client4", accounting_port=self.plain
        )
        self.both = self.add_section("both", client="radius_client2")
        self.misled = self.add_section("misled", client="radius_client3")

    def _proxy(self, folder: Path, port: int) -> RadSecProxy:
        return RadSecProxy(
            folder,
            ("127.0.0.1", port),
            ("127.0.0.1", self.scripted.port),
            over_tls="in",
            files=self.far,
            trust=self.own.authority,
            secret=self.scripted.secret,
        )

    def _use(self, name: str, ports: list[int], authority: Path, **more: object) -> None:
        self.config[name] = {
            "host": ["127.0.0.1"] * len(ports),
            "port": ports,
            "transport": "radsec",
            "ssl_ca_certs_file": str(authority),
            "ssl_client_cert_file": str(self.own.certificate),
            "ssl_client_key_file": str(self.own.key),
            "pass_through_all": True,
            **more,
        }


@pytest.fixture(scope="module")
def _behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    world = Behind(tmp_path_factory.mktemp("behind"))
    with world.freeradius, world.proxy, world.other:
        world.start()
        yield world
        world.close()


@pytest.fixture
def behind(_behind: Behind) -> Behind:
    assert _behind.running.running
    return _behind


def test_freeradius_as_the_primary(behind: Behind) -> None:
    """Attributes cross, hidden ones hidden anew; no Message-Authenticator is asked for; MS-CHAP keys fit."""
    many, nas = behind.freeradius.people["many"], behind.nas(behind.near)
    request = nas.login("many", many.password)
    reply = nas.exchange(request)
    assert reply is not None, behind.freeradius.log
    assert reply.code == ACCESS_ACCEPT
    assert open_salted(reply.values(69)[0][1:], nas.secret, request.authenticator) == b"secret tunnel"
    exchange = MsChap2("plain", behind.freeradius.people["plain"].password)
    made = wire.access_request("plain", None, behind.secret.encode(), *exchange.attributes())
    request = Request(made.octets, "plain", behind.freeradius.people["plain"].password.encode())
    reply = nas.exchange(request)
    assert reply is not None
    found = inside(reply.values(26))
    assert (
        tuple(open_salted(found[kind], nas.secret, request.authenticator) for kind in (16, 17))
        == exchange.keys()
    )
    assert codes([nas.ask("many", behind.canaries.new("wrong password"))]) == [ACCESS_REJECT]
    busy = behind.freeradius.people["busy"]
    requests = [nas.login("busy", busy.password, (31, str(n).encode()), identifier=n) for n in range(60, 90)]
    assert codes(nas.exchange_all(requests)) == [ACCESS_ACCEPT] * 30


def test_a_primary_that_is_not_who_it_should_be(behind: Behind) -> None:
    """T1: right port, another authority: it sees no password, and nobody is let in."""
    many = behind.freeradius.people["many"]
    asked = behind.freeradius.log.count("[many]")
    assert codes([behind.nas(behind.misled).ask("many", many.password)]) == [ACCESS_REJECT]
    (event,) = behind.wait_audit(server_section="misled", decision="reject")
    assert event["reason"] == "primary_unavailable"
    behind.wait_log("primary.not_connected", "its authority is not trusted")
    assert behind.freeradius.log.count("[many]") == asked


def test_behind_radsecproxy(behind: Behind) -> None:
    """Challenge, Reject and Accept; then the server goes while a login waits, and it goes on at the next."""
    nas, user = behind.nas(behind.both), behind.add_user("through")
    answers = iter((ACCESS_CHALLENGE, ACCESS_REJECT, ACCESS_ACCEPT))
    behind.scripted.script = lambda asked: asked.reply(next(answers), (24, b"1"))
    assert codes([nas.ask(user.user, user.password) for _ in range(3)]) == [11, 3, 2]
    before = len(behind.scripted.logins())
    behind.scripted.script = lambda asked: None
    request = nas.login(user.user, user.password)
    nas.send(request)
    wait_for(lambda: len(behind.scripted.logins()) > before)
    behind.scripted.script = lambda asked: asked.reply(ACCESS_ACCEPT)
    behind.proxy.stop()
    reply = nas.receive(request)
    logins = behind.scripted.logins()[before:]
    assert codes([reply]) == [ACCESS_ACCEPT]
    assert len({asked.authenticator for asked in logins}) == len(logins)


# ---- accounting


def session(name: str, status: str = "Start") -> list[str]:
    return [f'User-Name = "{name}"', f"Acct-Status-Type = {status}", f'Acct-Session-Id = "of-{name}"']


@pytest.mark.parametrize("way", ["udp", "tls"])
def test_accounting(behind: Behind, way: str) -> None:
    """R51: FreeRADIUS has it on its disk before radclient is told so; by UDP, and on the connection of the logins."""
    port = behind.plain if way == "udp" else behind.accounting
    for status in ("Start", "Interim-Update", "Stop"):
        said = radclient(
            "127.0.0.1",
            port,
            behind.secret,
            "",
            "",
            *session(way, status),
            "Proxy-State = 0x6162",
            command="acct",
        )
        assert said.reply == "Accounting-Response", (said.text, behind.freeradius.log)
        assert "Proxy-State = 0x6162" in said.text.partition("Received")[2]
        entry = behind.freeradius.accounting.rpartition("Packet-Type = Accounting-Request")[2]
        assert f'Acct-Session-Id = "of-{way}"' in entry
        assert f"Acct-Status-Type = {status}" in entry


def test_accounting_of_a_stranger(behind: Behind) -> None:
    """R23: with another secret it is dropped, counted, and nobody's books have it."""
    other = behind.canaries.new("another secret")
    said = radclient("127.0.0.1", behind.plain, other, "", "", *session("eve"), command="acct", timeout=1)
    assert said.reply == ""
    assert behind.running.metric("authproxy_radius_discarded_total", cause="accounting_authenticator") == 1
    assert "of-eve" not in behind.freeradius.accounting


def test_accounting_from_radsecproxy(radsec: RadSec, tmp_path: Path) -> None:
    """Over TLS to the port of the logins (unsigned: its 1.9 takes no signed ones). With nowhere to
    hand it on to it is counted, and the connection stays.
    """
    user = radsec.add_user("books")
    with radsec.front():
        said = radclient(
            FRONT,
            radsec.vpn.port,
            radsec.secret,
            "",
            "",
            *session("x"),
            command="acct",
            signed=False,
            timeout=1,
        )
        assert said.reply == ""
        assert (
            radsec.running.metric("authproxy_radius_discarded_total", cause="accounting_not_forwarded") == 1
        )
        assert codes([radsec.nas(address=FRONT).ask(user.user, user.password)]) == [ACCESS_ACCEPT]
        with FreeRadius(tmp_path / "books", radsec.canaries.new("the secret of books")) as books:
            config = json.loads(json.dumps(radsec.config))
            options = next(section for section in config.values() if section.get("name") == "vpn")
            options |= {
                "client": "ad_client",
                "accounting_client": "radius_client",
                "accounting_port": free_port(),
            }
            config["radius_client"] = {
                "host": "127.0.0.1",
                "port": books.port,
                "secret": books.secret,
                "accounting_port": books.accounting_port,
            }
            reload(radsec, config)
            said = radclient(
                FRONT, radsec.vpn.port, radsec.secret, "", "", *session("y"), command="acct", signed=False
            )
            assert said.reply == "Accounting-Response", books.log
            assert "of-y" in books.accounting
        reload(radsec, radsec.config)


def test_drain(tmp_path: Path) -> None:
    """A12: who waits on a connection is answered on it, and then it ends."""
    world = RadSec(tmp_path)
    user = world.add_user("alice", answer=None)
    daemon = world.start()
    with world.front():
        nas = world.nas(address=FRONT)
        request = nas.login(user.user, user.password)
        nas.send(request)
        wait_for(lambda: world.asked(user.user))
        daemon.signal(signal.SIGTERM)
        world.wait_log("service.draining")
        world.cloud.decide(user.user, "allow")
        assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]
        assert daemon.wait() == 0
    world.close()
