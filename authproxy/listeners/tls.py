"""TLS that we offer: our certificate, the oldest version, the ciphers (T3, T5)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto
from OpenSSL.crypto import X509Store, X509StoreContext, X509StoreContextError, X509StoreFlags
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from authproxy.values import light_dataclass

# RFC 9325 §4.2: forward secrecy and AEAD first.
DEFAULT_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!MD5:!DSS:!3DES:!RC4"
_MODE_RELEASE_BUFFERS = 0x10  # <openssl/ssl.h>: an idle connection keeps no read and write buffers
_NO_RENEGOTIATION = 0x40000000  # <openssl/ssl.h> SSL_OP_NO_RENEGOTIATION


class TlsVersion(StrEnum):
    """The oldest that is spoken."""

    TLS12 = "tls1.2"
    TLS13 = "tls1.3"


_MINIMUM = {TlsVersion.TLS12: SSL.TLS1_2_VERSION, TlsVersion.TLS13: SSL.TLS1_3_VERSION}


class UnusableCertificate(Exception):
    """The administrator has to act: a file is missing, isn't PEM, or the key is another certificate's."""


@light_dataclass(frozen=True, slots=True)
class ServerFiles:
    """PEM: the certificate with its chain, and its key."""

    certificate: Path
    key: Path
    minimum: TlsVersion = TlsVersion.TLS12
    cipher_list: str | None = None  # OpenSSL's notation, TLS 1.2; None: DEFAULT_CIPHERS
    # PEM, the authorities whose certificates clients have to show; None: nobody is asked for one.
    client_authorities: Path | None = None


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """The files as they are now: a connection that began with others goes on with them (T5)."""

    def __init__(self, files: ServerFiles) -> None:
        """Raises UnusableCertificate."""
        self.not_after = _certificates(files.certificate)[0].not_valid_after_utc.timestamp()  # Unix seconds
        self._context = _context(files)
        self._authorities: list[crypto.X509] = []
        if files.client_authorities is not None:
            self._authorities = _ask_for_certificates(self._context, files.client_authorities)

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803 - Twisted's
        return SSL.Connection(self._context, None)

    def still_believes(self, certificate: crypto.X509, chain: Sequence[crypto.X509]) -> bool:
        """Whether a client that showed this with an earlier configuration could show it now (R54)."""
        try:
            X509StoreContext(
                _trusting(X509Store(), self._authorities), certificate, chain
            ).verify_certificate()
        except X509StoreContextError:
            return False
        return True


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise UnusableCertificate(f"{path}: {error.strerror}") from None
    except ValueError:
        found = []
    if not found:
        raise UnusableCertificate(f"{path}: holds no certificate in PEM form")
    return found


def _trusting(store: X509Store | None, authorities: Sequence[crypto.X509]) -> X509Store:
    if store is None:
        raise UnusableCertificate("OpenSSL made no certificate store")
    for authority in authorities:
        store.add_cert(authority)
    # Whoever puts an issuing authority into the file means to trust it.
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    return store


def _ask_for_certificates(context: SSL.Context, path: Path) -> list[crypto.X509]:
    """Only who shows one of these authorities' certificates, made for clients, gets through the handshake."""
    found = _certificates(path)
    authorities = [crypto.X509.from_cryptography(certificate) for certificate in found]
    _trusting(context.get_cert_store(), authorities)
    context.load_client_ca(str(path).encode())
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    # A resumed session would bring along what was checked at its beginning, by another configuration perhaps.
    context.set_options(SSL.OP_NO_TICKET)
    context.set_session_id(b"authproxy")
    return authorities


def _context(files: ServerFiles) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_MINIMUM[files.minimum])
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | _NO_RENEGOTIATION)
    context.set_mode(_MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    try:
        context.set_cipher_list((files.cipher_list or DEFAULT_CIPHERS).encode("ascii"))
    except (SSL.Error, UnicodeEncodeError):
        raise UnusableCertificate(f"cipher_list {files.cipher_list}: OpenSSL knows none of it") from None
    private = _private_key(files.key)
    try:
        context.use_certificate_chain_file(str(files.certificate))
        context.use_privatekey(private)
        context.check_privatekey()
    except SSL.Error as error:
        problem = "; ".join(str(entry[-1]) for entry in error.args[0]) if error.args else "unusable"
        raise UnusableCertificate(f"{files.certificate} with {files.key}: {problem}") from None
    return context


def _private_key(path: Path) -> RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UnusableCertificate(f"{path}: {error.strerror}") from None
    except (TypeError, ValueError, UnsupportedAlgorithm):  # the first is an encrypted one
        raise UnusableCertificate(f"{path}: not an unencrypted private key in PEM form") from None
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise UnusableCertificate(f"{path}: TLS has no use for a key of this kind")
    return key
