"""The status page's notice of open doors, which can't be overlooked (F8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from authproxy.listeners.admin.markup import Child, Markup, element, join
from authproxy.listeners.admin.overview import Overview, SectionState
from authproxy.listeners.admin.tables import from_where, table
from authproxy.listeners.admin.words import moment, moment_of, span
from authproxy.observe.alarms.alarm import Alarm, Severity
from authproxy.observe.audit import AuditEvent

_MOST_OPENED = 20
_MOST_ALARMS = 20


def banner(sections: Sequence[SectionState], now: float) -> Markup | None:
    """Stays at the top of the page while a door is open, however far one scrolls."""
    doors = [section for section in sections if section.is_open]
    if not doors:
        return None
    return element(
        "section",
        element("h2", f"The door is open: {', '.join(section.name for section in doors)}"),
        element("p", "Users get in on a password alone."),
        [element("p", f"{section.name}: {'; '.join(_why(section, now))}.") for section in doors],
        class_="alarm filled",
        role="alert",
    )


def _why(section: SectionState, now: float) -> Iterator[str]:
    if section.primary_only_until is not None:
        yield f"the second factor is off, by command, for {span(section.primary_only_until - now)} more"
    if section.cloud is not None and section.cloud.is_out:
        yield "the cloud can't be reached, and failmode is safe"
    elif section.cloud is not None and section.cloud.slow:
        yield "the cloud is too slow, and slow_cloud says failmode, which is safe"
    if section.open_since is not None:
        yield f"the first login was let in {span(now - section.open_since)} ago"
    if section.limits_reached:
        yield f"limits reached: {', '.join(section.limits_reached)}"


def fail_opens(overview: Overview, started: float) -> Markup:
    count = overview.fail_open_count()
    since = ("since the start, ", moment(started), ".")
    if not count:
        return element("p", "Nobody was let in by fail open ", *since, class_="closed")
    shown = list(islice(overview.fail_opens(), _MOST_OPENED))
    logins = "login was" if count == 1 else "logins were"
    return element(
        "section",
        element("h2", f"{count} {logins} let in by fail open"),
        element("p", "A password alone was enough, because the cloud couldn't be reached. Counted ", *since),
        table(("Time", "User", "Section", "From", "Cause", "Detail"), [_opened(event) for event in shown]),
        element("p", f"The last {len(shown)} are shown; authevents.log has all of them.")
        if count > len(shown)
        else None,
        class_="alarm",
    )


def _opened(event: AuditEvent) -> Sequence[Child]:
    return (
        moment_of(event.timestamp),
        element("strong", event.username),
        event.server_section,
        from_where(event),
        event.cause,
        event.detail,
    )


# ---- alarms


_KINDS = {Severity.CRITICAL: "alarm", Severity.WARNING: "warn", Severity.INFO: "quiet"}


def alarms(told: Iterable[Alarm]) -> Markup:
    rows = [
        (
            moment(alarm.at),
            element("span", alarm.kind.value.replace("_", " "), class_=f"tag {_KINDS[alarm.severity]}"),
            element("strong", alarm.subject),
            alarm.text,
            join("; ".join(f"{name} {value}" for name, value in alarm.detail.items())),
        )
        for alarm in islice(told, _MOST_ALARMS)
    ]
    if not rows:
        return element("p", "None since the start.", class_="none")
    return table(("Time", "Alarm", "Of", "What", "Detail"), rows)
