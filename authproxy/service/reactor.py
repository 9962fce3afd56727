"""The event loop: Twisted's epoll reactor on a monotonic clock, without what costs a login much and gives it nothing.

Twisted's timers go by the wall clock, whose steps must neither expire a login nor prolong one (A15). It sets up a
context for its own logger whenever a descriptor is ready, which nobody here reads. And it asks epoll whether a
connection takes octets before it sends any, which nearly every one does: two changes of what epoll watches, and a
turn of the loop, for each message.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.python import log

from authproxy.service.tcp import Client, Server, address_of, socket_for


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
                base.addWriter(self, writer)

        def removeWriter(self, writer: Any) -> None:  # noqa: N802 - Twisted's name
            if writer in self._unsent:
                del self._unsent[writer]
            elif self._is_watched(writer.fileno(), self._writes):
                base.removeWriter(self, writer)

        def removeReader(self, reader: Any) -> None:  # noqa: N802 - Twisted's name
            if self._is_watched(reader.fileno(), self._reads):
                base.removeReader(self, reader)

        def _is_watched(self, descriptor: int, watched: set[int]) -> bool:
            """Twisted takes out who ends once more at each level. -1: it was closed before, and is searched for."""
            return descriptor in watched or descriptor < 0 or self._continuousPolling._loop is not None

        def removeAll(self) -> Any:  # noqa: N802 - Twisted's name
            unsent, self._unsent = self._unsent, {}
            return list(dict.fromkeys([*super().removeAll(), *unsent]))

        def adoptStreamPort(self, *given: Any) -> Any:  # noqa: N802 - Twisted's name
            port = super().adoptStreamPort(*given)
            port.transport = Server
            return port

        def connectTCP(  # noqa: N802 - Twisted's name
            self,
            host: str,
            port: int,
            factory: Any,
            timeout: float = 30,
            bindAddress: Any = None,  # noqa: N803
        ) -> Any:
            address = None if bindAddress else address_of(host, port)
            try:
                connecting = None if address is None else socket_for(address)
            except OSError:  # no descriptor is left: Twisted tells it as it tells all failures
                connecting = None
            if address is None or connecting is None:
                return base.connectTCP(self, host, port, factory, timeout, bindAddress)
            client = Client(connecting, address, factory, self)
            client.begin(timeout)
            return client

        def getWriters(self) -> Any:  # noqa: N802 - Twisted's name
            return [*super().getWriters(), *self._unsent]

        def _send(self) -> None:
            """What was written since the last turn. Whom that doesn't rid of it all, epoll is asked about."""
            for writer in list(self._unsent):
                if writer not in self._unsent:
                    continue  # closed meanwhile
                self._do(writer, writer.doWrite, reading=False)
                if writer in self._unsent:
                    del self._unsent[writer]
                    base.addWriter(self, writer)

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
                if selectable is None or watched.get(descriptor) is not selectable:
                    continue
                if event == self._POLL_IN:
                    self._do(selectable, selectable.doRead, reading=True)
                else:
                    self._doReadOrWrite(selectable, descriptor, event)

        def _do(self, selectable: Any, work: Callable[[], Any], *, reading: bool) -> None:
            """As Twisted's `_doReadOrWrite`, for the events that nearly all are."""
            try:
                why = work()
            except BaseException as bug:  # noqa: BLE001 - it ends the connection
                why = bug
                log.err()
            if why:
                self._disconnectSelectable(selectable, why, reading)

    reactor = EPollReactor()
    installReactor(reactor)
    return reactor
