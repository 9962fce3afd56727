"""The event loop: Twisted's epoll reactor on a monotonic clock, and without the logging context around each event.

Twisted's timers go by the wall clock, whose steps must neither expire a login nor prolong one (A15). And it sets up a
context for its own logger whenever a descriptor is ready, which nobody here reads: a login has six to eight such
events, and each cost 2 to 3 µs of a processor.
"""

from __future__ import annotations

import time
from typing import Any


def install() -> Any:
    """The reactor; to be called before anything imports `twisted.internet.reactor`.

    Where there is no epoll it is Twisted's own choice.
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

        def doIteration(self, timeout: float | None) -> None:  # noqa: N802 - Twisted's name
            try:
                ready = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
            except InterruptedError:
                return
            for descriptor, event in ready:
                # An earlier event of this round may have closed it.
                selectable = self._selectables.get(descriptor)
                if selectable is not None:
                    self._doReadOrWrite(selectable, descriptor, event)

    reactor = EPollReactor()
    installReactor(reactor)
    return reactor
