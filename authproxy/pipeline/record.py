"""What a login leaves for the audit, the metrics and the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from authproxy.pipeline.decision import Decision
from authproxy.pipeline.ports import Admission
from authproxy.pipeline.request import AuthRequest


@dataclass(slots=True)
class Facts:
    """What is found out about a login on its way, for the record. Times in milliseconds; None: not asked."""

    username: str = ""
    dn: str = ""
    groups: frozenset[str] = frozenset()  # of those that somebody asked about
    outside: frozenset[str] = frozenset()  # the others of these
    admitted_by: Admission | None = None  # by whose rules the password was verified
    factor: str | None = None  # a factor's name, never a passcode
    primary_ms: float | None = None
    cloud_ms: float | None = None
    cause: str = ""
    why: str = ""  # what kept the door shut, when that is why nobody passed
    txid: str = ""
    detail: str = ""


class Recorder(Protocol):
    """Gets one event for the primary's answer and one for the decision; the metrics follow from them."""

    def primary_answered(self, request: AuthRequest, facts: Facts, verified: bool) -> None: ...

    def decided(self, request: AuthRequest, facts: Facts, decision: Decision) -> None:
        """Raises AuditUnavailable if an Accept by fail open or primary-only couldn't be written."""
