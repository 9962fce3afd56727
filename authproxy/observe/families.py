"""What a scrape reads: the series of one metric, at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

Kind = Literal["counter", "gauge"]


class Family:
    """Of a counter, whose `name` is without its `_total`, or of a gauge."""

    def __init__(self, kind: Kind, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.text = text
        self.labels = labels
        self.series: list[tuple[Sequence[str], float]] = []

    def add(self, values: Sequence[str], number: float) -> None:
        """`values`: of the labels."""
        self.series.append((values, number))


class HistogramFamily:
    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self.name = name
        self.text = text
        self.labels = labels
        self.bounds = bounds
        self.series: list[tuple[Sequence[str], Sequence[int], float]] = []

    def add(self, values: Sequence[str], counts: Sequence[int], total: float) -> None:
        """`counts`: up to each bound and above the one before it; the last: above every bound."""
        self.series.append((values, counts, total))


class Collector(Protocol):
    def collect(self) -> Iterator[Family] | Iterator[HistogramFamily]: ...
