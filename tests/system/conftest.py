"""The worlds of the system tests, and the two oracles behind every one of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.system.bench.world import World
from tests.system.everyday import Everyday


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the daemon said, and what its peers saw, beside a failure."""
    report = yield
    if report.failed:
        for world in World.live:
            report.sections += [(f"{name} of {world.folder.name}", text) for name, text in world.story()]
    return report


@pytest.fixture(autouse=True)
def _oracles(request: pytest.FixtureRequest) -> Iterator[None]:
    """B2 and B3 after every test, in every world that is there. (A world looks once more when it ends.)"""
    yield
    for world in World.live:
        world.settle()
        world.check()


@pytest.fixture(scope="session")
def _everyday(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everyday]:
    world = Everyday(tmp_path_factory.mktemp("everyday"))
    world.start()
    yield world
    world.close()


@pytest.fixture
def everyday(_everyday: Everyday) -> Everyday:
    """One daemon for all tests that leave it as it was, each with users of its own."""
    assert _everyday.running.running
    return _everyday


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world for this test alone, with nothing started yet."""
    made = World(tmp_path)
    yield made
    if not made.closed:
        made.close()
