"""TLS that we offer: our certificate, the oldest version, the ciphers (T3, T5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

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


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """PEM: the certificate with its chain, and its key."""

    certificate: Path
    key: Path
    minimum: TlsVersion = TlsVersion.TLS12
    cipher_list: str | None = None  # OpenSSL's notation, TLS 1.2; None: DEFAULT_CIPHERS


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """The files as they are now: a connection that began with others goes on with them (T5)."""

    def __init__(self, files: ServerFiles) -> None:
        """Raises UnusableCertificate."""
        self.not_after = _not_after(files.certificate)  # Unix seconds
        self._context = _context(files)

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803 - Twisted's
        return SSL.Connection(self._context, None)


def _not_after(path: Path) -> float:
    try:
        first = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except OSError as error:
        raise UnusableCertificate(f"{path}: {error.strerror}") from None
    except (ValueError, IndexError):
        raise UnusableCertificate(f"{path}: holds no certificate in PEM form") from None
    return first.not_valid_after_utc.timestamp()


def _context(files: ServerFiles) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_MINIMUM[files.minimum])
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | _NO_RENEGOTIATION)
    context.set_mode(_MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_passwd_cb(lambda *_: b"")  # an encrypted key is an error, not a prompt on the terminal
    try:
        context.set_cipher_list((files.cipher_list or DEFAULT_CIPHERS).encode("ascii"))
    except (SSL.Error, UnicodeEncodeError):
        raise UnusableCertificate(f"cipher_list {files.cipher_list}: OpenSSL knows none of it") from None
    try:
        context.use_certificate_chain_file(str(files.certificate))
        context.use_privatekey_file(str(files.key))
        context.check_privatekey()
    except SSL.Error as error:
        problem = "; ".join(str(entry[-1]) for entry in error.args[0]) if error.args else "unusable"
        raise UnusableCertificate(f"{files.certificate} with {files.key}: {problem}") from None
    return context
