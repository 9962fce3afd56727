"""Secrets sealed in the configuration, for this machine only: AES-256-GCM (S3).

The key is a credential of the systemd unit, or 32 random octets in the state folder. What lies in a folder can be
copied along with the configuration, so that key counts only together with this machine's id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authproxy.config.reading import SecretUnavailable
from authproxy.secret import Secret
from authproxy.values import light_dataclass

KEY_FILE = "secret-key"
CREDENTIAL = "authproxy-secret-key"
MACHINE_ID = Path("/etc/machine-id")

_TOKEN = re.compile(r"v1\.([A-Za-z0-9_-]{40,})")
_ID, _NONCE = 8, 12
NOT_OURS = (
    "not sealed by `authproxy secret protect`; what other programs sealed can't be opened, so seal it anew"
)


@light_dataclass(frozen=True, slots=True)
class SealingKey:
    """`source`: where the key comes from, for messages."""

    octets: Secret = field(repr=False)
    source: str

    @property
    def id(self) -> bytes:
        return hmac.digest(self.octets.reveal(), b"authproxy sealing key id", hashlib.sha256)[:_ID]


def seal(secret: Secret, key: SealingKey) -> str:
    """The token for `{protected: …}`."""
    nonce = secrets.token_bytes(_NONCE)
    sealed = AESGCM(key.octets.reveal()).encrypt(nonce, secret.reveal(), key.id)
    return "v1." + base64.urlsafe_b64encode(key.id + nonce + sealed).decode().rstrip("=")


def is_sealed(token: str) -> bool:
    """Whether it has the form of our tokens; those of the existing product look different."""
    return _TOKEN.fullmatch(token) is not None


def unseal(token: str, key: SealingKey) -> Secret:
    """Raises SecretUnavailable."""
    octets = _octets(token)
    key_id, nonce, sealed = octets[:_ID], octets[_ID : _ID + _NONCE], octets[_ID + _NONCE :]
    if not hmac.compare_digest(key_id, key.id):
        raise SecretUnavailable(
            f"sealed with another key than {key.source} on this machine: seal it here, with `authproxy secret protect`"
        )
    try:
        return Secret(AESGCM(key.octets.reveal()).decrypt(nonce, sealed, key_id))
    except InvalidTag:
        raise SecretUnavailable("the sealed text was changed: seal the secret again") from None


def _octets(token: str) -> bytes:
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise SecretUnavailable(NOT_OURS)
    try:
        return base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4))
    except ValueError:
        raise SecretUnavailable("the sealed text is damaged: seal the secret again") from None


def find_key(state_dir: Path, environ: Mapping[str, str], machine_id: Path = MACHINE_ID) -> SealingKey:
    """The key of this machine. Raises SecretUnavailable when there is none, or when others can read it."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / CREDENTIAL if folder else None
    if credential is not None and os.path.exists(credential):
        return SealingKey(_digested(_read(credential), b""), f"the credential {CREDENTIAL}")
    path = state_dir / KEY_FILE
    return SealingKey(_digested(_read(path), _machine(machine_id)), str(path))


def make_key(state_dir: Path) -> None:
    """A new key in the state folder, for whoever owns that folder. Raises OSError (FileExistsError)."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = state_dir / KEY_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        owner = state_dir.stat()
        if os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.write(secrets.token_bytes(32))
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            octets = file.read(4097)
    except FileNotFoundError:
        raise SecretUnavailable(
            f"there is no key {path}: the secret was sealed on another machine, or for another main.state_dir"
        ) from None
    except OSError as error:
        raise SecretUnavailable(f"{path}: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP:
        raise SecretUnavailable(
            f"{path}: others can read or change this key; run chmod 600 on it, and replace the "
            "secrets that it sealed"
        )
    if not 32 <= len(octets) <= 4096:
        raise SecretUnavailable(f"{path}: not a key: 32 to 4096 bytes are expected")
    return octets


def _digested(octets: bytes, machine: bytes) -> Secret:
    return Secret(hmac.digest(octets, b"authproxy sealing key v1\0" + machine, hashlib.sha256))


def _machine(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError:
        return b""


@dataclass(slots=True)
class Unsealer:
    """Opens sealed secrets; the key is looked for at the first one."""

    state_dir: Path
    environ: Mapping[str, str]
    _key: SealingKey | None = None

    def __call__(self, token: str) -> Secret:
        """Raises SecretUnavailable."""
        _octets(token)
        if self._key is None:
            self._key = find_key(self.state_dir, self.environ)
        return unseal(token, self._key)
