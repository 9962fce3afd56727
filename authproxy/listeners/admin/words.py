"""Times, durations and places, as the status page writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from authproxy.listeners.admin.markup import Markup, element, join

_DAY = 86_400


def place(client: str, nas_ip: str, client_ip: str | None) -> Markup | None:
    """The client, and the user's own address if it is known, else the client's."""
    address = client_ip or nas_ip
    return join((client, " ", element("small", address))) if address else join(client)


def moment_of(stamp: str) -> Markup:
    """The audit's time stamp; a script shows it in the reader's own time."""
    return element("time", stamp[:19].replace("T", " ") + "Z", datetime=stamp)


def moment(at: float, *, date: bool = False) -> Markup:
    when = datetime.fromtimestamp(at, UTC)
    shown = when.strftime("%Y-%m-%d" if date else "%Y-%m-%d %H:%M:%SZ")
    return element(
        "time", shown, datetime=when.strftime("%Y-%m-%dT%H:%M:%SZ"), class_="date" if date else None
    )


_UNITS = ((_DAY, "d"), (3600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """The largest unit and the next: `3 d 4 h`, `2 min 5 s`, `12 s`."""
    left = max(0, int(seconds))
    words: list[str] = []
    for size, unit in (*_UNITS, (1, "s")):
        if left >= size or (unit == "s" and not words):
            words.append(f"{left // size} {unit}")
            left %= size
        elif words:
            break
        if len(words) == 2:
            break
    return " ".join(words)


def duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
