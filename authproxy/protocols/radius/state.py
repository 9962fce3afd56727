"""The State of our own challenges: sealed with AES-256-GCM, told from a primary's by its first octets (R38, R39)."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authproxy.secret import Secret

_MARK = 8  # octets that say which key sealed it; a stranger's State starts so once in 2**64
_NONCE = 12
_TAG = 16


class StateSeal:
    """The first key seals; all of them open, so that a key can be changed while challenges are open."""

    overhead = _MARK + _NONCE + _TAG

    def __init__(self, keys: Sequence[Secret], *, random: Callable[[int], bytes] = os.urandom) -> None:
        """`keys`: 32 random octets each. At most 2**32 States to a key (NIST SP 800-38D §8.3)."""
        self._random = random
        self._ciphers = {_mark(key): AESGCM(_derived(key)) for key in keys}
        self._first = _mark(keys[0])

    def is_own(self, token: bytes) -> bool:
        """Whether a key of ours is said to have sealed it."""
        return token[:_MARK] in self._ciphers

    def seal(self, octets: bytes) -> bytes:
        nonce = self._random(_NONCE)
        return self._first + nonce + self._ciphers[self._first].encrypt(nonce, octets, self._first)

    def open(self, token: bytes) -> bytes | None:
        """What was sealed; None when it wasn't by us, or isn't as it was."""
        mark, nonce, sealed = token[:_MARK], token[_MARK : _MARK + _NONCE], token[_MARK + _NONCE :]
        cipher = self._ciphers.get(mark)
        if cipher is None or len(sealed) < _TAG:
            return None
        try:
            return cipher.decrypt(nonce, sealed, mark)
        except InvalidTag:
            return None


def _derived(key: Secret) -> bytes:
    return hmac.digest(key.reveal(), b"authproxy state 1 cipher", hashlib.sha256)


def _mark(key: Secret) -> bytes:
    return hmac.digest(key.reveal(), b"authproxy state 1 mark", hashlib.sha256)[:_MARK]
