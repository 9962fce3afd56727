"""R5, R30, R31: hidden values get over to the next hop, and nothing else changes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.packet import Attribute
from authproxy.protocols.radius.password import decrypt_password, encrypt_password
from authproxy.protocols.radius.salted import (
    Crossing,
    Hiding,
    Hop,
    Salts,
    UnreadableValue,
    decrypt_salted,
    encrypt_salted,
)
from authproxy.protocols.radius.vendor import Key
from authproxy.secret import Secret

from .octets import authenticators, secrets

SERVER = Hop(Secret(b"between us and the primary"), bytes(range(16)))
NAS = Hop(Secret(b"between the NAS and us"), bytes(range(50, 66)))
SALT = b"\x80\x01"
KEY = Secret(bytes(range(200, 232)))


def crossing(hidden: dict[Key, Hiding] | None = None, at: int = 0) -> Crossing:
    return Crossing(SERVER, NAS, Salts(at)) if hidden is None else Crossing(SERVER, NAS, Salts(at), hidden)


def vsa(vendor: int, *pieces: tuple[int, bytes]) -> Attribute:
    return Attribute(
        26,
        vendor.to_bytes(4, "big") + b"".join(bytes((type, len(value) + 2)) + value for type, value in pieces),
    )


def pieces(attribute: Attribute) -> list[tuple[int, bytes]]:
    found, rest = [], attribute.value[4:]
    while rest:
        found.append((rest[0], rest[2 : rest[1]]))
        rest = rest[rest[1] :]
    return found


# ---- one value


def test_the_method_by_hand() -> None:
    """RFC 2868 §3.5: b(1) = MD5(S + R + A), c(i) = p(i) xor b(i), b(i) = MD5(S + c(i-1))."""
    value = encrypt_salted(Secret(b"a tunnel password of 29 octet"), SALT, SERVER)
    secret = SERVER.secret.reveal()
    plain = b"\x1da tunnel password of 29 octet\0\0"
    first = bytes(
        p ^ b
        for p, b in zip(plain[:16], hashlib.md5(secret + SERVER.authenticator + SALT).digest(), strict=True)
    )
    second = bytes(p ^ b for p, b in zip(plain[16:], hashlib.md5(secret + first).digest(), strict=True))
    assert value == SALT + first + second


@given(
    st.binary(max_size=239), secrets, authenticators, st.integers(0x8000, 0xFFFF).map(lambda n: n.to_bytes(2))
)
def test_decrypting_undoes_encrypting(
    plain: bytes, secret: Secret, authenticator: bytes, salt: bytes
) -> None:
    hop = Hop(secret, authenticator)
    value = encrypt_salted(Secret(plain), salt, hop)
    assert len(value) % 16 == 2
    assert decrypt_salted(value, hop).reveal() == plain


@pytest.mark.parametrize(
    ("size", "salt"), [(240, SALT), (256, SALT), (5, b"\x7f\xff"), (5, b"\x80"), (5, b"")]
)
def test_what_can_not_be_hidden(size: int, salt: bytes) -> None:
    with pytest.raises(ValueError, match="octets"):
        encrypt_salted(Secret(bytes(size)), salt, SERVER)


@pytest.mark.parametrize("value", [b"", b"\x80", b"\x80\x01"])
def test_too_short_to_open(value: bytes) -> None:
    with pytest.raises(UnreadableValue):
        decrypt_salted(value, SERVER)


def test_a_wrong_secret_is_noticed() -> None:
    """R31: the length octet comes out at random; of 256 values 15 fit into one block."""
    refused = 0
    for number in range(1000):
        salt = (0x8000 | number).to_bytes(2, "big")
        try:
            decrypt_salted(encrypt_salted(Secret(b"fifteen octets!"), salt, SERVER), NAS)
        except UnreadableValue:
            refused += 1
    assert refused > 850


@given(st.binary(max_size=253))
def test_garbage(value: bytes) -> None:
    try:
        decrypt_salted(value, SERVER)
    except UnreadableValue:
        return


def test_a_length_that_just_does_not_fit() -> None:
    """Of one block 15 octets are the value's."""
    for length, fits in [(15, True), (16, False), (255, False)]:
        value = SALT + SERVER.hide(bytes((length,)) + bytes(range(15)), SALT)
        if fits:
            assert decrypt_salted(value, SERVER).reveal() == bytes(range(15))
        else:
            with pytest.raises(UnreadableValue):
                decrypt_salted(value, SERVER)


# ---- salts


def test_no_salt_repeats_and_each_has_its_high_bit() -> None:
    """R31: the keys of 1,000 Accepts, all different; and 32,768 before the first comes again."""
    salts = Salts(0x7FF0)
    drawn = [salts.next() for _ in range(0x8000)]
    assert len(set(drawn)) == 0x8000
    assert all(salt[0] & 0x80 for salt in drawn)


# ---- over to the next hop


def hidden_reply() -> list[Attribute]:
    return [
        Attribute(18, b"Welcome"),
        Attribute(69, b"\x01" + encrypt_salted(Secret(b"tunnel"), b"\x80\x01", SERVER)),
        vsa(311, (16, encrypt_salted(KEY, b"\x80\x02", SERVER))),
        vsa(311, (17, encrypt_salted(KEY, b"\x80\x03", SERVER)), (26, b"S=...")),
        vsa(311, (12, encrypt_password(Secret(bytes(range(32))), SERVER.secret, SERVER.authenticator))),
        Attribute(25, b"group"),
    ]


def test_every_standard_value_gets_over() -> None:
    carried = crossing().carry(hidden_reply())
    assert [attribute.type for attribute in carried] == [18, 69, 26, 26, 26, 25]
    assert carried[0] == (18, b"Welcome")
    assert carried[1].value[:1] == b"\x01", "the Tag is in the clear"
    assert decrypt_salted(carried[1].value[1:], NAS).reveal() == b"tunnel"
    assert decrypt_salted(pieces(carried[2])[0][1], NAS) == KEY
    assert decrypt_salted(pieces(carried[3])[0][1], NAS) == KEY
    assert pieces(carried[3])[1] == (26, b"S=...")
    lm_nt_keys = decrypt_password(pieces(carried[4])[0][1], NAS.secret, NAS.authenticator)
    assert lm_nt_keys.reveal() == bytes(range(32))


def test_sizes_stay() -> None:
    """Nothing that fitted into a packet grows out of it."""
    before, after = hidden_reply(), crossing().carry(hidden_reply())
    assert [len(attribute.value) for attribute in before] == [len(attribute.value) for attribute in after]


def test_salts_are_new_and_differ() -> None:
    salts = []
    for attribute in crossing(at=500).carry(hidden_reply() * 20):
        if attribute.type == 69:
            salts.append(attribute.value[1:3])
        elif attribute.value[:4] == b"\0\0\x01\x37" and attribute.value[4] in (16, 17):
            salts.append(attribute.value[6:8])
    assert len(salts) == 60
    assert len(set(salts)) == 60
    assert all(salt[0] & 0x80 for salt in salts)


def test_a_password_in_a_request_goes_the_other_way() -> None:
    hidden = encrypt_password(Secret(b"p\xe4ss"), NAS.secret, NAS.authenticator)
    carried = Crossing(NAS, SERVER, Salts(0)).carry([Attribute(1, b"nemo"), Attribute(2, hidden)])
    assert decrypt_password(carried[1].value, SERVER.secret, SERVER.authenticator).reveal() == b"p\xe4ss"


def test_methods_of_others_are_left_out() -> None:
    """Ascend's: unreadable at the NAS, and a secret."""
    only, among = vsa(529, (214, b"x" * 16)), vsa(529, (1, b"a"), (215, b"x" * 16), (2, b"b"))
    assert crossing().carry([only, among]) == [vsa(529, (1, b"a"), (2, b"b"))]


def test_a_dictionarys_values_get_over() -> None:
    hidden: dict[Key, Hiding] = {(14823, 44): Hiding.SALTED, (2356, 19): Hiding.TAGGED_SALTED}
    value = encrypt_salted(Secret(b"passphrase"), SALT, SERVER)
    carried = crossing(hidden).carry([vsa(14823, (44, value)), vsa(2356, (19, b"\x05" + value))])
    assert decrypt_salted(pieces(carried[0])[0][1], NAS).reveal() == b"passphrase"
    assert pieces(carried[1])[0][1][:1] == b"\x05"
    assert decrypt_salted(pieces(carried[1])[0][1][1:], NAS).reveal() == b"passphrase"


@pytest.mark.parametrize(
    "attribute",
    [
        Attribute(69, b""),
        Attribute(69, b"\x01"),
        Attribute(69, b"\x01\x80\x01"),
        vsa(311, (16, b"")),
        vsa(311, (16, b"\x80\x01")),
        vsa(311, (12, b"")),
        vsa(311, (12, b"x" * 24)),
        Attribute(2, b"x" * 17),
    ],
)
def test_a_value_that_does_not_open_drops_the_reply(attribute: Attribute) -> None:
    with pytest.raises(UnreadableValue):
        crossing().carry([Attribute(18, b"x"), attribute])


OTHERS = [
    Attribute(26, b""),  # no vendor
    Attribute(26, b"\0\0\x01"),
    Attribute(26, b"\0\0\x01\x37"),  # no sub-attribute
    Attribute(26, b"\0\0\x01\x37\x10"),
    Attribute(26, b"\0\0\x01\x37\x10\x00"),  # a length of zero
    Attribute(26, b"\0\0\x01\x37\x10\x01"),
    Attribute(26, b"\0\0\x01\x37\x10\x09ab"),  # runs past the end
    Attribute(26, b"\0\0\x01\x37\x1a\x04ab\x10\x02\x10"),  # junk behind
    vsa(9, (1, b"a=b"), (1, b"c=d"), (2, b"x")),  # three in one
    Attribute(26, (429).to_bytes(4, "big") + b"\0\0\x90\x01value"),  # USR: four octets of type, no length
    Attribute(26, (24757).to_bytes(4, "big") + b"\x10\x0a\x80" + b"continu"),  # WiMAX: continued …
    Attribute(26, (24757).to_bytes(4, "big") + b"\x10\x07\x00" + b"ed.."),  # … in the next
    Attribute(26, (4846).to_bytes(4, "big") + b"\x00\x10\x07abcd"),  # Lucent: two octets of type
    Attribute(241, b"\x01extended"),  # RFC 6929
    Attribute(245, b"\x01\x80long extended"),
    Attribute(18, b"one"),
    Attribute(25, b"\0\xff"),
    Attribute(18, b"two"),
    Attribute(224, b"experimental"),
]


def test_everything_else_stays_octet_for_octet() -> None:
    """R5."""
    assert crossing().carry(OTHERS) == OTHERS


@given(st.lists(st.builds(Attribute, st.integers(1, 255), st.binary(max_size=60)), max_size=10))
def test_only_hidden_types_ever_change(attributes: list[Attribute]) -> None:
    try:
        carried = crossing().carry(attributes)
    except UnreadableValue:
        return
    if len(carried) == len(attributes):
        for before, after in zip(attributes, carried, strict=True):
            assert before.type == after.type
            assert before == after or before.type in (2, 69, 26)
