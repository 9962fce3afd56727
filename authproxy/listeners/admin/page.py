"""The status page, readable at night on a phone. No script is needed to read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from authproxy.listeners.admin.doors import alarms, banner, fail_opens
from authproxy.listeners.admin.markup import Child, Markup, element, join
from authproxy.listeners.admin.overview import (
    CertificateState,
    CloudState,
    Health,
    HostState,
    Overview,
    PendingLogin,
    PrimaryState,
    SectionState,
    readiness,
    section_readiness,
)
from authproxy.listeners.admin.tables import from_where, table
from authproxy.listeners.admin.words import duration, moment, moment_of, place, span
from authproxy.observe.audit import AuditEvent
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.patience import ClientPatience
from authproxy.values import light_dataclass

# In front of the title while a door is open, so that a tab shows it; the script has it, too.
OPEN = "DOOR OPEN - "
_MOST_ROWS = 50
_DAY = 86_400
_SOON, _URGENT = 60 * _DAY, 14 * _DAY  # T4: warn 60 days ahead


@light_dataclass(frozen=True, slots=True)
class About:
    """`started`: seconds since 1970."""

    hostname: str
    version: str
    started: float


def parts(overview: Overview, about: About, now: float) -> dict[str, Markup]:
    """The page's blocks by id; a live page replaces those that have changed."""
    return {
        "head": _head(overview, about, now),
        "banner": join(banner(overview.sections(), now)),
        "open": fail_opens(overview, about.started),
        "notes": _notes(overview),
        "sections": join(_section(section, now) for section in overview.sections()),
        "pending": _pending(list(overview.pending()), now),
        "decisions": _decisions("No decision yet.", overview.decisions()),
        "passed": _decisions("Nobody.", overview.without_factor()),
        "alarms": alarms(overview.alarms()),
        "certificates": _certificates(overview.certificates(), now),
        "patience": _patiences(list(overview.patiences())),
    }


def page(blocks: dict[str, Markup], hostname: str) -> str:
    """The whole document."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{OPEN if blocks['banner'] else ''}authproxy on {hostname}"),
        element("link", rel="icon", href="icon.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="status.css"),
        element("script", src="status.js", defer=""),
        element("noscript", element("meta", http_equiv="refresh", content="5")),
    )
    body = element(
        "body",
        element("div", blocks["banner"], id="banner"),
        element("header", blocks["head"], id="head"),
        element(
            "main",
            element("div", blocks["open"], id="open"),
            element("div", blocks["notes"], id="notes"),
            _block("Sections", "sections", blocks, class_="cards"),
            _block("Waiting for their second factor", "pending", blocks),
            _block("Last decisions", "decisions", blocks),
            _block("Let in without a second factor by a rule", "passed", blocks),
            _block("Alarms", "alarms", blocks),
            _block("Certificates", "certificates", blocks),
            _block("How long RADIUS clients wait", "patience", blocks),
        ),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _block(title: str, name: str, blocks: dict[str, Markup], **attributes: str) -> Markup:
    return element("section", element("h2", title), element("div", blocks[name], id=name, **attributes))


# ---- head


def _head(overview: Overview, about: About, now: float) -> Markup:
    state = readiness(overview)
    word = "draining" if overview.draining() else "ready" if state.ready else "not ready"
    return join(
        (
            element(
                "div",
                element("h1", "authproxy", element("small", about.hostname)),
                element("strong", word, class_=f"state {'good' if state.ready else 'bad'}"),
                class_="title",
            ),
            element(
                "p",
                f"version {about.version}, up {span(now - about.started)}",
                element("span", class_="live"),
                class_="about",
            ),
        )
    )


def _notes(overview: Overview) -> Markup:
    state = readiness(overview)
    return join((_list(state.why, "bad"), _list(state.warnings, "warn")))


def _list(problems: Sequence[str], kind: str) -> Markup | None:
    return (
        element("ul", [element("li", one) for one in problems], class_=f"notes {kind}") if problems else None
    )


# ---- sections


def _section(section: SectionState, now: float) -> Markup:
    state = section_readiness(section)
    pending = f"{section.pending} pending" if section.pending else "none pending"
    return element(
        "article",
        element("h3", section.name, element("small", section.kind if section.kind != section.name else None)),
        element(
            "p",
            element(
                "span",
                "ready" if state.ready else "not ready",
                class_=f"tag {'good' if state.ready else 'bad'}",
            ),
            _fail_mode(section),
            element("span", pending, class_="tag"),
        ),
        element(
            "dl",
            _row("listens on", ", ".join(section.listening) or element("b", "nothing", class_="bad")),
            _primary(section.primary, now),
            _cloud(section.cloud, now),
        ),
        class_=None if state.ready and not section.is_open else "alarm",
    )


def _fail_mode(section: SectionState) -> Markup:
    if section.is_open:
        return element("span", "door open", class_="tag bad")
    kind = "warn" if section.fail_mode is FailMode.SAFE else "quiet"
    return element("span", f"failmode {section.fail_mode.value}", class_=f"tag {kind}")


def _primary(primary: PrimaryState | None, now: float) -> Markup:
    if primary is None:
        return _row("primary", "none")
    return _row("primary", [_host(host, now) for host in primary.hosts])


def _cloud(cloud: CloudState | None, now: float) -> Markup:
    if cloud is None:
        return _row("cloud", "none")
    breaker = element("span", "breaker open", class_="tag bad") if cloud.breaker_open else None
    host = HostState(cloud.api_host, cloud.health, cloud.why, cloud.since)
    return _row("cloud", (_host(host, now), breaker))


_KINDS = {Health.UP: "good", Health.DOWN: "bad", Health.UNKNOWN: "quiet"}
_WORDS = {Health.UP: "up", Health.DOWN: "down", Health.UNKNOWN: "not asked yet"}


def _host(host: HostState, now: float) -> Markup:
    said = _WORDS[host.health]
    if host.since is not None and host.health is not Health.UNKNOWN:
        said += f" for {span(now - host.since)}"
    return element(
        "div",
        element("i", class_=f"dot {_KINDS[host.health]}"),
        element("span", host.name, class_="host"),
        element("small", f"{said}: {host.why}" if host.why else said),
    )


def _row(term: str, description: Child) -> Markup:
    return element("div", element("dt", term), element("dd", description))


# ---- tables


def _pending(logins: Sequence[PendingLogin], now: float) -> Markup:
    if not logins:
        return element("p", "Nobody.", class_="none")
    rows = [
        (
            element("strong", login.user),
            span(now - login.since),
            login.factor,
            login.section,
            place(login.client, login.nas_ip, login.client_ip),
        )
        for login in logins[:_MOST_ROWS]
    ]
    more = len(logins) - len(rows)
    return join(
        (
            table(("User", "For", "Factor", "Section", "From"), rows),
            element("p", f"and {more} more", class_="none") if more else None,
        )
    )


_DECIDED = {"accept": "good", "reject": "bad", "challenge": "quiet"}


def _decisions(none: str, events: Iterable[AuditEvent]) -> Markup:
    rows = [
        (
            moment_of(event.timestamp),
            element("strong", event.username or "?"),
            element("span", event.decision, class_=f"tag {_decided(event)}"),
            (event.reason or "").replace("_", " "),
            event.cause,
            event.factor,
            event.server_section,
            from_where(event),
            _took(event),
        )
        for event in islice(events, _MOST_ROWS)
    ]
    if not rows:
        return element("p", none, class_="none")
    return table(("Time", "User", "Decision", "Reason", "Cause", "Factor", "Section", "From", "Took"), rows)


def _decided(event: AuditEvent) -> str:
    return "alarm" if event.fail_open else _DECIDED.get(event.decision or "", "quiet")


def _took(event: AuditEvent) -> str | None:
    steps = [
        f"{name} {duration(milliseconds / 1000)}"
        for name, milliseconds in (("primary", event.primary_ms), ("cloud", event.cloud_ms))
        if milliseconds is not None
    ]
    return ", ".join(steps) or None


def _certificates(certificates: Iterable[CertificateState], now: float) -> Markup:
    ordered = sorted(certificates, key=lambda found: found.not_after)
    if not ordered:
        return element("p", "No certificate seen yet.", class_="none")
    return table(
        ("Certificate", "Expires", "In"),
        [(found.name, moment(found.not_after, date=True), _left(found.not_after - now)) for found in ordered],
    )


def _patiences(clients: Sequence[ClientPatience]) -> Markup:
    if not clients:
        return element(
            "p", "Not known yet: no client has repeated a request while a login waited.", class_="none"
        )
    # Those that somebody should set right first.
    ordered = sorted(
        clients, key=lambda client: (client.gives_up is None, client.gives_up or 0, client.client)
    )
    return table(
        ("Client", "Asks again every", "Gives up after", "Was seen to wait"),
        [
            (client.client, _seconds(client.gap), _gives_up(client), _seconds(client.waited or None))
            for client in ordered[:_MOST_ROWS]
        ],
    )


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.3g} s"


def _gives_up(client: ClientPatience) -> Markup | None:
    if client.gives_up is None:
        return None
    said = f"{client.gives_up:.0f} s"
    if client.too_short:
        said += ": too soon for a push, set it to 60 s or more"
    return element("span", said, class_=f"tag {'bad' if client.too_short else 'good'}")


def _left(seconds: float) -> Markup:
    if seconds <= 0:
        return element("span", f"expired {span(-seconds)} ago", class_="tag bad")
    kind = "bad" if seconds < _URGENT else "warn" if seconds < _SOON else "good"
    return element("span", span(seconds), class_=f"tag {kind}")
