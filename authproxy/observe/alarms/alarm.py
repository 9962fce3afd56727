"""An alarm: something that deserves waking somebody, as a value (F8, T2, T4, A8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from authproxy.observe.lines import capped, json_line, timestamp
from authproxy.values import light_dataclass


class AlarmKind(StrEnum):
    """The values don't change: programs that receive alarms and the metric's labels use them."""

    DOOR_OPENED = "door_opened"  # a right password alone lets somebody in
    DOOR_CLOSED = "door_closed"
    TAMPER = "tamper"  # somebody may stand between us and the cloud (F5)
    BREAKER_OPENED = "breaker_opened"
    BREAKER_CLOSED = "breaker_closed"
    LOG_FAILING = "log_failing"  # a log, or the audit, can't be written
    LOG_RECOVERED = "log_recovered"
    STATE_FAILING = "state_failing"  # what has to last can't be written
    STATE_RECOVERED = "state_recovered"
    CERTIFICATE_EXPIRING = "certificate_expiring"
    LIMIT_REACHED = (
        "limit_reached"  # an open door has let in all that it may: it is shut, and the cloud still away
    )
    PRIMARY_ONLY_BEGAN = "primary_only_began"  # the second factor is switched off, by command
    PRIMARY_ONLY_ENDED = "primary_only_ended"
    SHARED_DOWN = "shared_down"  # nodes decide alone: what they share is out of reach (H5)
    SHARED_UP = "shared_up"
    CLOUD_SLOW = "cloud_slow"
    CLOUD_QUICK = "cloud_quick"
    TEST = "test"


class Severity(StrEnum):
    CRITICAL = "critical"  # act now
    WARNING = "warning"
    INFO = "info"  # it is over


_SEVERITIES = {
    AlarmKind.DOOR_OPENED: Severity.CRITICAL,
    AlarmKind.DOOR_CLOSED: Severity.INFO,
    AlarmKind.TAMPER: Severity.CRITICAL,
    AlarmKind.BREAKER_OPENED: Severity.WARNING,
    AlarmKind.BREAKER_CLOSED: Severity.INFO,
    AlarmKind.LOG_FAILING: Severity.CRITICAL,
    AlarmKind.LOG_RECOVERED: Severity.INFO,
    AlarmKind.STATE_FAILING: Severity.CRITICAL,
    AlarmKind.STATE_RECOVERED: Severity.INFO,
    AlarmKind.CERTIFICATE_EXPIRING: Severity.WARNING,
    AlarmKind.LIMIT_REACHED: Severity.CRITICAL,
    AlarmKind.PRIMARY_ONLY_BEGAN: Severity.CRITICAL,
    AlarmKind.PRIMARY_ONLY_ENDED: Severity.INFO,
    AlarmKind.SHARED_DOWN: Severity.WARNING,
    AlarmKind.SHARED_UP: Severity.INFO,
    AlarmKind.CLOUD_SLOW: Severity.WARNING,
    AlarmKind.CLOUD_QUICK: Severity.INFO,
    AlarmKind.TEST: Severity.INFO,
}


@light_dataclass(frozen=True, slots=True)
class Alarm:
    """`subject`: the section, log, folder or certificate. `at`: seconds since 1970. `detail` holds no secret."""

    kind: AlarmKind
    subject: str
    text: str
    at: float
    detail: Mapping[str, str] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        return _SEVERITIES[self.kind]

    @property
    def topic(self) -> tuple[str, str]:
        """A newer alarm replaces an older one of its topic: of `opened` and `closed`, only the last is true."""
        return self.kind.value.partition("_")[0], self.subject


def encode(alarm: Alarm, *, hostname: str, held_back: int = 0) -> bytes:
    """One line of JSON, as hooks get it. `held_back`: how many earlier alarms of the topic weren't sent."""
    fields = {
        "version": 1,
        "alarm": alarm.kind.value,
        "severity": alarm.severity.value,
        "subject": capped(alarm.subject),
        "text": capped(alarm.text),
        "timestamp": timestamp(alarm.at),
        "hostname": hostname,
        "detail": {name: capped(value) for name, value in alarm.detail.items()},
        "held_back": held_back,
    }
    return (json_line(fields) + "\n").encode()
