"""`http_proxy`: whom it lets out, and where to."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from authproxy.config.convert import convert
from authproxy.config.load import load_text
from authproxy.config.model import HttpProxy
from tests.config.files import CFG_WHOLE, loaded, problems, written

CFG = "[http_proxy]\napi_host=api-xxxxxxxx.example.com\n"
YAML = "http_proxy:\n  api_host: api-xxxxxxxx.example.com\n"


def way_out(folder: Path, text: str, name: str = "authproxy.yaml") -> HttpProxy:
    return loaded(folder, text, name).config.all(HttpProxy)["http_proxy"]


def test_an_existing_one(tmp_path: Path) -> None:
    text = CFG + "port=3128\nclient_ip=10.0.0.0/8, 192.168.1.5,192.168.2.1-192.168.2.2\ninterface=10.9.9.9\n"
    section = way_out(tmp_path, text, "authproxy.cfg")
    assert (section.name, section.api_port, section.port, section.interface) == (
        "http_proxy",
        443,
        3128,
        ("10.9.9.9",),
    )
    networks = ("10.0.0.0/8", "192.168.1.5", "192.168.2.1", "192.168.2.2")
    assert section.clients == tuple(map(ip_network, networks))
    made = convert(written(tmp_path, text, "authproxy.cfg"), tmp_path)
    again = load_text(made.yaml, tmp_path / "a.yaml", {}).config.all(HttpProxy)["http_proxy"]
    assert again == section


def test_it_may_be_all_there_is(tmp_path: Path) -> None:
    assert way_out(tmp_path, YAML + "  client_ip: 10.0.0.7\n").port == 80


def test_everybody_is_let_out_by_an_existing_file_only(tmp_path: Path) -> None:
    """Where the option is absent the existing product lets everybody in; `check` says so, and YAML refuses."""
    made = loaded(tmp_path, CFG_WHOLE + CFG, "authproxy.cfg")
    (section,) = made.config.all(HttpProxy).values()
    assert section.clients == (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert any("client_ip: 0.0.0.0/0 is very large" in str(warning) for warning in made.warnings)
    assert problems(tmp_path, YAML) == ["authproxy.yaml:1: http_proxy.client_ip: missing"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  client_ip: 10.0.0.7\n  prot: 80\n", "http_proxy.prot: unknown option (did you mean port?)"),
        ("  client_ip: 10.0.0.7\n  api_port: 0x16\n", "http_proxy.api_port: "),
        ("  client_ip: []\n", "http_proxy.client_ip: the list is empty"),
        ("  client_ip: [10.0.0.700]\n", "http_proxy.client_ip[0]: '10.0.0.700' is not an address"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, YAML + text)
    assert expected in problem


def test_it_is_no_way_into_the_own_network(tmp_path: Path) -> None:
    text = YAML.replace("api-xxxxxxxx.example.com", "10.0.0.5") + "  client_ip: 10.0.0.7\n"
    (problem,) = problems(tmp_path, text)
    assert "http_proxy.api_host: 10.0.0.5 is this machine or a private network" in problem
    assert way_out(tmp_path, text + "  allow_local_api: true\n").api_host == "10.0.0.5"


def test_two_on_one_port(tmp_path: Path) -> None:
    text = YAML + "  client_ip: 10.0.0.7\n" + YAML.replace("proxy:", "proxy2:") + "  client_ip: 10.0.0.8\n"
    assert problems(tmp_path, text) == [
        "authproxy.yaml:4: http_proxy2.port: 80 is already a port of http_proxy"
    ]
    apart = text.replace("10.0.0.7\n", "10.0.0.7\n  interface: 10.9.9.7\n") + "  interface: 10.9.9.8\n"
    assert len(loaded(tmp_path, apart).config.all(HttpProxy)) == 2


def test_it_goes_out_directly(tmp_path: Path) -> None:
    text = "main:\n  http_proxy_host: proxy.corp.example\n" + YAML + "  client_ip: 10.0.0.7\n"
    assert any("its tunnels connect directly" in str(warning) for warning in loaded(tmp_path, text).warnings)
