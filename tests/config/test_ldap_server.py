"""`ldap_server_auto`: what contradicts itself, what is risky, and what an existing file means."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.config.model import LdapServerAuto
from tests.config.files import CFG_DIRECTORY, DIRECTORY, SKEY, loaded, problems, warnings

SERVER = f"""\
ldap_server_auto:
  ikey: DIXXXXXXXXXXXXXXXXXX
  skey: "{SKEY}"
  api_host: api-xxxxxxxx.example.com
"""
WHOLE = DIRECTORY + SERVER
CFG = f"""\
{CFG_DIRECTORY}
[ldap_server_auto]
ikey=DIXXXXXXXXXXXXXXXXXX
skey={SKEY}
api_host=api-xxxxxxxx.example.com
"""


def section(folder: Path, text: str, name: str = "authproxy.yaml") -> LdapServerAuto:
    (made,) = loaded(folder, text, name).config.all(LdapServerAuto).values()
    return made


def certificate(folder: Path) -> str:
    for name in ("ldap.pem", "ldap.key"):
        (folder / name).write_text("in place of one")
        (folder / name).chmod(0o600)
    return "  ssl_cert_path: ldap.pem\n  ssl_key_path: ldap.key\n"


def test_defaults_lean_to_the_safe_side(tmp_path: Path) -> None:
    made = section(tmp_path, WHOLE)
    assert (made.exempt_primary_bind, made.allow_anonymous_bind, made.require_tls) == (False, False, False)
    assert section(tmp_path, WHOLE + certificate(tmp_path)).require_tls is True


def test_an_existing_file_means_what_it_did(tmp_path: Path) -> None:
    made = section(tmp_path, CFG, "authproxy.cfg")
    assert (made.exempt_primary_bind, made.require_tls) == (True, False)
    assert any("needs no second factor" in warning for warning in warnings(tmp_path, CFG, "authproxy.cfg"))
    for family in (
        "exempt_ou=CN=a,DC=x\n",
        "exempt_ou_1=CN=a,DC=x\n",
        "exempt_ou=CN=a,DC=x\nexempt_ou_2=CN=b,DC=x\n",
    ):
        names = section(tmp_path, CFG + family, "authproxy.cfg").exempt_ous
        assert names == ("CN=a,DC=x", "CN=b,DC=x")[: len(names)]
        assert names


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("  ssl_cert_path: ldap.pem\n", "have to be set together"),
        ("  require_tls: true\n", "there is no ssl_cert_path"),
        ("  minimum_tls_version: tls1.0\n", "older than TLS 1.2"),
        ("  exempt_ous: [nonsense]\n", "not a DN"),
        ("  factors: [push, push]\n", "is listed twice"),
        ("  proxy_protocol_from: [10.0.0.0/33]\n", "is not an address"),
        ("  exempt_usernames: [alice]\n", "unknown option"),
        ("  failmode: silent\n", "ldap_server_auto.failmode: silent"),
    ],
)
def test_faults(tmp_path: Path, more: str, expected: str) -> None:
    certificate(tmp_path)
    (problem,) = problems(tmp_path, WHOLE + more)
    assert expected in problem


def test_a_port_is_one_section_s(tmp_path: Path) -> None:
    second = SERVER.replace("ldap_server_auto", "ldap_server_auto2")
    assert any(
        "389 is already a port of ldap_server_auto" in text for text in problems(tmp_path, WHOLE + second)
    )
    assert problems(tmp_path, WHOLE + second + "  port: 1389\n") == []
    tls = certificate(tmp_path)
    both = WHOLE + tls + second + tls + "  port: 1389\n"
    assert any("636 is already a port of ldap_server_auto" in text for text in problems(tmp_path, both))
    assert any(
        "without TLS already" in text for text in problems(tmp_path, WHOLE + tls + "  ssl_port: 389\n")
    )


def test_a_radius_client_is_no_directory(tmp_path: Path) -> None:
    text = 'radius_client: {host: 10.0.0.1, secret: "0123456789abcdef"}\n' + SERVER
    assert any("is not a directory" in problem for problem in problems(tmp_path, text))


def test_passwords_in_clear_are_warned_of(tmp_path: Path) -> None:
    assert any("require_tls: false" in text for text in warnings(tmp_path, WHOLE))
    assert not any("require_tls" in text for text in warnings(tmp_path, WHOLE + "  interface: 127.0.0.1\n"))
    assert not any("require_tls" in text for text in warnings(tmp_path, WHOLE + certificate(tmp_path)))
    inherited = "main:\n  interface: 127.0.0.1\n" + WHOLE
    assert not any("require_tls" in text for text in warnings(tmp_path, inherited))
    clear = WHOLE.replace("  search_dn", "  transport: clear\n  search_dn")
    assert any("go to the directory unencrypted" in text for text in warnings(tmp_path, clear))
