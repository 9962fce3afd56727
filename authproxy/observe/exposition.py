"""The page of GET /metrics. To be imported when somebody asks for it: prometheus_client brings a web server along, a
megabyte for nothing where there is no main.admin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector as Registered
from prometheus_client.utils import floatToGoString

from authproxy.observe.families import Collector, Family, HistogramFamily

_INFINITE = float("inf")


def page(collectors: Iterable[Collector]) -> bytes:
    return generate_latest(_Registry(collectors))


class _Registry(Registered):
    """Our own, so that nothing appears in it that a library registers by itself."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            for family in collector.collect():
                yield _histogram(family) if isinstance(family, HistogramFamily) else _metric(family)


def _metric(family: Family) -> Metric:
    metric = Metric(family.name, family.text, family.kind)
    name = f"{family.name}_total" if family.kind == "counter" else family.name
    for values, number in family.series:
        metric.add_sample(name, dict(zip(family.labels, values, strict=True)), number)
    return metric


def _histogram(family: HistogramFamily) -> Metric:
    metric = Metric(family.name, family.text, "histogram")
    bounds = [floatToGoString(bound) for bound in (*family.bounds, _INFINITE)]
    for values, counts, total in family.series:
        labels = dict(zip(family.labels, values, strict=True))
        for bound, count in zip(bounds, accumulate(counts), strict=True):
            metric.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count)
        metric.add_sample(f"{family.name}_count", labels, sum(counts))
        metric.add_sample(f"{family.name}_sum", labels, total)
    return metric
