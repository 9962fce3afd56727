"""Secrets at rest (S3): sealed with AES-256-GCM, or kept only as a keyed digest where a look-up is enough.

The key is a file beside the database that nobody else can read (S4). A copy of the database alone tells nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authproxy.secret import Secret

_KEY_OCTETS = 32
_NONCE_OCTETS = 12


class KeyUnusable(Exception):
    """The administrator has to act: the key is missing, not ours, or readable by others."""


class Unsealable(Exception):
    """These octets were not sealed with this key for this purpose."""


class Seal:
    """One key, three uses that never mix: sealing, look-up digests, signed tokens."""

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(hmac.digest(key, b"authproxy cloud seal", "sha256"))
        self._digest_key = hmac.digest(key, b"authproxy cloud digest", "sha256")
        self._token_key = hmac.digest(key, b"authproxy cloud token", "sha256")

    def seal(self, secret: Secret, purpose: str) -> bytes:
        """`purpose` names the row and column, so that nobody can move a sealed value to another place."""
        nonce = os.urandom(_NONCE_OCTETS)
        return nonce + self._aes.encrypt(nonce, secret.reveal(), purpose.encode())

    def unseal(self, octets: bytes, purpose: str) -> Secret:
        """Raises Unsealable."""
        try:
            return Secret(self._aes.decrypt(octets[:_NONCE_OCTETS], octets[_NONCE_OCTETS:], purpose.encode()))
        except (InvalidTag, ValueError):
            raise Unsealable(f"{purpose} can't be read with this key") from None

    def digest(self, purpose: str, secret: Secret) -> bytes:
        """A keyed digest to find a secret by: a code of six digits must not be searchable in a copied file."""
        return hmac.digest(self._digest_key, purpose.encode() + b"\0" + secret.reveal(), hashlib.sha256)

    def sign(self, octets: bytes) -> bytes:
        """16 octets that only this key makes."""
        return hmac.digest(self._token_key, octets, "sha256")[:16]


def open_key(path: Path, *, create: bool) -> Seal:
    """The seal whose key is in this file; made when `create`. Raises KeyUnusable."""
    if create:
        _make(path)
    try:
        mode = path.stat().st_mode
        key = path.read_bytes()
    except FileNotFoundError:
        raise KeyUnusable(f"{path} is gone: the database was sealed with it, bring it back") from None
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from None
    if mode & 0o077:
        raise KeyUnusable(f"{path} can be read by others: chmod 600 {path}")
    if len(key) != _KEY_OCTETS:
        raise KeyUnusable(f"{path} is not a key of mine")
    return Seal(key)


def _make(path: Path) -> None:
    """Whole or not at all, and never over another's: two programs may begin at the same time."""
    if path.exists():
        return
    new = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_OCTETS))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from None
    finally:
        new.unlink(missing_ok=True)
