"""`authproxy probe` at a real directory, with the fake cloud and the real daemon: what is wrong has its line.

It only looks: nothing is made, nobody's password is tried, nobody is pushed.
"""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authproxy.cli.finding import Finding, Level
from authproxy.cli.port_holder import holder_of
from authproxy.cli.probe import Report
from authproxy.cli.probe_here import _folder
from authproxy.cli.terminal import Terminal
from tests.system.bench.journal import CloudRequest
from tests.system.bench.pki import Authority
from tests.system.bench.world import World
from tests.system.parts import slapd as openldap
from tests.system.parts.slapd import Slapd

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, slapd: Slapd) -> Iterator[World]:
    made = World(tmp_path)
    made.add_section()
    made.use_real_directory(
        {"alice": openldap.password_of("alice")},
        host="127.0.0.1",
        port=slapd.ldaps_port,
        transport="ldaps",
        ssl_ca_certs_file=str(slapd.ca_file),
        auth_type="plain",
        bind_dn=openldap.SERVICE,
        service_account_password=openldap.SERVICE_PASSWORD,
        search_dn=openldap.SUFFIX,
        username_attribute="uid",
    )
    yield made
    made.close()


def probe(world: World, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "authproxy", "probe", "-c", str(world.write_config()), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert world.canaries.find("the probe's output", said.encode()) == []
    assert "Traceback" not in said
    return done.returncode, said


def findings(world: World) -> tuple[int, dict[str, dict[str, Any]]]:
    """By what was tried."""
    code, said = probe(world, "--json")
    return code, {finding["what"]: finding for finding in json.loads(said)["findings"]}


def test_all_well(world: World) -> None:
    code, said = probe(world)
    assert code == 0, said
    assert "FAILED" not in said
    for words in (
        "localhost is 127.0.0.1",
        "over TLS; certificate until",
        "right, within a second",
        "accepts those of DI",
        "service account logs in",
        "not Active Directory; certificate until",
        "free: authproxy isn't running",
    ):
        assert words in said, said
    assert sorted(path.name for path in world.home.iterdir()) == ["authproxy.yaml"]
    assert {request.endpoint for request in world.journal.all(CloudRequest)} <= {"ping", "check"}


def test_a_cloud_that_is_not_there_and_a_password_that_is_wrong(world: World) -> None:
    world.cloud.become("refused")
    world.config["ad_client"]["service_account_password"] = world.canaries.new("a wrong password")
    code, found = findings(world)
    assert code == 1
    assert found["name"]["level"] == "ok"
    assert found["cloud"]["level"] == "failed"
    assert found["cloud"]["detail"].startswith("unreachable: ")
    assert "http_proxy_host" in found["cloud"]["detail"]
    assert not {"clock", "credentials"} & found.keys()  # not tried
    assert found["directory"]["level"] == "failed"
    assert "service account" in found["directory"]["detail"] or "bind" in found["directory"]["detail"]


def test_certificates_of_others(world: World) -> None:
    stranger = Authority(world.folder / "stranger")
    world.cloud.become("other", stranger.context("localhost"))
    world.config["ad_client"]["ssl_ca_certs_file"] = str(stranger.ca)
    code, found = findings(world)
    assert code == 1
    assert found["cloud"]["detail"].startswith("untrusted: ")
    assert "authority" in found["directory"]["detail"]


def test_wrong_keys_and_a_base_that_is_not_there(world: World) -> None:
    world.options(world.sections[0])["skey"] = world.canaries.new("another key", 40)
    world.expected_refusals = re.compile("signature")
    world.config["ad_client"]["search_dn"] = "dc=nowhere,dc=test"
    code, found = findings(world)
    assert code == 1
    assert (found["cloud"]["level"], found["clock"]["level"]) == ("warn", "ok")  # a certificate for a day
    assert found["credentials"]["detail"].startswith("credential: ")
    assert "compare ikey, skey" in found["credentials"]["detail"]
    assert "search_dn dc=nowhere,dc=test" in found["directory"]["detail"]


@pytest.mark.parametrize(
    ("skew", "level", "words"), [(30, "warn", r"(29|30) s behind"), (-90, "failed", r"9\d s ahead")]
)
def test_clocks(world: World, skew: float, level: str, words: str) -> None:
    world.cloud.skew = skew
    code, found = findings(world)
    assert found["clock"]["level"] == level
    assert re.search(words, found["clock"]["detail"])
    assert code == (1 if level == "failed" else 0)


def test_a_name_that_is_none(world: World) -> None:
    world.options(world.sections[0])["api_host"] = "nowhere.invalid"
    code, found = findings(world)
    assert code == 1
    assert found["name"]["level"] == "failed"
    assert "cloud" not in found


@pytest.mark.long
def test_radius_primaries(world: World) -> None:
    """A world's daemon is another's primary: it answers whom it knows, and is silent to all others."""
    world.start()
    primary = world.sections[0]
    world.add_section("front", kind="radius_server_challenge", client="radius_client")
    world.options(primary)["client"] = "ad_client"
    world.config["radius_client"] = {"host": "127.0.0.1", "port": primary.port, "secret": world.secret}
    _, found = findings(world)
    assert found["radius"]["level"] == "ok"
    assert "the secret is right" in found["radius"]["detail"]
    # F11: the NAS before us has the primary's secret.
    assert found["bypass"]["level"] == "warn"
    assert found["bypass"]["name"] == "radius_client: client nas of front"
    assert "has the same secret as the primary" in found["bypass"]["detail"]
    world.config["radius_client"]["secret"] = world.canaries.new("another secret")
    code, found = findings(world)
    assert code == 0
    assert found["radius"]["level"] == "warn"
    assert "compare secret" in found["radius"]["detail"]
    # The primary takes the NAS's secret, though it isn't ours.
    assert "the primary accepts this client's secret" in found["bypass"]["detail"]
    world.options(world.sections[1])["clients"][0]["secret"] = world.canaries.new("the NAS's own secret")
    assert "bypass" not in findings(world)[1]


@pytest.mark.long
def test_with_the_daemon_running(world: World) -> None:
    world.start()
    code, found = findings(world)
    assert code == 0
    assert found["state_dir"]["detail"].startswith("can be written")
    ports = json.loads(probe(world, "--json")[1])["findings"][-2:]
    assert [port["level"] for port in ports] == ["ok", "ok"]
    assert ports[0]["detail"].startswith("authproxy answers (authproxy, process ")
    assert ports[1]["detail"] == "authproxy is running and ready"
    # Asked with a secret that the running one doesn't have.
    world.options(world.sections[0])["clients"][0]["secret"] = world.canaries.new("a newer secret")
    code, said = probe(world)
    assert code == 1
    assert "which doesn't answer as authproxy with this configuration would" in said


@pytest.mark.long
def test_ports_of_others(world: World) -> None:
    section = world.sections[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(("127.0.0.1", section.port))
        tcp.bind(("127.0.0.1", world.admin))  # and doesn't answer
        code, said = probe(world)
    assert code == 1
    ports = [line for line in said.splitlines() if " port " in line]
    assert all(line.startswith("FAILED") for line in ports), said
    assert "in use by python" in ports[0] or "in use by pytest" in ports[0]


@pytest.mark.parametrize(
    ("option", "value"),
    [("api_port", "x"), ("api_ca_certs_file", "authproxy.yaml"), ("api_ca_certs_file", "none.pem")],
)
def test_what_is_invalid(world: World, option: str, value: str) -> None:
    world.options(world.sections[0])[option] = value
    code, said = probe(world)
    assert code == 2
    assert f"radius_server_auto.{option}" in said


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert _folder("log_dir", tmp_path).level is Level.OK
    assert "doesn't exist yet" in _folder("log_dir", tmp_path / "a" / "b").detail
    assert _folder("log_dir", tmp_path / "file").detail == "not a folder"
    assert not (tmp_path / "a").exists()


def test_who_holds_a_port() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::1", 0))
        holder = holder_of(sock.getsockname()[1], "udp")
        port = sock.getsockname()[1]
    assert holder is not None
    assert not holder.is_authproxy
    assert holder_of(port, "udp") is None


def test_progress_shows_on_a_terminal_only() -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    finding = Finding(Level.OK, "cloud", "vpn: api\x1b[2J", "answers")
    for screen, seen in ((Screen(), True), (io.StringIO(), False)):
        report = Report(terminal=Terminal(screen))
        report.waiting(["vpn", "ad_client"])
        report.add(finding)
        report.end()
        assert ("waiting for vpn, ad_client" in screen.getvalue()) is seen
        assert "\x1b[2J" not in screen.getvalue()
        assert "1 ok" in screen.getvalue()
