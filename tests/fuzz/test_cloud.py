"""Every day: what is due of each seed, and a few thousand changed replies, tunnels and signatures find nothing."""

from __future__ import annotations

import pytest

from tests.fuzz import cloud
from tests.fuzz.corpus import Seed, seeds
from tests.fuzz.report import drive


@pytest.mark.parametrize("seed", seeds("cloud"), ids=lambda seed: seed.name)
def test_seeds(seed: Seed) -> None:
    assert cloud.reply(seed.octets) == seed.due


def test_replies() -> None:
    report = drive("cloud", cloud.reply, cloud.replies(1), count=3000)
    assert report.findings == []
    assert {"protocol", "unreachable", "request", "server_error"} <= report.outcomes.keys()


def test_tunnels() -> None:
    report = drive("proxy", cloud.tunnel, cloud.tunnels(1), count=2000)
    assert report.findings == []
    assert {"tunnel", "protocol", "request", "unreachable"} <= report.outcomes.keys()


def test_signatures() -> None:
    report = drive("signatures", cloud.signature, cloud.signatures(1), count=3000)
    assert report.findings == []
    assert {"signed", "wrong_signature", "unknown_key"} <= report.outcomes.keys()
