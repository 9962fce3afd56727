"""Who checks the password: a directory, a RADIUS server, nobody; and which modes of asking for the factor there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.config.model import (
    RadiusClient,
    RadiusServerChallenge,
    RadiusServerConcat,
    RadiusServerDuoOnly,
)
from authproxy.pipeline.prompt import PromptFormat
from tests.config.files import CFG_DIRECTORY, CFG_SERVER, SERVER, loaded, problems

RADIUS = (
    "[radius_client]\nhost=10.3.0.1\nhost_2=radius2.corp.example\nport=1645\nsecret=a long shared secret\n"
)


def server(kind: str, more: str = "") -> str:
    return CFG_SERVER.replace("[radius_server_auto]", f"[{kind}]") + more


def test_a_radius_client(tmp_path: Path) -> None:
    text = RADIUS + server("radius_server_auto", "pass_through_attr_names=NAS-Port-Type, Called-Station-Id\n")
    config = loaded(tmp_path, text, "authproxy.cfg").config
    client = config.all(RadiusClient)["radius_client"]
    assert client.servers == (("10.3.0.1", 1645), ("radius2.corp.example", 1812))
    assert not client.require_message_authenticator, "as the files' users rely on"
    section = next(iter(config.sections.values()))
    assert section is client


def test_a_port_for_each_host(tmp_path: Path) -> None:
    text = RADIUS.replace("port=1645", "port=1645\nport_2=1812") + server("radius_server_auto")
    client = loaded(tmp_path, text, "authproxy.cfg").config.all(RadiusClient)["radius_client"]
    assert client.servers == (("10.3.0.1", 1645), ("radius2.corp.example", 1812))


@pytest.mark.parametrize(
    ("ports", "servers", "warned"),
    [
        ("", (1812, 1812, 1812), []),
        ("port=1645\n", (1645, 1812, 1812), ["port_2", "port_3"]),
        ("port_2=1645\n", (1812, 1645, 1812), ["port", "port_3"]),
        ("port_3=1645\nport=1646\n", (1646, 1812, 1645), ["port_2"]),
    ],
)
def test_ports_that_an_existing_file_leaves_out(
    tmp_path: Path, ports: str, servers: tuple[int, ...], warned: list[str]
) -> None:
    """As there: `port` is the first host's, and each other's is 1812 unless its own says otherwise."""
    text = RADIUS.replace("port=1645\n", "host_3=10.3.0.3\n" + ports) + server("radius_server_auto")
    found = loaded(tmp_path, text, "authproxy.cfg")
    client = found.config.all(RadiusClient)["radius_client"]
    assert tuple(port for _, port in client.servers) == servers
    assert [w.option for w in found.warnings if "not set, which means 1812" in w.what] == warned


def test_one_port_for_all_in_yaml(tmp_path: Path) -> None:
    text = 'radius_client:\n  host: [10.3.0.1, 10.3.0.2]\n  port: 1645\n  secret: "a long shared secret"\n'
    client = loaded(tmp_path, text + SERVER).config.all(RadiusClient)["radius_client"]
    assert client.servers == (("10.3.0.1", 1645), ("10.3.0.2", 1645))


def test_ports_that_fit_no_hosts(tmp_path: Path) -> None:
    text = RADIUS.replace("port=1645", "port=1645\nport_2=1812\nport_3=1813") + server("radius_server_auto")
    (problem,) = problems(tmp_path, text, "authproxy.cfg")
    assert "3 ports for 2 hosts" in problem


def test_the_modes(tmp_path: Path) -> None:
    text = CFG_DIRECTORY + server("radius_server_challenge", "prompt_format=Short\nport=1\n")
    text += server("radius_server_concat", "delimeter=;\nport=2\n")
    text += server("radius_server_duo_only", "port=3\n")
    config = loaded(tmp_path, text, "authproxy.cfg").config
    assert config.all(RadiusServerChallenge)["radius_server_challenge"].prompt_format is PromptFormat.SHORT
    assert config.all(RadiusServerConcat)["radius_server_concat"].delimiter == ";"
    assert config.all(RadiusServerDuoOnly)["radius_server_duo_only"].client == ""


def test_a_section_without_a_password_stands_alone(tmp_path: Path) -> None:
    made = loaded(tmp_path, server("radius_server_duo_only", "exempt_username_1=svc\n"), "authproxy.cfg")
    said = "\n".join(str(warning) for warning in made.warnings)
    assert "failmode: safe: has no effect without a primary" in said
    assert "exempt_usernames: have no effect without a primary" in said or "exempt_username_1" in said
    assert "checks no password" in said


@pytest.mark.parametrize("option", ["pass_through_all=true", "pass_through_attr_names=Class"])
def test_a_directory_is_shown_no_attributes(tmp_path: Path, option: str) -> None:
    (problem,) = problems(
        tmp_path, CFG_DIRECTORY + server("radius_server_auto", option + "\n"), "authproxy.cfg"
    )
    assert "this section has none" in problem
