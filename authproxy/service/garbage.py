"""When Python looks for objects that only hold each other: seldom, and while few wait.

What a login leaves behind goes by itself; fewer than one object in ten logins needs the search. But with ten thousand
pushes pending each full search took 0.6 s in which nobody was answered, and together they were a third of the work.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

EVERY = 300.0  # seconds between full searches
# Logins in progress: below that a search takes some 50 ms.
_FEW = 500
# How often a search is put off because too many wait: an hour at most.
_MOST_PUT_OFF = 12
# Objects more than before until the young are searched, such searches until the middle-aged are; the old: never.
_THRESHOLDS = (10_000, 20, 1_000_000)


class Garbage:
    def __init__(self, pending: Callable[[], int]) -> None:
        """`pending`: how many logins are in progress."""
        self._pending = pending
        self._put_off = 0
        self._begun = False

    def collect(self) -> None:
        """Call it every EVERY seconds, the first time after everything is loaded; what exists then is never searched
        again.
        """
        if not self._begun:
            self._begun = True
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_THRESHOLDS)
        elif self._pending() < _FEW or self._put_off >= _MOST_PUT_OFF:
            self._put_off = 0
            gc.collect()
        else:
            self._put_off += 1
