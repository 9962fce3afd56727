"""How many logins are worked on, and how many may be (A1).

Who waits for a user costs nothing, and there may be thousands; who waits for us soon gives up. Were everybody let
in under overload, each would be answered, and each too late. No clock.
"""

from __future__ import annotations

# At a thousand logins a second, which the slowest machine does, the last of them is answered within a second.
MOST_WORKED_ON = 1024
ANSWERS_ROOM = 2  # as much again is kept for the answers to challenges


class Workload:
    """Of the whole process: all sections share one processor."""

    __slots__ = ("_begun", "_most", "_waiting")

    def __init__(self, most: int = MOST_WORKED_ON) -> None:
        self._most = most
        self._begun = 0
        self._waiting = 0

    @property
    def worked_on(self) -> int:
        return self._begun - self._waiting

    @property
    def is_full(self) -> bool:
        """Then new logins are shed, silently where the protocol asks again by itself."""
        return self._begun - self._waiting >= self._most

    @property
    def is_full_for_answers(self) -> bool:
        """Of logins that got as far as a challenge: they are shed last, and they are bounded, too."""
        return self.worked_on >= ANSWERS_ROOM * self._most

    def begin(self) -> None:
        self._begun += 1

    def end(self) -> None:
        self._begun -= 1

    def wait(self) -> None:
        """A login that began waits for its user from now on."""
        self._waiting += 1

    def go_on(self) -> None:
        self._waiting -= 1
