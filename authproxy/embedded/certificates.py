"""A private authority and a server certificate for trials: made at the first start, renewed when it is due.

Clients match DNS names only (an address in an IP name is ignored by some), so a name that looks like an address is
entered as both.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto
from twisted.internet import ssl

from authproxy.values import light_dataclass

_DAY = datetime.timedelta(days=1)
_AUTHORITY_LIFE = 3650 * _DAY
_SERVER_LIFE = 397 * _DAY
_RENEWED_BEFORE = 30 * _DAY


class CertificateUnusable(Exception):
    """A file is missing, isn't ours, or can't be written; the administrator has to act."""


@light_dataclass(frozen=True, slots=True)
class ServerFiles:
    """PEM files. `authority`: what clients have to trust; `certificate`: with its chain."""

    authority: Path
    certificate: Path
    key: Path


def server_files(folder: Path, names: Sequence[str]) -> ServerFiles:
    """The files in this folder, created or renewed if needed. Raises CertificateUnusable."""
    files = ServerFiles(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority, key = _authority(files.authority, folder / "ca.key")
        if not _is_good(files, names, authority):
            _make_server(files, names, authority, key)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateUnusable(f"{folder}: {error}") from None
    return files


def server_context(files: ServerFiles) -> ssl.CertificateOptions:
    """The context for a TLS server, TLS 1.2 or newer. Raises CertificateUnusable."""
    try:
        own, *chain = x509.load_pem_x509_certificates(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateUnusable(f"{files.certificate}, {files.key}: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise CertificateUnusable(f"{files.key}: a kind of key that TLS servers don't have")
    if key.public_key() != own.public_key():
        raise CertificateUnusable(f"{files.key} is not the key of {files.certificate}")
    return ssl.CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(key),
        certificate=crypto.X509.from_cryptography(own),
        extraCertChain=[crypto.X509.from_cryptography(made) for made in chain],
        raiseMinimumTo=ssl.TLSVersion.TLSv1_2,
    )


def _authority(path: Path, key_path: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if path.exists() or key_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_path.name} is not a key of mine")
        return x509.load_pem_x509_certificate(path.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authproxy private authority")])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = _begun(name, name, key, key, _AUTHORITY_LIFE)
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(key_path, _key_pem(key), 0o600)
    _write(path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return certificate, key


def _make_server(
    files: ServerFiles, names: Sequence[str], authority: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    alternatives = x509.SubjectAlternativeName(_alternatives(names))
    certificate = (
        _begun(subject, authority.subject, own, key, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
    )
    chain = b"".join(made.public_bytes(serialization.Encoding.PEM) for made in (certificate, authority))
    _write(files.key, _key_pem(own), 0o600)
    _write(files.certificate, chain, 0o644)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)  # a client whose clock is a little behind
        .not_valid_after(now + life)
        .add_extension(identifier, critical=False)
        .add_extension(issued_by, critical=False)
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = [x509.DNSName(name) for name in names if ":" not in name]
    for name in names:
        with contextlib.suppress(ValueError):
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
    return found


def _is_good(files: ServerFiles, names: Sequence[str], authority: x509.Certificate) -> bool:
    """Whether the server's certificate is there, for these names, from this authority, and lasts a while."""
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        certificate.verify_directly_issued_by(authority)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is made
        return False
    ends = datetime.datetime.now(datetime.UTC) + _RENEWED_BEFORE
    return (
        certificate.not_valid_after_utc > ends
        and key.public_key() == certificate.public_key()
        and list(named) == _alternatives(names)
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, octets: bytes, mode: int) -> None:
    """Whole or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
