"""What measures how clients wait tells those that stand still from those that don't."""

from __future__ import annotations

import pytest

from tests.system.nas.clients import CLIENTS
from tests.system.nas.patience import HOLD, PATIENCE, beside, running

pytestmark = [pytest.mark.system, pytest.mark.nas]


@pytest.mark.parametrize(("name", "stands_still"), [("pam_radius", False), ("squid", True)])
def test_another_user_meanwhile(name: str, stands_still: bool) -> None:
    with running(CLIENTS[name], PATIENCE) as (world, log_in):
        assert (beside(world, log_in) >= HOLD) == stands_still
