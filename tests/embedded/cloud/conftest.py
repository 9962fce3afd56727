from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .running import Running


@pytest.fixture
def cloud(reactor_thread: Any, tmp_path: Path) -> Iterator[Running]:
    running = Running(reactor_thread, tmp_path / "cloud", hold=5.0)
    yield running
    running.stop()
    assert running.log.bugs == []
