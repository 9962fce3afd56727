"""TLS to the servers we ask: whom we believe, and for what name (T1, T3, T6; RFC 9325, RFC 9525).

The name is checked inside the handshake, before our Finished leaves: a server with another's certificate never
sees an octet of what would have been said to it. Only subjectAltName counts, a common name is never looked at.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import (
    DNS_ID,
    CertificatePattern,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    verify_service_identity,
)
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from zope.interface import implementer

from authproxy.values import light_dataclass

# RFC 9325 §4.2: forward secrecy and AEAD first; CBC only at the end, for domain controllers of 2012.
DEFAULT_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!MD5:!DSS:!3DES:!RC4"
_MODE_RELEASE_BUFFERS = 0x10  # <openssl/ssl.h>: an idle connection keeps no read and write buffers
_NO_RENEGOTIATION = 0x40000000  # <openssl/ssl.h> SSL_OP_NO_RENEGOTIATION


class TlsVersion(StrEnum):
    """The oldest version that may be used. Versions before 1.2 are never used (T3)."""

    TLS12 = "tls1.2"
    TLS13 = "tls1.3"


_MINIMUM = {TlsVersion.TLS12: SSL.TLS1_2_VERSION, TlsVersion.TLS13: SSL.TLS1_3_VERSION}


@light_dataclass(frozen=True, slots=True)
class Trust:
    """Which certificates to accept. The files are read for the first connection, and again when they have changed."""

    ca_file: Path | None = None  # None: the system's store
    verify_hostname: bool = True  # False: the chain alone, by the administrator's explicit option
    verify: bool = True  # False: anybody; never for the cloud
    minimum: TlsVersion = TlsVersion.TLS12
    cipher_list: str | None = None  # OpenSSL's notation, TLS 1.2; None: DEFAULT_CIPHERS
    verify_depth: int = 9
    client_certificate: Path | None = None  # PEM, with its chain
    client_key: Path | None = None  # PEM, unencrypted; None: in the certificate's file


# What <openssl/x509_vfy.h> calls the problems that administrators meet.
_PROBLEMS = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed and not in the CA file",
    19: "its authority is not trusted here",
    20: "its authority is not trusted here",
    21: "its authority is not trusted here",
    22: "the chain is too long",
    26: "the certificate is not for servers",
}


class UnusableTrust(Exception):
    """A file is missing, isn't PEM, contains no certificate, or doesn't fit; the administrator has to act."""


class Untrusted(SSL.Error):
    """The peer's certificate doesn't prove the name that we called."""

    def __init__(self, problem: str) -> None:
        # In the shape of OpenSSL's own errors, which Twisted takes apart.
        super().__init__([("authproxy", "certificate", problem)])


# Seconds after which a server that showed no certificate again is none of ours any more.
_FORGOTTEN_AFTER = 8 * 86_400.0


class ServerCertificates:
    """When certificates expire: those that servers showed last, and those in the configuration."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown: dict[str, tuple[float, float]] = {}
        self._configured: Mapping[str, float] = {}

    def note(self, hostname: str, not_after: float) -> None:
        """A server has shown a certificate. `not_after`: Unix seconds."""
        self._shown[hostname] = (not_after, self._clock())

    def configure(self, expiries: Mapping[str, float]) -> None:
        """Replace the configured certificates: expiry by name, in Unix seconds."""
        self._configured = dict(expiries)

    def forget(self, names: Collection[str]) -> None:
        """Nobody asks these servers any more."""
        self._shown = {name: shown for name, shown in self._shown.items() if name not in names}

    def expiries(self) -> Mapping[str, float]:
        """Expiry by name (for a server its host name), in Unix seconds."""
        since = self._clock() - _FORGOTTEN_AFTER
        self._shown = {name: shown for name, shown in self._shown.items() if shown[1] >= since}
        return {name: not_after for name, (not_after, _) in self._shown.items()} | dict(self._configured)


@implementer(IOpenSSLClientConnectionCreator)
class ClientTls:
    """Connections to one name; for `startTLS`, `wrapClientTLS` and `TLSMemoryBIOFactory`."""

    def __init__(
        self, hostname: str, trust: Trust, context: SSL.Context, seen: ServerCertificates | None
    ) -> None:
        self._name = host_name(hostname)
        self._verify_hostname = trust.verify and trust.verify_hostname
        self._context = context
        self._seen = seen

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803 - Twisted's
        connection = _Connection(self._context, None)
        connection.expected = self
        if not _is_address(self._name):
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        return connection

    def check_name(self, certificate: x509.Certificate) -> None:
        """Raises Untrusted."""
        if self._seen is not None:
            self._seen.note(self._name, certificate.not_valid_after_utc.timestamp())
        if not self._verify_hostname:
            return
        wanted = IPAddress_ID(self._name) if _is_address(self._name) else DNS_ID(self._name)
        try:
            verify_service_identity(_patterns(certificate), [wanted], [])
        except (VerificationError, CertificateError, ValueError):
            raise Untrusted(f"the certificate is not for {self._name}") from None


class _Connection(SSL.Connection):
    """Remembers whom it calls; the app data is Twisted's."""

    expected: ClientTls


def client_tls(hostname: str, trust: Trust, seen: ServerCertificates | None = None) -> ClientTls:
    """A TLS client for `hostname`, a name or an address. Raises UnusableTrust."""
    return ClientTls(hostname, trust, _context(trust, _versions(trust)), seen)


def host_name(hostname: str) -> str:
    """The name as in certificates and SNI: ASCII, without brackets and final dot. Raises UnusableTrust."""
    name = hostname.strip("[]").removesuffix(".")
    try:
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        raise UnusableTrust(f"{hostname}: not a host name") from None


def is_untrusted(error: BaseException | Failure) -> bool:
    """Whether TLS failed because of what the peer is or says: certificate, name, alert, or no TLS on the port.

    A connection that ends during the handshake doesn't count: a dead network looks like that.
    """
    value = error.value if isinstance(error, Failure) else error
    match value:
        case SSL.SysCallError() | SSL.WantReadError() | SSL.WantWriteError() | SSL.ZeroReturnError():
            return False
        case SSL.Error():
            return not _is_eof(value)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ssl.SSLSyscallError() | ssl.SSLWantReadError():
            return False
        case ssl.SSLError(reason="UNEXPECTED_EOF_WHILE_READING"):
            return False  # before Python 3.11.4 it is no SSLEOFError
        case ssl.SSLError() | VerificationError() | CertificateError():
            return True
        case _:
            return False


def describe(error: BaseException | Failure) -> str:
    """What went wrong, for the log; in OpenSSL's words if the error is OpenSSL's."""
    value = error.value if isinstance(error, Failure) else error
    if isinstance(value, SSL.Error) and value.args and isinstance(value.args[0], list):
        return "; ".join(str(entry[-1]) for entry in value.args[0]) or "end of connection"
    if isinstance(value, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {value.verify_message}"
    if isinstance(value, ssl.SSLError) and value.reason:
        return value.reason.lower().replace("_", " ")
    ended = getattr(value, "osError", None)
    if isinstance(ended, Failure):
        # A connection that ended before it was made: Twisted's own text of it has the word Traceback.
        return ended.getErrorMessage()
    return str(value) or type(value).__name__


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file. Raises UnusableTrust."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise UnusableTrust(f"{path}: {error.strerror}") from None
    except ValueError:
        raise UnusableTrust(f"{path}: holds no certificate in PEM form") from None
    if not found:
        raise UnusableTrust(f"{path}: holds no certificate in PEM form")
    return found


def _is_eof(error: SSL.Error) -> bool:
    """OpenSSL 3 says so in words, OpenSSL 4 by an empty queue."""
    queue = error.args[0] if error.args else None
    return not queue or str(queue[-1][-1]).casefold().startswith("unexpected eof")


def _patterns(certificate: x509.Certificate) -> list[CertificatePattern]:
    """The names that it is for. One that is none (an address written as a DNS name) doesn't spoil the others."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    patterns: list[CertificatePattern] = [
        IPAddressPattern(address)
        for address in names.get_values_for_type(x509.IPAddress)
        if isinstance(address, (IPv4Address, IPv6Address))
    ]
    for name in names.get_values_for_type(x509.DNSName):
        with contextlib.suppress(CertificateError):
            patterns.append(DNSPattern.from_bytes(name.encode()))
    return patterns


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _versions(trust: Trust) -> tuple[object, ...]:
    """Changes when a file does. Raises UnusableTrust."""
    files = (trust.ca_file, trust.client_certificate, trust.client_key)
    try:
        found = [path.stat() for path in files if path is not None]
    except OSError as error:
        raise UnusableTrust(f"{error.filename}: {error.strerror}") from None
    return tuple((status.st_mtime_ns, status.st_ino, status.st_size) for status in found)


@lru_cache(maxsize=64)
def _context(trust: Trust, versions: tuple[object, ...]) -> SSL.Context:
    """One for all connections of the same trust: the system's store alone takes a megabyte."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(_MINIMUM[trust.minimum])
    context.set_options(SSL.OP_NO_COMPRESSION | _NO_RENEGOTIATION)
    context.set_mode(_MODE_RELEASE_BUFFERS)
    try:
        context.set_cipher_list((trust.cipher_list or DEFAULT_CIPHERS).encode("ascii"))
    except (SSL.Error, UnicodeEncodeError):
        raise UnusableTrust(f"cipher list {trust.cipher_list}: OpenSSL knows none of it") from None
    context.set_verify_depth(trust.verify_depth)
    if trust.verify:
        context.set_verify(SSL.VERIFY_PEER, _believe)
    else:
        context.set_verify(SSL.VERIFY_NONE)
    _load_authorities(context, trust)
    _load_own(context, trust)
    return context


def _believe(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    """OpenSSL asks for each certificate of the chain; the last one, at depth 0, is the server's own."""
    if not ok:
        raise Untrusted(_PROBLEMS.get(error, f"certificate verification problem {error}"))
    if depth == 0:
        if not isinstance(connection, _Connection):
            return False
        connection.expected.check_name(certificate.to_cryptography())
    return True


def _load_authorities(context: SSL.Context, trust: Trust) -> None:
    if trust.ca_file is None:
        context.set_default_verify_paths()
        return
    store = context.get_cert_store()
    if store is None:
        raise UnusableTrust("OpenSSL made no certificate store")
    for certificate in read_certificates(trust.ca_file):
        store.add_cert(crypto.X509.from_cryptography(certificate))
    # Whoever puts an issuing authority or the server's own certificate into the file means to trust it.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)


def _load_own(context: SSL.Context, trust: Trust) -> None:
    if trust.client_certificate is None:
        return
    key = trust.client_key or trust.client_certificate
    private = _private_key(key)
    try:
        context.use_certificate_chain_file(str(trust.client_certificate))
        context.use_privatekey(private)
        context.check_privatekey()
    except SSL.Error as error:
        raise UnusableTrust(f"{trust.client_certificate} with {key}: {describe(error)}") from None


def _private_key(path: Path) -> RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (TypeError, ValueError, UnsupportedAlgorithm):  # the first is an encrypted one
        raise UnusableTrust(f"{path}: not an unencrypted private key in PEM form") from None
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise UnusableTrust(f"{path}: TLS has no use for a key of this kind")
    return key
