"""Numbered options are lists, in both syntaxes; what numbers can hide is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.config.model import AdClient, RadiusServerAuto
from tests.config.files import CFG_DIRECTORY, CFG_SERVER, CFG_WHOLE, WHOLE, loaded, problems

SECRET = "0123456789abcdef"


def hosts(folder: Path, text: str, name: str = "authproxy.cfg") -> tuple[str, ...]:
    return loaded(folder, text, name).config.all(AdClient)["ad_client"].host


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", ("dc1.corp.example",)),
        ("host_2=two\n", ("dc1.corp.example", "two")),
        ("host_3=three\nhost_2=two\n", ("dc1.corp.example", "two", "three")),
    ],
)
def test_hosts_in_their_order(tmp_path: Path, more: str, expected: tuple[str, ...]) -> None:
    assert hosts(tmp_path, CFG_DIRECTORY + more + CFG_SERVER) == expected


def test_the_first_host_may_have_its_number(tmp_path: Path) -> None:
    text = CFG_DIRECTORY.replace("host=", "host_1=") + "host_2=two\n" + CFG_SERVER
    assert hosts(tmp_path, text) == ("dc1.corp.example", "two")


def test_families_in_yaml(tmp_path: Path) -> None:
    text = f"""\
ad_client:
  host: one
  host_2: two
  service_account_username: svc
  service_account_password: "opensesame"
  search_dn: DC=corp
radius_server_auto:
  ikey: DIXXXXXXXXXXXXXXXXXX
  skey: "{"S" * 40}"
  api_host: api.example.com
  radius_ip_1: [10.0.0.1, 10.0.0.2]
  radius_secret_1: "{SECRET}"
  exempt_username_1: bob
  exempt_username_2: eve
"""
    config = loaded(tmp_path, text).config
    assert config.all(AdClient)["ad_client"].host == ("one", "two")
    section = config.all(RadiusServerAuto)["radius_server_auto"]
    assert section.exempt_usernames == ("bob", "eve")
    assert len(section.clients[0].ip) == 2


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            f"radius_ip_3=10.9.0.1\nradius_secret_3={SECRET}\n",
            "authproxy.cfg:12: radius_server_auto.radius_ip_3: radius_ip_2 is missing before it; number without a gap",
        ),
        (
            "radius_ip_2=10.9.0.1\n",
            "authproxy.cfg:12: radius_server_auto.radius_secret_2: missing: radius_ip_2 needs it",
        ),
        (
            f"radius_secret_2={SECRET}\n",
            "authproxy.cfg:12: radius_server_auto.radius_ip_2: missing: radius_secret_2 needs it",
        ),
        (
            "radius_ip=10.9.0.1\n",
            "authproxy.cfg:12: radius_server_auto.radius_ip: unknown option (did you mean radius_ip_1?)",
        ),
        (
            "radius_ip_0=10.9.0.1\n",
            "authproxy.cfg:12: radius_server_auto.radius_ip_0: unknown option (did you mean",
        ),
        (
            "radius_ip_02=10.9.0.1\n",
            "authproxy.cfg:12: radius_server_auto.radius_ip_02: unknown option (did you mean",
        ),
        (
            "exempt_username_1=a\nexempt_username_3=b\n",
            "authproxy.cfg:13: radius_server_auto.exempt_username_3: exempt_username_2 is missing before it",
        ),
        (
            "exempt_username_2=b\n",
            "authproxy.cfg:12: radius_server_auto.exempt_username_2: exempt_username_1 is missing",
        ),
    ],
)
def test_a_gap_a_half_a_number_that_is_none(tmp_path: Path, more: str, expected: str) -> None:
    (problem,) = problems(tmp_path, CFG_WHOLE + more, "authproxy.cfg")
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            "host_3=x\n",
            "authproxy.cfg:6: ad_client.host_3: host_2 is missing before it; number without a gap",
        ),
        ("host_1=x\n", "authproxy.cfg:6: ad_client.host_1: host is the same; keep one"),
    ],
)
def test_hosts_with_a_gap(tmp_path: Path, more: str, expected: str) -> None:
    assert problems(tmp_path, CFG_DIRECTORY + more + CFG_SERVER, "authproxy.cfg") == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            WHOLE.replace("  search_dn", "  host_2: x\n  search_dn"),
            "authproxy.yaml:5: ad_client.host_2: host is also there as a list; add this to the list",
        ),
        (
            WHOLE + f'  radius_ip_1: 10.9.0.1\n  radius_secret_1: "{SECRET}"\n',
            "authproxy.yaml:12: radius_server_auto.radius_ip_1: clients is also there as a list; add this to the list",
        ),
        (
            WHOLE + "  exempt_usernames: [a]\n  exempt_username_1: b\n",
            "authproxy.yaml:13: radius_server_auto.exempt_username_1: exempt_usernames is also there as a list",
        ),
        (
            WHOLE + "  concat_mode: true\n  allow_concat: true\n",
            "authproxy.yaml:13: radius_server_auto.allow_concat: concat_mode is the same option; keep one",
        ),
    ],
)
def test_a_list_in_two_ways(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(expected)


def test_many_clients_are_read_in_no_time(tmp_path: Path) -> None:
    clients = "".join(
        f"radius_ip_{n}=10.{n >> 8}.{n & 255}.1\nradius_secret_{n}={SECRET}\n" for n in range(1, 1001)
    )
    text = CFG_DIRECTORY + CFG_SERVER.split("radius_ip_1")[0] + clients
    section = loaded(tmp_path, text, "authproxy.cfg").config.all(RadiusServerAuto)["radius_server_auto"]
    assert len(section.clients) == 1000
