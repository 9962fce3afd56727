"""Libraries that go before the C library of one process (LD_PRELOAD); without one a test skips, in CI it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def library(name: str, package: str, folder: str = "/usr/lib") -> Path:
    """The file of this name in a folder of the machine's architecture. Skips the test, or fails it when CI=true."""
    found = next(Path(folder).glob(f"*/{name}"), None)
    if found is None:
        reason = f"{name} is not installed: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
