"""NTLM's octets, and what the library underneath must not be trusted with."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import spnego
from cryptography import x509

from authproxy.backends.directory.md4 import md4
from authproxy.backends.directory.ntlm import (
    Account,
    Exchange,
    NtlmFailed,
    NtlmUnusable,
    PasswordNotText,
    end_point,
    nt_hash,
)
from authproxy.secret import Secret
from tests.system.parts.pki import make_certificate

ALICE = Account("alice", "CORP")
PASSWORD = Secret(b"Passw0rd")


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"a", "bde52cb31de33e46245e05fbdbd6fb24"),
        (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
        (b"message digest", "d9130a8164549fe818874806e1c7014b"),
        (b"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        (
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "043f8582f241db351ce627e153e7f0e4",
        ),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4(text: bytes, digest: str) -> None:
    """RFC 1320 §A.5."""
    assert md4(text).hex() == digest


@pytest.mark.parametrize("length", [55, 56, 63, 64, 65, 119, 120])
def test_md4_against_another(length: int) -> None:
    from spnego._ntlm_raw.md4 import md4 as theirs

    assert md4(bytes(length)) == theirs(bytes(length))


def test_the_hash_of_a_password() -> None:
    assert nt_hash(Secret.of("Password")).reveal().hex() == "a4f49c406510bdcab6824ee7c30fd852"
    assert nt_hash(Secret.of("pässwörd")) != nt_hash(Secret.of("password"))


def test_a_password_that_isnt_text() -> None:
    with pytest.raises(PasswordNotText):
        nt_hash(Secret(b"p\xe4ssword"))


@pytest.fixture
def acceptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A domain controller's side, whose alice has PASSWORD. Make it after the exchange: the file is for it alone."""
    (tmp_path / "users").write_text("CORP:alice:Passw0rd\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(tmp_path / "users"))

    def make(protocol: str = "negotiate", **more: Any) -> Any:
        options = spnego.NegotiateOptions.use_negotiate
        if protocol == "ntlm":
            options = spnego.NegotiateOptions.use_ntlm
        return spnego.server(protocol=protocol, options=options, **more)

    return make


def exchange(password: Secret = PASSWORD, certificate: x509.Certificate | None = None) -> Exchange:
    return Exchange(ALICE, password, server="dc1.corp.test", certificate=certificate, workstation="")


def converse(ours: Exchange, theirs: Any) -> bytes | None:
    """What comes with the acceptor's yes. Raises what the acceptor raises."""
    challenge = theirs.step(ours.first().reveal())
    return theirs.step(ours.second(challenge).reveal())  # type: ignore[no-any-return]


def test_sealed(acceptor: Any) -> None:
    ours, theirs = exchange(), acceptor()
    layer = ours.layer(converse(ours, theirs))
    sealed = layer.wrap(b"search")
    assert b"search" not in sealed
    assert theirs.unwrap(sealed).data == b"search"
    assert layer.unwrap(theirs.wrap(b"found").data) == b"found"


def test_a_changed_message_is_not_the_servers(acceptor: Any) -> None:
    ours, theirs = exchange(), acceptor()
    layer = ours.layer(converse(ours, theirs))
    forged = bytearray(theirs.wrap(b"found").data)
    forged[-1] ^= 1
    with pytest.raises(ValueError, match="isn't the server's"):
        layer.unwrap(bytes(forged))


def test_a_replayed_message_is_not_the_servers(acceptor: Any) -> None:
    ours, theirs = exchange(), acceptor()
    layer = ours.layer(converse(ours, theirs))
    message = theirs.wrap(b"found").data
    layer.unwrap(message)
    with pytest.raises(ValueError, match="isn't the server's"):
        layer.unwrap(message)


def test_a_wrong_password(acceptor: Any) -> None:
    with pytest.raises(spnego.exceptions.SpnegoError):
        converse(exchange(Secret(b"wrong")), acceptor())


@pytest.mark.parametrize("suffix", [b"", b"\n"])
def test_the_hash_is_not_the_password(acceptor: Any, suffix: bytes) -> None:
    """Requirements 9.2: 32hex:32hex typed as a password is a password, not a stolen pair of hashes."""
    stolen = nt_hash(PASSWORD).reveal().hex()
    typed = Secret(f"{stolen}:{stolen}".encode() + suffix)
    with pytest.raises(spnego.exceptions.SpnegoError):
        converse(exchange(typed), acceptor())


def test_with_the_hash_pyspnego_itself_would_have_let_them_in(acceptor: Any) -> None:
    """The forgery works where our care isn't: else the test above proves nothing."""
    stolen = nt_hash(PASSWORD).reveal().hex()
    theirs = acceptor()
    careless = spnego.client(
        "CORP\\alice", f"{stolen}:{stolen}", options=spnego.NegotiateOptions.use_negotiate
    )
    careless.step(theirs.step(careless.step(theirs.step(careless.step()))))
    assert theirs.complete


@pytest.mark.parametrize("bit", [0x10, 0x20, 0x00080000, 0x20000000, 0x40000000, 0x1])
def test_a_weaker_challenge_gets_no_answer(acceptor: Any, bit: int) -> None:
    ours = exchange()
    challenge = acceptor().step(ours.first().reveal())
    at = challenge.index(b"NTLMSSP\0\x02\0\0\0") + 20
    flags = int.from_bytes(challenge[at : at + 4], "little") & ~bit
    with pytest.raises(NtlmFailed, match="leaves out"):
        ours.second(challenge[:at] + flags.to_bytes(4, "little") + challenge[at + 4 :])


@pytest.mark.parametrize(
    "challenge",
    [None, b"", b"NTLMSSP\0\x02\0\0\0", b"NTLMSSP\0\x02\0\0\0" + b"\xff" * 30, b"\xa1\x03\x30\x01\x00"],
)
def test_no_challenge(challenge: bytes | None) -> None:
    ours = exchange()
    ours.first()
    with pytest.raises(NtlmFailed):
        ours.second(challenge)


def test_a_yes_before_the_end() -> None:
    ours = exchange()
    ours.first()
    with pytest.raises(NtlmFailed, match="before the exchange was over"):
        ours.layer(None)


def test_bound_to_the_certificate(acceptor: Any, tmp_path: Path) -> None:
    """Under TLS nothing is sealed; a man in the middle with another certificate is found out."""
    certificate = x509.load_pem_x509_certificate(make_certificate(tmp_path, "dc1").certificate.read_bytes())
    other = x509.load_pem_x509_certificate(make_certificate(tmp_path, "dc1").certificate.read_bytes())

    def bindings(of: x509.Certificate) -> Any:
        return spnego.channel_bindings.GssChannelBindings(application_data=end_point(of))

    theirs = acceptor("ntlm", channel_bindings=bindings(certificate))
    converse(exchange(certificate=certificate), theirs)
    assert theirs.complete
    with pytest.raises(spnego.exceptions.BadBindingsError):
        converse(exchange(certificate=certificate), acceptor("ntlm", channel_bindings=bindings(other)))


@pytest.mark.parametrize("level", ["0", "1", "2", "x"])
def test_never_turned_down_to_ntlmv1(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", level)
    with pytest.raises(NtlmUnusable, match="unset it"):
        exchange()


def test_the_library_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    exchange().first()
    assert caplog.records == []


def test_the_workstation(acceptor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETBIOS_COMPUTER_NAME", "OTHER")  # put back afterwards
    ours = Exchange(ALICE, PASSWORD, server="dc1", certificate=None, workstation="PROXY7")
    challenge = acceptor().step(ours.first().reveal())
    assert "PROXY7".encode("utf-16-le") in ours.second(challenge).reveal()


def test_accounts() -> None:
    assert str(Account("alice", "CORP")) == "CORP\\alice"
    assert str(Account("alice@corp.test")) == "alice@corp.test"
