"""R39: a State that isn't ours to the last octet opens nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.state import StateSeal
from authproxy.secret import Secret

OLD, NEW, THEIRS = (Secret(bytes([n]) * 32) for n in (1, 2, 3))


@given(st.binary(max_size=217))
def test_open_undoes_seal(octets: bytes) -> None:
    seal = StateSeal([NEW])
    token = seal.seal(octets)
    assert seal.open(token) == octets
    assert seal.is_own(token)
    assert len(token) == seal.length(len(octets))
    assert token.decode().replace("-", "").replace("_", "").isalnum()
    assert token != seal.seal(octets)


@given(st.binary(max_size=300))
def test_garbage_opens_nothing(token: bytes) -> None:
    seal = StateSeal([NEW])
    assert seal.open(token) is None
    assert not seal.is_own(token)


def test_each_octet_and_each_length_counts() -> None:
    """Whatever stands in its place: the last character of three octets written in four has bits without a meaning."""
    seal = StateSeal([NEW])
    for octets in (b"alice", b"alice1", b"alice12"):
        token = seal.seal(octets)
        for at in range(len(token)):
            assert seal.open(token[:at]) is None
            for other in {*range(256)} - {token[at]}:
                assert seal.open(token[:at] + bytes([other]) + token[at + 1 :]) is None
        for more in (b"=", b"==", b"A", b"\n", b"\0"):
            assert seal.open(token + more) is None


def test_keys_are_changed_without_a_gap() -> None:
    """H3."""
    token = StateSeal([OLD]).seal(b"alice")
    assert StateSeal([NEW, OLD]).open(token) == b"alice"
    assert StateSeal([NEW]).open(token) is None
    assert StateSeal([OLD]).open(StateSeal([THEIRS]).seal(b"alice")) is None
    assert StateSeal([OLD]).open(StateSeal([NEW, OLD]).seal(b"alice")) is None


def test_what_is_sealed_is_not_readable() -> None:
    assert b"alice" not in StateSeal([NEW]).seal(b"alice" * 10)
