"""What a measurement says: figures, the floor that must hold, the target, the verdict. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    REACHED = "target"
    HELD = "floor"
    MISSED = "MISSED"
    TOLD = ""  # a figure without a goal: it is there to be read


@dataclass(frozen=True, slots=True)
class Goal:
    """`slack`: by what factor the short form may fall behind the floor; 1 where nothing may be lost."""

    floor: float
    target: float
    higher_is_better: bool
    slack: float = 1.0

    def verdict(self, value: float, *, short: bool) -> Verdict:
        slack = self.slack if short else 1.0
        if math.isnan(value):
            return Verdict.MISSED
        if self.higher_is_better:
            held, reached = value >= self.floor / slack, value >= self.target
        else:
            held, reached = value <= self.floor * slack, value <= self.target
        return Verdict.REACHED if reached else Verdict.HELD if held else Verdict.MISSED


def at_least(floor: float, target: float, slack: float = 1.0) -> Goal:
    return Goal(floor, target, True, slack)


def at_most(floor: float, target: float, slack: float = 1.0) -> Goal:
    return Goal(floor, target, False, slack)


def exactly(value: float) -> Goal:
    """Each login counts: nothing else will do, in the short form either. For what can't be exceeded."""
    return Goal(value, value, True)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `row` is the target's number in docs/performance.md; 0: answers, right or wrong."""

    row: int
    what: str
    value: float
    unit: str = ""
    goal: Goal | None = None
    spread: tuple[float, float] | None = None
    remark: str = ""

    def verdict(self, *, short: bool) -> Verdict:
        return Verdict.TOLD if self.goal is None else self.goal.verdict(self.value, short=short)


@dataclass(frozen=True, slots=True)
class Ratios:
    """One server against another, round by round: both met the same minute of the machine."""

    each: Sequence[float] = field(default_factory=tuple)

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratios:
        return cls(tuple(a / b if b else math.nan for a, b in zip(ours, theirs, strict=True)))

    @property
    def median(self) -> float:
        return statistics.median(self.each) if self.each else math.nan

    @property
    def spread(self) -> tuple[float, float]:
        return (min(self.each), max(self.each)) if self.each else (math.nan, math.nan)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of them lie; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[int(part * (len(ordered) - 1))]
