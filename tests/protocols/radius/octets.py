"""Packets for the tests, put together by hand: what our own encoder would never write can be written here."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from hypothesis import strategies as st

from authproxy.protocols.radius.packet import Attribute, Packet, decode
from authproxy.secret import Secret

SECRET = Secret(b"s3cr3t of sixteen")
AUTHENTICATOR = bytes(range(100, 116))

attributes = st.lists(
    st.builds(
        Attribute,
        st.integers(1, 255).filter(lambda type: type not in (33, 80)),
        st.binary(max_size=253) | st.binary(max_size=8),
    ),
    max_size=12,
).filter(lambda attributes: sum(len(value) + 2 for _, value in attributes) < 3000)
secrets = st.binary(min_size=1, max_size=100).map(Secret)
authenticators = st.binary(min_size=16, max_size=16)


def attribute(type: int, value: bytes) -> bytes:
    return bytes((type, len(value) + 2)) + value


def raw(
    body: bytes = b"",
    *,
    code: int = 1,
    identifier: int = 7,
    authenticator: bytes = AUTHENTICATOR,
    length: int | None = None,
) -> bytes:
    """A datagram with any body, and any Length."""
    length = 20 + len(body) if length is None else length
    return bytes((code, identifier)) + length.to_bytes(2, "big") + authenticator + body


def request(*pairs: tuple[int, bytes], code: int = 1, identifier: int = 7) -> Packet:
    return decode(raw(b"".join(attribute(*pair) for pair in pairs), code=code, identifier=identifier))


def altered(packet: Packet, **fields: Any) -> Packet:
    """The packet with other fields; its octets stay what they are, unless they are among them."""
    names = ("code", "identifier", "authenticator", "attributes", "octets")
    return Packet.of(**{name: getattr(packet, name) for name in names} | fields)


def signed(
    before: bytes, after: bytes = b"", *, code: int = 1, secret: Secret = SECRET, identifier: int = 7
) -> bytes:
    """With a right Message-Authenticator between two bodies."""
    blank = raw(before + attribute(80, bytes(16)) + after, code=code, identifier=identifier)
    at = 20 + len(before) + 2
    return blank[:at] + hmac.digest(secret.reveal(), blank, "md5") + blank[at + 16 :]


def response_authenticator(reply: bytes, authenticator: bytes, secret: Secret) -> bytes:
    return hashlib.md5(reply[:4] + authenticator + reply[20:] + secret.reveal()).digest()
