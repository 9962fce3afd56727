"""Lines on their way out. A thread for each outlet: one that is full, blocked or gone costs itself only (A2, A14).

Whoever writes a line never waits. Lines that can't go out stay in a bounded queue and are tried again; those that
don't fit in it are counted, and the count is written when the outlet works again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

_LINES_AT_ONCE = 512
_RETRY = 1.0  # seconds
_LOOKS = 10  # in vain, until the thread sleeps


class Outlet(Protocol):
    """Where lines are written. It may block, because it has its own thread."""

    def write(self, lines: Sequence[bytes]) -> int:
        """How many lines were written, from the first on; at least one. Raises OSError if none was. An empty line
        counts as written.
        """

    def close(self) -> None: ...


class OutletFailed(Exception):
    """A line that had to be written by now wasn't. The text says why."""


@dataclass(slots=True)
class _Awaited:
    """A line that somebody waits for."""

    line: bytes
    ended: threading.Event = field(default_factory=threading.Event)
    problem: str = ""
    withdrawn: bool = False


class Told(Protocol):
    """Called in the outlet's thread when it fails, and when it works again."""

    def outlet_failed(self, name: str, problem: str) -> None: ...

    def outlet_recovered(self, name: str, lost: int) -> None: ...


class _Bell:
    """Rung by anyone, waited for by one thread: an Event without its Condition, which every login would pay for."""

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # it rings already
            self._silent.release()

    def wait(self, timeout: float = -1) -> bool:
        """False: nobody rang within `timeout` seconds. It is silent afterwards."""
        return self._silent.acquire(timeout=timeout)


class LineWriter:
    """The queue and the thread of one outlet."""

    def __init__(
        self,
        outlet: Outlet,
        *,
        name: str,
        told: Told,
        gap: Callable[[int, str], bytes],
        capacity: int = 16_384,
        octets: int = 16 * 1024 * 1024,
        linger: float = 0.02,
    ) -> None:
        """`capacity`, `octets`: lines that wait, and what they weigh, at most.

        `gap(count, problem)`: the line that says how many are missing, and why. `linger`: seconds that a line waits
        for others to go out with: one system call for many. As long as lines keep coming, the thread looks for them
        after each `linger`; whoever puts one in calls it from its sleep only.
        """
        self.name = name
        self.lost = 0
        self.problem = ""
        self._outlet = outlet
        self._told = told
        self._gap = gap
        self._capacity = capacity
        self._most_octets = octets
        # Each is written by one side alone: whoever puts lines in (one at a time), and the thread.
        self._octets_in = self._octets_out = 0
        self._linger = linger
        self._lines: deque[bytes | _Awaited] = deque()
        self._told_lost = 0
        self._asleep = False
        self._wake = _Bell()
        self._hurry = _Bell()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"log {name}", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queue a line; never blocks. `line` ends with its newline, if the outlet uses them. For one
        thread at a time.
        """
        size = len(line)
        waiting = self._octets_in - self._octets_out
        if len(self._lines) >= self._capacity or waiting + size > self._most_octets:
            self.lost += 1
            return
        self._octets_in += size
        self._lines.append(line)
        if self._asleep:
            self._asleep = False
            self._wake.ring()

    def put_now(self, line: bytes, timeout: float) -> None:
        """Return when the line, and all lines before it, are written. Raises OutletFailed: full, failing or too slow.

        After a failure the line is never written; if it was only too slow, it may be.
        """
        if self.problem:
            raise OutletFailed(self.problem)
        awaited = _Awaited(line)
        self._lines.append(awaited)
        self._call()
        if not awaited.ended.wait(timeout):
            awaited.withdrawn = True
            awaited.problem = f"no answer in {timeout:g} s"
            self._fails(awaited.problem)
            self._call()  # when the thread comes free it finds out that all is well again
        if awaited.problem:
            raise OutletFailed(awaited.problem)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait for all lines queued so far. True: they are written."""
        try:
            self.put_now(b"", timeout)
        except OutletFailed:
            return False
        return True

    def close(self, timeout: float = 2.0) -> None:
        """Try once more to write everything, then end. Waits at most `timeout` for a stuck outlet."""
        self._closing = True
        self._call()
        self._thread.join(timeout)

    def _call(self) -> None:
        """The thread shall do a turn at once."""
        self._hurry.ring()
        self._wake.ring()

    # ---- the thread

    def _run(self) -> None:
        while not (self._closing and not self._lines):
            try:
                if not self._turn():
                    break
            except Exception:  # noqa: BLE001 - no memory, or our bug: a log that ended here could never say so
                time.sleep(_RETRY)
                self._hurry.ring()
        self._outlet.close()

    def _turn(self) -> bool:
        """Wait for lines and get them out. False: it is over, and they are not out."""
        self._await_lines()
        if self._drain():
            return True
        if self._closing:
            self.lost += len(self._lines)
            return False
        # Nobody needs to ask again: the thread does, until the lines are out.
        self._hurry.wait(_RETRY)
        self._hurry.ring()
        return True

    def _await_lines(self) -> None:
        """Until there are lines, and they have lingered; or until somebody is in a hurry."""
        for _ in range(_LOOKS):
            if self._hurry.wait(self._linger) or self._lines:
                return
        self._asleep = True  # before the last look: what is put in from now on, rings
        if not self._lines:
            self._wake.wait()
        self._asleep = False
        self._hurry.wait(self._linger)

    def _drain(self) -> bool:
        """Until the queue is empty and what is missing is told (True), or the outlet fails."""
        while self._lines:
            count = min(len(self._lines), _LINES_AT_ONCE)
            batch = [self._lines.popleft() for _ in range(count)]
            try:
                self._deliver(batch)
            except Exception as error:  # noqa: BLE001 - whatever it is, these lines have not gone out
                self._give_back(batch, _why(error))
                return False
        try:
            self._tell_gap()
        except OSError as error:
            self._fails(_why(error))
            return False
        if self.problem:
            self.problem = ""
            self._told.outlet_recovered(self.name, self.lost)
        return True

    def _deliver(self, batch: list[bytes | _Awaited]) -> None:
        """Raises OSError, and the batch holds what is left."""
        while batch:
            taken = self._outlet.write([line if type(line) is bytes else _octets(line) for line in batch])
            for line in batch[:taken]:
                if type(line) is bytes:
                    self._octets_out += len(line)
                elif isinstance(line, _Awaited):
                    line.ended.set()
            del batch[:taken]

    def _tell_gap(self) -> None:
        """Full queues lose the newest lines, so the gap is behind what was kept."""
        lost = self.lost
        if lost > self._told_lost:
            self._outlet.write([self._gap(lost - self._told_lost, self.problem)])
            self._told_lost = lost

    def _give_back(self, batch: list[bytes | _Awaited], problem: str) -> None:
        for line in batch:
            if isinstance(line, _Awaited):
                line.problem = problem
                line.ended.set()
        self._lines.extendleft(line for line in reversed(batch) if isinstance(line, bytes))
        self._fails(problem)

    def _fails(self, problem: str) -> None:
        first = not self.problem
        self.problem = problem
        if first:
            self._told.outlet_failed(self.name, problem)


def _why(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return said or type(error).__name__


def _octets(line: bytes | _Awaited) -> bytes:
    if isinstance(line, bytes):
        return line
    return b"" if line.withdrawn else line.line
