"""The live part of the status page: server-sent events, one timer for all readers, none without readers.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.web.http import Request
from zope.interface import implementer

from authproxy.observe.log import Log

_EVERY = 2.0  # seconds between looks
# So that a connection whose reader has gone is noticed even when nothing changes.
_COMMENT_AFTER = 15  # looks
MOST_READERS = 16

Fragments = Mapping[str, str]


@implementer(IPushProducer)
class _Reader:
    """One open page."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.seen: dict[str, str] = {}
        self._paused = False
        self._silent = 0

    def show(self, fragments: Fragments) -> None:
        """Send what changed since this reader last took something; nothing while it takes nothing."""
        if self._paused:
            return
        changed = {name: html for name, html in fragments.items() if self.seen.get(name) != html}
        if changed:
            self.seen.update(changed)
            self._silent = 0
            self.request.write(f"data: {json.dumps(changed)}\n\n".encode())
            return
        self._silent += 1
        if self._silent >= _COMMENT_AFTER:
            self._silent = 0
            self.request.write(b":\n\n")

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._paused = False

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._paused = True


class Live:
    """All open status pages."""

    def __init__(self, fragments: Callable[[], Fragments], *, reactor: IReactorTime, log: Log) -> None:
        self._fragments = fragments
        self._reactor = reactor
        self._log = log
        self._readers: set[_Reader] = set()
        self._call: IDelayedCall | None = None

    @property
    def is_full(self) -> bool:
        return len(self._readers) >= MOST_READERS

    def add(self, request: Request) -> None:
        """Take over a request whose headers are set; write to its body until the reader goes."""
        reader = _Reader(request)
        self._readers.add(reader)
        request.notifyFinish().addBoth(lambda _: self._gone(reader))
        request.registerProducer(reader, True)
        request.write(b"retry: 2000\n\n")
        reader.show(self._fragments())
        if self._call is None:
            self._call = self._reactor.callLater(_EVERY, self._look)

    def close(self) -> None:
        """End every stream; an open page will connect again."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        for reader in list(self._readers):
            reader.request.unregisterProducer()
            reader.request.finish()

    def _gone(self, reader: _Reader) -> None:
        self._readers.discard(reader)

    def _look(self) -> None:
        self._call = None
        if not self._readers:
            return
        try:
            fragments = self._fragments()
            for reader in list(self._readers):
                reader.show(fragments)
        except Exception as bug:  # noqa: BLE001 - the page's bug ends the page's updates, nothing else
            self._log.failure("admin.failed", bug)
        self._call = self._reactor.callLater(_EVERY, self._look)
