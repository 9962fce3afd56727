"""Whether a server is alive: dead after silence, alive at the first answer, probed meanwhile without costing a login
(A5).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from authproxy.observe.log import Log

# How many exchanges in a row may end in silence before the server counts as dead.
_SILENCES = 2
PROBE_EVERY = 10.0  # seconds
# A server that doesn't speak Status-Server is tried with a login again after this many seconds.
TRY_AGAIN = 60.0


class Silent(Exception):
    """There was no acceptable reply. The text is for the log."""


class Liveness:
    """The state of one server, named `name` in the log. Times are in the reactor's seconds."""

    def __init__(
        self, name: str, probe: Callable[[float], Coroutine[Any, Any, object]], *, reactor: Any, log: Log
    ) -> None:
        """`probe(seconds)` asks something that needs no password; it raises Silent."""
        self._name = name
        self._probe = probe
        self._reactor = reactor
        self._log = log
        self._silences = 0
        self._heard_at = float("-inf")
        self.dead_since: float | None = None
        self._prober: Any = None
        self._closed = False

    @property
    def is_alive(self) -> bool:
        """Whether to ask it: it isn't known to be dead, or has been dead so long that it is worth a try."""
        return self.dead_since is None or self._reactor.seconds() - self.dead_since >= TRY_AGAIN

    def heard(self) -> None:
        """The server has answered."""
        self._heard_at = self._reactor.seconds()
        self._silences = 0
        if self.dead_since is not None:
            self.dead_since = None
            self._log.info("primary.came_back", server=self._name)

    def silent(self, began: float) -> None:
        """The server has been silent since `began`; ignored if others were answered meanwhile."""
        if self._heard_at >= began:
            return
        self._silences += 1
        if self._silences >= _SILENCES:
            self.die("silent")

    def die(self, why: str) -> None:
        if self.dead_since is None:
            self._log.warn("primary.died", server=self._name, why=why)
        self.dead_since = self._reactor.seconds()
        if self._prober is None and not self._closed:
            self._prober = self._reactor.callLater(PROBE_EVERY, self._ask)

    def close(self) -> None:
        self._closed = True
        if self._prober is not None and self._prober.active():
            self._prober.cancel()

    def _ask(self) -> None:
        """One question at a time (RFC 5997)."""
        self._prober = None
        if self._closed or self.dead_since is None:
            return
        asked = Deferred.fromCoroutine(self._probe(PROBE_EVERY / 2))
        asked.addErrback(self._failed)
        asked.addBoth(lambda _: self._ask_again())

    def _failed(self, failure: Failure) -> None:
        if failure.value is not None and not isinstance(failure.value, Silent):
            self._log.failure("primary.probe_failed", failure.value, server=self._name)

    def _ask_again(self) -> None:
        if self.dead_since is not None and self._prober is None and not self._closed:
            self._prober = self._reactor.callLater(PROBE_EVERY, self._ask)
