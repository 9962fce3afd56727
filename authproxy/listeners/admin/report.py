"""The overview as JSON: what /readyz and /status answer, and what `authproxy status` reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from authproxy.listeners.admin.overview import (
    ClientState,
    CloudState,
    Overview,
    PrimaryState,
    SectionState,
    readiness,
    section_readiness,
)
from authproxy.observe.audit import AuditEvent
from authproxy.observe.lines import timestamp

Json = dict[str, Any]


def readyz(overview: Overview, section: str | None = None) -> tuple[bool, Json] | None:
    """Whether it is ready, and why not. With a section's name: of that section only; None: there is no such section."""
    sections = overview.sections()
    if section is None:
        whole = readiness(overview)
        ready, why, warnings = whole.ready, whole.why, whole.warnings
    else:
        sections = [found for found in sections if found.name == section]
        if not sections:
            return None
        alone = section_readiness(sections[0])
        draining = ("draining",) if overview.draining() else ()
        ready, why, warnings = alone.ready and not draining, (*draining, *alone.why), alone.warnings
    return ready, {
        "ready": ready,
        "why": list(why),
        "warnings": list(warnings),
        "draining": overview.draining(),
        "sections": [_section(found) for found in sections],
    }


def status(overview: Overview, about: Json) -> Json:
    """Everything that the status page shows. `about`: host, version, start."""
    _, ready = readyz(overview) or (False, {})
    return {
        **about,
        **ready,
        "pending": [
            {
                "login": login.login,
                "section": login.section,
                "user": login.user,
                "since": timestamp(login.since),
                "factor": login.factor,
                "client": login.client,
                "nas_ip": login.nas_ip,
                "client_ip": login.client_ip,
            }
            for login in overview.pending()
        ],
        "fail_open_count": overview.fail_open_count(),
        "fail_opens": _events(overview.fail_opens()),
        "without_factor": _events(overview.without_factor()),
        "decisions": _events(overview.decisions()),
        "alarms": [
            {
                "alarm": alarm.kind.value,
                "severity": alarm.severity.value,
                "subject": alarm.subject,
                "text": alarm.text,
                "timestamp": timestamp(alarm.at),
                "detail": dict(alarm.detail),
            }
            for alarm in overview.alarms()
        ],
        "clients": [_client(client) for client in overview.clients()],
        "certificates": [
            {"name": found.name, "not_after": timestamp(found.not_after)}
            for found in sorted(overview.certificates(), key=lambda found: found.not_after)
        ],
        "patience": [
            {
                "client": client.client,
                "asks_every": client.gap,
                "gives_up": client.gives_up,
                "waited": client.waited,
                "too_short": client.too_short,
            }
            for client in overview.patiences()
        ],
    }


def _client(client: ClientState) -> Json:
    times = {
        "signed_since": client.signed_since,
        "unsigned_at": client.unsigned_at,
        "last_at": client.last_at,
    }
    return {
        "section": client.section,
        "client": client.name,
        "require_message_authenticator": client.require,
        "latched": client.latched,
        **{name: _time(at) for name, at in times.items()},
        "signed_count": client.signed_count,
        "unsigned_count": client.unsigned_count,
        "advice": client.advice,
    }


def _section(section: SectionState) -> Json:
    state = section_readiness(section)
    return {
        "name": section.name,
        "kind": section.kind,
        "ready": state.ready,
        "why": list(state.why),
        "warnings": list(state.warnings),
        "listening": list(section.listening),
        "failmode": section.fail_mode.value,
        "open": section.is_open,
        "shut_by": section.shut_by,
        "primary_only_until": _time(section.primary_only_until),
        "open_since": _time(section.open_since),
        "limits_reached": list(section.limits_reached),
        "primary": _primary(section.primary),
        "cloud": _cloud(section.cloud),
        "pending": section.pending,
    }


def _primary(primary: PrimaryState | None) -> Json | None:
    if primary is None:
        return None
    hosts = [
        {"host": host.name, "state": host.health.value, "why": host.why, "since": _time(host.since)}
        for host in primary.hosts
    ]
    return {"name": primary.name, "state": primary.health.value, "hosts": hosts}


def _cloud(cloud: CloudState | None) -> Json | None:
    if cloud is None:
        return None
    return {
        "api_host": cloud.api_host,
        "state": cloud.health.value,
        "why": cloud.why,
        "since": _time(cloud.since),
        "slow": cloud.slow,
        "latency": cloud.latency,
        "breaker": "open" if cloud.breaker_open else "closed",
    }


def _events(events: Iterable[AuditEvent]) -> list[Json]:
    return [event._asdict() for event in events]


def _time(at: float | None) -> str | None:
    return None if at is None else timestamp(at)
