"""What is seen of EAP from outside: the method, and a name in a proof by MS-CHAPv2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.eap.outside import is_by_the_name_outside, name_inside
from tests.protocols.eap.peer import packet


def response(name: bytes) -> bytes:
    """Of MS-CHAPv2: OpCode, an identifier, MS-Length, Value-Size, the response, the name."""
    return b"\x02\x07" + (54 + len(name)).to_bytes(2, "big") + b"\x31" + bytes(49) + name


@pytest.mark.parametrize(
    ("kind", "bare"), [(4, True), (6, True), (26, True), (13, False), (21, False), (25, False)]
)
def test_methods(kind: int, bare: bool) -> None:
    assert is_by_the_name_outside(packet(1, kind, b"\0")) is bare


def test_a_request_is_nobodys_word() -> None:
    assert not is_by_the_name_outside(b"\x01" + packet(1, 26, b"\0")[1:])
    assert name_inside(b"\x01" + packet(1, 26, response(b"alice"))[1:]) is None


def test_a_name_inside() -> None:
    assert name_inside(packet(1, 26, response(b"alice"))) == b"alice"
    assert name_inside(packet(1, 26, response(b""))) == b""
    assert name_inside(packet(1, 26, b"\x03")) is None
    assert name_inside(packet(1, 25, response(b"alice"))) is None


@given(st.binary(max_size=80))
def test_any_octets(octets: bytes) -> None:
    is_by_the_name_outside(octets)
    name = name_inside(octets)
    assert name is None or octets.endswith(name)
