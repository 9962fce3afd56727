"""How much is in progress, and how much may be (A1)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from authproxy.listeners.radius.clients import Client


@dataclass(frozen=True, slots=True)
class Limits:
    pending: int  # requests in progress, of all clients
    pending_per_client: int
    reject_delay: float  # seconds from receipt, at least, to any Reject (R48)
    reply_cache: float  # seconds that an answer is kept for a repeated datagram
    status_per_second: int = 100  # Status-Server of one client; RFC 5997 §2.2 asks for one in some seconds


class Load:
    """Requests that wait for their answers, by client."""

    def __init__(self) -> None:
        self.total = 0
        self._by_client: Counter[str] = Counter()
        self._idle: list[Deferred[None]] = []

    def is_full(self, client: Client, limits: Limits, *, room: int = 1) -> bool:
        """New work is shed first, and silently: the NAS asks again, or asks another server.

        `room`: how many times the limits count, for what is no new work.
        """
        return (
            self.total >= room * limits.pending
            or self._by_client[client.key] >= room * limits.pending_per_client
        )

    def begin(self, client: Client) -> None:
        self.total += 1
        self._by_client[client.key] += 1

    def end(self, client: Client) -> None:
        self.total -= 1
        self._by_client[client.key] -= 1
        if not self._by_client[client.key]:
            del self._by_client[client.key]
        if not self.total:
            idle, self._idle = self._idle, []
            for drained in idle:
                drained.callback(None)

    def idle(self) -> Deferred[None]:
        """Fires when nothing is in progress any more."""
        drained: Deferred[None] = Deferred()
        if self.total:
            self._idle.append(drained)
        else:
            drained.callback(None)
        return drained


class Frequency:
    """How often each client did something in this second."""

    def __init__(self) -> None:
        self._second = 0
        self._times: Counter[str] = Counter()

    def exceeds(self, client: Client, most: int, now: float) -> bool:
        if int(now) != self._second:
            self._second = int(now)
            self._times.clear()
        self._times[client.key] += 1
        return self._times[client.key] > most
