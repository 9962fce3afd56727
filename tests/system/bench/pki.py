"""A private authority for the fakes: right, expired, misnamed and foreign certificates."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """Files in `folder`; ca.pem is what a client trusts."""

    def __init__(self, folder: Path, name: str = "Bench CA") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        authority = _builder(self._name, self._name, self._key.public_key(), DAY)
        authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(_pem(authority.sign(self._key, hashes.SHA256())))

    def context(
        self, name: str, *, expired: bool = False, begins: datetime.timedelta = -2 * DAY, alone: bool = False
    ) -> ssl.SSLContext:
        """A server's TLS context with a certificate for this name. `alone`: signed by itself; `begins`: from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        end = -DAY if expired else DAY
        made = _builder(_name(name), _name(name) if alone else self._name, key.public_key(), end, begins)
        made = made.add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
        signed = made.sign(key if alone else self._key, hashes.SHA256())
        file = self.folder / f"{name}{'-expired' if expired else ''}.pem"
        file.write_bytes(_pem(signed) + _key_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    end: datetime.timedelta,
    begins: datetime.timedelta = -2 * DAY,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + max(end, begins + DAY))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
