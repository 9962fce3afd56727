"""The world that all real clients of a worker share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.nas.world import Doors


@pytest.fixture(scope="session")
def _doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    world = Doors(tmp_path_factory.mktemp("doors"))
    world.start()
    yield world
    world.close()


@pytest.fixture
def doors(_doors: Doors) -> Doors:
    assert _doors.running.running
    return _doors
