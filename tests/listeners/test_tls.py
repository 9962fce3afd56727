"""Our own certificate: what is unusable is said before anything listens (T3, T5)."""

from __future__ import annotations

import contextlib
import dataclasses
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

from authproxy.listeners.tls import ServerFiles, ServerTls, TlsVersion, UnusableCertificate
from tests.system.parts.pki import make_certificate


def files(folder: Path) -> ServerFiles:
    made = make_certificate(folder, "localhost")
    return ServerFiles(made.certificate, made.key)


def _encrypted(key: Path) -> Path:
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    made = key.with_name("encrypted.pem")
    made.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    return made


def test_usable(tmp_path: Path) -> None:
    good = files(tmp_path)
    assert ServerTls(good).not_after > 0
    ServerTls(dataclasses.replace(good, minimum=TlsVersion.TLS13, cipher_list="ECDHE+AESGCM"))


def test_unusable(tmp_path: Path) -> None:
    good, other = files(tmp_path / "one"), files(tmp_path / "other")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for changed, problem in (
        ({"certificate": text}, "PEM"),
        ({"certificate": tmp_path / "nowhere.pem"}, "No such file"),
        ({"key": other.key}, "mismatch"),
        ({"key": text}, "text.pem: not an unencrypted private key"),
        ({"key": _encrypted(good.key)}, "encrypted.pem: not an unencrypted private key"),
        ({"key": tmp_path / "nowhere.pem"}, "No such file"),
        ({"cipher_list": "NOTHING"}, "OpenSSL knows none"),
    ):
        with pytest.raises(UnusableCertificate, match=problem):
            ServerTls(dataclasses.replace(good, **changed))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_where_clients_show_certificates_no_session_is_resumed(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """R54: a resumed one brings along what an earlier configuration believed."""
    good, own = files(tmp_path / "server"), make_certificate(tmp_path / "client", "nas.example", client=True)
    tls = ServerTls(dataclasses.replace(good, client_authorities=own.authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(own.certificate, own.key)
    session = None
    for _ in range(2):
        server = tls.serverConnectionForTLS(None)
        server.set_accept_state()
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(into, out, session=session)
        for _ in range(6):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                if said := out.read():
                    server.bio_write(said)
                server.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                into.write(server.bio_read(65536))
        server.send(b"x")
        into.write(server.bio_read(65536))
        assert client.read() == b"x"
        assert server.get_peer_certificate() is not None
        assert not client.session_reused
        session = client.session
