"""TLS for the cloud's connections: the standard library's, on the socket itself.

Measured beside pyOpenSSL under Twisted, a call takes half the processor and a connection that waits half the memory.
Chain and name are checked by OpenSSL inside the handshake; there is no way to ask for less (T1, T2). Sessions are
not resumed: it would save a tenth of a handshake, and skip the verification.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.backends.tls import (
    DEFAULT_CIPHERS,
    TlsVersion,
    Trust,
    UnusableTrust,
    describe,
    read_certificates,
)

_MINIMUM_VERSION = {TlsVersion.TLS12: ssl.TLSVersion.TLSv1_2, TlsVersion.TLS13: ssl.TLSVersion.TLSv1_3}
# Debian and its kin, Red Hat and its, Alpine.
_SYSTEM_STORES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)


def ssl_context(trust: Trust) -> ssl.SSLContext:
    """The context for connections to the cloud. Raises UnusableTrust."""
    if not trust.verify or not trust.verify_hostname:
        raise UnusableTrust("the cloud is always verified")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False
    context.minimum_version = _MINIMUM_VERSION[trust.minimum]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Python 3.11 sets it, in Debian 12 for one: a reply that somebody cut off would look like one that has ended.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    try:
        context.set_ciphers(trust.cipher_list or DEFAULT_CIPHERS)
    except ssl.SSLError:
        raise UnusableTrust(f"cipher list {trust.cipher_list}: OpenSSL knows none of it") from None
    if trust.ca_file is None:
        _load_system_store(context)
    else:
        pem = "".join(
            found.public_bytes(Encoding.PEM).decode("ascii") for found in read_certificates(trust.ca_file)
        )
        context.load_verify_locations(cadata=pem)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if trust.client_certificate is not None:
        _load_client_certificate(context, trust.client_certificate, trust.client_key)
    return context


def _load_system_store(context: ssl.SSLContext) -> None:
    """A Python that was built elsewhere looks for the store where this system has none."""
    context.set_default_verify_paths()
    if context.cert_store_stats()["x509_ca"]:
        return
    found = next((path for path in _SYSTEM_STORES if path.is_file()), None)
    if found is not None:
        context.load_verify_locations(cafile=found)
    elif ssl.get_default_verify_paths().capath is None:  # a folder of hashed names is read as needed
        raise UnusableTrust("no store of authorities here: install ca-certificates, or name a file")


def _load_client_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise UnusableTrust(f"{certificate} with {key or certificate}: {describe(error)}") from None
