"""A service that tells what it is told to tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from authproxy.listeners.admin.overview import (
    CertificateState,
    ClientState,
    CloudState,
    Health,
    HostState,
    PendingLogin,
    PrimaryState,
    SectionState,
)
from authproxy.observe.alarms.alarm import Alarm
from authproxy.observe.audit import AuditEvent
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.patience import ClientPatience
from tests.observe.test_audit import EVENT

UP = HostState("dc1.corp.example:636", Health.UP, since=1_738_320_000.0)
DOWN = HostState("dc2.corp.example:636", Health.DOWN, "connection refused", 1_738_324_000.0)
CLOUD_UP = CloudState("api-1.example.com", Health.UP, since=1_738_320_000.0)
CLOUD_DOWN = CloudState(
    "api-1.example.com", Health.DOWN, "connect timeout", 1_738_324_700.0, breaker_open=True
)


def section(**changes: Any) -> SectionState:
    fields: dict[str, Any] = {
        "name": "vpn",
        "kind": "radius_server_auto",
        "listening": ("10.1.0.5:1812",),
        "fail_mode": FailMode.SECURE,
        "primary": PrimaryState("ad_client", (UP,)),
        "cloud": CLOUD_UP,
        "pending": 0,
    }
    return SectionState(**(fields | changes))


@dataclass
class Told:
    """An Overview of plain lists."""

    is_draining: bool = False
    of_sections: list[SectionState] = field(default_factory=lambda: [section()])
    of_pending: list[PendingLogin] = field(default_factory=list)
    of_decisions: list[AuditEvent] = field(default_factory=lambda: [EVENT])
    of_fail_opens: list[AuditEvent] = field(default_factory=list)
    of_without_factor: list[AuditEvent] = field(default_factory=list)
    of_certificates: list[CertificateState] = field(default_factory=list)
    of_patiences: list[ClientPatience] = field(default_factory=list)
    of_troubles: list[str] = field(default_factory=list)
    of_alarms: list[Alarm] = field(default_factory=list)
    of_clients: list[ClientState] = field(default_factory=list)
    broken: bool = False

    def draining(self) -> bool:
        return self.is_draining

    def sections(self) -> list[SectionState]:
        if self.broken:
            raise ValueError("a bug with 'c4n4ry' in it")
        return self.of_sections

    def pending(self) -> list[PendingLogin]:
        return self.of_pending

    def decisions(self) -> list[AuditEvent]:
        return self.of_decisions

    def fail_opens(self) -> list[AuditEvent]:
        return self.of_fail_opens

    def fail_open_count(self) -> int:
        return len(self.of_fail_opens)

    def without_factor(self) -> list[AuditEvent]:
        return self.of_without_factor

    def certificates(self) -> list[CertificateState]:
        return self.of_certificates

    def alarms(self) -> list[Alarm]:
        return self.of_alarms

    def clients(self) -> list[ClientState]:
        return self.of_clients

    def patiences(self) -> list[ClientPatience]:
        return self.of_patiences

    def troubles(self) -> list[str]:
        return self.of_troubles
