"""Which clients send a Message-Authenticator, and since when: who can be required to (R19).

EAP doesn't count: its requests have one anyway (RFC 3579 §3.1), and say nothing about the others. No clock of its own,
no disk: whoever keeps it saves what `state` gives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from authproxy.listeners.radius.clients import RequireMessageAuthenticator

LONG_ENOUGH = 7 * 86_400.0  # seconds without an unsigned request: a week has every scheduled job in it
_MOST = 65_536  # clients come from the configuration; that they stay few is made sure of here


@dataclass(slots=True)
class Signing:
    """Of one client. Times: seconds since 1970, 0: never. Counts: since the start."""

    signed_at: float = 0.0  # the last request with one
    signed_since: float = 0.0  # the first behind the last one without
    unsigned_at: float = 0.0  # the last without, believed or not
    signed_count: int = 0
    unsigned_count: int = 0

    @property
    def last_at(self) -> float:
        return max(self.signed_at, self.unsigned_at)


class Advice(StrEnum):
    """Whether `require_message_authenticator: yes` would lock this client out."""

    REQUIRED = "required"  # it is `yes` already
    SAFE = "safe"  # every request has had one, for a week
    WAIT = "wait"  # of late every one has; not for a week yet
    UNSAFE = "unsafe"  # it sends requests without
    UNSEEN = "unseen"  # nothing that counts has come from it


class Signers:
    """For all RADIUS ports."""

    def __init__(
        self,
        known: Mapping[str, Mapping[str, float]] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`known`: what `state` returned before a restart. Raises ValueError or TypeError if it is something else."""
        self._wall_clock = wall_clock
        self._clients = {key: _read(fields) for key, fields in (known or {}).items()}
        self.changed = False  # since the owner last saved
        self.turned = False  # somebody has sent a first one, with or without, since then

    def signed(self, key: str) -> None:
        client = self._clients.get(key) or self._client(key)
        client.signed_at = self._wall_clock()
        client.signed_count += 1
        self.changed = True
        if not client.signed_since:
            client.signed_since = client.signed_at
            self.turned = True

    def unsigned(self, key: str) -> None:
        """Count a request without one, trusted or not. A stranger who forges them can keep a client from being called
        safe, and no more.
        """
        client = self._client(key)
        self.turned = self.turned or bool(client.signed_since) or not client.unsigned_at
        client.unsigned_at = self._wall_clock()
        client.unsigned_count += 1
        client.signed_since = 0.0
        self.changed = True

    def of(self, key: str) -> Signing:
        return self._clients.get(key) or Signing()

    def state(self) -> dict[str, dict[str, float]]:
        """What has to survive a restart."""
        self.changed = self.turned = False
        return {
            key: {
                "signed_at": client.signed_at,
                "signed_since": client.signed_since,
                "unsigned_at": client.unsigned_at,
            }
            for key, client in self._clients.items()
        }

    def advice(self, key: str, require: RequireMessageAuthenticator) -> Advice:
        if require is RequireMessageAuthenticator.YES:
            return Advice.REQUIRED
        client = self.of(key)
        if not client.last_at:
            return Advice.UNSEEN
        if not client.signed_since:
            return Advice.UNSAFE
        long_enough = self._wall_clock() - client.signed_since >= LONG_ENOUGH
        return Advice.SAFE if long_enough else Advice.WAIT

    def _client(self, key: str) -> Signing:
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= _MOST:
                del self._clients[next(iter(self._clients))]
            client = self._clients[key] = Signing()
        return client


def _read(fields: Mapping[str, Any]) -> Signing:
    return Signing(float(fields["signed_at"]), float(fields["signed_since"]), float(fields["unsigned_at"]))
