"""R21: one credential. R24, R26: a password is its octets, of a length that it can have."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.packet import Malformed, MalformedPacket
from authproxy.protocols.radius.password import (
    CredentialKind,
    credential_kind,
    decrypt_password,
    encrypt_password,
    proof,
)
from authproxy.secret import Secret

from .octets import AUTHENTICATOR, SECRET, altered, authenticators, request, secrets

PAP = (2, bytes(16))
CHAP = (3, bytes(17))
ARAP = (70, bytes(16))
EAP = (79, b"\x02\x01\x00\x06\x01a")
MSCHAP = (26, (311).to_bytes(4, "big") + b"\x0b\x0a" + bytes(8) + b"\x01\x34" + bytes(50))
MSCHAP2 = (26, (311).to_bytes(4, "big") + b"\x19\x34" + bytes(50))
# RFC 2548 §2.1.6, §2.1.7, §2.3.4: a new password in the place of one that has expired (R32).
MSCHAP_CHANGES = [
    (26, (311).to_bytes(4, "big") + bytes((type, size + 2)) + bytes(size))
    for type, size in ((3, 70), (4, 84), (27, 68))
]
MSCHAP_CHALLENGE = (26, (311).to_bytes(4, "big") + b"\x0b\x0a" + bytes(8))

ALL = {
    PAP: CredentialKind.PAP,
    CHAP: CredentialKind.CHAP,
    ARAP: CredentialKind.ARAP,
    EAP: CredentialKind.EAP,
    MSCHAP: CredentialKind.MSCHAP,
    MSCHAP2: CredentialKind.MSCHAP,
    **dict.fromkeys(MSCHAP_CHANGES, CredentialKind.MSCHAP),
}


@pytest.mark.parametrize(("attribute", "kind"), ALL.items())
def test_each_kind(attribute: tuple[int, bytes], kind: CredentialKind) -> None:
    assert credential_kind(request((1, b"nemo"), attribute, MSCHAP_CHALLENGE, (31, b"x"))) is kind


@pytest.mark.parametrize("attribute", [CHAP, MSCHAP, MSCHAP2, *MSCHAP_CHANGES, EAP])
def test_the_same_proof_in_another_packet(attribute: tuple[int, bytes]) -> None:
    """R46: a NAS that asks anew has another Identifier and Authenticator, and the same proof."""
    pairs = [(1, b"nemo"), attribute, MSCHAP_CHALLENGE, (60, b"challenge"), (24, b"state")]
    kind = ALL[attribute]
    one, other = request(*pairs), request((5, b"port"), *pairs)
    assert proof(one, kind) == proof(other, kind)
    changed = request(*pairs[:1], (attribute[0], attribute[1][:-1] + b"\xfe"), *pairs[2:])
    assert proof(changed, kind) != proof(one, kind)


def test_where_the_authenticator_is_the_proof() -> None:
    """CHAP without CHAP-Challenge. And EAP begins alike for two devices of one user, each with its own."""
    for attribute, kind in ((CHAP, CredentialKind.CHAP), (EAP, CredentialKind.EAP)):
        one = request((1, b"nemo"), attribute)
        octets = one.octets[:4] + bytes(16) + one.octets[20:]
        other = altered(one, authenticator=bytes(16), octets=octets)
        assert proof(one, kind) != proof(other, kind)


def test_none() -> None:
    assert credential_kind(request((1, b"nemo"), MSCHAP_CHALLENGE)) is CredentialKind.NONE


@pytest.mark.parametrize(("one", "other"), list(itertools.product(ALL, ALL)))
def test_two_credentials(one: tuple[int, bytes], other: tuple[int, bytes]) -> None:
    """R21: EAP-Message may repeat, and nothing else; nothing mixes."""
    packet = request((1, b"nemo"), one, (31, b"x"), other)
    if one == other == EAP:
        assert credential_kind(packet) is CredentialKind.EAP
        return
    with pytest.raises(MalformedPacket) as malformed:
        credential_kind(packet)
    assert malformed.value.cause is Malformed.CREDENTIALS


@pytest.mark.parametrize("type", [1, 24])
def test_what_two_readers_could_read_differently(type: int) -> None:
    with pytest.raises(MalformedPacket) as malformed:
        credential_kind(request((type, b"alice"), PAP, (type, b"bob")))
    assert malformed.value.cause is Malformed.REPEATED


@pytest.mark.parametrize("size", [0, 1, 15, 17, 31, 33, 127, 129, 144, 160, 240])
def test_lengths_that_no_password_has(size: int) -> None:
    with pytest.raises(MalformedPacket) as malformed:
        credential_kind(request((2, bytes(size))))
    assert malformed.value.cause is Malformed.USER_PASSWORD


@pytest.mark.parametrize("size", range(16, 129, 16))
def test_lengths_that_passwords_have(size: int) -> None:
    assert credential_kind(request((2, bytes(size)))) is CredentialKind.PAP


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\0\0\x01\x37",
        b"\0\0\x01\x37\x01",
        b"\0\0\x01\x37\x01\x00",
        b"\0\0\x01\x37\x01\x01\x01\x05abc",
        b"\0\0\x01\x37\x0b\x00\x01\x05abc",
        b"\0\0\x01\x37\x0b\xff",
        b"\0\0\0\x09\x01\x05abc",
    ],
)
def test_vendors_attributes_that_make_no_sense(value: bytes) -> None:
    """R8: no loop on a length of zero, and no credential where there is none."""
    assert credential_kind(request((26, value))) in (CredentialKind.NONE, CredentialKind.MSCHAP)


# ---- R24


@pytest.mark.parametrize(
    "password",
    [
        b"x",
        b"correct horse",
        b"0123456789abcdef",
        b"0123456789abcdefg",
        "pässword".encode("latin-1"),
        "pässword".encode(),
        "pa\u0308ssword".encode(),
        b"\xff",
        b"\xff\xff\xff",
        b" leading and trailing ",
        b"tab\t",
        b"\0leading",
        b"nul\0inside",
        b"0x41424344",
        b"a" * 128,
        bytes(range(1, 129)),
    ],
)
def test_octets_stay_octets(password: bytes) -> None:
    hidden = encrypt_password(Secret(password), SECRET, AUTHENTICATOR)
    assert len(hidden) % 16 == 0
    assert decrypt_password(hidden, SECRET, AUTHENTICATOR).reveal() == password


@given(st.binary(max_size=128), secrets, authenticators)
def test_decrypting_undoes_encrypting(password: bytes, secret: Secret, authenticator: bytes) -> None:
    """All but NULs at the end, which are padding by their nature."""
    hidden = encrypt_password(Secret(password), secret, authenticator)
    assert 16 <= len(hidden) <= 128
    assert decrypt_password(hidden, secret, authenticator).reveal() == password.rstrip(b"\0")


def test_two_passwords_are_never_one() -> None:
    """What a lossy decoder takes for equal."""
    for one, other in [("pässword".encode("latin-1"), b"pssword"), (b"\xff\xff", b""), (b"a ", b"a")]:
        hidden = encrypt_password(Secret(one), SECRET, AUTHENTICATOR)
        assert decrypt_password(hidden, SECRET, AUTHENTICATOR).reveal() != other


def test_padding_alone_is_the_empty_password() -> None:
    hidden = encrypt_password(Secret(b""), SECRET, AUTHENTICATOR)
    assert len(hidden) == 16
    assert not decrypt_password(hidden, SECRET, AUTHENTICATOR)


def test_too_long() -> None:
    with pytest.raises(ValueError, match="129"):
        encrypt_password(Secret(b"x" * 129), SECRET, AUTHENTICATOR)


def test_a_wrong_secret_or_authenticator_shows_nothing() -> None:
    hidden = encrypt_password(Secret(b"correct horse"), SECRET, AUTHENTICATOR)
    assert b"horse" not in decrypt_password(hidden, Secret(b"other"), AUTHENTICATOR).reveal()
    assert b"horse" not in decrypt_password(hidden, SECRET, bytes(16)).reveal()
