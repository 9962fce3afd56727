"""MD5, HMAC-MD5 and a chain of MD5: all of RADIUS's cryptography (RFC 2865 §3, §5.2, RFC 3579 §3.2).

OpenSSL's is made for gigabytes: of a datagram's few hundred octets most of its time goes into beginning. Python's own
takes half of it, where Python was built with it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import _Hash

try:
    from _md5 import md5 as _fastest  # type: ignore[import-not-found]  # it has no type hints
except ImportError:
    # Hosts in FIPS mode refuse what the protocol demands, but for this (S12).
    _fastest = partial(hashlib.md5, usedforsecurity=False)
_md5: Callable[[bytes], _Hash] = _fastest

BLOCK = 16  # octets that one MD5 hides
_HMAC_BLOCK = 64  # RFC 2104 §2: MD5's block, in octets
# Distinct shared secrets whose states are kept ready: one per configured client and server.
_MOST_SECRETS = 4096


class _States(NamedTuple):
    """MD5 with the key already in it; each use goes on from a copy."""

    inner: _Hash
    outer: _Hash


def md5(octets: bytes) -> bytes:
    return _md5(octets).digest()


def hmac_md5(key: bytes, message: bytes) -> bytes:
    """RFC 2104, at half the price of hmac.digest, and on FIPS hosts too."""
    states = _states(key)
    inner = states.inner.copy()
    inner.update(message)
    outer = states.outer.copy()
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=_MOST_SECRETS)
def _states(key: bytes) -> _States:
    block = (key if len(key) <= _HMAC_BLOCK else md5(key)).ljust(_HMAC_BLOCK, b"\0")
    return _States(
        _md5(bytes(octet ^ 0x36 for octet in block)),
        _md5(bytes(octet ^ 0x5C for octet in block)),
    )


def hide(plain: bytes, key: bytes, start: bytes) -> bytes:
    """RFC 2865 §5.2: each block is XORed with MD5 of the secret and the hidden block before it.

    `start` stands before the first: the Request Authenticator, and a salt behind it (RFC 2868 §3.5).
    """
    before = start
    blocks: list[bytes] = []
    for at in range(0, len(plain), BLOCK):
        block = plain[at : at + BLOCK]
        before = _xor(block, md5(key + before)[: len(block)])
        blocks.append(before)
    return b"".join(blocks)


def unhide(hidden: bytes, key: bytes, start: bytes) -> bytes:
    stream = md5(key + start)
    if len(hidden) > BLOCK:
        stream += b"".join(md5(key + hidden[at : at + BLOCK]) for at in range(0, len(hidden) - BLOCK, BLOCK))
    return _xor(hidden, stream[: len(hidden)])


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")
