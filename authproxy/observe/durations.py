"""A histogram of seconds, by section: as prometheus_client's own, without its lock and its four calls an observation.

Observed by each login and read by each scrape, both in the event loop's thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString

_INFINITE = float("inf")


class SectionDurations:
    """The series of one section."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last: above every bound
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class Durations:
    """A metric of the registry. `bounds`: the upper bounds in seconds, ascending."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._bounds = bounds
        self._sections: dict[str, SectionDurations] = {}
        registry.register(self)

    def of(self, section: str) -> SectionDurations:
        return self._sections.setdefault(section, SectionDurations(self._bounds))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._text, labels=("section",))
        written = [floatToGoString(bound) for bound in (*self._bounds, _INFINITE)]
        for section, series in self._sections.items():
            buckets = list(zip(written, accumulate(series.counts), strict=True))
            family.add_metric((section,), buckets, series.total)
        yield family
