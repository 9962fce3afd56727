"""R5, R28, R30, R38, R42 to R44: which attributes cross, and that those that do keep every octet."""

from __future__ import annotations

import pytest

from authproxy.protocols.radius.packet import Attribute, Packet, encode_attributes
from authproxy.protocols.radius.password import CredentialKind
from authproxy.protocols.radius.relay import (
    NOTHING,
    Allowed,
    FromNas,
    FromPrimary,
    accepted,
    challenged,
    eap_failure,
    rejected,
    shown_to_primary,
)
from authproxy.protocols.radius.salted import (
    STANDARD_HIDDEN,
    Hop,
    Salts,
    UnreadableValue,
    decrypt_salted,
    encrypt_salted,
)
from authproxy.secret import Secret

PRIMARY = Hop(Secret(b"primary"), b"p" * 16)
NAS = Hop(Secret(b"nas"), b"n" * 16)
CISCO = (9).to_bytes(4, "big")
MICROSOFT = (311).to_bytes(4, "big")


def vsa(vendor: bytes, *inside: tuple[int, bytes]) -> Attribute:
    return Attribute(26, vendor + b"".join(bytes((type, len(value) + 2)) + value for type, value in inside))


def key(type: int, value: bytes, hop: Hop) -> Attribute:
    return vsa(MICROSOFT, (type, encrypt_salted(Secret(value), b"\x80\x01", hop)))


def answered(*attributes: Attribute, allowed: Allowed = NOTHING) -> FromPrimary:
    return FromPrimary(Packet.of(2, 1, b"", attributes, b""), PRIMARY, allowed, STANDARD_HIDDEN)


CLASS, FILTER, MESSAGE = Attribute(25, b"staff"), Attribute(11, b"f"), Attribute(18, b"Hello")
PAIRS = vsa(CISCO, (1, b"a=1"), (1, b"b=2"), (2, b"port"))
OWN = (Attribute(80, bytes(16)), Attribute(33, b"proxy"))


def test_nothing_crosses_unnamed() -> None:
    assert accepted(answered(*OWN, CLASS, FILTER, PAIRS), NAS, Salts(0)) == []


def test_what_is_named_crosses_in_order_and_to_the_octet() -> None:
    allowed = Allowed(frozenset({(None, 25), (9, 1)}))
    attributes = (CLASS, PAIRS, FILTER, Attribute(25, b"more"))
    assert accepted(answered(*attributes, allowed=allowed), NAS, Salts(0)) == [
        CLASS,
        vsa(CISCO, (1, b"a=1"), (1, b"b=2")),
        Attribute(25, b"more"),
    ]


def test_everything_but_each_hops_own() -> None:
    strange = Attribute(
        26, (429).to_bytes(4, "big") + b"\x00\x00\x90\x19\x00\x05x"
    )  # USR: four octets of type
    attributes = (*OWN, CLASS, PAIRS, strange, Attribute(241, b"\x01x"))
    assert accepted(answered(*attributes, allowed=Allowed(everything=True)), NAS, Salts(0)) == list(
        attributes[2:]
    )


def test_keys_cross_by_themselves_and_are_hidden_anew() -> None:
    """Without them the tunnel has none. The NAS reads them with its own secret, and with no other."""
    sent = b"k" * 32
    (carried,) = accepted(answered(key(16, sent, PRIMARY)), NAS, Salts(0))
    assert decrypt_salted(carried.value[6:], NAS).reveal() == sent
    assert carried.value[8:] != key(16, sent, PRIMARY).value[8:]


def test_a_key_that_does_not_open() -> None:
    """R31: what a wrong secret makes of it says that it is longer than it is."""
    salt = b"\x80\x01"
    noise = salt + PRIMARY.hide(bytes([200]) + bytes(15), salt)
    with pytest.raises(UnreadableValue):
        accepted(answered(vsa(MICROSOFT, (16, noise))), NAS, Salts(0))
    with pytest.raises(UnreadableValue):
        accepted(answered(vsa(MICROSOFT, (16, b"\x80\x01"))), NAS, Salts(0))


def test_a_challenge_crosses_whole() -> None:
    """R38: its State above all."""
    attributes = (Attribute(24, b"theirs"), MESSAGE, Attribute(76, b"\0\0\0\x01"), Attribute(79, b"eap"))
    assert challenged(answered(*OWN, *attributes), NAS, Salts(0)) == list(attributes)


def test_a_reject_says_no_and_nothing_else() -> None:
    """R42."""
    error = vsa(MICROSOFT, (2, b"\x00E=691"), (16, b"key"))
    said = rejected(
        answered(*OWN, CLASS, MESSAGE, error, FILTER, Attribute(24, b"s"), Attribute(79, b"\x04\x01\0\x04"))
    )
    assert said == [MESSAGE, vsa(MICROSOFT, (2, b"\x00E=691")), Attribute(79, b"\x04\x01\0\x04")]


def test_eap_ends_with_a_failure_of_the_same_identifier() -> None:
    """R44: split over two attributes, as long messages are."""
    asked = Packet.of(1, 1, b"", (Attribute(79, b"\x02\x07"), Attribute(79, b"\x00\x06\x03\x01")), b"")
    assert eap_failure(asked) == [Attribute(79, b"\x04\x07\x00\x04")]
    assert eap_failure(Packet.of(1, 1, b"", (), b"")) == []


def test_what_a_primary_is_shown_of_a_login() -> None:
    """R46: alike when a NAS asks for it once more, and not when it asks for something else."""

    def shown(*attributes: Attribute, allowed: Allowed = NOTHING) -> bytes:
        return shown_to_primary(FromNas(Packet.of(1, 1, b"", attributes, b""), CredentialKind.PAP, allowed))

    login = (Attribute(1, b"alice"), Attribute(2, bytes(16)), Attribute(24, b"state"))
    everything, service = Allowed(everything=True), Attribute(6, b"\0\0\0\6")
    alice = login[0]
    assert shown(*OWN, *login, service, PAIRS) == encode_attributes([alice])
    once = shown(*OWN, *login, service, PAIRS, Attribute(5, bytes(4)), allowed=everything)
    assert once == encode_attributes([alice, service, PAIRS])
    passing = [Attribute(type, b"x") for type in (44, 55, 87)]
    assert shown(alice, service, PAIRS, *passing, allowed=everything) == once
    assert shown(alice, service, PAIRS, Attribute(30, b"ssid"), allowed=everything) != once
    only = Allowed(frozenset({(None, 6)}))
    assert shown(alice, service, PAIRS, allowed=only) == encode_attributes([alice, service])


def test_a_primary_is_shown_the_name_as_it_was_typed() -> None:
    """R46: what is one name here may be two there, or one and none."""

    def shown(name: bytes) -> bytes:
        packet = Packet.of(1, 1, b"", (Attribute(1, name),), b"")
        return shown_to_primary(FromNas(packet, CredentialKind.PAP, NOTHING))

    assert shown(b"Alice") != shown(b"alice")


@pytest.mark.parametrize(("port_type", "counts"), [(None, False), (5, False), (15, True), (19, True)])
def test_a_port_is_of_the_attempt_or_of_the_house(port_type: int | None, counts: bool) -> None:
    """R46: a server may say by the socket in the wall who gets in there, and to which network."""

    def shown(port: int, allowed: Allowed) -> bytes:
        kind = [] if port_type is None else [Attribute(61, port_type.to_bytes(4, "big"))]
        ports = (Attribute(5, port.to_bytes(4, "big")), Attribute(87, b"Gi1/0/%d" % port))
        packet = Packet.of(1, 1, b"", (*ports, *kind), b"")
        return shown_to_primary(FromNas(packet, CredentialKind.PAP, allowed))

    everything = Allowed(everything=True)
    assert (shown(1, everything) != shown(2, everything)) is counts
    assert shown(1, NOTHING) == shown(2, NOTHING), "a server that isn't shown it can't go by it"
