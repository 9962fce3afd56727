"""How often a pending transaction is polled, and which failures of that are tolerated. No clock.

Polling again is harmless: the user's decision is still there, and no second push is sent.
"""

from __future__ import annotations

from authproxy.backends.cloud.answers import Refused
from authproxy.backends.cloud.failures import BrokenReply, ReplyTimeout
from authproxy.pipeline.ports import CloudFailure, FactorDeny, FailureClass

# A service that answers `waiting` at once each time is not asked more often than this.
SECONDS_BETWEEN = 1.0
FIRST_PAUSE = 0.5  # after a poll that was lost; doubled each time
MOST_PAUSE = 5.0
MOST_EXPIRED = 2
# Of auth_status: this poll is over, or the transaction is.
_EXPIRED = 40002
_PASSING = frozenset({FailureClass.UNREACHABLE, FailureClass.SERVER_ERROR, FailureClass.OVERLOAD})


class Polls:
    """The polls of one transaction. Each method returns the seconds to wait before the next poll."""

    def __init__(self) -> None:
        self._answers = 0
        self._losses = 0
        self._expired = 0
        self._lost: CloudFailure | None = None

    def waiting(self, seconds: float) -> float:
        """The user hasn't decided yet. `seconds`: how long the service held the poll."""
        self._answers += 1
        self._losses, self._lost = 0, None
        # The first answer comes at once and says what was done; the later ones are held until something happens.
        return max(0.0, SECONDS_BETWEEN - seconds) if self._answers > 1 else 0.0

    def failed(self, failure: CloudFailure) -> float:
        """Raises the failure if polling again can't help."""
        if isinstance(failure, ReplyTimeout):
            return SECONDS_BETWEEN  # held, because the user doesn't answer
        if isinstance(failure, Refused) and failure.code == _EXPIRED and self._expired < MOST_EXPIRED:
            self._expired += 1
            return SECONDS_BETWEEN
        if failure.failure not in _PASSING and not isinstance(failure, BrokenReply):
            raise failure
        # Without its traceback, which holds the login, which holds this.
        self._lost = failure.with_traceback(None)
        self._losses += 1
        return float(min(MOST_PAUSE, FIRST_PAUSE * 2 ** min(self._losses - 1, 8)))

    def over(self, txid: str) -> FactorDeny:
        """Nobody waits for the answer any more. Raises the last failure if we waited for the service rather than for
        the user.
        """
        lost, self._lost = self._lost, None
        if lost is None:
            return FactorDeny("timeout", "Login timed out.", txid)
        try:
            raise lost
        finally:
            del lost  # its traceback holds this frame
