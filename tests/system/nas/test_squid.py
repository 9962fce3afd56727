"""squid's helper: PAP and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.nas.world import CASES, Doors
from tests.system.parts.squid_radius import SquidRadius

pytestmark = pytest.mark.system


@pytest.mark.parametrize("case", CASES)
def test_log_in(doors: Doors, tmp_path: Path, case: str) -> None:
    with SquidRadius(tmp_path, doors.door(doors.auto), doors.secret) as helper:
        doors.play(case, helper.log_in)
