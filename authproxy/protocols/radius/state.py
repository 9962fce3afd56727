"""The State of our own challenges: sealed with AES-256-GCM, told from a primary's by its first octets (R38, R39).

It is written in letters and digits (RFC 4648 §5). RFC 2865 §5.24 allows any octets, but ocserv gives back only
those before the first NUL.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authproxy.secret import Secret

_MARK = 12  # characters that say which key sealed it; a stranger's State starts so once in 2**72
_NONCE = 12
_TAG = 16


class StateSeal:
    """The first key seals; all of them open, so that a key can be changed while challenges are open."""

    def __init__(self, keys: Sequence[Secret], *, random: Callable[[int], bytes] = os.urandom) -> None:
        """`keys`: 32 random octets each. At most 2**32 States to a key (NIST SP 800-38D §8.3)."""
        self._random = random
        self._ciphers = {_mark(key): AESGCM(_derived(key)) for key in keys}
        self._first = _mark(keys[0])

    def is_own(self, token: bytes) -> bool:
        """Whether it claims to be sealed with one of our keys."""
        return token[:_MARK] in self._ciphers

    def length(self, octets: int) -> int:
        """The length of a State that contains so many octets, in octets."""
        return _MARK + -(-(_NONCE + octets + _TAG) * 4 // 3)

    def seal(self, octets: bytes) -> bytes:
        nonce = self._random(_NONCE)
        return self._first + _text(nonce + self._ciphers[self._first].encrypt(nonce, octets, self._first))

    def open(self, token: bytes) -> bytes | None:
        """What was sealed; None if it wasn't sealed by us, or was changed."""
        mark, text = token[:_MARK], token[_MARK:]
        cipher, sealed = self._ciphers.get(mark), _octets(text)
        if cipher is None or sealed is None or len(sealed) < _NONCE + _TAG:
            return None
        try:
            return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], mark)
        except InvalidTag:
            return None


def _text(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def _octets(text: bytes) -> bytes | None:
    """None when it isn't written as `_text` writes: the last character of one has bits that another could change."""
    try:
        octets = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return None
    return octets if _text(octets) == text else None


def _derived(key: Secret) -> bytes:
    return hmac.digest(key.reveal(), b"authproxy state 1 cipher", hashlib.sha256)


def _mark(key: Secret) -> bytes:
    return _text(hmac.digest(key.reveal(), b"authproxy state 1 mark", hashlib.sha256))[:_MARK]
