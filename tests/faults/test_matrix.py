"""The matrix is whole, its page is true, and a few of its cells are played every day."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.faults import page
from tests.faults.__main__ import SHORT
from tests.faults.catalogue import FAULTS, STAGES, Stage
from tests.faults.cells import cells, combinations, impossible, sample
from tests.faults.expected import CLASSES, OUTAGE, Factor, Front, Mode
from tests.faults.matrix import Matrix

EARLY = {Stage.CONNECT, Stage.PREAUTH}


def test_nothing_is_left_out() -> None:
    """A combination is a cell or has a reason, and each fault has its class."""
    assert list(CLASSES) == list(FAULTS)
    everything = list(combinations())
    assert len(everything) == len(FAULTS) * len(Stage) * len(Mode) * len(Front) * len(Factor)
    assert len(cells()) + sum(bool(impossible(*each)) for each in everything) == len(everything)
    for fault in FAULTS.values():
        met = {cell.stage for cell in cells() if cell.fault is fault}
        assert met >= set(STAGES[fault.made]) - ({Stage.PREAUTH} if fault.times else set()), fault.name


def test_the_door_opens_at_one_place_only() -> None:
    """F3, F4, of the table itself: safe, before a factor was asked for, in an outage that the probe sees."""
    for cell in cells():
        if cell.expected.fail_open:
            assert (cell.mode, cell.expected.pushes) == (Mode.SAFE, 0), cell
            assert cell.stage in EARLY, cell
            assert CLASSES[cell.fault.name] in OUTAGE, cell
        if cell.expected.decision == "accept" and not cell.expected.fail_open:
            assert cell.expected.reason == "both_factors", cell


def test_the_short_form_meets_every_fault_at_every_stage() -> None:
    short = sample(SHORT)
    assert {(cell.fault.name, cell.stage) for cell in short} == {
        (cell.fault.name, cell.stage) for cell in cells()
    }
    for axis in ("mode", "front", "factor"):
        counts = Counter(getattr(cell, axis) for cell in short)
        assert min(counts.values()) > len(short) / 12, counts


def test_the_page_fits_the_table() -> None:
    """It is written from a whole, green run: python -m tests.faults --page."""
    assert page.PAGE.read_text() == page.page()


@pytest.mark.system
def test_a_few_cells(tmp_path: Path) -> None:
    """What takes no waiting; `python -m tests.faults` plays all of them."""
    quick = {
        "connection refused",
        "an expired certificate",
        "a TLS alert instead of an answer",
        "HTTP 500",
        "HTTP 401",
        "not JSON",
        "RST instead of an answer, once",
        "DNS: NXDOMAIN",
    }
    chosen = [
        cell
        for cell in sample(5)
        if cell.fault.name in quick and not cell.at_start and cell.stage is not Stage.POLLING
    ]
    assert len(chosen) > 40
    world = Matrix(tmp_path, chosen)
    try:
        wrong = [f"{each.cell}: {each.problems}" for each in world.play() if each.problems]
    finally:
        world.close()
    assert wrong == []
