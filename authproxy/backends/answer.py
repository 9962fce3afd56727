"""What one coroutine waits for, and nobody else.

A Deferred keeps a list of callbacks, each of which may return another Deferred: for one that waits, once, that is
10,000 instructions of 16,000, and a login waits four or five times.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def _nobody(came: object) -> None: ...


def _nothing() -> None: ...


class Answer(Generic[T]):
    """It comes, fails, or is cancelled; once. The methods are called as a Deferred's."""

    __slots__ = ("_came", "_cancelled", "_waiting", "called")

    def __init__(self, cancelled: Callable[[], None] = _nothing) -> None:
        """`cancelled` is called when whoever waits is told not to; they then meet CancelledError."""
        self._cancelled = cancelled
        self._waiting: Callable[[Any], object] = _nobody
        self._came: Any = None
        self.called = False

    def callback(self, came: T) -> None:
        self._end(came)

    def errback(self, error: BaseException) -> None:
        self._end(Failure(error))

    def cancel(self) -> None:
        if not self.called:
            self._cancelled()
        if not self.called:
            self.errback(CancelledError())

    def addBoth(self, waiting: Callable[[Any], object]) -> None:  # noqa: N802 - a Deferred's
        """For whoever runs the coroutine: `waiting` gets what came, or a Failure."""
        if self.called:
            came, self._came = self._came, None
            waiting(came)
        else:
            self._waiting = waiting

    def __await__(self) -> Generator[Any, Any, T]:
        came: Any = yield self
        if came is self:
            # Twisted's runner hands back at once what is no Deferred.
            known: Deferred[T] = Deferred(lambda _: self.cancel())
            self.addBoth(known.callback)
            came = yield from known.__await__()
        answer: T = came
        return answer

    def _end(self, came: object) -> None:
        if self.called:
            raise RuntimeError("it has been answered")
        self.called = True
        # Neither is kept: they would hold each other, and a failure the frames that it came through, this one's too.
        waiting, self._waiting, self._cancelled = self._waiting, _nobody, _nothing
        if waiting is _nobody:
            self._came = came
        else:
            waiting(came)
