"""Every option is classified, and what a configuration with everything opens is told in full (F10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from authproxy.cli import main
from authproxy.config.load import Loaded
from authproxy.config.model import Client
from authproxy.config.model.kinds import SERVED
from authproxy.config.model.section import Options
from authproxy.config.way import Kind
from authproxy.config.ways_in import OPENS, classes_of, ways_in
from authproxy.config.ways_shut import BOUNDS, SHUT
from authproxy.pipeline.decision import Reason
from tests.config.files import CFG_WHOLE, DIRECTORY, SKEY, WHOLE, loaded, written

GOLDEN = Path(__file__).parent / "golden"
MODELS: dict[str, type[Options]] = {**SERVED, "an entry of clients": Client}

CLOUD = f"""\
  ikey: DIXXXXXXXXXXXXXXXXXX
  skey: "{SKEY}"
  api_host: api-xxxxxxxx.example.com
"""
NAS = "{name: %s, ip: 10.1.%d.0/24, secret: '0123456789abcdef'%s}"


def radius(name: str, number: int, more: str = "", client: str = "") -> str:
    nas = NAS % (f"nas{number}", number, client)
    return f"{name}:\n{CLOUD}  port: {1900 + number}\n  clients: [{nas}]\n{more}"


EVERYTHING = (
    DIRECTORY.replace("ad_client:", "ad_client:\n  transport: clear")
    + DIRECTORY.replace("ad_client:", "ad_client2:\n  ssl_verify_hostname: false")
    + "radius_client:\n  host: r1\n  secret: '0123456789abcdef'\n  require_message_authenticator: false\n"
    "  eap_outer_name: trust\n"
    + "duo_only_client: {}\n"
    + radius("radius_server_auto", 1, "  client: ad_client\n  name: careful\n")
    + radius(
        "radius_server_auto2",
        2,
        "  client: ad_client\n  failmode: safe\n  allow_local_api: true\n  exempt_usernames: [emergency, Robot]\n"
        "  trust_unsigned_client_ip: true\n",
        ", require_message_authenticator: no, omit_message_authenticator: true",
    )
    + radius(
        "radius_server_challenge",
        3,
        "  client: ad_client\n  failmode: safe\n  slow_cloud: failmode\n  fail_open_max_minutes: 30\n"
        "  fail_open_max_per_hour: 9\n"
        "  fail_open_never_users: [administrator]\n  fail_open_seen_within_days: 7\n"
        "  fail_open_never_groups: ['CN=Domain Admins,CN=Users,DC=corp,DC=example']\n",
    )
    + radius("radius_server_concat", 4, "  client: ad_client2\n  require_message_authenticator: no\n")
    + radius(
        "radius_server_auto3", 5, "  client: duo_only_client\n  failmode: safe\n  exempt_usernames: [none]\n"
    )
    + radius("radius_server_duo_only", 6, "  failmode: safe\n  allow_local_api: true\n")
    + f"ldap_server_auto:\n{CLOUD}  client: ad_client\n  failmode: safe\n"
    "  exempt_ous: ['CN=jira,OU=Service,DC=corp,DC=example']\n"
    "  exempt_groups: ['CN=Robots,DC=corp,DC=example']\n"
    "  exempt_primary_bind: true\n  approval_memory: 20\n"
    "  allow_anonymous_bind: true\n  proxy_protocol_from: [10.0.0.7]\n"
)


def everything(folder: Path) -> Loaded:
    return loaded(folder, EVERYTHING)


@pytest.mark.parametrize("name", MODELS)
def test_each_option_is_classified_once(name: str) -> None:
    """A new option has to say in ways_in whether it opens a way, limits one, or does neither."""
    kind = MODELS[name]
    for option in kind.model_fields:
        found = [
            f"{table} of {base.__name__}"
            for base in classes_of(kind)
            for table, options in (
                ("OPENS", OPENS.get(base, ())),
                ("BOUNDS", BOUNDS.get(base, ())),
                ("SHUT", SHUT.get(base, ())),
            )
            if option in options
        ]
        assert len(found) == 1, f"{name}.{option}: {found or 'not classified in config/ways_in.py'}"


def test_nothing_is_classified_that_is_no_option() -> None:
    for table in (OPENS, BOUNDS, SHUT):
        for kind, options in table.items():
            assert not set(options) - set(kind.model_fields), kind.__name__


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    assert path.read_text(encoding="utf-8") == text, f"{path.name} is another: is that what is meant?"


def test_a_configuration_with_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, EVERYTHING)
    assert main(["paths", "-c", str(path)]) == 0
    golden("paths.txt", capsys.readouterr().out)
    assert main(["paths", "--json", "-c", str(path)]) == 0
    golden("paths.json", capsys.readouterr().out)


def test_each_way_in_that_can_be_opened_is_opened_there(tmp_path: Path) -> None:
    """Else the golden file proves less than it seems to."""
    told = {way.option.rpartition(".")[2] for way in ways_in(everything(tmp_path).config)}
    known = {option for options in OPENS.values() for option in options} - {"clients", "api_ca_certs_file"}
    assert told >= known


def test_a_careful_configuration_has_only_the_clouds_own(tmp_path: Path) -> None:
    assert {way.kind for way in ways_in(loaded(tmp_path, WHOLE).config)} == {Kind.CLOUD}


def test_the_defaults_of_a_cfg_are_told(tmp_path: Path) -> None:
    """failmode absent is safe there."""
    kinds = {(way.option, way.kind) for way in ways_in(loaded(tmp_path, CFG_WHOLE, "authproxy.cfg").config)}
    assert ("failmode", Kind.OUTAGE) in kinds
    assert ("transport", Kind.FORGERY) in kinds


def test_the_clouds_authority_of_our_own(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    text = WHOLE + "  api_ca_certs_file: ca.pem\n"
    options = {way.option for way in ways_in(loaded(tmp_path, text).config)}
    assert "api_ca_certs_file" in options
    text = "main:\n  http_ca_certs_file: ca.pem\n" + WHOLE
    assert options == {way.option for way in ways_in(loaded(tmp_path, text).config)}


def accepts() -> Iterator[str]:
    yield from ("cloud_allow", "exempt", "fail_open", "duo_only", "primary_only", "recent_approval")


def test_each_reason_of_an_accept_without_both_factors_is_told(tmp_path: Path) -> None:
    """A new reason to accept has to come into this list, and into the document."""
    told = {way.reason for way in ways_in(everything(tmp_path).config)}
    assert told >= set(accepts())
    assert set(accepts()) | {"both_factors"} == {word.value for word in list(Reason)[:7]}


def test_invalid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paths", "-c", str(written(tmp_path, "nothing: {}\n"))]) == 2
    assert "nothing" in capsys.readouterr().err


def test_json_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paths", "--json", "-c", str(written(tmp_path, WHOLE))]) == 0
    body = json.loads(capsys.readouterr().out)
    assert [way["reason"] for way in body["ways"]] == ["cloud_allow"]
    assert len(body["elsewhere"]) == 3
