"""The verbs that speak to a running proxy, with the real one."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.directory import BASE
from tests.system.bench.world import Login, World
from tests.system.ldap_apps import add_apps

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("verbs"))
    made.add_section("vpn", failmode="safe")
    made.add_section("asks", kind="radius_server_challenge")
    add_apps(made)
    made.add_user("alice")
    made.add_user("mallory", answer="deny")
    made.start()
    yield made
    made.close()


def authproxy(world: World, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "authproxy", *words, "-c", str(world.running.config)],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert world.canaries.find("the command's output", (done.stdout + done.stderr).encode()) == []
    return done


def login(world: World, who: Login, *words: str, section: str = "vpn") -> tuple[int, str]:
    typed = "\n".join([who.password, *words, ""])
    done = authproxy(world, "login", "--section", section, who.user, "--password-stdin", typed=typed)
    return done.returncode, done.stdout


def known(world: World, name: str) -> Login:
    account = next(account for account in world.directory.accounts if account.user == name)
    return Login(name, account.password.decode())


def test_logins(world: World) -> None:
    alice, mallory = known(world, "alice"), known(world, "mallory")
    assert login(world, alice)[0] == 0
    assert login(world, mallory)[0] == 1
    assert login(world, Login("alice", world.canaries.new("a wrong password")))[0] == 1
    assert login(world, alice, "1", section="asks")[0] == 0
    world.wait_audit(username="alice", server_section="asks", decision="accept")


def test_ldap_logins(world: World) -> None:
    alice, mallory = known(world, "alice"), known(world, "mallory")
    for name in (f"CN=alice,OU=People,{BASE}", "alice@corp.test"):
        assert login(world, Login(name, alice.password), section="apps") == (0, "Accept\n")
    code, said = login(world, Login("mallory@corp.test", mallory.password), section="apps")
    assert (code, said) == (1, "Reject: 49 invalid_credentials: Login refused.\n")
    world.wait_audit(2, server_section="apps", reason="both_factors")


def test_probe_sees_ldap_ports(world: World) -> None:
    done = authproxy(world, "probe", "--json")
    found = json.loads(done.stdout)["findings"]
    ports = [
        one for one in found if one["what"] == "port" and one["name"].startswith("ldap_server_auto: tcp")
    ]
    assert [port["level"] for port in ports] == ["ok", "ok"]
    assert all(port["detail"].startswith("LDAP is answered (authproxy") for port in ports)
    assert [one["level"] for one in found if one["what"] == "ssl_cert_path"] != []


def test_status_and_an_open_door(world: World) -> None:
    done = authproxy(world, "status")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].endswith(": ready")
    world.cloud.become("refused")
    assert login(world, known(world, "alice"))[0] == 0
    assert login(world, known(world, "alice"), section="asks")[0] == 1  # that one is secure
    done = authproxy(world, "status")
    assert done.returncode == 1
    assert "asks: cloud localhost is out of reach" in done.stdout
    assert "THE DOOR IS OPEN: vpn" in done.stdout
    assert "1 login was let in by fail open" in done.stdout
    world.cloud.heal()
    shown = json.loads(authproxy(world, "status", "--json").stdout)
    assert [event["username"] for event in shown["fail_opens"]] == ["alice"]


def test_support(world: World, tmp_path: Path) -> None:
    """B3 for the bundle: each of the world's secrets is a canary."""
    bundle = tmp_path / "bundle.tar.gz"
    assert authproxy(world, "support", "-o", str(bundle)).returncode == 0
    with tarfile.open(bundle) as opened:
        files = {member.name.partition("/")[2]: opened.extractfile(member) for member in opened.getmembers()}
        assert {"check.txt", "status.json", "log/authproxy.log", "log/authevents.log"} <= files.keys()
        for name, file in files.items():
            assert file is not None
            octets = file.read()
            assert world.canaries.find(name, octets) == []
            assert b"not to be had" not in octets
