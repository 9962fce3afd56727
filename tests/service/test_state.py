"""What lasts over a restart is read, or the start says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.backends.state_dir import StateUnusable
from authproxy.observe.log import NullLog
from authproxy.service.state import KEY, open_state


def test_a_key_that_can_t_be_read_is_told(tmp_path: Path) -> None:
    """Another user's, say: made by whoever started the daemon once by hand."""
    (tmp_path / KEY).mkdir()
    with pytest.raises(StateUnusable, match="key: Is a directory"):
        open_state(tmp_path, NullLog())
