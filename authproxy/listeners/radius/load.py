"""How much is in progress, and how much may be (A1)."""

from __future__ import annotations

from collections import Counter

from twisted.internet.defer import Deferred

from authproxy.listeners.radius.clients import Client
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Limits:
    pending: int  # requests in progress, of all clients
    pending_per_client: int
    reject_delay: float  # seconds from receipt, at least, to any Reject (R48)
    reply_cache: float  # seconds that an answer is kept for a repeated datagram
    status_per_second: int = 100  # Status-Server of one client; RFC 5997 §2.2 asks for one in some seconds


# Rejects of one client that may wait for their time, in logins of one client that may be in progress.
_RESTING_ROOM = 8


class Load:
    """Requests that wait for their answers, by client.

    A Reject that is only being delayed doesn't count: otherwise a thousand guesses a second would use up a client's
    places.
    """

    def __init__(self) -> None:
        self.total = 0
        self._rested = 0  # of them
        # By client's key; one that has none isn't in it.
        self._working: dict[str, int] = {}
        self._resting: dict[str, int] = {}
        self._idle: list[Deferred[None]] = []

    def is_full(self, client: Client, limits: Limits, *, room: int = 1) -> bool:
        """Whether new requests are dropped; the NAS repeats them, or asks another server. `room`: a factor on the
        limits, for what isn't a new login.
        """
        return (
            self.total - self._rested >= room * limits.pending
            or self._working.get(client.key, 0) >= room * limits.pending_per_client
        )

    def begin(self, client: Client) -> None:
        self.total += 1
        self._working[client.key] = self._working.get(client.key, 0) + 1

    def rest(self, client: Client, limits: Limits) -> bool:
        """It is decided, and only its answer is delayed. False: there are too many of those."""
        if (
            self._rested >= limits.pending
            or self._resting.get(client.key, 0) >= _RESTING_ROOM * limits.pending_per_client
        ):
            return False
        _less(self._working, client)
        self._rested += 1
        self._resting[client.key] = self._resting.get(client.key, 0) + 1
        return True

    def end(self, client: Client, *, rested: bool = False) -> None:
        self.total -= 1
        self._rested -= rested
        _less(self._resting if rested else self._working, client)
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


def _less(counts: dict[str, int], client: Client) -> None:
    if left := counts[client.key] - 1:
        counts[client.key] = left
    else:
        del counts[client.key]


class Frequency:
    """How often each client did something in the current second, or another span."""

    def __init__(self, span: float = 1.0) -> None:
        """`span`: seconds."""
        self._span = span
        self._current = 0
        self._times: Counter[str] = Counter()

    def exceeds(self, client: Client, most: int, now: float) -> bool:
        if int(now / self._span) != self._current:
            self._current = int(now / self._span)
            self._times.clear()
        self._times[client.key] += 1
        return self._times[client.key] > most
