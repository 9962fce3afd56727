"""What is counted and measured, by labels: as prometheus_client's own, without its locks and its four calls each time.

Counted by each login and read by each scrape, both in the event loop's thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from authproxy.observe.families import Family, HistogramFamily


class Count:
    """One series of Counts."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self) -> None:
        self.value += 1


class Counts:
    """A counter. `name`: without its `_total`."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._series: dict[tuple[str, ...], Count] = {}

    def labels(self, *values: str) -> Count:
        """The series with these labels; there is one from now on."""
        found = self._series.get(values)
        if found is None:
            found = self._series[values] = Count()
        return found

    def collect(self) -> Iterator[Family]:
        family = Family("counter", self._name, self._text, self._labels)
        for values, count in self._series.items():
            family.add(values, count.value)
        yield family


class Asked:
    """A gauge whose values are asked for when somebody looks."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._series: dict[tuple[str, ...], Callable[[], float]] = {}

    def ask(self, *values: str, of: Callable[[], float]) -> None:
        self._series[values] = of

    def forget(self, *values: str) -> None:
        """Nobody asks for this one any more."""
        self._series.pop(values, None)

    def collect(self) -> Iterator[Family]:
        family = Family("gauge", self._name, self._text, self._labels)
        for values, ask in self._series.items():
            family.add(values, ask())
        yield family


class Duration:
    """One series of Durations."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last: above every bound
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class Durations:
    """A histogram of seconds. `bounds`: the upper bounds, ascending."""

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._bounds = bounds
        self._series: dict[tuple[str, ...], Duration] = {}

    def labels(self, *values: str) -> Duration:
        return self._series.setdefault(values, Duration(self._bounds))

    def collect(self) -> Iterator[HistogramFamily]:
        family = HistogramFamily(self._name, self._text, self._labels, self._bounds)
        for values, series in self._series.items():
            family.add(values, series.counts, series.total)
        yield family
