"""`main.admin` for other machines: TLS and a token, or nothing (the contract, section 6)."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.bench.world import World
from tests.system.ldap_apps import eventually
from tests.system.parts.pki import Files, make_certificate

pytestmark = pytest.mark.system


@pytest.fixture
def files(world: World) -> Files:
    """The admin endpoint's certificate; its token is `world.token`."""
    made = make_certificate(world.home / "pki-admin", "localhost", "127.0.0.1")
    made.key.chmod(0o600)
    world.config["main"] |= {
        "admin_tls_cert": str(made.certificate),
        "admin_tls_key": str(made.key),
        "admin_token": world.canaries.new("the admin's token"),
    }
    world.add_section("vpn")
    world.start(wait=False)
    eventually(lambda: "ready version=" in world.log(), 20)
    return made


def ask(world: World, authority: Path, path: str, token: str = "") -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(authority))
    connection = http.client.HTTPSConnection("localhost", world.admin, timeout=10, context=context)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_nothing_is_said_in_clear(world: World, files: Files) -> None:
    token = world.config["main"]["admin_token"]
    connection = http.client.HTTPConnection("127.0.0.1", world.admin, timeout=10)
    connection.request("GET", "/status", headers={"Authorization": f"Bearer {token}"})
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        connection.getresponse()
    connection.close()
    assert ask(world, files.authority, "/livez") == (200, b"ok\n")
    assert ask(world, files.authority, "/status")[0] == 401
    code, body = ask(world, files.authority, "/status", token)
    assert (code, json.loads(body)["sections"][0]["name"]) == (200, "vpn")


def test_the_command_asks_over_tls(world: World, files: Files) -> None:
    command = [
        sys.executable,
        "-m",
        "authproxy",
        "status",
        "--json",
        "-c",
        str(world.home / "authproxy.yaml"),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert json.loads(shown.stdout)["sections"][0]["name"] == "vpn", shown.stderr


def test_a_new_certificate_counts_from_the_next_connection(world: World, files: Files) -> None:
    fresh = make_certificate(world.home / "fresh", "localhost", "127.0.0.1")
    files.certificate.write_bytes(b"no certificate")
    world.running.reload()
    eventually(lambda: "config.invalid" in world.log())
    assert ask(world, files.authority, "/livez")[0] == 200, "the old one goes on"
    files.certificate.write_bytes(fresh.certificate.read_bytes())
    files.key.write_bytes(fresh.key.read_bytes())
    world.running.reload()
    eventually(lambda: "service.reloaded" in world.log())
    assert ask(world, fresh.authority, "/livez")[0] == 200
