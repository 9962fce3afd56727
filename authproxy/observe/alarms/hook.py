"""One way to a person, with its own queue and thread, so that no login waits for it (A2)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from authproxy.observe.log import Log


class NotDelivered(Exception):
    """The alarm couldn't be delivered. The text says why, without a secret. `again`: another try may help."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


class Way(Protocol):
    """Delivers alarms. It may block: it runs in the hook's thread, and has a deadline of its own."""

    @property
    def name(self) -> str:
        """The name in the log and the metrics."""

    @property
    def pauses(self) -> Sequence[float]:
        """The seconds to wait before each further try."""

    def deliver(self, octets: bytes) -> None:
        """Raises NotDelivered."""


class Hook:
    """At most `capacity` alarms wait; then the oldest is dropped, because the newest says how things are."""

    def __init__(self, way: Way, log: Log, *, capacity: int = 64) -> None:
        self.name = way.name
        self.lost = 0  # not delivered, for whatever reason
        self.delivered = 0
        self._way = way
        self._log = log
        self._queue: deque[bytes] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"alarm {way.name}", daemon=True)
        self._thread.start()

    def put(self, octets: bytes) -> None:
        """Queue an alarm. Never waits."""
        with self._changed:
            if len(self._queue) >= self._capacity:
                self._queue.popleft()
                self.lost += 1
            self._queue.append(octets)
            self._changed.notify_all()

    def end(self) -> None:
        """Try each waiting alarm once, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Like `end`, and wait for it at most `timeout` seconds. After that the process ends without it."""
        self.end()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._log.warn("alarm.given_up", hook=self.name, waiting=len(self._queue) + 1)

    def _run(self) -> None:
        while (octets := self._next()) is not None:
            try:
                self._deliver(octets)
            except Exception as bug:  # noqa: BLE001 - the thread's catch-all: one alarm's bug must not cost the others
                self.lost += 1
                self._log.failure("alarm.failed", bug, hook=self.name)

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return self._queue.popleft() if self._queue else None

    def _deliver(self, octets: bytes) -> None:
        for pause in (*self._way.pauses, None):
            try:
                self._way.deliver(octets)
            except NotDelivered as failed:
                if pause is None or not failed.again or self._pause(pause):
                    self.lost += 1
                    self._log.error("alarm.not_delivered", hook=self.name, problem=str(failed))
                    return
            else:
                self.delivered += 1
                return

    def _pause(self, seconds: float) -> bool:
        """True: we are closing, and nothing is tried again."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closing, seconds)
