"""Every day: a few hundred changed streams in pieces."""

from __future__ import annotations

from tests.fuzz import radsec


def test_radsec() -> None:
    report = radsec.run_count(400, 1)
    assert report.findings == []
    assert {"closed", "0 answers", "1 answers"} <= report.outcomes.keys()
