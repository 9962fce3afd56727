"""`radsec_…`: what belongs together, whose certificate is whose, in both syntaxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.config.model import RadiusClient, RadiusServerAuto
from authproxy.secret import Secret
from tests.config.files import CFG_DIRECTORY, CFG_SERVER, SERVER, WHOLE, loaded, problems, warnings

FILES = "  radsec_certificate_file: r.pem\n  radsec_key_file: r.key\n  radsec_client_ca_file: ca.pem\n"
CLIENT = "  radsec_clients:\n    - {name: switch, ip: 10.2.0.0/24, certificate: Switch.Corp.example}\n"
PRINT = "AB:" * 31 + "AB"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("r.pem", "r.key", "ca.pem"):
        (tmp_path / name).touch(mode=0o600)
    return tmp_path


def auto(folder: Path, text: str, name: str = "authproxy.yaml") -> RadiusServerAuto:
    (section,) = loaded(folder, text, name).config.all(RadiusServerAuto).values()
    return section


def test_both_syntaxes(folder: Path) -> None:
    text = WHOLE + FILES + CLIENT.replace("Switch.Corp.example", f'["Switch.Corp.example", "sha256:{PRINT}"]')
    yaml = auto(folder, text)
    cfg = auto(
        folder,
        CFG_DIRECTORY
        + CFG_SERVER
        + "radsec_certificate_file=r.pem\nradsec_key_file=r.key\nradsec_client_ca_file=ca.pem\n"
        + f"radsec_ip_1=10.2.0.0/24\nradsec_certificate_1=switch.corp.example, sha256:{PRINT}\n",
        "authproxy.cfg",
    )
    assert yaml.radsec_port == cfg.radsec_port == 2083
    for section in (yaml, cfg):
        (client,) = section.radsec_clients
        assert client.certificate == ("switch.corp.example", "sha256:" + "ab" * 32)
    assert cfg.radsec_clients[0].name == "10.2.0.0/24"


def test_clients_over_tls_are_enough(folder: Path) -> None:
    text = WHOLE[: WHOLE.index("  clients:")] + FILES + CLIENT
    assert auto(folder, text).clients == ()
    (problem,) = problems(folder, WHOLE[: WHOLE.index("  clients:")])
    assert problem == "authproxy.yaml:6: radius_server_auto.clients: missing"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (CLIENT, ["_certificate_file: missing", "_client_ca_file: missing", "_key_file: missing"]),
        (FILES, ["radsec_clients: missing: without them nobody"]),
        (
            FILES + CLIENT + "    - {name: switch, ip: 10.3.0.1, certificate: b}\n",
            ["is already the name of another"],
        ),
        (
            FILES + CLIENT + "    - {name: b, ip: 10.3.0.1, certificate: switch.corp.example}\n",
            ["switch.corp.example already belongs to client switch"],
        ),
        (
            FILES + CLIENT.replace("Switch.Corp.example", '"*.corp.example"'),
            ["a wildcard doesn't name a client"],
        ),
        (FILES + CLIENT.replace("Switch.Corp.example", '"sha256:ab"'), ["64 hexadecimal digits"]),
        (FILES + CLIENT.replace("Switch.Corp.example", '"a b"'), ["not a certificate's name or address"]),
        (FILES + CLIENT.replace("ip: 10.2.0.0/24, ", ""), ["ip: missing"]),
        (FILES + CLIENT.replace(", certificate: Switch.Corp.example", ""), ["certificate: missing"]),
    ],
)
def test_faults(folder: Path, more: str, expected: list[str]) -> None:
    found = problems(folder, WHOLE + more)
    assert len(found) == len(expected)
    for problem, part in zip(found, expected, strict=True):
        assert part in problem


# ---- radius_client


TOWARDS = "radius_client:\n  host: [r1.example, r2.example]\n"
OWN = "  transport: radsec\n  ssl_client_cert_file: r.pem\n  ssl_client_key_file: r.key\n"


def towards(folder: Path, text: str, name: str = "authproxy.yaml") -> RadiusClient:
    (section,) = loaded(folder, text, name).config.all(RadiusClient).values()
    return section


def test_towards_a_server_over_tls(folder: Path) -> None:
    yaml = towards(folder, TOWARDS + OWN + SERVER)
    cfg = towards(
        folder,
        "[radius_client]\nhost=r1.example\nhost_2=r2.example\n"
        + OWN.replace(": ", "=").replace("  ", "")
        + CFG_SERVER,
        "authproxy.cfg",
    )
    for section in (yaml, cfg):
        assert section.servers == (("r1.example", 2083), ("r2.example", 2083))
        assert section.shared_secret == Secret(b"radsec")
    assert warnings(folder, TOWARDS + OWN + SERVER) == []


def test_towards_a_server_by_udp(folder: Path) -> None:
    secret = '  secret: "a shared secret here"\n'
    assert towards(folder, TOWARDS + secret + SERVER).servers[0] == ("r1.example", 1812)
    assert problems(folder, TOWARDS + SERVER) == ["authproxy.yaml:1: radius_client.secret: missing"]
    (warning,) = warnings(folder, TOWARDS + secret + "  ssl_ca_certs_file: ca.pem\n" + SERVER)
    assert "ssl_ca_certs_file: has no effect" in warning


def test_a_certificate_is_shown_always(folder: Path) -> None:
    found = problems(folder, TOWARDS + "  transport: radsec\n" + SERVER)
    assert [problem.partition(": ")[2].split(":")[0] for problem in found] == [
        "radius_client.ssl_client_cert_file",
        "radius_client.ssl_client_key_file",
    ]


def second(client: str, more: str = "") -> str:
    server = SERVER[: SERVER.index("  clients:")].replace("auto:", "auto2:").replace("vpn", "second")
    return server + FILES + f"  radsec_clients:\n    - {client}\n" + more


@pytest.mark.parametrize(
    ("client", "more", "expected"),
    [
        ("{ip: 10.3.0.1, certificate: other.example}", "", None),
        (
            "{ip: 10.3.0.1, certificate: switch.corp.example}",
            "",
            "already belongs to client switch of radius_server_auto",
        ),
        ("{ip: 10.3.0.1, certificate: switch.corp.example}", "  radsec_port: 2084\n", None),
        (
            "{ip: 10.3.0.1, certificate: other.example}",
            "  radsec_idle_timeout: 60\n",
            "share radsec_port 2083 need the same value",
        ),
        (
            "{ip: 10.3.0.1, certificate: other.example}",
            "  reject_delay: 2\n",
            "share radsec_port 2083 need the same value",
        ),
        ("{ip: 10.3.0.1, certificate: o.example}", "  interface: 127.0.0.1\n", "either both sections"),
    ],
)
def test_two_sections_on_one_port(folder: Path, client: str, more: str, expected: str | None) -> None:
    """R15, over TLS: a certificate is one client's."""
    first = WHOLE[: WHOLE.index("  clients:")] + FILES + CLIENT
    found = problems(folder, first + second(client, more))
    assert (
        [expected in problem for problem in found] == ([True] if expected else []) if expected else not found
    )


# ---- accounting


SECRET = '  secret: "a shared secret here"\n'
ACCOUNTING = "  client: ad_client\n  accounting_client: radius_client\n"


def test_where_accounting_goes(folder: Path) -> None:
    text = TOWARDS + SECRET + WHOLE + ACCOUNTING
    assert towards(folder, text).accounting_servers == (("r1.example", 1813), ("r2.example", 1813))
    over_tls = TOWARDS + OWN + WHOLE + ACCOUNTING
    assert towards(folder, over_tls).accounting_servers[0] == ("r1.example", 2083)
    assert not any("no server section uses it" in warning for warning in warnings(folder, text))
    cfg = CFG_DIRECTORY + "[radius_client]\nhost=r1.example\nsecret=a shared secret\naccounting_port=1646\n"
    cfg += CFG_SERVER + "client=ad_client\naccounting_client=radius_client\naccounting_port=1645\n"
    assert towards(folder, cfg, "authproxy.cfg").accounting_servers == (("r1.example", 1646),)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("  accounting_client: radius_client2\n", "there is no radius_client section radius_client2"),
        ("  accounting_client: ad_client\n", "there is no radius_client section ad_client"),
        (
            "  accounting_client: radius_client\n  accounting_port: 1812\n",
            "1812 is already the port for logins",
        ),
    ],
)
def test_faults_of_accounting(folder: Path, more: str, expected: str) -> None:
    (problem,) = problems(folder, TOWARDS + SECRET + WHOLE + "  client: ad_client\n" + more)
    assert expected in problem


@pytest.mark.parametrize(
    ("port", "ip", "more", "expected"),
    [
        (1820, "10.7.0.1", "", None),
        (1820, "10.1.0.1", "", "overlaps client asa (10.1.0.0/24)"),
        (1820, "10.1.0.1", "  accounting_port: 1822\n", None),
        (1813, "10.7.0.1", "  accounting_port: 1822\n", "1813 is already a port for logins"),
    ],
)
def test_two_sections_with_accounting(
    folder: Path, port: int, ip: str, more: str, expected: str | None
) -> None:
    """R15: by the address that accounting comes from it has to be clear whose it is."""
    other = SERVER.replace("auto:", "auto2:").replace("10.1.0.0/24", ip) + f"  port: {port}\n"
    found = problems(folder, TOWARDS + SECRET + WHOLE + ACCOUNTING + other + ACCOUNTING + more)
    assert len(found) == (0 if expected is None else 1), found
    assert expected is None or expected in found[0]
