"""The last decisions, for the status page. Each kind has its own limit, so that a flood of one doesn't push out the
others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from authproxy.observe.audit import AuditEvent
from authproxy.pipeline.decision import Reason

# Let in on the password alone. Not duo_only: there the second factor was asked for.
WITHOUT_FACTOR = frozenset(
    {Reason.FAIL_OPEN, Reason.CLOUD_ALLOW, Reason.EXEMPT, Reason.RECENT_APPROVAL, Reason.PRIMARY_ONLY}
)


class Recent:
    """Each list has the newest first."""

    def __init__(self) -> None:
        self._decisions: deque[AuditEvent] = deque(maxlen=100)
        self._fail_opens: deque[AuditEvent] = deque(maxlen=500)
        self._without_factor: deque[AuditEvent] = deque(maxlen=100)
        self.fail_open_count = 0  # since the start, also of those that are no longer kept

    def add(self, event: AuditEvent) -> None:
        """Add a decision (not the primary's answer)."""
        self._decisions.appendleft(event)
        if event.fail_open:
            self._fail_opens.appendleft(event)
            self.fail_open_count += 1
        elif event.reason in WITHOUT_FACTOR:
            self._without_factor.appendleft(event)

    def decisions(self) -> Iterator[AuditEvent]:
        return iter(self._decisions)

    def fail_opens(self) -> Iterator[AuditEvent]:
        """Logins let in because the cloud couldn't be reached."""
        return iter(self._fail_opens)

    def without_factor(self) -> Iterator[AuditEvent]:
        """Logins let in without a second factor by a rule: exempt here, or allowed by the cloud."""
        return iter(self._without_factor)
