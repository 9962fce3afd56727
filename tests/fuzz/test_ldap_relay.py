"""Every day: some thousand changed sessions and answers find nothing."""

from __future__ import annotations

import random

import pytest

from tests.fuzz import ldap_relay
from tests.fuzz.report import drive


@pytest.mark.parametrize("side", ["client", "directory"])
def test_the_relay(side: str) -> None:
    one = getattr(ldap_relay, side)
    inputs = ldap_relay.inputs(random.Random(1))
    report = drive(f"ldap-{side}", one, inputs, count=3000, bound=1)
    assert report.findings == []
