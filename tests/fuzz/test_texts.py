"""Every day: the stored texts mean what they did, and some thousand changed ones find nothing."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import Seed, seeds
from tests.fuzz.texts import TEXTS, run_count

SEEDS = [(name, seed) for name in TEXTS for seed in seeds(name)]


@pytest.mark.parametrize(("name", "seed"), SEEDS, ids=[f"{name} {seed.name}" for name, seed in SEEDS])
def test_stored(name: str, seed: Seed) -> None:
    one, _ = TEXTS[name]
    assert one(seed.octets) == seed.due


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("dn", 1000),
        ("filter-text", 1000),
        ("ldif", 1000),
        ("proxy-header", 2000),
        ("dictionary", 5),
        ("yaml", 60),
        ("cfg", 60),
    ],
)
def test_changed(name: str, count: int) -> None:
    report = run_count(name, count, 1)
    assert report.findings == []
    assert report.inputs == count
