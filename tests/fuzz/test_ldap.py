"""Every day: what was found once is not found again, and a few thousand changed streams find nothing."""

from __future__ import annotations

import pytest

from tests.fuzz import ldap
from tests.fuzz.corpus import Seed, seeds


@pytest.mark.parametrize("seed", seeds("ldap"), ids=lambda seed: seed.name)
def test_ldap_seeds(seed: Seed) -> None:
    assert ldap.target()(seed.octets) == seed.due


def test_ldap() -> None:
    report = ldap.run_count(3000, 1)
    assert report.findings == []
    assert report.inputs == 3000
    seen = {"BindRequest", "SearchRequest", "BindResponse", "tag", "truncated", "not_ldap", "oversize"}
    assert seen <= report.outcomes.keys()
