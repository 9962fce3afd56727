"""What a login leaves behind for the audit, the metrics and the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from authproxy.pipeline.decision import Decision
from authproxy.pipeline.request import AuthRequest


@dataclass(slots=True)
class Facts:
    """What is found out on the way, for the record. Milliseconds; None: not asked."""

    username: str = ""
    dn: str = ""
    groups: frozenset[str] = frozenset()  # of those that somebody asked about
    outside: frozenset[str] = frozenset()  # the others of these
    factor: str | None = None  # a factor's name, never a passcode
    primary_ms: float | None = None
    cloud_ms: float | None = None
    cause: str = ""
    why: str = ""  # what kept the door shut, when that is why nobody passed
    txid: str = ""
    detail: str = ""


class Recorder(Protocol):
    """One event for the primary's word, one for the decision; the metrics follow them."""

    def primary_answered(self, request: AuthRequest, facts: Facts, verified: bool) -> None: ...

    def decided(self, request: AuthRequest, facts: Facts, decision: Decision) -> None:
        """Raises AuditUnavailable when an Accept by fail open or primary-only could not be written down."""
