"""Every certificate that a configuration names is watched; a bundle of strangers' authorities is not."""

from __future__ import annotations

from pathlib import Path

from authproxy.backends.tls import ServerCertificates
from authproxy.service.certificates import expiries_of
from tests.config.files import DIRECTORY, SERVER, loaded
from tests.system.bench.pki import Authority

DAY = 86_400.0


def test_files_of_a_configuration(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "one", "One CA"), Authority(tmp_path / "two", "Two CA")
    pem = tmp_path / "both.pem"
    pem.write_bytes(authority.ca.read_bytes() + other.ca.read_bytes())
    text = (
        f"main:\n  admin: 127.0.0.1:8912\n  alarm_webhook: https://alarms.test/\n"
        f"  alarm_webhook_ca_certs_file: {authority.ca}\n"
        + DIRECTORY
        + f"  ssl_ca_certs_file: {pem}\n"
        + SERVER
        + f"  api_ca_certs_file: {other.ca}\n"
    )
    names = {name.partition(" (")[0] for name in expiries_of(loaded(tmp_path, text).config)}
    assert names == {
        "both.pem: One CA",
        "both.pem: Two CA",
        f"{authority.ca.name}: One CA",
        f"{other.ca.name}: Two CA",
    }
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(authority.ca.read_bytes() * 11)
    assert expiries_of(loaded(tmp_path, text.replace(str(pem), str(bundle))).config).keys() == {
        name for name in expiries_of(loaded(tmp_path, text).config) if "both.pem" not in name
    }


def test_what_is_not_shown_again_is_forgotten() -> None:
    now = [0.0]
    certificates = ServerCertificates(lambda: now[0])
    certificates.note("dc1", 5.0)
    certificates.configure({"admin": 6.0})
    now[0] = 7 * DAY
    certificates.note("dc2", 7.0)
    now[0] = 9 * DAY
    assert certificates.expiries() == {"dc2": 7.0, "admin": 6.0}
    certificates.configure({})
    assert certificates.expiries() == {"dc2": 7.0}


def test_a_server_that_nobody_asks_any_more() -> None:
    certificates = ServerCertificates(lambda: 0.0)
    certificates.note("dc1", 5.0)
    certificates.note("dc2", 6.0)
    certificates.configure({"dc2": 7.0})
    certificates.forget({"dc1", "dc3"})
    assert certificates.expiries() == {"dc2": 7.0}
