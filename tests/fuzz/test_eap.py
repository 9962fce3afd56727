"""Every day: a few hundred changed packets, at each step of a conversation."""

from __future__ import annotations

from tests.fuzz import eap


def test_eap() -> None:
    report = eap.run_count(400, 1)
    assert report.findings == []
    assert {"Send", "MalformedEap"} <= report.outcomes.keys()
