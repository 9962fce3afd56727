"""A pool of connections of one kind to one host, with limits on number, age, idle time and waiting users."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import CancelledError

from authproxy.backends.answer import Answer
from authproxy.backends.deadline import GRAIN, Deadline


class Kept(Protocol):
    """What a pool needs of a connection. `opened` is in the reactor's seconds."""

    opened: float
    single_use: bool

    @property
    def closed(self) -> bool: ...

    def unbind(self) -> None: ...

    def abort(self, problem: str) -> None: ...


C = TypeVar("C", bound=Kept)
T = TypeVar("T")


class Overloaded(Exception):
    """Every connection is in use, and the queue is full or didn't move in time."""


class Pool(Generic[C]):
    """A connection is used by one caller at a time."""

    def __init__(
        self,
        open_connection: Callable[[float], Awaitable[C]],
        *,
        size: int,
        waiting: int,
        idle: float,
        age: float,
        reactor: Any,
    ) -> None:
        """`open_connection` gets a deadline. `idle`, `age`: seconds that an unused connection, and any connection, is
        kept.
        """
        self._open = open_connection
        self._free = size
        self._most_waiting = waiting
        self._idle_limit = idle
        self._age_limit = age
        self._reactor = reactor
        self._idle: list[tuple[float, C]] = []  # until when; the last one used is the first one taken
        self._waiting: deque[tuple[float, Answer[None]]] = deque()  # each until its deadline
        self._soonest = Deadline(reactor, self._give_up)
        self._sweep: Any = None
        self._closed = False

    @property
    def idle(self) -> int:
        return len(self._idle)

    async def use(self, work: Callable[[C], Awaitable[T]], deadline: float) -> T:
        """What `work` returns for a connection. If `work` raises, the connection is closed.

        Raises Overloaded, what opening raises, and what `work` raises.
        """
        if self._free > 0:
            self._free -= 1
        else:
            await self._turn(deadline)
        try:
            connection = self._kept() or await self._open(deadline)
            try:
                result = await work(connection)
            except BaseException:
                connection.abort("left in the middle of an operation")
                raise
            self._keep(connection)
            return result
        finally:
            self._pass_on()

    def close(self) -> None:
        """Close idle connections now, and the others when they come back."""
        self._closed = True
        self._stop_sweeping()
        if not self._waiting:
            self._soonest.stop()
        idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.unbind()

    # ---- turns

    async def _turn(self, deadline: float) -> None:
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded(f"{len(self._waiting)} logins wait for a connection already")
        turn: Answer[None] = Answer()
        waits = (deadline, turn)
        self._waiting.append(waits)
        self._soonest.begin_if_sooner(deadline)
        try:
            await turn
        except CancelledError:
            if waits in self._waiting:
                self._waiting.remove(waits)
            raise

    def _give_up(self) -> None:
        """The soonest deadline is over, perhaps of one that had its turn."""
        over = self._reactor.seconds() + GRAIN
        late = [waits for waits in self._waiting if waits[0] <= over]
        self._waiting = deque([waits for waits in self._waiting if waits[0] > over])
        for deadline, _ in self._waiting:
            self._soonest.begin_if_sooner(deadline)
        for _, turn in late:
            turn.errback(Overloaded("no connection became free in time"))

    def _pass_on(self) -> None:
        """The oldest that waits goes on; nobody: one more is free."""
        if self._waiting:
            self._waiting.popleft()[1].callback(None)
        else:
            self._free += 1

    # ---- keeping

    def _kept(self) -> C | None:
        now = self._reactor.seconds()
        while self._idle:
            until, connection = self._idle.pop()
            if connection.closed:
                continue
            if now < until:
                return connection
            connection.unbind()
        return None

    def _keep(self, connection: C) -> None:
        if connection.closed:
            return
        if self._closed or connection.single_use:
            connection.unbind()
            return
        until = min(self._reactor.seconds() + self._idle_limit, connection.opened + self._age_limit)
        self._idle.append((until, connection))
        if self._sweep is None:
            self._sweep = self._reactor.callLater(self._idle_limit, self._sweep_idle)

    def _sweep_idle(self) -> None:
        now = self._reactor.seconds()
        kept = []
        for until, connection in self._idle:
            if connection.closed:
                continue
            if now < until:
                kept.append((until, connection))
            else:
                connection.unbind()
        self._idle = kept
        self._sweep = self._reactor.callLater(self._idle_limit, self._sweep_idle) if kept else None

    def _stop_sweeping(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
