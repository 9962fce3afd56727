"""MD5, HMAC-MD5 and a chain of MD5: all of RADIUS's cryptography (RFC 2865 §3, §5.2, RFC 3579 §3.2).

OpenSSL's is made for gigabytes: of a datagram's few hundred octets most of its time goes into beginning. Python's own
takes half of it, where Python was built with it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import _Hash

try:
    from _md5 import md5 as _fastest  # type: ignore[import-not-found]  # it has no type hints
except ImportError:
    # Hosts in FIPS mode refuse what the protocol demands, but for this (S12).
    _fastest = partial(hashlib.md5, usedforsecurity=False)
md5: Callable[[bytes], _Hash] = _fastest

BLOCK = 16  # octets that one MD5 hides
_HMAC_BLOCK = 64  # RFC 2104 §2: MD5's block, in octets
# Distinct shared secrets whose states are kept ready: one per configured client and server.
_MOST_SECRETS = 4096


def hmac_md5(key: bytes, message: bytes) -> bytes:
    """RFC 2104, at half the price of hmac.digest, and on FIPS hosts too."""
    inner_copy, outer_copy = _begun(key)
    inner = inner_copy()
    inner.update(message)
    outer = outer_copy()
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=_MOST_SECRETS)
def _begun(key: bytes) -> tuple[Callable[[], _Hash], Callable[[], _Hash]]:
    """What copies the inner and the outer MD5 with the key already in it."""
    block = (key if len(key) <= _HMAC_BLOCK else md5(key).digest()).ljust(_HMAC_BLOCK, b"\0")
    inner, outer = (md5(bytes(octet ^ pad for octet in block)) for pad in (0x36, 0x5C))
    return inner.copy, outer.copy


def hide(plain: bytes, key: bytes, start: bytes) -> bytes:
    """RFC 2865 §5.2: each block is XORed with MD5 of the secret and the hidden block before it.

    `start` stands before the first: the Request Authenticator, and a salt behind it (RFC 2868 §3.5).
    """
    before = start
    blocks: list[bytes] = []
    for at in range(0, len(plain), BLOCK):
        block = plain[at : at + BLOCK]
        before = _xor(block, md5(key + before).digest()[: len(block)])
        blocks.append(before)
    return b"".join(blocks)


def unhide(hidden: bytes, key: bytes, start: bytes) -> bytes:
    stream = md5(key + start).digest()
    if len(hidden) > BLOCK:
        stream += b"".join(
            md5(key + hidden[at : at + BLOCK]).digest() for at in range(0, len(hidden) - BLOCK, BLOCK)
        )
    return _xor(hidden, stream[: len(hidden)])


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")
