"""Verdicts: a bench that can't miss a floor guards nothing."""

from __future__ import annotations

import math

import pytest

from tests.bench.figures import Figure, Ratios, Verdict, at_least, at_most, exactly, percentile
from tests.bench.report import cells, markdown, plain


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(1.3, Verdict.REACHED), (1.0, Verdict.HELD), (0.9, Verdict.HELD), (0.89, Verdict.MISSED)],
)
def test_more_is_better(value: float, verdict: Verdict) -> None:
    assert at_least(0.9, 1.25).verdict(value, short=False) is verdict


@pytest.mark.parametrize(
    ("value", "verdict"), [(39, Verdict.REACHED), (64, Verdict.HELD), (64.1, Verdict.MISSED)]
)
def test_less_is_better(value: float, verdict: Verdict) -> None:
    assert at_most(64, 40).verdict(value, short=False) is verdict


def test_the_short_form_forgives_speed_and_never_answers() -> None:
    assert at_least(0.9, 1.25, slack=2).verdict(0.5, short=True) is Verdict.HELD
    assert at_least(0.9, 1.25, slack=2).verdict(0.4, short=True) is Verdict.MISSED
    assert at_most(64, 40, slack=2).verdict(129, short=True) is Verdict.MISSED
    assert exactly(1.0).verdict(0.999, short=True) is Verdict.MISSED


@pytest.mark.parametrize("goal", [at_least(0.9, 1.25), at_most(64, 40), exactly(1)])
def test_what_could_not_be_measured_misses(goal: object) -> None:
    figure = Figure(2, "something", math.nan, goal=goal)  # type: ignore[arg-type]
    assert figure.verdict(short=False) is Verdict.MISSED
    assert figure.verdict(short=True) is Verdict.MISSED


def test_a_figure_without_a_goal_is_only_told() -> None:
    assert Figure(2, "something", 0.0).verdict(short=False) is Verdict.TOLD


def test_ratios_are_taken_within_a_round() -> None:
    """The machine was half as fast in the second round, for both."""
    ratios = Ratios.of([100, 50, 90], [50, 25, 60])
    assert ratios.median == 2
    assert ratios.spread == (1.5, 2)


def test_rounds_have_to_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        Ratios.of([1, 2], [1])


def test_percentile() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(101), 0.99) == 99
    assert math.isnan(percentile([], 0.5))


def test_tables() -> None:
    figures = [
        Figure(2, "speed", 1.0, "×", at_least(0.9, 1.25), (0.8, 1.1)),
        Figure(4, "memory", 41.234, "KiB", remark="a remark"),
    ]
    assert cells(figures[0], short=False) == ("2", "speed", "1 × [0.80..1.10]", "0.90", "1.25", "floor", "")
    assert "| 4 | memory | 41.2 KiB |  |  |  | a remark |" in markdown(figures, short=False)
    assert plain(figures, short=False).splitlines()[2].startswith("4")
