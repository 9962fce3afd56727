"""What lies in a store that anybody may read or write (H4, H7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.shared_state import Claim, NodeKeys
from authproxy.secret import Secret

KEYS = NodeKeys([Secret(b"k" * 32)], "authproxy")
OTHER = NodeKeys([Secret(b"o" * 32)], "authproxy")


@given(st.binary(), st.binary(max_size=40))
def test_what_is_sealed_for_a_place_opens_there(octets: bytes, place: bytes) -> None:
    assert KEYS.open(place, KEYS.seal(place, octets)) == octets


@given(st.binary(min_size=1), st.data())
def test_and_nowhere_else(octets: bytes, data: st.DataObject) -> None:
    """Not in another place, not by others, and not after any change."""
    sealed = KEYS.seal(b"verdict 1", octets)
    assert KEYS.open(b"verdict 2", sealed) is None
    assert OTHER.open(b"verdict 1", sealed) is None
    at = data.draw(st.integers(0, len(sealed) - 1))
    changed = sealed[:at] + bytes([sealed[at] ^ data.draw(st.integers(1, 255))]) + sealed[at + 1 :]
    assert KEYS.open(b"verdict 1", changed) is None
    assert KEYS.open(b"verdict 1", sealed[:at]) is None


def test_the_same_is_never_sealed_alike() -> None:
    assert KEYS.seal(b"place", b"deny") != KEYS.seal(b"place", b"deny")


def test_a_key_is_changed_on_one_node_after_the_other() -> None:
    old, new = Secret(b"k" * 32), Secret(b"n" * 32)
    before, between, after = (NodeKeys(keys, "a") for keys in ([old], [old, new], [new, old]))
    assert between.name("node", b"1") == before.name("node", b"1")
    assert between.open(b"place", after.seal(b"place", b"said")) == b"said"
    assert after.open(b"place", between.seal(b"place", b"said")) == b"said"
    assert before.open(b"place", after.seal(b"place", b"said")) is None


@given(st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8), max_size=4))
def test_a_name_is_one_things(one: list[bytes], other: list[bytes]) -> None:
    """Not even where one part ends and the next begins is in doubt."""
    assert (KEYS.name("prompt", *one) == KEYS.name("prompt", *other)) == (one == other)
    assert KEYS.name("prompt", *one) != KEYS.name("pause", *one)
    assert KEYS.name("prompt", *one) != OTHER.name("prompt", *one)
    assert KEYS.digest(*one) != OTHER.digest(*one)


def test_a_name_tells_nothing() -> None:
    name = KEYS.name("prompt", b"alice", b"opensesame")
    assert name.startswith(b"authproxy:1:prompt:")
    assert b"alice" not in name
    assert b"opensesame" not in name


@pytest.mark.parametrize("octets", [b"", b"a", b"a b", b"a b c d", b"a  c", b" b c"])
def test_a_claim_that_no_node_has_written(octets: bytes) -> None:
    assert Claim.decode(octets) is None


def test_a_claim() -> None:
    claim = Claim(KEYS.token(), KEYS.token(), KEYS.digest(b"alice"))
    assert Claim.decode(claim.encode()) == claim
