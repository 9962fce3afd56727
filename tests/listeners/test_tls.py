"""Our own certificate: what is unusable is said before anything listens (T3, T5)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from authproxy.listeners.tls import ServerFiles, ServerTls, TlsVersion, UnusableCertificate
from tests.system.parts.pki import make_certificate


def files(folder: Path) -> ServerFiles:
    made = make_certificate(folder, "localhost")
    return ServerFiles(made.certificate, made.key)


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
        ({"key": text}, "one"),
        ({"cipher_list": "NOTHING"}, "OpenSSL knows none"),
    ):
        with pytest.raises(UnusableCertificate, match=problem):
            ServerTls(dataclasses.replace(good, **changed))
