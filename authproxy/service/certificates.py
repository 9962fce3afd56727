"""When the certificates in the configured files expire (T4): CAs, and our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from authproxy.backends.tls import UnusableTrust, read_certificates
from authproxy.config.model import AdClient, Config, ServerSection

# A file with more authorities is a bundle like the system's, whose keeper sees to it; a pinned few are ours to watch.
_MOST_AUTHORITIES = 10


def expiries_of(config: Config) -> dict[str, float]:
    """notAfter by name, in Unix seconds. A file that can't be read is reported where it is used."""
    main = config.main
    found: dict[str, float] = {}
    if main.admin_tls_cert is not None:
        found |= _own("admin", main.admin_tls_cert)
    for authorities in sorted(set(_authority_files(config))):
        found |= _authorities(authorities)
    for name, options in config.all(AdClient).items():
        if options.ssl_client_cert_file is not None:
            found |= _own(f"{name} (client)", options.ssl_client_cert_file)
    return found


def _authority_files(config: Config) -> Iterator[Path]:
    main = config.main
    files = [main.alarm_webhook_ca_certs_file]
    files += [options.ssl_ca_certs_file for options in config.all(AdClient).values()]
    files += [options.api_ca_certs_file for options in config.all(ServerSection).values()]
    yield from (path for path in files if path is not None)


def _own(name: str, path: Path) -> dict[str, float]:
    """The first of the file: the others are its chain."""
    certificates = _read(path)
    return {name: certificates[0].not_valid_after_utc.timestamp()} if certificates else {}


def _authorities(path: Path) -> dict[str, float]:
    certificates = _read(path)
    if len(certificates) > _MOST_AUTHORITIES:
        return {}
    return {
        f"{path.name}: {_subject(certificate)}": certificate.not_valid_after_utc.timestamp()
        for certificate in certificates
    }


def _read(path: Path) -> list[x509.Certificate]:
    try:
        return read_certificates(path)
    except UnusableTrust:
        return []


def _subject(certificate: x509.Certificate) -> str:
    """What people call it; of two with one name the serial number tells which."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    called = str(names[0].value) if names else certificate.subject.rfc4514_string()
    return f"{called} ({certificate.serial_number & 0xFFFF_FFFF:08x})"
