"""The event loop: Twisted's epoll reactor on a monotonic clock, without what costs a login much and gives it nothing.

Twisted's timers go by the wall clock, whose steps must neither expire a login nor prolong one (A15). It sets up a
context for its own logger whenever a descriptor is ready, which nobody here reads. And it asks epoll whether a
connection takes octets before it sends any, which nearly every one does: two changes of what epoll watches, and a
turn of the loop, for each message.
"""

from __future__ import annotations

import time
from typing import Any


def install() -> Any:
    """Install and return the reactor. Call it before anything imports `twisted.internet.reactor`. Without epoll,
    Twisted chooses.
    """
    try:
        from twisted.internet import epollreactor  # noqa: PLC0415 - not on every system
    except ImportError:
        from twisted.internet import reactor as chosen  # noqa: PLC0415 - importing it installs it

        return chosen
    from twisted.internet.main import installReactor  # noqa: PLC0415

    base: Any = epollreactor.EPollReactor  # it has no type hints

    class EPollReactor(base):  # type: ignore[misc]
        seconds = staticmethod(time.monotonic)

        def __init__(self) -> None:
            self._unsent: dict[Any, None] = {}  # connections that have something to send since the last turn
            super().__init__()

        def addWriter(self, writer: Any) -> None:  # noqa: N802 - Twisted's name
            # One that isn't connected waits for just that, and has nothing to send.
            if getattr(writer, "connected", False) and writer.fileno() not in self._writes:
                self._unsent[writer] = None
            else:
                super().addWriter(writer)

        def removeWriter(self, writer: Any) -> None:  # noqa: N802 - Twisted's name
            if writer in self._unsent:
                del self._unsent[writer]
            else:
                super().removeWriter(writer)

        def removeAll(self) -> Any:  # noqa: N802 - Twisted's name
            unsent, self._unsent = self._unsent, {}
            return list(dict.fromkeys([*super().removeAll(), *unsent]))

        def getWriters(self) -> Any:  # noqa: N802 - Twisted's name
            return [*super().getWriters(), *self._unsent]

        def _send(self) -> None:
            """What was written since the last turn. Whom that doesn't rid of it all, epoll is asked about."""
            for writer in list(self._unsent):
                if writer not in self._unsent:
                    continue  # closed meanwhile
                self._doReadOrWrite(writer, writer.fileno(), self._POLL_OUT)
                if writer in self._unsent:
                    del self._unsent[writer]
                    super().addWriter(writer)

        def doIteration(self, timeout: float | None) -> None:  # noqa: N802 - Twisted's name
            if self._unsent:
                self._send()
                # Who was written to may have written, or set a timer.
                timeout = 0.0 if self._unsent or timeout == 0 else self.timeout()
            try:
                ready = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
            except InterruptedError:
                return
            watched = self._selectables
            for descriptor, event, selectable in [(*one, watched.get(one[0])) for one in ready]:
                # An earlier event of this round may have closed it, and another may have its number by now.
                if selectable is not None and watched.get(descriptor) is selectable:
                    self._doReadOrWrite(selectable, descriptor, event)

    reactor = EPollReactor()
    installReactor(reactor)
    return reactor
