"""PostgreSQL: PAP without a signature, one server, three seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.nas.world import CASES, Doors
from tests.system.parts.postgresql import PostgreSql

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def postgresql(_doors: Doors) -> Iterator[PostgreSql]:
    with PostgreSql(_doors.door(_doors.auto), _doors.secret) as server:
        yield server


@pytest.mark.parametrize("case", CASES)
def test_log_in(doors: Doors, postgresql: PostgreSql, case: str) -> None:
    def log_in(user: str, password: str) -> bool:
        postgresql.add_role(user)
        return postgresql.log_in(user, password)

    doors.play(case, log_in)
