"""A login's coroutine, run until it has ended: as Deferred.fromCoroutine, for whom nobody waits and nobody cancels.

A Deferred for the end, a context of its own and a context switch at each step are half of what that costs.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def run(work: Coroutine[Any, Any, None], failed: Callable[[BaseException], None]) -> None:
    """Up to where it first waits; the rest when it has been waited for. `failed` is told what it raises."""
    _Running(work, failed).go_on(None)


class _Running:
    """No function that refers to itself: what is left of a login would wait for the garbage collector."""

    __slots__ = ("_failed", "_work")

    def __init__(self, work: Coroutine[Any, Any, None], failed: Callable[[BaseException], None]) -> None:
        self._work = work
        self._failed = failed

    def go_on(self, outcome: object) -> None:
        work = self._work
        try:
            waits_for: Deferred[object] = (
                outcome.throwExceptionIntoGenerator(work)
                if isinstance(outcome, Failure)
                else work.send(outcome)
            )
        except StopIteration:
            return
        except BaseException as error:  # noqa: BLE001 - whoever runs it answers for it (A19)
            self._failed(error)
        else:
            waits_for.addBoth(self.go_on)
