"""Whether these credentials have ever worked at this host: the proven latch.

Without it, a typing mistake in a host name would look like an outage, and a safe section would let users in without a
factor for good.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

from authproxy.backends.cloud.settings import CloudSettings
from authproxy.observe.log import Log


class LastingNames(Protocol):
    """A set that survives a restart."""

    def __contains__(self, name: str) -> bool: ...

    def add(self, name: str) -> None:
        """Raises OSError."""


class Proven:
    """Kept as a keyed digest, so that the file reveals no secret, nor whether a guess at one is right."""

    def __init__(self, settings: CloudSettings, *, known: LastingNames, key: bytes, log: Log) -> None:
        self._known = known
        self._section = settings.section
        self._log = log
        self._name = _digest(settings, key)
        self._holds = self._name in known

    def __bool__(self) -> bool:
        return self._holds

    def prove(self) -> None:
        """The credentials have just worked."""
        if self._holds:
            return
        self._holds = True
        try:
            self._known.add(self._name)
        except OSError as error:
            self._log.warn("cloud.proof_not_kept", section=self._section, problem=str(error))


def _digest(settings: CloudSettings, key: bytes) -> str:
    digest = hmac.new(key, b"proven 1", hashlib.sha256)
    host = settings.host.lower().encode()
    for part in (host, str(settings.port).encode(), settings.ikey.encode(), settings.skey.reveal()):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.hexdigest()
