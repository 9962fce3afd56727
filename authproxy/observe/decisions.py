"""A counter of decisions: as prometheus_client's own, without its lock and its four calls a login.

Counted by each login and read by each scrape, both in the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily


class Decisions:
    """A metric of the registry."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        """`name`: without its `_total`."""
        self._name = name
        self._text = text
        self._counts: dict[tuple[str, str, str], int] = {}
        registry.register(self)

    def count(self, section: str, decision: str, reason: str) -> None:
        series = (section, decision, reason)
        self._counts[series] = self._counts.get(series, 0) + 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._text, labels=("section", "decision", "reason"))
        for series, count in self._counts.items():
            family.add_metric(series, count)
        yield family
