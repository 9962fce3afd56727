"""Strict: whatever is wrong is told, all at once, each with its place; nothing is guessed."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from authproxy.config.load import load
from authproxy.config.model import (
    AdClient,
    Config,
    RadiusServerAuto,
    RequireMessageAuthenticator,
    ServerSection,
    Transport,
)
from authproxy.config.problems import InvalidConfig
from authproxy.pipeline.fail_mode import FailMode
from authproxy.secret import Secret
from tests.config.files import (
    CFG_DIRECTORY,
    CFG_SERVER,
    CFG_WHOLE,
    DIRECTORY,
    SERVER,
    SKEY,
    WHOLE,
    loaded,
    problems,
    warnings,
    written,
)


def server(config: Config) -> RadiusServerAuto:
    return config.all(RadiusServerAuto)["radius_server_auto"]


def test_a_whole_configuration(tmp_path: Path) -> None:
    config = loaded(tmp_path, WHOLE).config
    directory = config.all(AdClient)["ad_client"]
    assert directory.host == ("dc1.corp.example", "dc2.corp.example")
    assert directory.service_account_password == Secret.of("opensesame")
    section = server(config)
    assert section.skey == Secret.of(SKEY)
    assert section.name == "radius_server_auto"
    assert section.client == "ad_client"
    (client,) = section.clients
    assert (client.name, client.ip) == ("asa", (ip_network("10.1.0.0/24"),))
    assert client.require_message_authenticator is RequireMessageAuthenticator.AUTO


def test_yaml_leans_to_the_safe_side(tmp_path: Path) -> None:
    """F2, T1."""
    config = loaded(tmp_path, WHOLE).config
    assert server(config).failmode is FailMode.SECURE
    directory = config.all(AdClient)["ad_client"]
    assert directory.transport is Transport.LDAPS
    assert directory.ssl_verify_hostname is True
    assert directory.directory_port == 636


def test_both_syntaxes_mean_the_same(tmp_path: Path) -> None:
    yaml = WHOLE.replace("host: [dc1.corp.example, dc2.corp.example]", "host: dc1.corp.example").replace(
        "name: asa, ", ""
    )
    cfg = CFG_DIRECTORY + "transport=ldaps\n" + CFG_SERVER + "failmode=secure\n"
    assert loaded(tmp_path, yaml).config == loaded(tmp_path, cfg, "authproxy.cfg").config


def test_every_problem_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
    main:
      log_drl: /tmp
      admin: 0.0.0.0:8912
    ad_client:
      host: []
      transport: ldap
      search_dn: DC=corp,
      ldap_filter: (uid=*
    radius_server_auto:
      ikey: DI123
      skey: short
      api_host: https://api.example.com/
      fail_mode: secure
      port: "1812"
      clients:
        - {ip: 10.0.0.0/33, secret: "short"}
        - {adress: 10.0.0.1, secret: "0123456789abcdef"}
    radius_server_atuo2: {}
    """
    assert problems(tmp_path, text) == [
        "authproxy.yaml:2: main.log_drl: unknown option (did you mean log_dir?)",
        "authproxy.yaml:4: ad_client.service_account_password: missing",
        "authproxy.yaml:5: ad_client.host: the list is empty",
        "authproxy.yaml:6: ad_client.transport: ldap is not one of clear, starttls, ldaps (did you mean ldaps?)",
        "authproxy.yaml:7: ad_client.search_dn: not a DN: character 9: expected attribute=value, but the text ends",
        "authproxy.yaml:8: ad_client.ldap_filter: not a filter: character 7: expected ), but the text ends",
        "authproxy.yaml:10: radius_server_auto.ikey: not an integration key: DI and 18 capital letters or digits",
        "authproxy.yaml:11: radius_server_auto.skey: not a secret key: 40 letters and digits are expected",
        "authproxy.yaml:12: radius_server_auto.api_host: a host's name or address is expected here, not a URL",
        "authproxy.yaml:13: radius_server_auto.fail_mode: unknown option (did you mean failmode?)",
        "authproxy.yaml:14: radius_server_auto.port: a number is expected here, without quotes",
        "authproxy.yaml:16: radius_server_auto.clients[0].ip: '10.0.0.0/33' is not an address, a network (10.0.0.0/24) "
        "or a range (a-b)",
        "authproxy.yaml:16: radius_server_auto.clients[0].secret: shorter than 8 bytes; `authproxy secret generate` "
        "makes a good one",
        "authproxy.yaml:17: radius_server_auto.clients[1].adress: unknown option",
        "authproxy.yaml:17: radius_server_auto.clients[1].ip: missing",
        "authproxy.yaml:18: radius_server_atuo2: unknown section (did you mean radius_server_auto?)",
    ]


def test_in_a_cfg_the_names_are_those_that_stand_there(tmp_path: Path) -> None:
    text = (
        CFG_DIRECTORY
        + CFG_SERVER.replace("0123456789abcdef", "short")
        + "radius_ip_2=10.0.0.256\nradius_secret_2="
        + SKEY
    )
    assert problems(tmp_path, text, "authproxy.cfg") == [
        "authproxy.cfg:11: radius_server_auto.radius_secret_1: shorter than 8 bytes; `authproxy secret generate` "
        "makes a good one",
        "authproxy.cfg:12: radius_server_auto.radius_ip_2: '10.0.0.256' is not an address, a network (10.0.0.0/24) or "
        "a range (a-b)",
    ]


@pytest.mark.parametrize("value", ["open", "Safe!", "", "true", "[safe]"])
def test_an_unknown_failmode_starts_nothing(tmp_path: Path, value: str) -> None:
    """S5."""
    (problem,) = problems(tmp_path, WHOLE + f"  failmode: {value}\n")
    assert problem.startswith("authproxy.yaml:12: radius_server_auto.failmode: ")


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        ("port", "01812", "a whole number is expected here, in decimal and without leading zeros"),
        ("port", "0x714", "a whole number is expected here, in decimal and without leading zeros"),
        ("port", "1_812", "a whole number is expected here, in decimal and without leading zeros"),
        ("port", "1812.0", "a whole number is expected here, in decimal and without leading zeros"),
        ("port", "65536", "65536 is not between 0 and 65535"),
        ("api_port", "0", "0 is not between 1 and 65535"),
        ("api_port", "[443]", "a number is expected here"),
        ("api_timeout", "1e1", "seconds are expected here, such as 10 or 0.5"),
        ("api_timeout", "-1", "seconds are expected here, such as 10 or 0.5"),
        ("reply_cache", "4", "4 is not between 5 and 30"),
        ("reply_cache", "31", "31 is not between 5 and 30"),
        ("allow_concat", "yes", "write true or false, without quotes"),
        ("allow_concat", '"true"', "write true or false, without quotes"),
        ("allow_concat", "1", "write true or false, without quotes"),
        ("name", "007", "put it in quotes: without them YAML takes it for a number"),
        ("name", "{a: b}", "one value is expected here, not a mapping"),
        ("factors", "[]", "the list is empty"),
        ("factors", "{}", "a list is expected here"),
        ("client", "radius_server_auto", "there is no client section radius_server_auto"),
        ("client", "ad_clent", "there is no client section ad_clent (did you mean ad_client?)"),
        (
            "api_host",
            "api.example.com:443",
            "a host's name or address is expected here; the port has an option of its own",
        ),
        (
            "api_host",
            "127.0.0.1",
            "127.0.0.1 is this machine or a private network; if that is meant, set allow_local_api",
        ),
        ("api_host", "localhost", "localhost is this machine or a private network"),
        ("api_host", "api.localhost", "api.localhost is this machine or a private network"),
        ("api_host", "::1", "::1 is this machine or a private network"),
        ("api_host", "10.0.0.7", "10.0.0.7 is this machine or a private network"),
        ("api_host", "169.254.169.254", "169.254.169.254 is this machine or a private network"),
        ("api_host", "'0x7f000001'", "'0x7f000001' is neither a host's name nor an address"),
        ("api_host", "127.1", "put it in quotes: without them YAML takes it for a number"),
        ("api_host", '"127.1"', "'127.1' is neither a host's name nor an address"),
        ("api_host", "a.test, b.test", "one host is expected here; where several can be, write [dc1, dc2]"),
        ("api_host", "a..b", "'a..b' is neither a host's name nor an address"),
        ("pw_codec", "utf-16", "'utf-16' is not a character encoding that passwords can have"),
        ("pw_codec", "utf-7", "'utf-7' is not a character encoding that passwords can have"),
        (
            "pw_codec",
            "unicode_escape",
            "'unicode_escape' is not a character encoding that passwords can have",
        ),
        ("pw_codec", "rot13", "'rot13' is not a character encoding that passwords can have"),
        ("pw_codec", "nonsense", "'nonsense' is not a character encoding that passwords can have"),
        ("interface", "eth0", "'eth0' is not an IP address"),
        ("api_ca_certs_file", "none.pem", "none.pem: No such file or directory"),
        ("exempt_usernames", '["a\\u200bb"]', "user name has the character U+200B"),
        (
            "pass_through_all",
            "true",
            "has no effect: it is for a radius_client, and this section has none",
        ),
        ("http_proxy_port", "3128", "has no effect without http_proxy_host"),
        ("offline_mode", "true", "there is no offline mode"),
        ("allow_offline_access", "true", "there is no offline mode"),
        ("prompt_format", "short", "unknown option"),
    ],
)
def test_values_that_are_refused(tmp_path: Path, option: str, value: str, what: str) -> None:
    text = WHOLE.replace("  api_host: api-xxxxxxxx.example.com\n", "") if option == "api_host" else WHOLE
    (problem,) = problems(tmp_path, text + f"  {option}: {value}\n")
    line = text.count("\n") + 1
    place = f"authproxy.yaml:{line}: radius_server_auto.{option}"
    assert problem.startswith((f"{place}: ", f"{place}[0]: "))
    assert what in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("radius_server_iframe:\n  ikey: x\n", "the cloud switched off the prompt inside the VPN's web page"),
        ("cloud: {}\n", "directory synchronisation is not part of this proxy"),
        ("sso: {}\n", "single sign-on is not part of this proxy"),
        ("main2: {}\n", "there can be only one section main, without a number"),
    ],
)
def test_sections_that_are_known_and_not_served(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, WHOLE + "  client: ad_client\n" + text)
    name = text.split(":", maxsplit=1)[0]
    assert problem.startswith(f"authproxy.yaml:13: {name}: ")
    assert expected in problem


@pytest.mark.parametrize(
    ("replaced", "by", "expected"),
    [
        ("service_account_username: svc", "auth_type: plain", "ad_client.bind_dn: missing: plain binds with"),
        (
            "service_account_username: svc",
            "bind_dn: CN=a",
            "ad_client.service_account_username: missing: ntlm2 logs in",
        ),
        (
            "service_account_username: svc",
            "auth_type: ntlm1",
            "ntlm1 is not served: NTLMv1 answers are cracked",
        ),
        ("service_account_username: svc", "auth_type: sspi", "sspi exists on Windows only"),
        ("dc1.corp.example,", "'dc1.corp.example:636',", "the port has an option of its own"),
    ],
)
def test_contradictions_of_a_directory(tmp_path: Path, replaced: str, by: str, expected: str) -> None:
    (problem,) = problems(tmp_path, WHOLE.replace(replaced, by))
    assert expected in problem


def test_plain_takes_what_active_directory_takes_for_a_dn(tmp_path: Path) -> None:
    assert not problems(
        tmp_path, WHOLE.replace("username: svc", "username: svc@corp.example\n  auth_type: plain")
    )


def test_main_s_client_beside_other_mistakes(tmp_path: Path) -> None:
    """Nobody is told to name a client who has named one."""
    text = f"main:\n  client: ad_client\n  log_dri: x\nduo_only_client: {{}}\n{WHOLE}"
    assert problems(tmp_path, text) == [
        "authproxy.yaml:3: main.log_dri: unknown option (did you mean log_dir?)"
    ]


def test_an_unknown_client_beside_other_mistakes(tmp_path: Path) -> None:
    """All at once, though the section can't be made."""
    found = problems(tmp_path, WHOLE + "  client: ad_clent\n  fail_mode: safe\n")
    assert [problem.partition(": ")[2] for problem in found] == [
        "radius_server_auto.client: there is no client section ad_clent (did you mean ad_client?)",
        "radius_server_auto.fail_mode: unknown option (did you mean failmode?)",
    ]
    assert len(problems(tmp_path, WHOLE + "  client: ad_client\n  fail_mode: safe\n")) == 1


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("admin: 0.0.0.0:8912", "not a loopback address: give admin_tls_cert, admin_tls_key and admin_token"),
        ('admin: "[2001:db8::1]:8912"', "not a loopback address"),
        ("admin: 8912", "ADDRESS:PORT is expected here"),
        ("admin: host:8912", "'host' is not an IP address"),
        ("admin: 127.0.0.1:99999", "99999 is not between 0 and 65535"),
        ("fips_mode: true", "not supported: RADIUS and NTLM need MD5"),
        ("log_format: xml", "xml is not one of text, json"),
        ("syslog_facility: LOG_LOCAL8", "not a facility"),
        (
            "server: radius_server_auto9",
            "there is no section radius_server_auto9 (did you mean radius_server_auto?)",
        ),
        ("client: ad_client9", "there is no client section ad_client9"),
        ("dictionary_dir: none", "not a folder"),
        (
            "http_proxy_host: p\n  http_proxy_username: u",
            "http_proxy_username and http_proxy_password have to be set together",
        ),
        ("user: 'two words'", "not a user's name"),
    ],
)
def test_main(tmp_path: Path, main: str, expected: str) -> None:
    (problem,) = problems(tmp_path, f"main:\n  {main}\n{WHOLE}")
    assert expected in problem


@pytest.mark.parametrize("admin", ["127.0.0.1:8912", '"[::1]:8912"', "localhost:8912", "127.0.0.1:0"])
def test_admin_on_loopback_needs_nothing_more(tmp_path: Path, admin: str) -> None:
    found = loaded(tmp_path, f"main:\n  admin: {admin}\n{WHOLE}").config.main.admin
    assert found is not None
    assert found.is_loopback


def test_admin_elsewhere_needs_tls_and_a_token(tmp_path: Path) -> None:
    written(tmp_path, "cert", "a.pem")
    main = "main:\n  admin: 10.0.0.1:8912\n  admin_tls_cert: a.pem\n  admin_tls_key: a.pem\n"
    assert problems(tmp_path, main + WHOLE)
    assert not problems(tmp_path, main + f'  admin_token: "{SKEY}"\n' + WHOLE)


def test_a_local_cloud_has_to_be_allowed(tmp_path: Path) -> None:
    """F5, T10."""
    text = WHOLE.replace("api-xxxxxxxx.example.com", "localhost")
    assert problems(tmp_path, text)
    assert not problems(tmp_path, text + "  allow_local_api: true\n")


# ---- between sections


def test_what_sections_inherit_from_main(tmp_path: Path) -> None:
    written(tmp_path, "pem", "ca.pem")
    main = """\
main:
  debug: true
  interface: 10.0.0.5
  http_ca_certs_file: ca.pem
  http_proxy_host: proxy.corp.example
  http_proxy_port: 3128
  http_proxy_username: u
  http_proxy_password: "ppppp"
"""
    section = server(loaded(tmp_path, main + WHOLE).config)
    assert section.debug
    assert section.interface == ("10.0.0.5",)
    assert section.api_ca_certs_file == tmp_path / "ca.pem"
    assert (section.http_proxy_host, section.http_proxy_port) == ("proxy.corp.example", 3128)
    assert section.http_proxy_password == Secret.of("ppppp")


def test_a_proxys_password_is_not_for_another_proxy(tmp_path: Path) -> None:
    main = 'main:\n  http_proxy_host: one\n  http_proxy_username: u\n  http_proxy_password: "ppppp"\n'
    section = server(loaded(tmp_path, main + WHOLE + "  http_proxy_host: other\n").config)
    assert (section.http_proxy_host, section.http_proxy_port) == ("other", 80)
    assert section.http_proxy_username is None
    assert section.http_proxy_password is None


@pytest.mark.parametrize(
    ("text", "client"),
    [
        (WHOLE, "ad_client"),
        (WHOLE + "  client: ad_client2\n" + DIRECTORY.replace("ad_client", "ad_client2"), "ad_client2"),
        (
            "main:\n  client: ad_client2\n" + WHOLE + DIRECTORY.replace("ad_client", "ad_client2"),
            "ad_client2",
        ),
        (
            "main:\n  client: ad_client2\n"
            + WHOLE
            + "  client: ad_client\n"
            + DIRECTORY.replace("ad_client", "ad_client2"),
            "ad_client",
        ),
    ],
)
def test_the_choice_of_a_client(tmp_path: Path, text: str, client: str) -> None:
    assert server(loaded(tmp_path, text).config).client == client


def test_no_client_or_too_many(tmp_path: Path) -> None:
    assert problems(tmp_path, SERVER) == [
        "authproxy.yaml:1: radius_server_auto: there is no client section for it, such as ad_client"
    ]
    assert problems(tmp_path, WHOLE + DIRECTORY.replace("ad_client", "ad_client2")) == [
        "authproxy.yaml:6: radius_server_auto.client: missing: there is more than one client section "
        "(ad_client, ad_client2), so name one"
    ]


def test_nothing_to_run(tmp_path: Path) -> None:
    assert problems(tmp_path, DIRECTORY) == [
        "authproxy.yaml: there is no server section, such as radius_server_auto, so there is nothing to run"
    ]


def second(clients: str, more: str = "") -> str:
    """A second section, for tests of what two may share."""
    lines = [line for line in SERVER.splitlines() if "asa" not in line]
    lines[0] = "radius_server_auto2:"
    return "\n".join([*lines, f"    - {clients}", more, ""])


@pytest.mark.parametrize(
    ("client", "more", "expected"),
    [
        (
            '{ip: 10.1.0.7, secret: "0123456789abcdef"}',
            "",
            "10.1.0.7/32 overlaps client asa (10.1.0.0/24) of radius_server_auto",
        ),
        ('{ip: 10.0.0.0/8, secret: "0123456789abcdef"}', "", "10.0.0.0/8 overlaps client asa"),
        ('{ip: "::ffff:10.1.0.9", secret: "0123456789abcdef"}', "", "10.1.0.9/32 overlaps client asa"),
        (
            '{ip: 10.2.0.1, secret: "0123456789abcdef"}',
            "  reject_delay: 2",
            "differs from radius_server_auto: ",
        ),
        (
            '{ip: 10.2.0.1, secret: "0123456789abcdef"}',
            "  interface: 127.0.0.1",
            "both sections listen on all addresses",
        ),
        (
            '{ip: 10.2.0.1, secret: "0123456789abcdef"}',
            "  name: radius_server_auto",
            "is already the name of radius_server_auto",
        ),
    ],
)
def test_sections_on_one_port(tmp_path: Path, client: str, more: str, expected: str) -> None:
    """R15."""
    (problem,) = problems(tmp_path, WHOLE + second(client, more))
    assert problem.split(":")[2].startswith(" radius_server_auto2")
    assert expected in problem


def test_sections_on_one_port_that_share_no_client(tmp_path: Path) -> None:
    text = WHOLE + second('{ip: 10.2.0.1, secret: "0123456789abcdef"}')
    assert not problems(tmp_path, text)
    overlapping = WHOLE + second('{ip: 10.1.0.1, secret: "0123456789abcdef"}', "  port: 18120")
    assert not problems(tmp_path, overlapping)


def test_sections_on_one_port_of_two_addresses(tmp_path: Path) -> None:
    first = WHOLE + "  interface: 127.0.0.1\n"
    assert not problems(
        tmp_path, first + second('{ip: 10.1.0.1, secret: "0123456789abcdef"}', "  interface: 127.0.0.2")
    )
    assert problems(
        tmp_path, first + second('{ip: 10.1.0.1, secret: "0123456789abcdef"}', "  interface: 127.0.0.1")
    )


@pytest.mark.parametrize("secret", ["0123456789abcdef", "another-secret-here"])
def test_the_same_network_twice_has_no_winner(tmp_path: Path, secret: str) -> None:
    """R11: also with one secret, since a client has a name and rules."""
    (problem,) = problems(
        tmp_path, WHOLE + f'    - {{name: b, ip: [10.9.0.1, 10.1.0.9/24], secret: "{secret}"}}\n'
    )
    assert problem == (
        "authproxy.yaml:12: radius_server_auto.clients[1].ip: 10.1.0.0/24 already belongs to client asa"
    )


def test_a_network_within_another_is_fine(tmp_path: Path) -> None:
    assert not problems(tmp_path, WHOLE + '    - {name: b, ip: 10.1.0.9, secret: "another-secret-here"}\n')


def test_clients_have_names_of_their_own(tmp_path: Path) -> None:
    (problem,) = problems(
        tmp_path, WHOLE + '    - {name: asa, ip: 10.9.0.1, secret: "another-secret-here"}\n'
    )
    assert (
        problem
        == "authproxy.yaml:12: radius_server_auto.clients[1].name: asa is already the name of another client"
    )


@pytest.mark.parametrize(
    ("written_as", "networks"),
    [
        ("10.1.0.1", ["10.1.0.1/32"]),
        ("10.1.0.0/24", ["10.1.0.0/24"]),
        ("10.1.0.5/24", ["10.1.0.0/24"]),
        ("10.1.0.0/255.255.255.0", ["10.1.0.0/24"]),
        ("10.1.0.4-10.1.0.7", ["10.1.0.4/30"]),
        ("10.1.0.4 - 10.1.0.8", ["10.1.0.4/30", "10.1.0.8/32"]),
        ('"2001:db8::1"', ["2001:db8::1/128"]),
        ('"2001:db8::/32"', ["2001:db8::/32"]),
        ('"::ffff:10.1.0.1"', ["10.1.0.1/32"]),
        ('"::ffff:10.1.0.0/120"', ["10.1.0.0/24"]),
        ('[10.1.0.1, "2001:db8::1"]', ["10.1.0.1/32", "2001:db8::1/128"]),
    ],
)
def test_the_ways_to_write_a_network(tmp_path: Path, written_as: str, networks: list[str]) -> None:
    text = WHOLE.replace("10.1.0.0/24", written_as)
    assert server(loaded(tmp_path, text).config).clients[0].ip == tuple(map(ip_network, networks))


@pytest.mark.parametrize(
    "written_as",
    [
        "10.1.0",
        "10.1.0.0/33",
        "10.1.0.9-10.1.0.1",
        '"10.0.0.1-::1"',
        "10.0.0.1-",
        '"fe80::1%eth0"',
        "asa.example",
        '""',
        "[]",
    ],
)
def test_what_is_no_network(tmp_path: Path, written_as: str) -> None:
    (problem,) = problems(tmp_path, WHOLE.replace("10.1.0.0/24", written_as))
    assert problem.startswith("authproxy.yaml:11: radius_server_auto.clients[0].ip: ")


# ---- Message-Authenticator


def test_a_client_has_the_sections_rule_unless_its_own(tmp_path: Path) -> None:
    """R19."""
    text = WHOLE + '    - {ip: 10.9.0.1, secret: "0123456789abcdef", require_message_authenticator: no}\n'
    section = server(loaded(tmp_path, text + "  require_message_authenticator: yes\n").config)
    assert [client.require_message_authenticator for client in section.clients] == ["yes", "no"]


def test_force_means_yes(tmp_path: Path) -> None:
    text = CFG_WHOLE + "force_message_authenticator=true\n"
    section = server(loaded(tmp_path, text, "authproxy.cfg").config)
    assert section.clients[0].require_message_authenticator is RequireMessageAuthenticator.YES
    assert problems(tmp_path, text + "require_message_authenticator=no\n", "authproxy.cfg")


# ---- warnings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            WHOLE + "  failmode: safe\n",
            ":12: radius_server_auto.failmode: safe: while the cloud can't be reached",
        ),
        (
            WHOLE.replace("  host:", "  transport: clear\n  auth_type: plain\n  bind_dn: CN=a\n  host:"),
            "every password crosses",
        ),
        (
            WHOLE.replace("  host:", "  ssl_verify_hostname: false\n  host:"),
            ":2: ad_client.ssl_verify_hostname: false: whoever",
        ),
        (WHOLE, ":1: ad_client.transport: no ssl_ca_certs_file"),
        (
            WHOLE.replace("0123456789abcdef", "0123456789abcde"),
            ":11: radius_server_auto.clients[0].secret: shorter than 16",
        ),
        (
            WHOLE + "  require_message_authenticator: no\n",
            ":12: radius_server_auto.require_message_authenticator: no: ",
        ),
        (
            WHOLE.replace("10.1.0.0/24", "0.0.0.0/0"),
            ":11: radius_server_auto.clients[0].ip: 0.0.0.0/0 is very large",
        ),
        (WHOLE.replace("10.1.0.0/24", '"::/0"'), ":11: radius_server_auto.clients[0].ip: ::/0 is very large"),
        (
            WHOLE + "  trust_unsigned_client_ip: true\n",
            ":12: radius_server_auto.trust_unsigned_client_ip: true: anyone on the way",
        ),
        (
            WHOLE + "  exempt_usernames: [bob]\n",
            ":12: radius_server_auto.exempt_usernames: no second factor for bob",
        ),
        (
            WHOLE + "  exempt_usernames: [bob, CORP\\eve]\n",
            ":12: radius_server_auto.exempt_usernames[1]: CORP\\eve exempts nobody: ",
        ),
        (WHOLE + "  debug: true\n", ":12: radius_server_auto.debug: has no effect in a section: "),
        (WHOLE.replace("name: asa", "name: asa, omit_message_authenticator: true"), "replies can be forged"),
        ("main:\n  drain_timeout: 5\n" + WHOLE, "main.drain_timeout (5 s) is shorter"),
        ("main:\n  log_sso_events: true\n" + WHOLE, ":2: main.log_sso_events: has no effect"),
        (
            WHOLE + "  client: ad_client\n" + DIRECTORY.replace("ad_client", "ad_client9"),
            ":13: ad_client9: no server section",
        ),
        (
            WHOLE + "  failmode: safe\n  api_timeout: 60\n",
            ":13: radius_server_auto.api_timeout: few clients wait that long",
        ),
    ],
)
def test_what_is_risky(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in warning for warning in warnings(tmp_path, text))


def test_a_cfg_without_failmode_is_warned_of(tmp_path: Path) -> None:
    assert (
        "authproxy.cfg:6: radius_server_auto.failmode: not set, which means safe in a .cfg; set it to the one "
        "that you mean"
    ) in warnings(tmp_path, CFG_WHOLE, "authproxy.cfg")


# ---- the rest of the way in


def test_problems_that_show_later_have_their_place(tmp_path: Path) -> None:
    found = loaded(tmp_path, WHOLE)
    assert str(found.problem("ad_client", "search_dn", "not there")).endswith(
        "authproxy.yaml:5: ad_client.search_dn: not there"
    )
    assert str(found.problem("ad_client", "timeout", "too long")).endswith(
        "authproxy.yaml:1: ad_client.timeout: too long"
    )
    assert str(found.problem("main", "user", "unknown")).endswith("authproxy.yaml: main.user: unknown")


def test_folders_that_nobody_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def folders(environ: dict[str, str]) -> tuple[str, str]:
        main = loaded(tmp_path, WHOLE, environ=environ).config.main
        return str(main.state_dir), str(main.log_dir)

    assert folders({"STATE_DIRECTORY": "/s", "LOGS_DIRECTORY": "/l"}) == ("/s", "/l")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert folders({}) == ("/var/lib/authproxy", "/var/log/authproxy")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert folders({"HOME": "/home/a"}) == (
        "/home/a/.local/state/authproxy",
        "/home/a/.local/state/authproxy/log",
    )
    assert folders({"XDG_STATE_HOME": "/x"}) == ("/x/authproxy", "/x/authproxy/log")


def test_nothing_of_a_secret_is_ever_shown(tmp_path: Path) -> None:
    """S1: neither in what loads nor in what doesn't."""
    canary = "canary-4711-canary"
    config = loaded(tmp_path, WHOLE.replace("opensesame", canary))
    assert canary not in repr(config) + str(config.config)
    text = (
        WHOLE.replace("opensesame", canary)
        .replace('"0123456789abcdef"', f"[{canary}]")
        .replace(f'"{SKEY}"', canary)
    )
    with pytest.raises(InvalidConfig) as invalid:
        load(written(tmp_path, text), {})
    assert canary not in repr(invalid.value) + str(invalid.value) + repr(invalid.value.problems)


def test_output_stays_on_its_line(tmp_path: Path) -> None:
    """S2."""
    (problem,) = problems(tmp_path, WHOLE + '  "x\\n\\e[31mauthproxy.yaml:1: forged": 1\n')
    assert problem.startswith("authproxy.yaml:12: radius_server_auto.x\\u{a}\\u{1b}[31m")


def test_a_server_section_is_known_by_its_base(tmp_path: Path) -> None:
    assert list(loaded(tmp_path, WHOLE).config.all(ServerSection)) == ["radius_server_auto"]
