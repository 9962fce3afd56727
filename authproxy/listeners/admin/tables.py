"""Tables of the status page."""

from __future__ import annotations

from collections.abc import Sequence

from authproxy.listeners.admin.markup import Child, Markup, element
from authproxy.listeners.admin.words import place
from authproxy.observe.audit import AuditEvent


def table(titles: Sequence[str], rows: Sequence[Sequence[Child]]) -> Markup:
    """On a narrow screen each row becomes a card, its cells named by data-name."""
    body = [
        element(
            "tr",
            [
                element("td", element("span", cell), data_name=title, class_=None if cell else "empty")
                for title, cell in zip(titles, row, strict=True)
            ],
        )
        for row in rows
    ]
    return element(
        "table",
        element("thead", element("tr", [element("th", title) for title in titles])),
        element("tbody", body),
    )


def from_where(event: AuditEvent) -> Markup | None:
    return place(event.client, event.nas_ip, event.client_ip)
