"""Wakes what waits for a change: a held poll for its login, a live page for its device."""

from __future__ import annotations

from collections import defaultdict

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

# Waits for whatever changes.
ANY = "*"


class Changes:
    """Waiters by key (a txid, or a device's id). They are only woken; they have to look for themselves what has
    changed.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._waiting: defaultdict[str, list[Deferred[None]]] = defaultdict(list)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def wait(self, keys: tuple[str, ...], seconds: float) -> bool:
        """True: one of these has changed. False: the time is over."""
        woken: Deferred[None] = Deferred()
        for key in keys:
            self._waiting[key].append(woken)
        woken.addTimeout(max(seconds, 0.0), self._reactor)
        try:
            await woken
        except TimeoutError:
            return False
        finally:
            self._forget(keys, woken)
        return True

    def tell(self, *keys: str) -> None:
        for key in (*keys, ANY):
            for woken in list(self._waiting.get(key, ())):
                if not woken.called:
                    woken.callback(None)

    def tell_all(self) -> None:
        """Another process has changed the database; it isn't known what."""
        self.tell(*list(self._waiting))

    def _forget(self, keys: tuple[str, ...], woken: Deferred[None]) -> None:
        for key in keys:
            self._waiting[key].remove(woken)
            if not self._waiting[key]:
                del self._waiting[key]
