"""What nodes leave for each other in a store that none of them trusts (H4, H7): names, claims, sealed values. Pure.

Whoever can read the store learns no user's name, no password and no attribute: names are keyed hashes, and values are
sealed with AES-256-GCM for one place each. Whoever can write to it can make nodes forget and refuse, and can let nobody
in. Only nodes with the same key, and the same version of this format, see each other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authproxy.secret import Secret
from authproxy.values import light_dataclass

VERSION = 1  # another one for each change that an older node would misread
_NONCE = 12
_TAG = 16
_NAME = 20  # octets
_RANDOM = 16


class NodeKeys:
    """The first key names and seals; all of them open, so that a key can be changed on one node after the other."""

    def __init__(
        self, keys: Sequence[Secret], prefix: str, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        """`keys`: 32 random octets each, or more. `prefix`: of every name in the store."""
        self._random = random
        self._naming = _derived(keys[0], b"names")
        self._ciphers = [AESGCM(_derived(key, b"values")) for key in keys]
        # While it is: a node whose first key is another one counts for itself.
        self.are_changed = len(keys) > 1
        self._prefix = f"{prefix}:{VERSION}:".encode()

    def name(self, kind: str, *parts: bytes) -> bytes:
        """Where something of this kind lies. Two lists of parts never have a name in common."""
        return self._prefix + kind.encode() + b":" + self.digest(kind.encode(), *parts)

    def digest(self, *parts: bytes) -> bytes:
        """40 hexadecimal digits."""
        lengths = b"".join([len(part).to_bytes(4, "big") for part in parts])
        octets = lengths + b"".join(parts)
        return blake2b(octets, key=self._naming, digest_size=_NAME).hexdigest().encode()

    def token(self) -> bytes:
        """32 hexadecimal digits that nobody can guess."""
        return self._random(_RANDOM).hex().encode()

    def seal(self, place: bytes, octets: bytes) -> bytes:
        """`place`: what it belongs to; it can be opened there only."""
        nonce = self._random(_NONCE)
        return nonce + self._ciphers[0].encrypt(nonce, octets, place)

    def open(self, place: bytes, sealed: bytes) -> bytes | None:
        """None: no node of ours has sealed it for this place."""
        if len(sealed) < _NONCE + _TAG:
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
            except InvalidTag:
                continue
        return None


@light_dataclass(frozen=True, slots=True)
class Claim:
    """Who prompts a user at the moment, and for which login."""

    node: bytes
    token: bytes  # of this prompt
    login: bytes  # the digest of what makes it this login

    def encode(self) -> bytes:
        return b" ".join((self.node, self.token, self.login))

    @staticmethod
    def decode(octets: bytes) -> Claim | None:
        """None: no node of ours has written it."""
        parts = octets.split(b" ")
        return Claim(*parts) if len(parts) == 3 and all(parts) else None


def _derived(key: Secret, purpose: bytes) -> bytes:
    return blake2b(b"authproxy shared state 1 " + purpose, key=_short(key), digest_size=32).digest()


def _short(key: Secret) -> bytes:
    """BLAKE2b takes up to 64 octets."""
    return blake2b(key.reveal(), digest_size=64).digest()
